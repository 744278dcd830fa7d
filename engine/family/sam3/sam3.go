// Package sam3 is the family of SAM 3 and SAM 3.1 (Carion and others, "SAM 3: Segment Anything with Concepts"): models that find the objects which a
// text, boxes or points describe, and follow them through videos.
package sam3

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
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() {
	family.Register(Sized(false, grid))
	family.Register(Sized(true, grid))
}

// kind registers SAM 3, or SAM 3.1, which follows several objects at a time.
type kind struct {
	rank      int
	multiplex bool
	grid      int
}

// Sized returns SAM 3, or with multiplex SAM 3.1, for images of the given number of cells along a side, which the weights do not tell. The published
// networks look at 72.
func Sized(multiplex bool, grid int) family.Diffusion {
	if multiplex {
		return kind{950, true, grid}
	}
	return kind{940, false, grid}
}

// Name implements family.Family.
func (k kind) Name() string {
	if k.multiplex {
		return "SAM 3.1"
	}
	return "SAM 3"
}

// Rank implements family.Family.
func (k kind) Rank() int { return k.rank }

// Places of the parts of the network.
const (
	vision    = "detector.backbone.vision_backbone"
	firstQKV  = vision + ".trunk.blocks.0.attn.qkv.weight"
	queries   = "detector.transformer.decoder.query_embed.weight"
	multiConv = vision + ".propagation_convs.0.conv_1x1.weight"
)

// Numbers that the shapes of weights do not tell. Upstream: ldm/sam3.
const (
	rgb     = 3
	looks   = 16 // heads of the image encoder and of the text encoder
	heads   = 8
	epsilon = 1e-5
	theta   = 10000
	// globals is the number of blocks of the image encoder that attend to the whole image; the others attend within one of windows² windows.
	globals, windows = 4, 3
	// grid is the number of cells along a side of the images that the published networks look at.
	grid = 72
	// mostFrames is the largest number of frames that a network may remember; the published ones remember 7.
	mostFrames = 64
	// roi is the side of the features that are read in a box.
	roi = 7
)

// config describes a network.
type config struct {
	multiplex bool
	// grid is the number of cells along a side, patch their side in pixels.
	grid, patch int
	// width and depth are those of the image encoder, d is the width of everything else, text that of the text encoding.
	width, depth, d, text int
	// queries is the number of objects that are looked for at once.
	queries int
	// memory is the width of what is remembered of a frame, frames the number of frames, slots the number of objects in one memory.
	memory, frames, slots int
}

// side is the side of an image in pixels.
func (c config) side() int { return c.grid * c.patch }

// cells is the number of cells of an image.
func (c config) cells() int { return c.grid * c.grid }

// Read implements family.Diffusion.
func (k kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has(firstQKV) || !s.Has(queries) || s.Has(multiConv) != k.multiplex {
		return nil, nil
	}
	own := view(src)
	s = weights.NewScope(own)
	patch, table, level := s.Shape(vision+".trunk.patch_embed.proj.weight"), s.Shape(queries), s.Shape(vision+".convs.0.conv_1x1.weight")
	text, times := s.Shape("detector.backbone.language_backbone.resizer.weight"), s.Shape("tracker.maskmem_tpos_enc")
	if len(patch) != 4 || len(table) != 2 || len(level) != 4 || len(text) != 2 || len(times) != 4 || patch[0]%(4*looks) != 0 || table[1]%(2*heads) != 0 || patch[2] != patch[3] {
		return nil, fmt.Errorf("reading the shape of the network: patch_embed.proj.weight is %v, query_embed.weight %v, convs.0.conv_1x1.weight %v, resizer.weight %v, maskmem_tpos_enc %v: use a checkpoint that holds detector and tracker", patch, table, level, text, times)
	}
	if min(patch[0], table[0], table[1], text[1], times[0], times[3]) == 0 || patch[1] != rgb || patch[2] == 0 || times[0] > mostFrames {
		return nil, fmt.Errorf("reading the shape of the network: patch_embed.proj.weight is %v, query_embed.weight %v, resizer.weight %v, maskmem_tpos_enc %v: wanted patches of %d channels, and no axis without values or more than %d frames", patch, table, text, times, rgb, mostFrames)
	}
	c := config{
		multiplex: k.multiplex, grid: k.grid, patch: patch[2], width: patch[0], depth: s.Count(vision + ".trunk.blocks"), d: level[0], text: text[1],
		queries: table[0], memory: times[3], frames: times[0], slots: 1,
	}
	if k.multiplex {
		valid := s.Shape("tracker.output_valid_embed")
		if len(valid) != 2 || valid[0] < 1 || valid[0] > mostObjects {
			return nil, fmt.Errorf("reading the shape of the network: output_valid_embed is %v, wanted an embedding for each object of a group of at most %d", valid, mostObjects)
		}
		c.slots = valid[0]
	}
	if c.depth%globals != 0 || table[1] != c.d || !k.multiplex && (c.memory < 1 || c.d%c.memory != 0) || k.multiplex && c.memory != c.d {
		return nil, fmt.Errorf("reading the shape of the network: %d blocks, %d features, %d of the queries and %d of the memory do not fit together", c.depth, c.d, table[1], c.memory)
	}
	return &model{config: c, src: own}, nil
}

