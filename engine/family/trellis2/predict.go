package trellis2

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// The names of inputs beside the image tokens: the number of the network, the cells [N,4], how many of them each item has, the values of their shape, their
// image features, and for each row whether it sees these.
const (
	inputStage     = "stage"
	inputCells     = "cells"
	inputCounts    = "counts"
	inputShape     = "shape"
	inputProjected = "projected"
	inputSeen      = "seen"
)

// matrix is a tensor of values, or of zeros.
func matrix(data []float32, shape ...int) *tensor.Tensor {
	if len(data) == 0 {
		return tensor.New(shape...)
	}
	return &tensor.Tensor{Shape: shape, Data: data}
}

// once is the rule of values that all rows share; the same tensor fits itself without a look at its elements.
type once struct{ sampling.Rule }

// Fits implements sampling.Rule.
func (o once) Fits(a, b *tensor.Tensor) bool { return a == b || o.Rule.Fits(a, b) }

var shared = once{sampling.Shared}

var (
	errNoImage = errors.New("reading a conditioning entry: there is no encoded image: connect Trellis2Conditioning or Pixal3DConditioning")
	errNoCells = errors.New("the conditioning or the latent is not of this stage: connect both from one node: EmptyTrellis2LatentStructure with the conditioning of Trellis2Conditioning, or both outputs of Trellis2ShapeStage, Trellis2UpsampleStage or Trellis2TextureStage")
)

// Inputs implements family.Denoiser. Upstream: model_base.py Trellis2.extra_conds.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	stage, err := m.stage(c, r)
	if err != nil {
		return nil, err
	}
	features, err := sampling.Value[*tensor.Tensor](c, sampling.KeyFineImage)
	if err != nil {
		return nil, err
	}
	if stage == structure || stage == coarse {
		features = c.Tokens
	}
	if features == nil || len(features.Shape) != 3 || features.Len() == 0 {
		return nil, errNoImage
	}
	in := []sampling.Input{
		{Name: sampling.InputContext, Value: features, Rule: sampling.ByRows},
		{Name: inputStage, Value: matrix([]float32{float32(stage)}, 1), Rule: shared},
	}
	var more []sampling.Input
	if stage != structure {
		if more, err = cellInputs(c, stage); err != nil {
			return nil, err
		}
	}
	projected, err := sampling.Value[*tensor.Tensor](c, sampling.KeyProjected)
	if err != nil {
		return nil, err
	}
	if in = append(in, more...); projected == nil || m.networks[stage].projected == 0 {
		return in, nil
	}
	seen := float32(1) // the negative side sees no features
	if r.Negative {
		seen = 0
	}
	return append(in,
		sampling.Input{Name: inputProjected, Value: projected, Rule: shared},
		sampling.Input{Name: inputSeen, Value: matrix([]float32{seen}, 1, 1, 1), Rule: sampling.ByRows}), nil
}

// stage is the network that a conditioning entry is for.
func (m *model) stage(c *sampling.Cond, r sampling.Request) (int, error) {
	mode, err := sampling.Value[string](c, sampling.KeyStage)
	if err != nil {
		return 0, err
	}
	for _, key := range []string{sampling.KeyModelFrame, sampling.KeyProjection} { // they have no effect on the network
		if _, err := sampling.Value[any](c, key); err != nil {
			return 0, err
		}
	}
	stage := structure
	switch known, ok := modes[mode]; {
	case mode != "" && !ok:
		return 0, fmt.Errorf("reading a conditioning entry: its %s is %q: wanted that of a stage of Trellis 2", sampling.KeyStage, mode)
	case len(r.Shape) == axes+2:
	case len(r.Shape) != 4 || known == structure:
		return 0, errNoCells
	default:
		stage = known
	}
	if m.networks[stage] == nil {
		return 0, fmt.Errorf("the file holds no network for this stage (%s): load the checkpoint of Trellis 2 that has it; shape and texture can lie in two files", keys[stage])
	}
	return stage, nil
}

