// Package birefnet is the family of BiRefNet (Zheng and others, "Bilateral Reference for High-Resolution Dichotomous Image Segmentation"), which tells
// the foreground of an image from its background.
package birefnet

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

var _ family.Background = kind{}

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "BiRefNet" }

// Rank implements family.Family.
func (kind) Rank() int { return 10 }

const (
	rgb = 3
	// stages is the number of stages of the backbone, patch the side of its patches in pixels; each stage halves the sides.
	stages, patch = 4, 4
	// coarsest is the number of pixels of a cell of the last stage along one side.
	coarsest = patch << (stages - 1)
	// side is that of the images that the network was trained with. Upstream: background_removal/birefnet.json.
	side    = 1024
	epsilon = 1e-5
	// widest is the greatest window of the backbone that is read; the published networks have windows of 7 and 12. The biases of a window of n cells a
	// side take n⁴ values for each head, which the file states in 4·n².
	widest = 24
	// deformed ends the names of the weights of deformable convolutions, largest is the greatest side of their kernels that is read; the published
	// networks have sides of 1, 3 and 7.
	deformed = ".atrous_conv.regular_conv.weight"
	largest  = 31
)

// stage is one of the backbone.
type stage struct{ width, depth, heads, window int }

// model is a network that was read from a file.
type model struct {
	src         weights.Source
	stages      [stages]stage
	activations family.Activations
}

// ReadBackground implements family.Background. Upstream: bg_removal_model.py load_background_removal_model.
func (kind) ReadBackground(src weights.Source) (family.BackgroundNetwork, error) {
	s := weights.NewScope(src)
	if !s.HasAny("bb.layers.1.blocks.0.attn") || !s.Has("bb.layers.1.blocks.0.attn.relative_position_bias_table") && !s.Has("bb.layers.1.blocks.0.attn.relative_position_index") {
		return nil, nil
	}
	m := &model{}
	for i := range m.stages {
		at := s.At("bb.layers").Index(i)
		norm, table := s.Shape(fmt.Sprintf("bb.norm%d.weight", i)), at.Shape("blocks.0.attn.relative_position_bias_table")
		if len(norm) != 1 || len(table) != 2 || norm[0] < 1 || table[1] < 1 || norm[0]%table[1] != 0 {
			return nil, fmt.Errorf("reading the shape of stage %d of the backbone: bb.norm%d.weight is %v, relative_position_bias_table %v: wanted a width and a table of biases of heads that divide it", i, i, norm, table)
		}
		span := int(math.Round(math.Sqrt(float64(table[0]))))
		if span*span != table[0] || span%2 == 0 || span < 3 || span > 2*widest-1 {
			return nil, fmt.Errorf("reading the shape of stage %d of the backbone: relative_position_bias_table has %d rows, which are no square of the distances in a window of 2 to %d cells", i, table[0], widest)
		}
		m.stages[i] = stage{width: norm[0], depth: at.Count("blocks"), heads: table[1], window: (span + 1) / 2}
	}
	for _, name := range []string{"squeeze_module.0.conv_in.weight", "decoder.ipt_blk1.conv1.weight", "decoder.decoder_block1.conv_in.weight", "decoder.conv_out1.0.weight"} {
		if len(s.Shape(name)) != 4 {
			return nil, fmt.Errorf("the tensor %s has the shape %v: the file holds a part of a BiRefNet model, or one of another form: use one with a Swin backbone as ComfyUI reads it", name, s.Shape(name))
		}
	}
	for _, name := range src.Names() {
		if !strings.HasSuffix(name, deformed) {
			continue
		}
		if k := s.Shape(name); len(k) != 4 || min(k[0], k[1]) < 1 || k[2] != k[3] || k[2]%2 == 0 || k[2] > largest {
			return nil, fmt.Errorf("the tensor %s has the shape %v: wanted a square kernel of an odd side of at most %d", name, k, largest)
		}
	}
	m.src = biases{Source: layout.FoldedNorms{Source: src, Epsilon: func(string) float64 { return epsilon }, Behind: behind}, stages: m.stages}
	return m, nil
}

