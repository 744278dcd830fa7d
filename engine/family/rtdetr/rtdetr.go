// Package rtdetr is the family of RT-DETR v4 (Liao and others, "RT-DETRv4: Painlessly Furthering Real-Time Object Detection with Vision Foundation
// Models"), which finds the objects of COCO's classes in images.
package rtdetr

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "RT-DETR v4" }

// Rank implements family.Family.
func (kind) Rank() int { return 920 }

// Numbers that the shapes of weights do not tell. Upstream: ldm/rt_detr/rtdetr_v4.py.
const (
	rgb     = 3
	side    = 640
	heads   = 8
	queries = 300
	epsilon = 1e-5
	// levels are the resolutions that are read; a cell of the first has cell pixels along one side, that of the next twice as many.
	levels, cell = 3, 8
	// best is the number of greatest probabilities of a side that tell the quality of a box.
	best = 4
	// mostLayers bounds the layers and blocks that are counted.
	mostLayers = 64
)

// points are the numbers of places that a query reads in each level.
var points = [levels]int{3, 6, 3}

// config describes a network.
type config struct {
	// width is that of the encoder, hidden that of the decoder, classes the number of classes, bins that of distances of a side.
	width, hidden, classes, bins int
	// layers is the number of the decoder's layers.
	layers int
}

// model is a network that was read from a file.
type model struct {
	dit.Head
	config

	activations family.Activations
}

var _ family.Detector = (*model)(nil)

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	last := s.Shape("encoder.pan_blocks.1.cv4.conv.weight")
	if !s.Has("encoder.pan_blocks.1.cv4.conv.weight") {
		return nil, nil
	}
	d := s.At("decoder")
	proj, score, corners := d.Shape("enc_output.proj.weight"), d.Shape("enc_score_head.weight"), d.Shape("dec_bbox_head.0.layers.2.weight")
	if len(last) != 4 || len(proj) != 2 || len(score) != 2 || len(corners) != 2 || min(last[0], proj[0], score[0], corners[0]) < 1 || proj[0]%(4*heads) != 0 || last[0]%(4*heads) != 0 || last[1] < last[0] || min(last[2], last[3]) < 1 || proj[1] != proj[0] || min(score[1], corners[1]) < 1 || corners[0]%4 != 0 {
		return nil, fmt.Errorf("reading the shape of the network: cv4.conv.weight is %v, enc_output.proj.weight %v, enc_score_head.weight %v, dec_bbox_head.0.layers.2.weight %v: wanted widths that %d heads divide, as many inputs or more, and boxes of four sides", last, proj, score, corners, heads)
	}
	c := config{width: last[0], hidden: proj[0], classes: score[0], bins: corners[0] / 4, layers: d.Count("decoder.layers")}
	if stages := s.Count("backbone.stages"); stages != levels+1 || c.layers < 1 || c.layers > mostLayers || c.bins <= best {
		return nil, fmt.Errorf("reading the shape of the network: its backbone has %d stages, its decoder %d layers and %d distances of a side: wanted %d stages, up to %d layers and more than %d distances, as RT-DETR v4 has them", stages, c.layers, c.bins, levels+1, mostLayers, best)
	}
	if table := d.Shape("anchors"); table != nil && (len(table) != 3 || table[0] != 1 || table[1] != cells() || table[2] != 4) {
		return nil, fmt.Errorf("reading the shape of the network: decoder.anchors is %v: wanted the boxes of the %d cells of images of %d pixels", table, cells(), side)
	}
	folded := layout.FoldedNorms{Source: src, Epsilon: func(string) float64 { return epsilon }, Behind: func(layer string) string {
		if before, ok := strings.CutSuffix(layer, ".conv"); ok {
			return before + ".bn"
		}
		return ""
	}}
	return &model{config: c, Head: dit.Head{
		Source: derived{folded}, Format: sampling.LatentFormat{Channels: 4, Scale: 1, Downscale: 8}, Type: sampling.Flow,
		Settings: sampling.Settings{Multiplier: 1000, Shift: 1}, Types: []dtype.DType{dtype.F16, dtype.F32},
	}}, nil
}

// Suffixes of the names of weights that follow from others.
const (
	validSuffix  = ".valid"
	tableSuffix  = ".table"
	columnSuffix = ".column"
	absSuffix    = ".abs"
)

// derived shows what follows from other weights under names with a suffix: a list as a table or a column, 1 for anchors that are boxes inside the image
// and 0 for others, and the amount of a scale. Operators that have weights alone as inputs would fail.
type derived struct{ weights.Source }