// cellInputs are the inputs of networks that work on cells.
func cellInputs(c *sampling.Cond, stage int) ([]sampling.Input, error) {
	at, err := sampling.Value[*tensor.Tensor](c, sampling.KeyCells)
	if err != nil {
		return nil, err
	}
	counts, err := sampling.Value[[]int](c, sampling.KeyCellCounts)
	if err != nil {
		return nil, err
	}
	if at == nil || len(at.Shape) != 2 || at.Dim(1) != axes+1 || at.Len() == 0 || len(counts) == 0 {
		return nil, errNoCells
	}
	row := 0
	numbers := make([]float32, len(counts))
	for i, n := range counts {
		if n < 1 || n > at.Dim(0)-row {
			return nil, fmt.Errorf("reading the cells of a conditioning entry: its counts are %v for %d cells", counts, at.Dim(0))
		}
		for range n {
			for k, v := range at.Data[row*(axes+1) : (row+1)*(axes+1)] {
				if k == 0 && int(v) != i || v != float32(int32(v)) || v < 0 || v > mostSide {
					return nil, fmt.Errorf("reading the cells of a conditioning entry: cell %d lies at %v: wanted the item %d and places from 0 to %d", row, at.Data[row*(axes+1):(row+1)*(axes+1)], i, mostSide)
				}
			}
			row++
		}
		numbers[i] = float32(n)
	}
	if row != at.Dim(0) {
		return nil, fmt.Errorf("reading the cells of a conditioning entry: its counts are %v for %d cells", counts, at.Dim(0))
	}
	in := []sampling.Input{{Name: inputCells, Value: at, Rule: shared}, {Name: inputCounts, Value: matrix(numbers, len(numbers)), Rule: shared}}
	slat, err := sampling.Value[*tensor.Tensor](c, sampling.KeyShapeLatent)
	if err != nil || stage != texture {
		return in, err
	}
	if slat == nil || len(slat.Shape) != 2 || slat.Dim(0) != at.Dim(0) {
		return nil, errors.New("reading a conditioning entry: the texture stage needs the shape of its cells: connect Trellis2TextureStage")
	}
	return append(in, sampling.Input{Name: inputShape, Value: slat, Rule: shared}), nil
}

// item is one volume of a batch: its cells, and the rows of the call that are of it.
type item struct {
	// at are the places of the cells, more the further values of a cell and projected its image features, if it has them.
	at              []float32
	more, projected []float32
	rows            []int
}

// Predict implements family.Denoiser. Upstream: ldm/trellis2/model.py Trellis2.forward. The volumes of a batch have cells of their own: each is a call of
// the network for all rows that are of it.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	number := c.Inputs.Get(inputStage)
	if number == nil {
		return nil, errNoImage
	}
	stage := int(number.Data[0])
	n := m.networks[stage]
	items, err := m.items(c, stage)
	if err != nil {
		return nil, err
	}
	features, x := c.Inputs.Get(sampling.InputContext), c.X
	if features.Dim(0) != x.Dim(0) || features.Dim(2) != n.context || len(c.T) != x.Dim(0) {
		return nil, fmt.Errorf("the image is encoded to %v for %d rows: it needs tokens of width %d: connect Trellis2Conditioning with DINOv3 ViT-L/16", features.Shape, x.Dim(0), n.context)
	}
	out := tensor.New(x.Shape...)
	for _, it := range items {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		if err := run.Check("running the model", m.memory(stage, len(it.rows), len(it.at)/axes, features.Dim(1))); err != nil {
			return nil, err
		}
		res, err := run.Run(ctx, m.graph(stage), m.values(it, n, c), "out")
		if err != nil {
			return nil, err
		}
		scatter(out, res["out"], it.rows)
	}
	return out, nil
}