// model is a network that was read from a file.
type model struct {
	config

	src         weights.Source
	activations family.Activations
	// packed, when set, is called with each mask that is packed, for tests.
	packed func(mask []float32)
}

var _ interface {
	family.Segmenter
	family.Bundle
	family.Adaptable
	family.Typed
} = (*model)(nil)

// errDenoises is for samplers.
var errDenoises = errors.New("SAM 3 segments images and generates none: connect the model to SAM3_Detect or SAM3_VideoTrack")

// Latent implements family.Denoiser. Upstream gives the model the format of Stable Diffusion's latents.
func (*model) Latent() sampling.LatentFormat {
	return sampling.LatentFormat{Channels: 4, Scale: 1, Downscale: 8}
}

// Sampling implements family.Denoiser.
func (*model) Sampling() (sampling.ModelType, sampling.Settings) {
	return sampling.Flow, sampling.Settings{Multiplier: 1000, Shift: 1}
}

// Inputs implements family.Denoiser.
func (*model) Inputs(*sampling.Cond, sampling.Request) ([]sampling.Input, error) {
	return nil, errDenoises
}

// Predict implements family.Denoiser.
func (*model) Predict(context.Context, family.Runner, family.Call) (*tensor.Tensor, error) {
	return nil, errDenoises
}

// Memory implements family.Denoiser.
func (m *model) Memory([]int, int) int64 { return m.Busiest(0) }

// Busiest implements family.Segmenter.
func (m *model) Busiest(boxes int) int64 {
	const tokens = 32
	most := m.activations.Of(m.trunk(), nil)
	if boxes > 0 {
		inside := int64(4) * int64(boxes) * int64(m.d) * roi * roi // outside the graph
		most = max(most, m.activations.Of(m.examples(), nil), inside+m.activations.Of(m.detector(true), map[string]int{"T": tokens, "N": boxes}))
	}
	most = max(most, m.activations.Of(m.detector(false), map[string]int{"T": tokens}))
	return max(most, m.activations.Of(m.remember(), map[string]int{"B": 1}))
}

// Weights implements family.Denoiser.
func (m *model) Weights() weights.Source { return m.src }

// Scheme implements family.Bundle.
func (*model) Scheme() string { return loader }

// TextPrefixes implements family.Bundle.
func (*model) TextPrefixes() map[string][]string {
	return map[string][]string{keyText: {"detector.backbone.language_backbone."}}
}

// LoRAKeys implements family.Adaptable.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) { keys.AddGeneric(part, m.src.Names()) }

// ComputeTypes implements family.Typed.
func (*model) ComputeTypes() []dtype.DType { return []dtype.DType{dtype.F16, dtype.BF16, dtype.F32} }

// Side implements family.Segmenter.
func (m *model) Side() int { return m.side() }

// Look implements family.Segmenter.
func (m *model) Look(ctx context.Context, run family.Runner, image *tensor.Tensor) (*tensor.Tensor, error) {
	if s := m.side(); len(image.Shape) != 4 || image.Dim(0) != 1 || image.Dim(1) != rgb || image.Dim(2) != s || image.Dim(3) != s {
		return nil, fmt.Errorf("looking at an image of shape %v: wanted [1, %d, %d, %d]", image.Shape, rgb, s, s)
	}
	out, err := run.Run(ctx, m.trunk(), append([]family.Value{family.Floats("image", image)}, m.angles()...), "seen")
	if err != nil {
		return nil, err
	}
	return out["seen"], nil
}

