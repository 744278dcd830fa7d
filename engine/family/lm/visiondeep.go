package lm

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// DeepVision describes the vision tower of Qwen 3 VL, which gives vectors for several layers of the language model beside those that
// represent tokens (upstream: text_encoders/qwen3vl.py Qwen3VLVisionModel, qwen35.py Qwen35VisionModel).
type DeepVision struct {
	Width, Heads, Layers, MLP, Out int
	// Side is the number of rows, and of columns, of the position table.
	Side int
	// Taps are the layers whose states the first layers of the language model get.
	Taps []int
}

const deepPatch = 16

// deepFormat is how images are read.
var deepFormat = imageFormat{patch: deepPatch, mean: [3]float32{0.5, 0.5, 0.5}, std: [3]float32{0.5, 0.5, 0.5}}

// deepTaps are the taps of the published towers by their number of layers.
var deepTaps = map[int][]int{24: {5, 11, 17}, 27: {8, 16, 24}}

// visualRoots are the prefixes of a tower in a file.
var visualRoots = []string{"visual.", "model.visual."}

// readDeep returns the tower of Qwen 3 VL in the file, or nil.
func readDeep(src weights.Source) (tower, error) {
	v, src, err := findDeep(src)
	if v == nil || err != nil {
		return nil, err
	}
	if v.Taps = deepTaps[v.Layers]; v.Taps == nil {
		return nil, fmt.Errorf("reading the vision tower's shape: %d layers, wanted 24 or 27", v.Layers)
	}
	return deepTower{v, src}, nil
}

// ImageReader is a tower of Qwen 3 VL that reads images for a model which is not a text encoder.
type ImageReader struct {
	deepTower
	// CLIP has Resized read images by the mean and deviation of CLIP's.
	CLIP bool
}

// ReadVision returns the tower beside a model, without taps; nil for a file without one.
func ReadVision(src weights.Source) (*ImageReader, error) {
	v, src, err := findDeep(src)
	if v == nil || err != nil {
		return nil, err
	}
	return &ImageReader{deepTower: deepTower{v, src}}, nil
}

// Read returns the vectors [tokens,width] of an image [1,3,H,W] of values from 0 to 1, whose sides are whole units.
func (r *ImageReader) Read(ctx context.Context, run family.Runner, image *tensor.Tensor) (*tensor.Tensor, error) {
	const unit = deepPatch * merge
	if len(image.Shape) != 4 || image.Dim(1) != 3 || image.Dim(2)%unit != 0 || image.Dim(3)%unit != 0 || image.Len() == 0 {
		return nil, fmt.Errorf("encoding an image: it has the shape %v, wanted sides that %d divides", image.Shape, unit)
	}
	pixels := image.Clone()
	for i, p := range pixels.Data {
		pixels.Data[i] = (p - deepFormat.mean[0]) / deepFormat.std[0]
	}
	s, err := r.see(ctx, run, r.src, pixels, grid{image.Dim(2) / deepPatch, image.Dim(3) / deepPatch})
	return s.vectors, err
}

// Resized returns the vectors of the first of images [N,H,W,C] of values from 0 to 1, resized to whole units, and its rows and columns of patches.
func (r *ImageReader) Resized(ctx context.Context, run family.Runner, images *tensor.Tensor) (vectors *tensor.Tensor, rows, cols int, err error) {
	f := deepFormat
	if r.CLIP {
		f.mean, f.std = windowedFormat.mean, windowedFormat.std
	}
	pixels, g, err := f.preprocess(images)
	if err != nil {
		return nil, 0, 0, err
	}
	s, err := r.see(ctx, run, r.src, pixels, g)
	return s.vectors, g.rows, g.cols, err
}

// VLAngles are the cosines and sines [tokens,D/2] of tokens at positions (time, row, column), as Qwen 3 VL has them for heads of width d.
func VLAngles(places [][3]int, d int) (cos, sin []float32) {
	p := positions{make([]int, len(places)), make([]int, len(places)), make([]int, len(places))}
	for i, at := range places {
		p[0][i], p[1][i], p[2][i] = at[0], at[1], at[2]
	}
	return Config{HeadDim: d, traits: traitsOf[KeyQwen3VLL]}.angles(p, 0)
}