// Lookup implements weights.Source.
func (d derived) Lookup(name string) (weights.Entry, bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return d.Source.Lookup(name)
	}
	factor, convert := 1, func(v []float32) float32 { return v[0] }
	var shape []int
	e, ok := d.Source.Lookup(name[:dot])
	switch name[dot:] {
	case validSuffix:
		shape, factor = []int{1, cells(), 1}, 4
		convert = func(v []float32) float32 {
			for _, x := range v {
				if math.IsInf(float64(x), 0) {
					return 0
				}
			}
			return 1
		}
	case tableSuffix:
		shape = []int{cells(), 4}
	case columnSuffix:
		shape = []int{e.Count(), 1}
	case absSuffix:
		shape = []int{1}
		convert = func(v []float32) float32 { return float32(math.Abs(float64(v[0]))) }
	default:
		return d.Source.Lookup(name)
	}
	if !ok || e.Count() != tensor.Count(shape)*factor {
		return weights.Entry{}, false
	}
	return weights.Compute(name, shape, weights.Computation{Op: "rt-detr " + name[dot:], Parts: []weights.Entry{e}, Read: func(dst []float32, at int) error {
		v := make([]float32, len(dst)*factor)
		if err := weights.Range(v, e, at*factor); err != nil {
			return err
		}
		for i := range dst {
			dst[i] = convert(v[i*factor : (i+1)*factor])
		}
		return nil
	}}), true
}

// cells is the number of cells of all levels.
func cells() int {
	n := 0
	for l := range levels {
		n += levelSide(l) * levelSide(l)
	}
	return n
}

// levelSide is the number of cells along a side of a level.
func levelSide(l int) int { return side / (cell << l) }

// errDenoises is for samplers.
var errDenoises = errors.New("RT-DETR finds objects in images and generates none: connect the model to RTDETR_detect")

// Inputs implements family.Denoiser.
func (*model) Inputs(*sampling.Cond, sampling.Request) ([]sampling.Input, error) {
	return nil, errDenoises
}

// Predict implements family.Denoiser.
func (*model) Predict(context.Context, family.Runner, family.Call) (*tensor.Tensor, error) {
	return nil, errDenoises
}

// Memory implements family.Denoiser.
func (m *model) Memory([]int, int) int64 { return m.Activations(1) }

// Side implements family.Detector.
func (*model) Side() int { return side }

// Classes implements family.Detector.
func (m *model) Classes() int { return m.classes }

// Activations implements family.Detector.
func (m *model) Activations(n int) int64 {
	return m.activations.Of(m.graph(), map[string]int{"B": n})
}

// Detect implements family.Detector.
func (m *model) Detect(ctx context.Context, run family.Runner, images *tensor.Tensor) (logits, boxes *tensor.Tensor, err error) {
	if len(images.Shape) != 4 || images.Dim(0) < 1 || images.Dim(1) != rgb || images.Dim(2) != side || images.Dim(3) != side {
		return nil, nil, fmt.Errorf("finding objects in images of shape %v: wanted [images, %d, %d, %d]", images.Shape, rgb, side, side)
	}
	if err := run.Check("finding objects in images", m.Activations(images.Dim(0))); err != nil {
		return nil, nil, err
	}
	out, err := run.Run(ctx, m.graph(), []family.Value{family.Floats("images", images)}, "logits", "boxes")
	if err != nil {
		return nil, nil, err
	}
	return out["logits"], out["boxes"], nil
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet detector", Variant: family.Digest(m.config), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("rt-detr", m.Source, func(b *nn.Builder, s *weights.Scope) { writer{b, m}.write(s) })
	}}
}

// anchors are the boxes from which the search begins, one for each cell of each level: logits of center, width and height in parts of the image's
// sides, infinite for those too near to its border; valid are 0 for these and 1 for the others. Upstream: _gen_anchors.
func anchors() (boxes, valid []float32) {
	const size, border = 0.05, 0.01
	for l := range levels {
		n := levelSide(l)
		for i := range n * n {
			box := [4]float32{(float32(i%n) + 0.5) / float32(n), (float32(i/n) + 0.5) / float32(n), size * float32(int(1)<<l), size * float32(int(1)<<l)}
			inside := float32(1)
			for _, v := range box {
				if v <= border || v >= 1-border {
					inside = 0
				}
			}
			for _, v := range box {
				v = float32(math.Log(float64(v / (1 - v))))
				if inside == 0 {
					v = float32(math.Inf(1))
				}
				boxes = append(boxes, v)
			}
			valid = append(valid, inside)
		}
	}
	return boxes, valid
}

// distances are the values of the bins of a side's distance, for networks whose files do not have them. Upstream: weighting_function with up of 0.5 and
// a scale of 8.
func distances(bins int) []float32 {
	const up, scale = 0.5, 8
	bound := up * float64(scale)
	most := bins - 1
	step := math.Pow(bound+1, 2/float64(most-2))
	out := []float32{float32(-2 * bound)}
	for i := most/2 - 1; i > 0; i-- {
		out = append(out, float32(1-math.Pow(step, float64(i))))
	}
	out = append(out, 0)
	for i := 1; i < most/2; i++ {
		out = append(out, float32(math.Pow(step, float64(i))-1))
	}
	return append(out, float32(2*bound))
}