// values are the inputs of the graph for one volume.
func (m *model) values(it item, n *network, c family.Call) []family.Value {
	count, own := len(it.at)/axes, n.in
	if it.more != nil {
		own = channels
	}
	x := tensor.New(len(it.rows), count, n.in)
	times, features := make([]float32, len(it.rows)), tensor.New(append([]int{len(it.rows)}, c.Inputs.Get(sampling.InputContext).Shape[1:]...)...)
	seen := tensor.New(len(it.rows), 1, 1)
	for i, row := range it.rows {
		from, to, cells := c.X.Index(row).Data, x.Index(i).Data, c.X.Len()/c.X.Dim(0)/c.X.Dim(1)
		for at := range count {
			for k := range own {
				to[at*n.in+k] = from[k*cells+at]
			}
			copy(to[at*n.in+own:(at+1)*n.in], it.more[min(at*(n.in-own), len(it.more)):])
		}
		times[i] = c.T[row]
		copy(features.Index(i).Data, c.Inputs.Get(sampling.InputContext).Index(row).Data)
		if s := c.Inputs.Get(inputSeen); s != nil {
			seen.Data[i] = s.Data[row]
		}
	}
	cos, sin := turns(it.at, n.width/n.heads)
	in := []family.Value{family.Floats("x", x), family.Vector("t", times), family.Floats(sampling.InputContext, features), family.Floats("cos", cos), family.Floats("sin", sin)}
	if n.projected > 0 {
		in = append(in, family.Floats(inputProjected, matrix(it.projected, 1, count, n.projected)), family.Floats(inputSeen, seen))
	}
	return in
}

// scatter puts the values of cells [rows,cells,C] into the rows of a latent.
func scatter(out, y *tensor.Tensor, rows []int) {
	cells, c := out.Len()/out.Dim(0)/out.Dim(1), y.Dim(2)
	for i, row := range rows {
		to := out.Index(row).Data
		for j, v := range y.Index(i).Data {
			to[j%c*cells+j/c] = v
		}
	}
}

// items are the volumes of a call.
func (m *model) items(c family.Call, stage int) ([]item, error) {
	x, n := c.X, m.networks[stage]
	projected := c.Inputs.Get(inputProjected)
	if n.projected > 0 && (projected == nil || projected.Dim(-1) != n.projected) {
		found := 0
		if projected != nil {
			found = projected.Dim(-1)
		}
		return nil, fmt.Errorf("the network is one of Pixal3D, which reads %d image features a cell, and the conditioning has %d: connect Pixal3DConditioning with a file of DINOv3 that holds naf.* tensors, too", n.projected, found)
	}
	if stage == structure {
		return m.wholes(x, projected)
	}
	at, counts := c.Inputs.Get(inputCells), c.Inputs.Get(inputCounts)
	if at == nil || counts == nil || len(x.Shape) != 4 {
		return nil, errNoCells
	}
	slat := c.Inputs.Get(inputShape)
	if slat != nil && slat.Dim(1) != n.in-channels {
		return nil, fmt.Errorf("the shape of the cells has %d values each, wanted %d", slat.Dim(1), n.in-channels)
	}
	if projected != nil && (len(projected.Shape) != 2 || projected.Dim(0) != at.Dim(0)) {
		return nil, fmt.Errorf("the image features have shape %v for %d cells", projected.Shape, at.Dim(0))
	}
	list := make([]item, counts.Len())
	if x.Dim(0)%len(list) != 0 || x.Dim(1) != channels || float32(x.Dim(2)*x.Dim(3)) < slices.Max(counts.Data) {
		return nil, fmt.Errorf("the latent has shape %v for %d volumes of up to %.0f cells: connect the latent of the node that the conditioning comes from", x.Shape, len(list), slices.Max(counts.Data))
	}
	from := 0
	for i := range list {
		to := from + int(counts.Data[i])
		for row := from; row < to; row++ {
			list[i].at = append(list[i].at, at.Data[row*(axes+1)+1:(row+1)*(axes+1)]...)
		}
		if slat != nil {
			list[i].more = slat.Data[from*slat.Dim(1) : to*slat.Dim(1)]
		}
		if projected != nil {
			list[i].projected = projected.Data[from*n.projected : to*n.projected]
		}
		for row := i; row < x.Dim(0); row += len(list) {
			list[i].rows = append(list[i].rows, row)
		}
		from = to
	}
	return list, nil
}

