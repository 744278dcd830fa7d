package patch

import (
	"fmt"
	"maps"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
)

// MergeTokens merges the most similar of the latent's positions before their queries are computed, and gives each of them
// the result of the position it was merged into (Bolya and Hoffman 2023, arXiv:2303.17604; upstream: nodes_tomesd.py). Only
// layers at the latent's own resolution merge. In each 2x2 square one position, drawn anew for each layer and call, may
// receive others.
type MergeTokens struct {
	// Ratio is the share of the positions that are merged into others, up to all that do not receive.
	Ratio float64
	// layers are those that merge, by number; set by On.
	layers map[int]merging
}

// merging divides the positions of a layer: order lists those that may be merged and then the receivers, both from the first
// row on; place is the index of each position in order.
type merging struct {
	merged, receivers int
	order, place      []int64
}

var (
	_ TokensPatch = MergeTokens{}
	_ LayerPatch  = MergeTokens{}
	_ SizedPatch  = MergeTokens{}
	_ InputPatch  = MergeTokens{}
	_ IdlePatch   = MergeTokens{}
)

// side is the side of the squares with one receiver each.
const side = 2

// Point implements GraphPatch.
func (MergeTokens) Point() Point { return SelfAttention }

// Digest implements GraphPatch: the draws are inputs of the graph.
func (m MergeTokens) Digest() string {
	return fmt.Sprint(m.Ratio, slices.Sorted(maps.Keys(m.layers)))
}

// Sized implements SizedPatch.
func (MergeTokens) Sized() {}

// On implements LayerPatch. Layers whose positions another patch has scaled or tiled do not merge and draw nothing.
func (m MergeTokens) On(latent Grid) (GraphPatch, LayerFunc) {
	m.layers = map[int]merging{}
	n := latent.Height * latent.Width
	merged := int(float64(n) * m.Ratio)
	small := merged <= 0 || latent.Height < side || latent.Width < side
	return m, func(layer, queries int, draw func() uint32) int {
		if small || queries != n {
			return queries
		}
		l := drawn(latent, merged, draw)
		m.layers[layer] = l
		return n - l.merged
	}
}

// drawn chooses the receivers of a layer. Rows and columns that fill no square have none.
func drawn(at Grid, merged int, draw func() uint32) merging {
	rows, cols := at.Height/side, at.Width/side
	receives := make([]bool, at.Height*at.Width)
	for r := range rows {
		for c := range cols {
			k := int(draw() % (side * side))
			receives[(side*r+k/side)*at.Width+side*c+k%side] = true
		}
	}
	m := merging{receivers: rows * cols, place: make([]int64, len(receives))}
	var last []int64
	for p, receiver := range receives {
		if receiver {
			last = append(last, int64(p))
		} else {
			m.order = append(m.order, int64(p))
		}
	}
	m.merged = min(merged, len(m.order))
	m.order = append(m.order, last...)
	for i, p := range m.order {
		m.place[p] = int64(i)
	}
	return m
}

// Idle implements IdlePatch.
func (m MergeTokens) Idle() string {
	if m.Ratio > 0 && m.layers != nil && len(m.layers) == 0 {
		return "token merging has no effect: the model does not attend at the latent's own resolution, other patches scale or tile the latent there, or it is too small"
	}
	return ""
}

// Inputs implements InputPatch.
func (m MergeTokens) Inputs() []Input {
	var in []Input
	for i, l := range m.layers {
		in = append(in, Input{orderInput(i), l.order}, Input{placeInput(i), l.place})
	}
	return in
}

func orderInput(layer int) string { return fmt.Sprintf("merging.%d.order", layer) }
func placeInput(layer int) string { return fmt.Sprintf("merging.%d.place", layer) }

// Tokens implements TokensPatch.
func (m MergeTokens) Tokens(b *nn.Builder, at Site, x *onnx.Value) (fewer *onnx.Value, back func(y *onnx.Value) *onnx.Value) {
	l, ok := m.layers[at.Number]
	if !ok {
		return x, nil
	}
	n := len(l.order)
	order := b.Input(orderInput(at.Number), dtype.I64, onnx.D(n))
	place := b.Input(placeInput(at.Number), dtype.I64, onnx.D(n))
	if x.Dim(1) != onnx.D(n) { // another patch scales the latent inside the network
		return x, nil
	}
	batch, width, givers := x.Dim(0), x.Dim(2), n-l.receivers
	sorted := b.GatherAxis(x, order, 1)
	// The similarity is the cosine of the angle between positions.
	wide := b.Cast(sorted, dtype.F32)
	unit := b.Div(wide, b.ReduceL2(wide, true, -1))
	scores := b.MatMul(b.Slice(unit, 1, 0, givers), b.Transpose(b.Slice(unit, 1, givers, n), 0, 2, 1))
	best, at1 := b.TopK(scores, 2, 1) // [B,givers,1]: the nearest receiver
	_, ranked := b.TopK(b.Squeeze(best, 2), 1, givers)
	nearest := b.Squeeze(at1, 2) // [B,givers]
	first, rest := b.Slice(ranked, 1, 0, l.merged), onnx.D(givers-l.merged)

	rows := func(x, which *onnx.Value, count onnx.Dim) *onnx.Value { // which [B,count] picks rows of x [B,...,width]
		return b.GatherElements(x, b.Expand(b.Unsqueeze(which, 2), batch, count, width), 1)
	}
	into := b.GatherElements(nearest, first, 1) // [B,merged]
	ids := b.Ints(sequence(l.receivers)...)
	// A product with zeros and ones adds up what a receiver is given.
	given := b.Cast(b.Equal(b.Unsqueeze(into, 1), b.Reshape(ids, onnx.D(1), onnx.D(l.receivers), onnx.D(1))), dtype.F32)
	sum := b.Add(b.Slice(wide, 1, givers, n), b.MatMul(given, rows(b.Slice(wide, 1, 0, givers), first, onnx.D(l.merged))))
	mean := b.Cast(b.Div(sum, b.Add(b.ReduceSum(given, true, 2), b.Scalar(dtype.F32, 1))), x.DType)
	fewer = mean
	if l.merged < givers {
		kept := b.Slice(ranked, 1, l.merged, givers)
		fewer = b.Concat(1, rows(b.Slice(sorted, 1, 0, givers), kept, rest), mean)
	}

	// A position of rank r is after the merged ones, or where its receiver is.
	_, reversed := b.TopK(b.Neg(b.Cast(ranked, dtype.F32)), 1, givers) // sorting a permutation gives its inverse
	left := b.Ints(givers - l.merged)
	rank := b.Sub(reversed, b.Ints(l.merged))
	from := b.Where(b.Less(reversed, b.Ints(l.merged)), b.Add(nearest, left), rank)
	receivers := b.Expand(b.Add(b.Reshape(ids, onnx.D(1), onnx.D(l.receivers)), left), batch, onnx.D(l.receivers))
	all := b.GatherAxis(b.Concat(1, from, receivers), place, 1)
	return fewer, func(y *onnx.Value) *onnx.Value {
		if y.Dim(1) == onnx.D(n) { // something else took the place of attention
			return y
		}
		return rows(y, all, onnx.D(n))
	}
}

// sequence lists the numbers from 0 up to n.
func sequence(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
