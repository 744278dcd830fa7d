// Package dino3 is the family of DINOv3's image encoders (Siméoni et al., "DINOv3"): ViT-L/16 and ViT-H+/16, whose tokens are turned by their places, so
// that they read images of any size.
package dino3

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/clipvision"
	"comfygo/engine/family/dino"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "DINOv3" }

// Rank implements family.Family.
func (kind) Rank() int { return 25 }

// The numbers that the shapes of weights do not tell. Upstream: image_encoders/dino3.py and dino3_large.json.
const (
	head    = 64
	rgb     = 3
	theta   = 100
	epsilon = 1e-5
	// largeSide and hugeSide are the sides of the square images of CLIPVisionEncode.
	largeSide, hugeSide = 224, 1024
)

// encoder is an image encoder that was read from a file.
type encoder struct {
	src weights.Source
	// width is the width of a token, inner that inside feed-forward layers, registers the number of tokens beside the class token and the patches.
	width, layers, inner, patch, registers int
	// gated reports that feed-forward layers are gated.
	gated  bool
	side   int
	pixels *clipvision.Encoder
	// naf refines features, nil for files without it.
	naf *naf

	activations family.Activations
}

var _ family.Refiner = (*encoder)(nil)

// Read implements family.Vision. Upstream: clip_vision.py load_clipvision_from_sd.
func (kind) Read(src weights.Source) (family.ImageEncoder, error) {
	s := weights.NewScope(src)
	if !s.Has("layer.0.attention.o_proj.bias") || !s.Has("embeddings.register_tokens") {
		return nil, nil
	}
	patch, registers := s.Shape("embeddings.patch_embeddings.weight"), s.Shape("embeddings.register_tokens")
	first := s.At("layer.0.mlp")
	up := first.Shape("up_proj.weight")
	if len(patch) != 4 || len(registers) != 3 || len(up) != 2 || patch[1] != rgb || patch[2] != patch[3] || patch[2] == 0 || patch[0] == 0 || patch[0]%head != 0 || up[0] == 0 || registers[0] != 1 || registers[2] != patch[0] {
		return nil, fmt.Errorf("reading the shape of the image encoder: patch_embeddings.weight is %v, register_tokens %v, layer.0.mlp.up_proj.weight %v: wanted square patches of %d channels and heads of %d", patch, registers, up, rgb, head)
	}
	e := &encoder{src: src, width: patch[0], layers: s.Count("layer"), inner: up[0], patch: patch[2], registers: registers[1], gated: first.Has("gate_proj.weight"), side: largeSide}
	if e.gated {
		e.side = hugeSide
	}
	e.pixels = clipvision.New(src, clipvision.Config{Image: e.side, Mean: dino.Mean, Std: dino.Std})
	var err error
	if e.naf, err = readNAF(src); err != nil {
		return nil, err
	}
	return e, nil
}

// Weights implements family.ImageEncoder.
func (e *encoder) Weights() weights.Source { return e.src }

// Encode implements family.ImageEncoder. Embeds are the class token. Upstream fails in CLIPVisionEncode, because the network gives no hidden states of the
// layer before the last; here it does.
func (e *encoder) Encode(ctx context.Context, run family.Runner, images *tensor.Tensor, crop bool) (family.ImageEncoding, error) {
	x, err := e.pixels.Preprocess(images, crop)
	if err != nil {
		return family.ImageEncoding{}, err
	}
	out, err := e.encode(ctx, run, x)
	out.Size = e.side
	return out, err
}

// EncodeWhole implements family.AnySize.
func (e *encoder) EncodeWhole(ctx context.Context, run family.Runner, images *tensor.Tensor) (family.ImageEncoding, error) {
	const axes = 4
	if images == nil || len(images.Shape) != axes || images.Dim(3) != rgb || images.Dim(0) == 0 || min(images.Dim(1), images.Dim(2)) < e.patch {
		return family.ImageEncoding{}, fmt.Errorf("the images have shape %v: wanted [images, height, width, %d] of at least %d pixels along each side", shapeOf(images), rgb, e.patch)
	}
	n, rows, columns := images.Dim(0), images.Dim(1)/e.patch, images.Dim(2)/e.patch
	if err := run.Check("encoding an image", e.memory(n, rows, columns)); err != nil {
		return family.ImageEncoding{}, err
	}
	h, w := rows*e.patch, columns*e.patch // a rest of a patch is not read
	x := tensor.New(n, rgb, h, w)
	for i := range x.Data {
		b, c, at := i/(rgb*h*w), i/(h*w)%rgb, i%(h*w)
		x.Data[i] = images.Data[((b*images.Dim(1)+at/w)*images.Dim(2)+at%w)*rgb+c]
	}
	dino.Normalise(x)
	out, err := e.encode(ctx, run, x)
	out.Rows, out.Columns = rows, columns
	return out, err
}

func shapeOf(t *tensor.Tensor) []int {
	if t == nil {
		return nil
	}
	return t.Shape
}

func (e *encoder) memory(n, rows, columns int) int64 {
	if family.Product(n, rows, columns, e.patch, e.patch) > math.MaxInt32 {
		return math.MaxInt64
	}
	return e.activations.Of(e.graph(), map[string]int{"B": n, "h": rows, "w": columns})
}