// findDeep returns a tower of Qwen 3 VL in the file with its tensors, or nil.
func findDeep(src weights.Source) (*DeepVision, weights.Source, error) {
	for _, root := range visualRoots {
		if _, ok := src.Lookup(root + strings.TrimPrefix(visionEmbed, visionRoot)); !ok {
			continue
		}
		if root != visionRoot {
			src = renamed{Source: src, from: root, to: visionRoot}
		}
		s := weights.NewScope(src)
		embed, fc, out, places := s.Shape(visionEmbed), s.Shape("visual.blocks.0.mlp.linear_fc1.weight"), s.Shape("visual.merger.linear_fc2.weight"), s.Shape("visual.pos_embed.weight")
		v := &DeepVision{Layers: s.Count("visual.blocks"), Heads: visionHeads}
		if len(embed) == 5 && len(fc) == 2 && len(out) == 2 && len(places) == 2 {
			v.Width, v.MLP, v.Out, v.Side = embed[0], fc[0], out[0], int(math.Sqrt(float64(places[0])))
		}
		if v.Width == 0 || v.Side*v.Side != places[0] || tensor.Count(embed[1:]) != deepFormat.values() || v.Width%(4*v.Heads) != 0 {
			return nil, nil, fmt.Errorf("reading the vision tower's shape: %d layers, patch_embed.proj %v, linear_fc1 %v, merger %v, pos_embed %v", v.Layers, embed, fc, out, places)
		}
		return v, src, nil
	}
	return nil, nil, nil
}

// deepTower is a tower with its tensors.
type deepTower struct {
	*DeepVision
	src weights.Source
}

// look implements tower.
func (t deepTower) look(ctx context.Context, run family.Runner, image *tensor.Tensor) (seen, error) {
	return t.Look(ctx, run, t.src, image)
}

// lookFrames reads the first two of images [N,H,W,C] as consecutive frames of a video.
func (t deepTower) lookFrames(ctx context.Context, run family.Runner, images *tensor.Tensor) (seen, error) {
	pixels, g, err := deepFormat.preprocessFrames(images, visionFrames)
	if err != nil {
		return seen{}, err
	}
	return t.see(ctx, run, t.src, pixels, g)
}

// DeepTokens is the number of tokens that Qwen 3 VL has for an image of the given size.
func DeepTokens(height, width int) int {
	h, w := deepFormat.size(height, width)
	return grid{int(h) / deepPatch, int(w) / deepPatch}.units()
}

// Look encodes the first of images [N,H,W,C], of values from 0 to 1, with a tower whose tensors src holds.
func (v *DeepVision) Look(ctx context.Context, run family.Runner, src weights.Source, images *tensor.Tensor) (seen, error) {
	pixels, g, err := deepFormat.preprocess(images)
	if err != nil {
		return seen{}, err
	}
	return v.see(ctx, run, src, pixels, g)
}

// see encodes pixels [1,3,H,W] or two frames [2,3,H,W] that are normalised.
func (v *DeepVision) see(ctx context.Context, run family.Runner, src weights.Source, pixels *tensor.Tensor, g grid) (seen, error) {
	in, err := v.inputs(src, pixels, g)
	if err != nil {
		return seen{}, err
	}
	if err := run.Check("encoding an image", int64(g.rows*g.cols)*int64(4*(10*v.Width+3*v.MLP))); err != nil {
		return seen{}, err
	}
	outputs := []string{outVectors}
	for i := range v.Taps {
		outputs = append(outputs, outDeep(i))
	}
	res, err := run.Run(ctx, v.graph(src), in, outputs...)
	if err != nil {
		return seen{}, fmt.Errorf("encoding an image: %w", err)
	}
	out := seen{vectors: res[outVectors], grid: g}
	for i := range v.Taps {
		out.deep = append(out.deep, res[outDeep(i)])
	}
	return out, nil
}

// outDeep is an output of the tower, and the language model's input of it.
func outDeep(i int) string { return fmt.Sprintf("deep%d", i) }

const inPlaces = "places"

// inputs lays the patches out by units of four.
func (v *DeepVision) inputs(src weights.Source, pixels *tensor.Tensor, g grid) ([]family.Value, error) {
	n, half := g.rows*g.cols, v.Width/v.Heads/2
	places, err := v.places(src, g)
	if err != nil {
		return nil, err
	}
	patches, table := tensor.New(1, n, deepFormat.values()), tensor.New(1, n, v.Width)
	cos, sin := tensor.New(1, n, half), tensor.New(1, n, half)
	for at := range n {
		row, col := g.patchAt(at)
		deepFormat.copyPatch(patches.Data[at*deepFormat.values():], pixels, row, col)
		copy(table.Data[at*v.Width:(at+1)*v.Width], places[(row*g.cols+col)*v.Width:])
		visionAngles(cos.Data[at*half:(at+1)*half], sin.Data[at*half:(at+1)*half], row, col)
	}
	return []family.Value{
		family.Floats(inPatches, patches), family.Floats(inPlaces, table), family.Floats(inCos(0), cos), family.Floats(inSin(0), sin),
	}, nil
}

// patchAt returns the row and the column of a patch in the order of units.
func (g grid) patchAt(at int) (row, col int) {
	unit, k := at/unitPatches, at%unitPatches
	wide := g.cols / merge
	return unit/wide*merge + k/merge, unit%wide*merge + k%merge
}

