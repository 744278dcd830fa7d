package triposplat

import (
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
)

func init() { family.Register(vaeKind{}) }

// vaeKind is the family of the decoder.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "TripoSplat VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 216 }

// values is the number of values of a Gaussian: its offset, color, scales, rotation, opacity and the scale of the offset.
const values = 3 + 3 + 3 + 4 + 1 + 1

// mostDepth is the depth of the octree. Upstream: OctreeGaussianDecoder.
const mostDepth = 8

// decoder describes one of the two networks.
type decoder struct{ hidden, inner, heads, blocks int }

// vae is a decoder that was read from a file.
type vae struct {
	src weights.Source
	// channels is the width of a vector of a latent, perPoint the number of Gaussians of a point.
	channels, perPoint int
	octree, splats     decoder

	activations family.Activations
}

var _ family.Splatter = (*vae)(nil)

// Read implements family.VAE. Upstream: sd.py VAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("gs.base_offset_scale") || !s.Has("octree.out_proj.weight") {
		return nil, nil
	}
	v := &vae{src: src, octree: readDecoder(s.At("octree")), splats: readDecoder(s.At("gs")), channels: dim(s, "octree.blocks.0.cross_attn.to_kv.weight", 1)}
	v.perPoint = dim(s, "gs.out_proj.weight", 0) / values
	for name, d := range map[string]decoder{"octree": v.octree, "gs": v.splats} {
		if min(d.hidden, d.inner, d.heads, d.blocks) == 0 || d.hidden%d.heads != 0 || d.hidden < 2*axes {
			return nil, fmt.Errorf("reading the shape of the decoder: %s has %d blocks of width %d with %d heads and inner layers of %d: wanted both decoders whole", name, d.blocks, d.hidden, d.heads, d.inner)
		}
	}
	if shift := s.Shape("gs.points_offset_perturbation"); v.channels == 0 || v.perPoint == 0 || v.perPoint*values != dim(s, "gs.out_proj.weight", 0) || len(shift) != 2 || shift[0] != v.perPoint || shift[1] != axes {
		return nil, fmt.Errorf("reading the shape of the decoder: vectors of %d values, gs.out_proj.weight %v and points_offset_perturbation %v do not fit together", v.channels, s.Shape("gs.out_proj.weight"), shift)
	}
	return v, nil
}

func readDecoder(s *weights.Scope) decoder {
	return decoder{hidden: dim(s, "in_proj.weight", 0), inner: dim(s, "blocks.0.mlp.mlp.0.weight", 0), heads: dim(s, "blocks.0.cross_attn.q_rms_norm.gamma", 0), blocks: s.Count("blocks")}
}

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{Channels: v.channels, Downscale: 1, Volume: true, CanDecode: true}
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

var errSplats = errors.New("the VAE of TripoSplat decodes latents to splats and encodes nothing: use VAEDecodeTripoSplat")

// Decode implements family.Autoencoder.
func (*vae) Decode(context.Context, family.Runner, *tensor.Tensor) (*tensor.Tensor, error) {
	return nil, errSplats
}

// Encode implements family.Autoencoder.
func (*vae) Encode(context.Context, family.Runner, *tensor.Tensor) (*tensor.Tensor, error) {
	return nil, errSplats
}

// DecodeMemory implements family.Autoencoder: of the number of Gaussians that VAEDecodeTripoSplat makes by default.
func (v *vae) DecodeMemory(latent []int) int64 {
	const usual = 262144
	if len(latent) != axes {
		return 0
	}
	return v.SplatMemory(latent[1], usual)
}

// EncodeMemory implements family.Autoencoder.
func (*vae) EncodeMemory([]int) int64 { return 0 }

// PerPoint implements family.Splatter.
func (v *vae) PerPoint() int { return v.perPoint }

// MostDepth implements family.Splatter.
func (*vae) MostDepth() int { return mostDepth }

// SplatMemory implements family.Splatter.
func (v *vae) SplatMemory(length, gaussians int) int64 {
	size := map[string]int{"L": length, "P": max(gaussians/v.perPoint, 1)}
	return max(v.activations.Of(v.octreeGraph(), size), v.activations.Of(v.splatGraph(), size))
}

// DecodeSplats implements family.Splatter. Upstream: OctreeGaussianDecoder.decode.
func (v *vae) DecodeSplats(ctx context.Context, run family.Runner, z *tensor.Tensor, gaussians, depth int, random *torchrand.Generator) ([]family.Splats, error) {
	const deepest = 20 // cells of an octree, whose numbers are exact in float32
	if len(z.Shape) != axes || z.Dim(2) != v.channels || z.Len() == 0 || gaussians < 1 || depth < 1 || depth > deepest {
		return nil, fmt.Errorf("latents of shape %v at a depth of %d: wanted [batch, vectors, %d]", z.Shape, depth, v.channels)
	}
	for _, x := range z.Data {
		if x != x || math.IsInf(float64(x), 0) {
			return nil, errors.New("the latent has values that are not finite: sample it again, in float32 (--force-fp32)")
		}
	}
	count := max(gaussians/v.perPoint, 1)
	if err := run.Check("decoding splats", v.SplatMemory(z.Dim(1), gaussians)); err != nil {
		return nil, err
	}
	points, err := v.grow(ctx, run, z, count, depth, random)
	if err != nil {
		return nil, err
	}
	shape, err := v.shape()
	if err != nil {
		return nil, err
	}
	out := make([]family.Splats, z.Dim(0))
	for b := range out {
		res, err := run.Run(ctx, v.splatGraph(), []family.Value{family.Floats("points", points[b]), family.Floats("context", z.Slice(b, b+1))}, "out")
		if err != nil {
			return nil, err
		}
		out[b] = shape.splats(points[b].Data, res["out"].Data)
		family.Advance(ctx, b+1, len(out))
	}
	return out, nil
}