// wholes are the volumes of the structure, in which every cell is: all in one call where they do not differ in image features.
func (m *model) wholes(x, projected *tensor.Tensor) ([]item, error) {
	const cells = side * side * side
	if len(x.Shape) != axes+2 || x.Dim(1) != channels || x.Dim(2) != side || x.Dim(3) != side || x.Dim(4) != side {
		return nil, fmt.Errorf("the latent has shape %v, wanted [batch, %d, %d, %d, %d]: connect EmptyTrellis2LatentStructure", x.Shape, channels, side, side, side)
	}
	at := make([]float32, 0, cells*axes)
	for i := range cells {
		at = append(at, float32(i/(side*side)), float32(i/side%side), float32(i%side))
	}
	list := []item{{at: at}}
	if projected != nil {
		if len(projected.Shape) != 3 || projected.Dim(1) != cells || x.Dim(0)%max(projected.Dim(0), 1) != 0 {
			return nil, fmt.Errorf("the image features have shape %v, wanted [batch, %d, %d]: connect Pixal3DConditioning, with a latent of as many volumes as there are images", projected.Shape, cells, projected.Dim(-1))
		}
		list = make([]item, projected.Dim(0))
		for i := range list {
			list[i] = item{at: at, projected: projected.Index(i).Data}
		}
	}
	for row := range x.Dim(0) {
		it := &list[row%len(list)]
		it.rows = append(it.rows, row)
	}
	return list, nil
}

// turns are the cosines and sines [1,cells,D/2] by which heads of width d are turned at places: a third of the pairs for each axis; what is left over is not
// turned. Upstream: SparseRotaryPositionEmbedder.
func turns(at []float32, d int) (cos, sin *tensor.Tensor) {
	const base = 10000
	waves, cells := d/2/axes, len(at)/axes
	frequencies := make([]float32, waves)
	for i := range frequencies {
		frequencies[i] = 1 / float32(math.Pow(base, float64(float32(i)/float32(waves))))
	}
	cos, sin = tensor.New(1, cells, d/2), tensor.New(1, cells, d/2)
	for i := range cells {
		c, s := cos.Data[i*d/2:(i+1)*d/2], sin.Data[i*d/2:(i+1)*d/2]
		for k := axes * waves; k < d/2; k++ {
			c[k] = 1
		}
		for a, place := range at[i*axes : (i+1)*axes] {
			for k, f := range frequencies {
				y, x := math.Sincos(float64(place * f))
				c[a*waves+k], s[a*waves+k] = float32(x), float32(y)
			}
		}
	}
	return cos, sin
}

func (m *model) graph(stage int) family.Graph {
	n := m.networks[stage]
	return family.Graph{Part: "unet", Variant: family.Digest(stage), Steps: true, Steady: []string{"cos", "sin", inputProjected}, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("trellis2", m.Source, func(b *nn.Builder, s *weights.Scope) { writer{b, *n}.write(s.At(keys[stage])) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	if len(shape) == axes+2 {
		return m.memory(structure, shape[0], tensor.Count(shape[2:]), tokens)
	}
	return max(m.memory(coarse, shape[0], tensor.Count(shape[2:]), tokens), m.memory(texture, shape[0], tensor.Count(shape[2:]), tokens))
}

// memory estimates the activations of a stage; of one that the file lacks it is 0.
func (m *model) memory(stage, rows, cells, tokens int) int64 {
	if m.networks[stage] == nil {
		return 0
	}
	if family.Product(rows, cells) > math.MaxInt32 {
		return math.MaxInt64
	}
	return m.activations.Of(m.graph(stage), map[string]int{"B": rows, "L": max(cells, 1), "T": max(tokens, 1)})
}

// ComputeTypes implements family.Typed: the texture overflows float16.
func (*model) ComputeTypes() []dtype.DType { return []dtype.DType{dtype.BF16, dtype.F32} }
