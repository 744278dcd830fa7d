package lm

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

// Vision describes the vision tower of Qwen 2.5 VL (upstream: text_encoders/qwen_vl.py Qwen2VLVisionTransformer).
type Vision struct{ Width, Heads, Layers, MLP, Out int }

// The figures of the tower. Four patches become one token of the language model; attention is limited to windows of
// unitsInWindow by unitsInWindow such units, except for every layersToAll-th layer, which attends to all patches.
const (
	visionPatch   = 14
	visionFrames  = 2
	visionHeads   = 16
	merge         = 2
	unitPatches   = merge * merge
	unitsInWindow = 4
	windowUnits   = unitsInWindow * unitsInWindow
	windowPatches = windowUnits * unitPatches
	layersToAll   = 8
	patchValues   = 3 * visionFrames * visionPatch * visionPatch
	visionTheta   = 10000
)

const (
	visionRoot  = "visual."
	visionEmbed = visionRoot + "patch_embed.proj.weight"
)

// tower is a network that reads images for a language model.
type tower interface {
	// look reads the first of images [N,H,W,C], of values from 0 to 1.
	look(ctx context.Context, run family.Runner, images *tensor.Tensor) (seen, error)
}

// seen is what a tower makes of an image.
type seen struct {
	// vectors represent the image, [tokens,width].
	vectors *tensor.Tensor
	// grid is its patches' rows and columns; zero for a tower whose tokens form a line.
	grid
	// deep are added to the states after the first layers, [tokens,width] each.
	deep []*tensor.Tensor
}

// readTower returns the vision tower beside a language model, or nil.
func readTower(s *weights.Scope, src weights.Source, c Config) (tower, error) {
	switch {
	case c.alternating:
		return readDeep(src)
	case c.gemma:
		return readSoft(s, src)
	}
	v, err := readVision(s)
	if v == nil || err != nil {
		return nil, err
	}
	return windowedTower{v, src}, nil
}

// windowedTower is a tower of Qwen 2.5 VL with its tensors.
type windowedTower struct {
	*Vision
	src weights.Source
}

// look implements tower.
func (t windowedTower) look(ctx context.Context, run family.Runner, image *tensor.Tensor) (seen, error) {
	v, rows, cols, err := t.Look(ctx, run, t.src, image)
	return seen{vectors: v, grid: grid{rows, cols}}, err
}

// readVision returns the vision tower of Qwen 2.5 VL in the file, or nil.
func readVision(s *weights.Scope) (*Vision, error) {
	embed := s.Shape(visionEmbed)
	if embed == nil {
		return nil, nil
	}
	v := s.At("visual")
	gate, out := v.Shape("blocks.0.mlp.gate_proj.weight"), v.Shape("merger.mlp.2.weight")
	if len(embed) != 5 || len(gate) != 2 || len(out) != 2 || tensor.Count(embed[1:]) != patchValues {
		return nil, fmt.Errorf("reading the vision tower's shape: patch_embed.proj %v, gate_proj %v, merger %v", embed, gate, out)
	}
	return &Vision{Width: embed[0], Heads: visionHeads, Layers: s.Count("visual.blocks"), MLP: gate[0], Out: out[0]}, nil
}

// grid is the number of patches of an image along both sides.
type grid struct{ rows, cols int }

// units is the number of tokens of an image.
func (g grid) units() int { return g.rows * g.cols / unitPatches }

// Look encodes the first of images [N,H,W,C], of values from 0 to 1, with a tower whose tensors src holds: the vectors
// [tokens,Out] that represent it, and its patches' rows and columns.
func (v *Vision) Look(ctx context.Context, run family.Runner, src weights.Source, images *tensor.Tensor) (vectors *tensor.Tensor, rows, cols int, err error) {
	pixels, g, err := windowedFormat.preprocess(images)
	if err != nil {
		return nil, 0, 0, err
	}
	windows := g.windows()
	in := v.inputs(pixels, g, windows)
	if err := run.Check("encoding an image", int64(len(windows)*windowPatches)*int64(4*(8*v.Width+3*v.MLP))); err != nil {
		return nil, 0, 0, err
	}
	res, err := run.Run(ctx, v.graph(src), in, outVectors)
	if err != nil {
		return nil, 0, 0, fmt.Errorf("encoding an image: %w", err)
	}
	out := tensor.New(g.units(), v.Out)
	for w, units := range windows {
		for i, unit := range units {
			copy(out.Data[unit*v.Out:(unit+1)*v.Out], res[outVectors].Data[(w*windowUnits+i)*v.Out:])
		}
	}
	return out, g.rows, g.cols, nil
}

// imageFormat is how a tower reads images: patches of the given number of pixels a side, channels by their mean and
// deviation.
type imageFormat struct {
	patch     int
	mean, std [3]float32
}

// values is the number of values of a patch.
func (f imageFormat) values() int { return 3 * visionFrames * f.patch * f.patch }

var windowedFormat = imageFormat{
	patch: visionPatch, mean: [3]float32{0.48145466, 0.4578275, 0.40821073}, std: [3]float32{0.26862954, 0.26130258, 0.27577711},
}

// The least and greatest area of an image in pixels.
const leastPixels, mostPixels = 3136, 12845056

