package hunyuan3d

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
	"comfygo/engine/weights"
)

func init() { family.Register(vaeKind{}) }

// vaeKind is the family of shape VAEs.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "Hunyuan3D shape VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 215 }

// frequencies is the number of waves at which the coordinates of a point are embedded, axes that of its coordinates.
const (
	frequencies = 8
	axes        = 3
)

// vae is a shape VAE that was read from a file; upstream has its decoder alone.
type vae struct {
	src weights.Source
	// width is that of a token, geometry that of a point's, heads and geometryHeads the attention heads of both.
	width, geometry, heads, geometryHeads, channels, depth int
	latents, points                                        family.Activations
}

var _ family.Volumetric = (*vae)(nil)

// Read implements family.VAE. Upstream: sd.py VAE, ldm/hunyuan3d/vae.py ShapeVAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("geo_decoder.cross_attn_decoder.ln_1.bias") {
		return nil, nil
	}
	in, first := s.Shape("post_kl.weight"), s.At("transformer.resblocks.0")
	norm, geometry := first.Shape("attn.attention.q_norm.weight"), s.Shape("geo_decoder.query_proj.weight")
	geometryNorm := s.Shape("geo_decoder.cross_attn_decoder.attn.attention.q_norm.weight")
	if len(in) != 2 || len(norm) != 1 || len(geometry) != 2 || len(geometryNorm) != 1 || in[0] == 0 || in[1] == 0 || norm[0] == 0 || geometryNorm[0] == 0 || in[0]%norm[0] != 0 || geometry[0]%geometryNorm[0] != 0 || geometry[0] != in[0] {
		return nil, fmt.Errorf("its shapes make no shape VAE: post_kl.weight is %v, geo_decoder.query_proj.weight %v, the norms of the queries %v and %v: wanted one width, whose heads are normalised", in, geometry, norm, geometryNorm)
	}
	if want := axes * (2*frequencies + 1); geometry[1] != want {
		return nil, fmt.Errorf("its shapes make no shape VAE: geo_decoder.query_proj.weight is %v: wanted %d inputs, a point at %d frequencies", geometry, want, frequencies)
	}
	return &vae{
		src: src, width: in[0], channels: in[1], heads: in[0] / norm[0], geometry: geometry[0], geometryHeads: geometry[0] / geometryNorm[0], depth: s.Count("transformer.resblocks"),
	}, nil
}

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{Channels: v.channels, Downscale: 1, CanDecode: true, Untiled: true, Volume: true}
}

var errVolume = errors.New("the VAE decodes volumes: use VAEDecodeHunyuan3D")

// Decode implements family.Autoencoder.
func (*vae) Decode(context.Context, family.Runner, *tensor.Tensor) (*tensor.Tensor, error) {
	return nil, errVolume
}

// Encode implements family.Autoencoder.
func (*vae) Encode(context.Context, family.Runner, *tensor.Tensor) (*tensor.Tensor, error) {
	return nil, errors.New("the VAE has a decoder alone")
}

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// DecodeMemory implements family.Autoencoder, for the fewest points.
func (v *vae) DecodeMemory(latent []int) int64 {
	return v.memory(latent[len(latent)-1], leastPoints)
}

// EncodeMemory implements family.Autoencoder.
func (*vae) EncodeMemory([]int) int64 { return 0 }

func (v *vae) memory(length, points int) int64 {
	return max(v.latents.Of(v.latentGraph(), map[string]int{"L": length}), v.points.Of(v.pointGraph(), map[string]int{"L": length, "P": points}))
}

// leastPoints is the number of points below which fewer together save no memory to speak of.
const leastPoints = 256

// bound is half the side of the volume.
const bound = 1.01

// DecodeVolume implements family.Volumetric. Points do not see each other, so that the result is the same however many are computed together.
func (v *vae) DecodeVolume(ctx context.Context, run family.Runner, z *tensor.Tensor, resolution, points int) (*tensor.Tensor, error) {
	if len(z.Shape) != 3 || z.Dim(0) != 1 || z.Dim(1) != v.channels || z.Dim(2) == 0 || resolution < 1 || points < 1 {
		return nil, fmt.Errorf("decoding a latent of shape %v at a resolution of %d: wanted [1, %d, vectors]", z.Shape, resolution, v.channels)
	}
	length := z.Dim(2)
	for points > leastPoints && !run.Fits(v.memory(length, points)) {
		points = max(points/2, leastPoints)
	}
	if err := run.Check("decoding a volume", v.memory(length, points)); err != nil {
		return nil, err
	}
	kv, err := run.Run(ctx, v.latentGraph(), []family.Value{family.Floats("z", z)}, "k", "v")
	if err != nil {
		return nil, err
	}
	n := resolution + 1
	total := n * n * n
	line := linspace(-bound, bound, n)
	out := tensor.New(n, n, n)
	for from := 0; from < total; from += points {
		count := min(points, total-from)
		at := tensor.New(1, count, axes)
		for i := range count {
			p := from + i
			at.Data[axes*i], at.Data[axes*i+1], at.Data[axes*i+2] = line[p/(n*n)], line[p/n%n], line[p%n]
		}
		res, err := run.Run(ctx, v.pointGraph(), []family.Value{family.Floats("points", at), family.Floats("k", kv["k"]), family.Floats("v", kv["v"])}, "out")
		if err != nil {
			return nil, err
		}
		// Upstream exchanges the last two axes, and then moves the first one to the end.
		for i, logit := range res["out"].Data {
			p := from + i
			x, y, z := p/(n*n), p/n%n, p%n
			out.Data[(z*n+y)*n+x] = min(max((logit+1)/2, 0), 1)
		}
		family.Advance(ctx, min(from+points, total), total)
	}
	return out, nil
}