func (v *vae) octreeGraph() family.Graph {
	return family.Graph{Part: "vae decoder octree", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("splat octree", v.src, func(b *nn.Builder, s *weights.Scope) { v.octree.writeOctree(b, s.At("octree"), v.channels) })
	}}
}

func (v *vae) splatGraph() family.Graph {
	return family.Graph{Part: "vae decoder splats", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("splats", v.src, func(b *nn.Builder, s *weights.Scope) {
			v.splats.writeSplats(b, s.At("gs"), v.channels, v.perPoint*values)
		})
	}}
}

// inputs declares points [1,P,3] and context [1,L,C], and returns the tokens of the points [1,P,hidden].
func (d decoder) inputs(b *nn.Builder, s *weights.Scope, channels int) (x, context *onnx.Value) {
	p, count := onnx.Sym("P"), d.hidden/axes/2
	points := b.Input("points", dtype.F32, onnx.D(1), p, onnx.D(axes))
	context = dit.Input(b, "context", onnx.D(1), onnx.Sym("L"), onnx.D(channels))
	angles := b.Mul(b.Mul(b.Unsqueeze(points, 3), b.Floats(octaves(count), 1, 1, 1, count)), b.Scalar(dtype.F32, math.Pi))
	waves := b.Reshape(b.Concat(3, b.Sin(angles), b.Cos(angles)), onnx.D(1), p, onnx.D(axes*2*count))
	if rest := d.hidden - axes*2*count; rest > 0 {
		waves = b.PadAxes(waves, onnx.Zeros, []int{0, 0, 0}, []int{0, 0, rest})
	}
	x = b.Add(b.Linear(s.At("in_proj"), b.Cast(points, b.Target.Compute), d.hidden), b.Cast(waves, b.Target.Compute))
	return b.Linear(s.At("input_layer"), x, d.hidden), context
}

// cross is attention of points x to the latent. Upstream: MultiHeadAttention of the type cross.
func (d decoder) cross(b *nn.Builder, s *weights.Scope, x, context *onnx.Value) *onnx.Value {
	kv := b.Chunks(b.Linear(s.At("to_kv"), context, 2*d.hidden), 2)
	q := headNorm(b, s.At("q_rms_norm"), b.Linear(s.At("to_q"), x, d.hidden), d.heads)
	y := b.Attention(q, headNorm(b, s.At("k_rms_norm"), kv[0], d.heads), kv[1], nil, d.heads)
	return b.Linear(s.At("to_out"), y, d.hidden)
}

// writeOctree writes the network that tells which of the eight parts of cells hold how much. Inputs: those of inputs, and level [1,256]. Output: out
// [1,P,8]. Upstream: OctreeProbabilityFixedlenDecoder.
func (d decoder) writeOctree(b *nn.Builder, s *weights.Scope, channels int) {
	x, context := d.inputs(b, s, channels)
	level := dit.MLP(b, s.At("l_embedder.mlp"), dit.Input(b, "level", onnx.D(1), onnx.D(levelWaves)), d.hidden, d.hidden, "0", "2")
	m := b.Chunks(b.Unsqueeze(b.Linear(s.At("adaLN_modulation.1"), b.SiLU(level), 6*d.hidden), 1), 6)
	for i := range d.blocks {
		block := s.At("blocks").Index(i)
		x = b.Gated(x, d.cross(b, block.At("cross_attn"), b.Modulate(x, m[0], m[1], epsilon), context), m[2])
		x = b.Gated(x, feedForward(b, block.At("mlp"), b.Modulate(x, m[3], m[4], epsilon), d.inner, d.hidden), m[5])
	}
	dit.Output(b, "out", b.Linear(s.At("out_proj"), b.LayerNormPlain(x, outer), parts))
}

// writeSplats writes the network that makes Gaussians of points. Inputs: those of inputs. Output: out [1,P,·]. Upstream: ElasticGaussianFixedlenDecoder.
func (d decoder) writeSplats(b *nn.Builder, s *weights.Scope, channels, out int) {
	x, context := d.inputs(b, s, channels)
	for i := range d.blocks {
		block := s.At("blocks").Index(i)
		own := block.At("self_attn")
		qkv := b.Chunks(b.Linear(own.At("to_qkv"), b.LayerNormPlain(x, epsilon), 3*d.hidden), 3)
		y := b.Attention(headNorm(b, own.At("q_rms_norm"), qkv[0], d.heads), headNorm(b, own.At("k_rms_norm"), qkv[1], d.heads), qkv[2], nil, d.heads)
		x = b.Add(x, b.Linear(own.At("to_out"), y, d.hidden))
		x = b.Add(x, d.cross(b, block.At("cross_attn"), b.LayerNorm(block.At("norm2"), x, epsilon), context))
		x = b.Add(x, feedForward(b, block.At("mlp"), b.LayerNormPlain(x, epsilon), d.inner, d.hidden))
	}
	dit.Output(b, "out", b.Linear(s.At("out_proj"), b.LayerNormPlain(x, outer), out))
}