// behind is the path of the batch norm that follows the convolution at a path.
func behind(layer string) string {
	for conv, norm := range map[string]string{
		".conv_in": ".bn_in", ".conv_out": ".bn_out", ".atrous_conv.regular_conv": ".bn", ".global_avg_pool.1": ".global_avg_pool.2", ".conv1": ".bn1", ".0": ".1",
	} {
		if before, ok := strings.CutSuffix(layer, conv); ok {
			return before + norm
		}
	}
	return ""
}

// biases shows the biases of attention, [1,heads,N,N] for windows of N cells, that the tables of distances give.
type biases struct {
	weights.Source
	stages [stages]stage
}

// biasName is the name of the biases of a block.
const biasName = "position_bias"

// Lookup implements weights.Source.
func (b biases) Lookup(name string) (weights.Entry, bool) {
	at, is := strings.CutSuffix(name, "."+biasName)
	var i, k int
	if n, _ := fmt.Sscanf(at, "bb.layers.%d.blocks.%d.attn", &i, &k); !is || n != 2 || i < 0 || i >= stages {
		return b.Source.Lookup(name)
	}
	z := b.stages[i]
	table, ok := b.Source.Lookup(at + ".relative_position_bias_table")
	span, cells := 2*z.window-1, z.window*z.window
	if !ok || len(table.Shape) != 2 || table.Shape[0] != span*span || table.Shape[1] != z.heads {
		return table, ok // which is reported
	}
	return weights.Compute(name, []int{1, z.heads, cells, cells}, weights.Computation{Op: "biases of windows", Parts: []weights.Entry{table}, Read: func(dst []float32, from int) error {
		all := make([]float32, table.Count())
		if err := weights.Range(all, table, 0); err != nil {
			return err
		}
		for n := range dst {
			head, q, k := (from+n)/(cells*cells), (from+n)/cells%cells, (from+n)%cells
			down, across := q/z.window-k/z.window+z.window-1, q%z.window-k%z.window+z.window-1
			dst[n] = all[(down*span+across)*z.heads+head]
		}
		return nil
	}}), true
}

// Side implements family.BackgroundNetwork.
func (*model) Side() int { return side }

// Weights implements family.BackgroundNetwork.
func (m *model) Weights() weights.Source { return m.src }

// Memory implements family.BackgroundNetwork.
func (m *model) Memory(side int) int64 { return m.activations.Of(m.graph(side), nil) }

// Foreground implements family.BackgroundNetwork.
func (m *model) Foreground(ctx context.Context, run family.Runner, image *tensor.Tensor) (*tensor.Tensor, error) {
	if len(image.Shape) != 4 || image.Dim(0) != 1 || image.Dim(1) != rgb || image.Dim(2) != image.Dim(3) || image.Dim(2) < 2*coarsest || image.Dim(2)%coarsest != 0 {
		return nil, fmt.Errorf("looking at an image of shape %v: wanted [1, %d, side, side] with a side of a multiple of %d pixels, of at least %d", image.Shape, rgb, coarsest, 2*coarsest)
	}
	g := m.graph(image.Dim(2))
	if err := run.Check("finding the foreground of an image", m.activations.Of(g, nil)); err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats("image", image)}
	for _, p := range m.partitions(image.Dim(2)) {
		in = append(in, family.Floats(p.input(), &tensor.Tensor{Shape: []int{p.rows * p.columns, p.window * p.window}, Data: p.regions()}))
	}
	out, err := run.Run(ctx, g, in, "logits")
	if err != nil {
		return nil, err
	}
	return out["logits"], nil
}

func (m *model) graph(side int) family.Graph {
	return family.Graph{Part: "background", Variant: family.Digest(side), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("birefnet", m.src, func(b *nn.Builder, s *weights.Scope) { writer{b, m, map[partition]*onnx.Value{}}.write(s, side) })
	}}
}

// partitions are those into which the backbone shifts an image of side x side pixels and one of half the side.
func (m *model) partitions(side int) []partition {
	var out []partition
	for _, side := range []int{side, side / 2} {
		cells := (side + patch - 1) / patch
		for _, z := range m.stages {
			n := (cells + z.window - 1) / z.window
			if p := (partition{n, n, z.window}); z.depth > 1 && !slices.Contains(out, p) {
				out = append(out, p)
			}
			cells = (cells + 1) / 2
		}
	}
	return out
}