// linspace is torch.linspace in float32: the second half counts from the end.
func linspace(from, to float32, n int) []float32 {
	out := make([]float32, n)
	step := (to - from) / float32(n-1)
	for i := range out {
		if i < n/2 {
			out[i] = from + step*float32(i)
		} else {
			out[i] = to - step*float32(n-1-i)
		}
	}
	return out
}

func (v *vae) latentGraph() family.Graph {
	return family.Graph{Part: "vae decoder latents", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("shape vae latents", v.src, func(b *nn.Builder, s *weights.Scope) { v.writeLatents(b, s) })
	}}
}

func (v *vae) pointGraph() family.Graph {
	return family.Graph{Part: "vae decoder points", Steps: true, Steady: []string{"k", "v"}, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("shape vae points", v.src, func(b *nn.Builder, s *weights.Scope) { v.writePoints(b, s) })
	}}
}

// writeLatents writes what is computed once: the latent z [1,C,L] to the keys k and values v [1,L,W] that points attend to.
func (v *vae) writeLatents(b *nn.Builder, s *weights.Scope) {
	z := dit.Input(b, "z", onnx.D(1), onnx.D(v.channels), onnx.Sym("L"))
	x := b.Linear(s.At("post_kl"), b.Transpose(z, 0, 2, 1), v.width)
	for i := range v.depth {
		x = v.layer(b, s.At("transformer.resblocks").Index(i), x)
	}
	block := s.At("geo_decoder.cross_attn_decoder")
	x = b.Linear(block.At("attn.c_kv"), b.LayerNorm(block.At("ln_2"), x, epsilon), 2*v.geometry)
	parts := split(b, x, v.geometryHeads, 2)
	dit.Output(b, "k", v.norm(b, block.At("attn.attention.k_norm"), parts[0], v.geometryHeads))
	dit.Output(b, "v", parts[1])
}

// layer is attention and a feed-forward layer. Upstream: ResidualAttentionBlock.
func (v *vae) layer(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	const normEpsilon = 1e-6
	a := s.At("attn")
	parts := split(b, b.Linear(a.At("c_qkv"), b.LayerNorm(s.At("ln_1"), x, normEpsilon), 3*v.width), v.heads, 3)
	q, k := v.norm(b, a.At("attention.q_norm"), parts[0], v.heads), v.norm(b, a.At("attention.k_norm"), parts[1], v.heads)
	x = b.Add(x, b.Linear(a.At("c_proj"), b.Attention(q, k, parts[2], nil, v.heads), v.width))
	return b.Add(x, v.feedForward(b, s.At("mlp"), b.LayerNorm(s.At("ln_2"), x, normEpsilon)))
}

func (v *vae) norm(b *nn.Builder, s *weights.Scope, x *onnx.Value, heads int) *onnx.Value {
	return b.HeadLayerNorm(s, x, heads, epsilon)
}

func (v *vae) feedForward(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	return b.Linear(s.At("c_proj"), b.Gelu(b.Linear(s.At("c_fc"), x, max(dim(s, "c_fc.weight", 0), 1)), false), x.Dim(-1).N)
}

// split cuts each head of x [B,S,heads·n·D] into n parts [B,S,heads·D].
func split(b *nn.Builder, x *onnx.Value, heads, n int) []*onnx.Value {
	width := x.Dim(-1).N / n
	sizes := make([]int, n)
	for i := range sizes {
		sizes[i] = width / heads
	}
	out := make([]*onnx.Value, n)
	for i, y := range b.Split(b.Reshape(x, x.Dim(0), x.Dim(1), onnx.D(heads), onnx.D(n*width/heads)), -1, sizes...) {
		out[i] = b.Reshape(y, x.Dim(0), x.Dim(1), onnx.D(width))
	}
	return out
}

// writePoints writes what is computed for points [1,P,3]: out [1,P,1], positive inside the shape. k and v [1,L,W] are those of writeLatents.
func (v *vae) writePoints(b *nn.Builder, s *weights.Scope) {
	p := onnx.Sym("P")
	points := b.Input("points", dtype.F32, onnx.D(1), p, onnx.D(axes))
	in := func(name string) *onnx.Value {
		return dit.Input(b, name, onnx.D(1), onnx.Sym("L"), onnx.D(v.geometry))
	}
	k, values := in("k"), in("v")
	waves := make([]float32, frequencies)
	for i := range waves {
		waves[i] = float32(math.Exp2(float64(i)))
	}
	angles := b.Reshape(b.Mul(b.Unsqueeze(points, 3), b.Floats(waves, 1, 1, 1, frequencies)), onnx.D(1), p, onnx.D(axes*frequencies))
	x := b.Cast(b.Concat(2, points, b.Sin(angles), b.Cos(angles)), b.Target.Compute)
	geo := s.At("geo_decoder")
	x = b.Linear(geo.At("query_proj"), x, v.geometry)
	block := geo.At("cross_attn_decoder")
	q := b.Linear(block.At("attn.c_q"), b.LayerNorm(block.At("ln_1"), x, epsilon), v.geometry)
	q = v.norm(b, block.At("attn.attention.q_norm"), q, v.geometryHeads)
	x = b.Add(x, b.Linear(block.At("attn.c_proj"), b.Attention(q, k, values, nil, v.geometryHeads), v.geometry))
	x = b.Add(x, v.feedForward(b, block.At("mlp"), b.LayerNorm(block.At("ln_3"), x, epsilon)))
	const normEpsilon = 1e-5 // torch's default
	if last := geo.At("ln_post"); last.Has("weight") {
		x = b.LayerNorm(last, x, normEpsilon)
	}
	dit.Output(b, "out", b.Linear(geo.At("output_proj"), x, 1))
}