// graph is a graph of the network; a variant tells those of one part apart.
func (m *model) graph(part string, variant any, write func(w *writer, s *weights.Scope)) family.Graph {
	return family.Graph{Part: part, Variant: family.Digest(m.config, variant), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("sam3 "+part, m.src, func(b *nn.Builder, s *weights.Scope) { write(&writer{Builder: b, config: m.config}, s) })
	}}
}

// writer writes graphs.
type writer struct {
	*nn.Builder
	config
}

// d1 is the size of axes of one element.
var d1 = onnx.D(1)

// in declares an input.
func (w *writer) in(name string, shape ...onnx.Dim) *onnx.Value {
	return dit.Input(w.Builder, name, shape...)
}

// out declares an output.
func (w *writer) out(name string, v *onnx.Value) { dit.Output(w.Builder, name, v) }

// seen declares the input that Look gives.
func (w *writer) seen() *onnx.Value {
	return w.in("seen", d1, onnx.D(w.width), onnx.D(w.grid), onnx.D(w.grid))
}

// rows is the number of values that the layer at s makes.
func rows(s *weights.Scope) int {
	if shape := s.Shape("weight"); len(shape) > 1 {
		return shape[0]
	}
	return 1 // which is reported when the layer is written
}

// linear is the linear layer at s.
func (w *writer) linear(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.Linear(s, x, rows(s)) }

// norm is the layer norm at s.
func (w *writer) norm(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.LayerNorm(s, x, epsilon) }

// norm2d is the layer norm at s over the channels of x [B,C,H,W].
func (w *writer) norm2d(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.Transpose(w.norm(s, w.Transpose(x, 0, 2, 3, 1)), 0, 3, 1, 2)
}

// mlp are the linear layers at s.layers, with a ReLU between them.
func (w *writer) mlp(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := s.Count("layers")
	for i := range n {
		if x = w.linear(s.At("layers").Index(i), x); i < n-1 {
			x = w.Relu(x)
		}
	}
	return x
}

// conv is the convolution at s, with a stride and padding on all sides.
func (w *writer) conv(s *weights.Scope, x *onnx.Value, stride, pad int) *onnx.Value {
	kernel := 1
	if shape := s.Shape("weight"); len(shape) == 4 {
		kernel = shape[2]
	}
	return w.Conv2d(s, x, rows(s), kernel, onnx.Window{Stride: stride, Pads: [4]int{pad, pad, pad, pad}})
}

// enlarge is the transposed convolution at s that doubles the sides.
func (w *writer) enlarge(s *weights.Scope, x *onnx.Value) *onnx.Value {
	out := 1
	if shape := s.Shape("weight"); len(shape) == 4 {
		out = shape[1]
	}
	return w.ConvTranspose(s, x, out, []int{2, 2}, 1, onnx.WindowND{Stride: []int{2, 2}})
}

// attend projects queries, keys and values by the layers at s and lets them attend.
func (w *writer) attend(s *weights.Scope, q, k, v *onnx.Value, a onnx.Attention) *onnx.Value {
	a.Heads = heads
	inner := rows(s.At("q_proj"))
	a.Scale = float32(1 / math.Sqrt(float64(inner)/heads))
	return w.linear(s.At("out_proj"), w.Attend(w.linear(s.At("q_proj"), q), w.linear(s.At("k_proj"), k), w.linear(s.At("v_proj"), v), a))
}

// tokens converts x [B,C,H,W] into [B,H·W,C].
func (w *writer) tokens(x *onnx.Value) *onnx.Value {
	return w.Transpose(w.Reshape(x, x.Dim(0), x.Dim(1), x.Dim(2).Times(x.Dim(3))), 0, 2, 1)
}

// spatial converts tokens x [B,side²,C] into [B,C,side,side].
func (w *writer) spatial(x *onnx.Value, side int) *onnx.Value {
	return w.Reshape(w.Transpose(x, 0, 2, 1), x.Dim(0), x.Dim(2), onnx.D(side), onnx.D(side))
}