// encode runs the network on normalised pixels [B,3,h·P,w·P].
func (e *encoder) encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (family.ImageEncoding, error) {
	rows, columns := x.Dim(2)/e.patch, x.Dim(3)/e.patch
	if err := run.Check("encoding an image", e.memory(x.Dim(0), rows, columns)); err != nil {
		return family.ImageEncoding{}, err
	}
	cos, sin := e.angles(rows, columns)
	res, err := run.Run(ctx, e.graph(), []family.Value{family.Floats("pixels", x), family.Floats("cos", cos), family.Floats("sin", sin)}, "last", "penultimate", "class", "plain")
	if err != nil {
		return family.ImageEncoding{}, err
	}
	return family.ImageEncoding{Last: res["last"], Penultimate: res["penultimate"], Embeds: res["class"], Plain: res["plain"]}, nil
}

// prefix is the number of tokens before the patches.
func (e *encoder) prefix() int { return 1 + e.registers }

// angles are the cosines and sines [1,tokens,D/2] by which tokens are turned: a half for the row of a patch and one for its column, each from -1 to 1. The
// other tokens are not turned. Upstream: DINOv3ViTRopePositionEmbedding.
func (e *encoder) angles(rows, columns int) (cos, sin *tensor.Tensor) {
	const waves = head / 4
	tokens := e.prefix() + rows*columns
	cos, sin = tensor.New(1, tokens, head/2), tensor.New(1, tokens, head/2)
	for i := range e.prefix() * head / 2 {
		cos.Data[i] = 1
	}
	for i := range rows * columns {
		for axis, place := range [2]float32{(float32(i/columns) + 0.5) / float32(rows), (float32(i%columns) + 0.5) / float32(columns)} {
			for k := range waves {
				inverse := float32(1 / math.Pow(theta, float64(k)/waves))
				s, c := math.Sincos(float64(2 * math.Pi * (2*place - 1) * inverse))
				at := (e.prefix()+i)*head/2 + axis*waves + k
				cos.Data[at], sin.Data[at] = float32(c), float32(s)
			}
		}
	}
	return cos, sin
}

func (e *encoder) graph() family.Graph {
	return family.Graph{Part: "clip_vision", Streamed: true, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build("dinov3", e.src, e.write)
	}}
}

// write writes the encoder. Inputs: pixels [B,3,h·P,w·P], normalised, and cos and sin as angles makes them. Outputs: last, penultimate and plain
// [B,tokens,C], class [B,C]. Upstream: DINOv3ViTModel.
func (e *encoder) write(b *nn.Builder, s *weights.Scope) {
	rows, h, w := onnx.Sym("B"), onnx.Sym("h"), onnx.Sym("w")
	pixels := dit.Input(b, "pixels", rows, onnx.D(rgb), h.Times(onnx.D(e.patch)), w.Times(onnx.D(e.patch)))
	tokens := h.Times(w).Plus(onnx.D(e.prefix()))
	rope := &nn.Rotary{Cos: dit.Input(b, "cos", onnx.D(1), tokens, onnx.D(head/2)), Sin: dit.Input(b, "sin", onnx.D(1), tokens, onnx.D(head/2))}
	at := s.At("embeddings")
	x := dit.PatchEmbed(b, at.At("patch_embeddings"), pixels, e.width, e.patch)
	class := b.Expand(b.Table(at.Weight("cls_token", 1, 1, e.width)), rows, onnx.D(1), onnx.D(e.width))
	registers := b.Expand(b.Table(at.Weight("register_tokens", 1, e.registers, e.width)), rows, onnx.D(e.registers), onnx.D(e.width))
	x = b.Concat(1, class, registers, x)
	for i := range e.layers {
		x = e.layer(b, s.At("layer").Index(i), x, rope)
		if i == max(e.layers-2, 0) {
			dit.Output(b, "penultimate", x)
		}
	}
	dit.Output(b, "plain", b.LayerNormPlain(x, epsilon))
	x = b.LayerNorm(s.At("norm"), x, epsilon)
	dit.Output(b, "last", x)
	dit.Output(b, "class", b.Squeeze(b.Slice(x, 1, 0, 1), 1))
}

// layer is attention and a feed-forward layer on x [B,S,C]. Upstream: DINOv3ViTLayer.
func (e *encoder) layer(b *nn.Builder, s *weights.Scope, x *onnx.Value, rope *nn.Rotary) *onnx.Value {
	heads := e.width / head
	y, a := b.LayerNorm(s.At("norm1"), x, epsilon), s.At("attention")
	part := func(name string) *onnx.Value { return b.Linear(a.At(name), y, e.width) }
	y = b.Attention(b.Rotate(part("q_proj"), rope, heads), b.Rotate(part("k_proj"), rope, heads), part("v_proj"), nil, heads)
	x = b.Add(x, e.scaled(b, s.At("layer_scale1"), b.Linear(a.At("o_proj"), y, e.width)))
	return b.Add(x, e.scaled(b, s.At("layer_scale2"), e.feedForward(b, s.At("mlp"), b.LayerNorm(s.At("norm2"), x, epsilon))))
}

func (e *encoder) scaled(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	return b.Mul(x, b.Table(s.Weight("lambda1", e.width)))
}

func (e *encoder) feedForward(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := b.Linear(s.At("up_proj"), x, e.inner)
	if e.gated {
		y = b.SwiGLU(y, b.Linear(s.At("gate_proj"), x, e.inner))
	} else {
		y = b.Gelu(y, false)
	}
	return b.Linear(s.At("down_proj"), y, e.width)
}