// checkImage fails if images are not [N,H,W,C] with three channels.
func checkImage(images *tensor.Tensor) error {
	if len(images.Shape) != 4 || images.Dim(0) < 1 || images.Dim(3) < 3 || images.Dim(1) < 1 || images.Dim(2) < 1 {
		return fmt.Errorf("encoding an image: it has the shape %v, wanted batch, height, width and at least 3 channels", images.Shape)
	}
	return nil
}

// preprocess resizes an image to whole units and normalises it: [1,3,H,W] (upstream: process_qwen2vl_images).
func (f imageFormat) preprocess(images *tensor.Tensor) (*tensor.Tensor, grid, error) {
	return f.preprocessFrames(images, 1)
}

// size is the size in whole units to which images of a size are resized.
func (f imageFormat) size(rows, cols int) (height, width float64) {
	factor := float64(f.patch * merge)
	h, w := float64(rows), float64(cols)
	height, width = math.RoundToEven(h/factor)*factor, math.RoundToEven(w/factor)*factor
	switch {
	case height*width > mostPixels:
		beta := math.Sqrt(h * w / mostPixels)
		height, width = max(factor, math.Floor(h/beta/factor)*factor), max(factor, math.Floor(w/beta/factor)*factor)
	case height*width < leastPixels:
		beta := math.Sqrt(leastPixels / (h * w))
		height, width = math.Ceil(h*beta/factor)*factor, math.Ceil(w*beta/factor)*factor
	}
	return height, width
}

// preprocessFrames is preprocess for the first n of images, which are the frames of one patch: [n,3,H,W].
func (f imageFormat) preprocessFrames(images *tensor.Tensor, n int) (*tensor.Tensor, grid, error) {
	if err := checkImage(images); err != nil {
		return nil, grid{}, err
	}
	if images.Dim(0) < n {
		return nil, grid{}, fmt.Errorf("encoding a video: there are %d frames, wanted %d", images.Dim(0), n)
	}
	height, width := f.size(images.Dim(1), images.Dim(2))
	first := tensor.New(n, 3, images.Dim(1), images.Dim(2))
	area, channels := images.Dim(1)*images.Dim(2), images.Dim(3)
	for k := range n {
		from, to := images.Index(k).Data, first.Index(k).Data
		for i := range area {
			for c := range 3 {
				to[c*area+i] = from[i*channels+c]
			}
		}
	}
	x, err := imaging.Upscale(first, int(width), int(height), "bilinear", "disabled")
	if err != nil {
		return nil, grid{}, err
	}
	size := x.Dim(2) * x.Dim(3)
	for i, p := range x.Data {
		x.Data[i] = (p - f.mean[i/size%3]) / f.std[i/size%3]
	}
	return x, grid{x.Dim(2) / f.patch, x.Dim(3) / f.patch}, nil
}

// windows lists the units of each window, row by row.
func (g grid) windows() [][]int {
	rows, cols := g.rows/merge, g.cols/merge
	var out [][]int
	for top := 0; top < rows; top += unitsInWindow {
		for left := 0; left < cols; left += unitsInWindow {
			var units []int
			for r := top; r < min(top+unitsInWindow, rows); r++ {
				for c := left; c < min(left+unitsInWindow, cols); c++ {
					units = append(units, r*cols+c)
				}
			}
			out = append(out, units)
		}
	}
	return out
}

// inputs lays the patches out by windows, each padded with hidden patches.
func (v *Vision) inputs(pixels *tensor.Tensor, g grid, windows [][]int) []family.Value {
	half := v.Width / v.Heads / 2
	n := len(windows)
	patches, mask := tensor.New(n, windowPatches, patchValues), make([]int64, n*windowPatches)
	cos, sin := tensor.New(n, windowPatches, half), tensor.New(n, windowPatches, half)
	for w, units := range windows {
		for i, unit := range units {
			for k := range unitPatches {
				at := w*windowPatches + i*unitPatches + k
				row, col := unit/(g.cols/merge)*merge+k/merge, unit%(g.cols/merge)*merge+k%merge
				mask[at] = 1
				windowedFormat.copyPatch(patches.Data[at*patchValues:], pixels, row, col)
				visionAngles(cos.Data[at*half:(at+1)*half], sin.Data[at*half:(at+1)*half], row, col)
			}
		}
	}
	return []family.Value{
		family.Floats(inPatches, patches), family.Ints(inSeen, mask, n, windowPatches), family.Floats(inCos(0), cos), family.Floats(inSin(0), sin),
	}
}

// visionAngles writes the cosines and sines of a patch: by its row in the first half, by its column in the second.
func visionAngles(cos, sin []float32, row, col int) {
	half := len(cos)
	for f := range half {
		place, turn := row, f
		if f >= half/2 {
			place, turn = col, f-half/2
		}
		frequency := 1 / float32(math.Pow(visionTheta, float64(float32(2*turn)/float32(half))))
		angle := float64(frequency * float32(place))
		cos[f], sin[f] = float32(math.Cos(angle)), float32(math.Sin(angle))
	}
}

// copyPatch writes a patch: by channel, frame (an image is both), row and column.
func (f imageFormat) copyPatch(dst []float32, pixels *tensor.Tensor, row, col int) {
	h, w := pixels.Dim(2), pixels.Dim(3)
	at := 0
	for c := range 3 {
		for frame := range visionFrames {
			plane := min(frame, pixels.Dim(0)-1)*3 + c
			for y := range f.patch {
				from := (plane*h+row*f.patch+y)*w + col*f.patch
				at += copy(dst[at:at+f.patch], pixels.Data[from:])
			}
		}
	}
}