// places interpolates the position table to a grid: [rows*cols*Width].
func (v *DeepVision) places(src weights.Source, g grid) ([]float32, error) {
	s := weights.NewScope(src)
	table := s.Weight("visual.pos_embed.weight", v.Side*v.Side, v.Width)
	if err := s.Err(); err != nil {
		return nil, err
	}
	values, err := weights.Float32s(table.Entry)
	if err != nil {
		return nil, err
	}
	rows, cols := evenly(v.Side, g.rows), evenly(v.Side, g.cols)
	out := make([]float32, g.rows*g.cols*v.Width)
	for r, y := range rows {
		for c, x := range cols {
			dst := out[(r*g.cols+c)*v.Width:][:v.Width]
			for _, corner := range []struct {
				row, col int
				share    float32
			}{{y.low, x.low, (1 - y.part) * (1 - x.part)}, {y.low, x.high, (1 - y.part) * x.part}, {y.high, x.low, y.part * (1 - x.part)}, {y.high, x.high, y.part * x.part}} {
				from := values[(corner.row*v.Side+corner.col)*v.Width:]
				for i := range dst {
					dst[i] += from[i] * corner.share
				}
			}
		}
	}
	return out, nil
}

// between is a place between two entries of a table.
type between struct {
	low, high int
	part      float32
}

// evenly divides a table of size entries into n places, as torch.linspace does from either end.
func evenly(size, n int) []between {
	out := make([]between, n)
	end := float32(size - 1)
	step := float32(0)
	if n > 1 {
		step = end / float32(n-1)
	}
	for i := range out {
		at := step * float32(i)
		if i >= n/2 {
			at = end - step*float32(n-1-i)
		}
		if n == 1 {
			at = 0
		}
		low := int(at)
		out[i] = between{low, min(low+1, size-1), at - float32(low)}
	}
	return out
}

func (v *DeepVision) graph(src weights.Source) family.Graph {
	return family.Graph{Part: "vision tower", Variant: family.Digest(*v), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("vision tower", flat{src}, func(b *nn.Builder, s *weights.Scope) { (&deepWriter{Builder: b, cfg: *v}).write(s.At("visual")) })
	}}
}

type deepWriter struct {
	*nn.Builder
	cfg  DeepVision
	rope *nn.Rotary
}

// write writes the tower: inputs "patches" [1,N,values] and "places" [1,N,width] with cosines and sines [1,N,D/2]; outputs
// "vectors" [N/4,out] and one more for each tap.
func (w *deepWriter) write(s *weights.Scope) {
	one, n, half := onnx.D(1), onnx.D(unitPatches).Times(onnx.Sym("U")), onnx.D(w.cfg.Width/w.cfg.Heads/2)
	input := func(name string, width onnx.Dim) *onnx.Value {
		return w.Cast(w.Input(name, dtype.F32, one, n, width), w.Target.Compute)
	}
	x := w.Linear(s.At("patch_embed", "proj"), input(inPatches, onnx.D(deepFormat.values())), w.cfg.Width)
	h := w.Add(x, input(inPlaces, onnx.D(w.cfg.Width)))
	w.rope = &nn.Rotary{Cos: input(inCos(0), half), Sin: input(inSin(0), half)}
	for i := range w.cfg.Layers {
		h = w.block(s.At("blocks").Index(i), h)
		if tap := slices.Index(w.cfg.Taps, i); tap >= 0 {
			m := s.At("deepstack_merger_list").Index(tap)
			w.output(outDeep(tap), w.merge(m, w.LayerNorm(m.At("norm"), w.units(h), visionEpsilon)))
		}
	}
	m := s.At("merger")
	w.output(outVectors, w.merge(m, w.units(w.LayerNorm(m.At("norm"), h, visionEpsilon))))
}

func (w *deepWriter) output(name string, v *onnx.Value) { w.Output(name, w.Cast(v, dtype.F32)) }

// units puts the four patches of a unit side by side: [U,4*width].
func (w *deepWriter) units(x *onnx.Value) *onnx.Value {
	return w.Reshape(x, onnx.Sym("U"), onnx.D(unitPatches*w.cfg.Width))
}

func (w *deepWriter) merge(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.Linear(s.At("linear_fc2"), w.Gelu(w.Linear(s.At("linear_fc1"), x, unitPatches*w.cfg.Width), false), w.cfg.Out)
}

func (w *deepWriter) block(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := w.cfg
	n, p := w.LayerNorm(s.At("norm1"), x, visionEpsilon), s.At("attn")
	part := func(i int) *onnx.Value { return w.LinearRows(p.At("qkv"), n, 3*c.Width, i*c.Width, c.Width) }
	y := w.Attend(w.Rotate(part(0), w.rope, c.Heads), w.Rotate(part(1), w.rope, c.Heads), part(2), onnx.Attention{
		Heads: c.Heads, Scale: float32(1 / math.Sqrt(float64(c.Width/c.Heads))),
	})
	x = w.Add(x, w.Linear(p.At("proj"), y, c.Width))
	m := s.At("mlp")
	h := w.Linear(m.At("linear_fc1"), w.LayerNorm(s.At("norm2"), x, visionEpsilon), c.MLP)
	return w.Add(x, w.Linear(m.At("linear_fc2"), w.Gelu(h, true), c.Width))
}
