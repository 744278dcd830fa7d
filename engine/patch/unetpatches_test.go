package patch_test

import (
	"math"
	"math/cmplx"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// TestFreeU compares a patched block with plain arithmetic and a plain Fourier transform.
func TestFreeU(t *testing.T) {
	t.Parallel()
	const model, h, w = 2, 5, 6
	for name, f := range map[string]patch.FreeU{
		"first": {B1: 1.3, B2: 1.5, S1: 0.6, S2: 0.2}, "second": {B1: 1.3, B2: 1.5, S1: 0.6, S2: 0.2, ByMean: true},
	} {
		const channels = 2 * model
		x := values(t, random(t, "x", dtype.F32, 1, 2*channels, h, w))
		src := source(t, "none", random(t, "unused", dtype.F32, 1))
		s := session(t, nn.Target{Compute: dtype.F32}, src, nil, []int{1, 2 * channels, h, w}, func(b *nn.Builder, _ *weights.Scope, x *onnx.Value) *onnx.Value {
			x = b.Declare(x, onnx.Dims(1, 2*channels, h, w))
			parts := b.Split(x, 1, channels, channels)
			y, skip := f.Block(b, patch.Site{Block: patch.OutputBlock, Model: model}, parts[0], parts[1])
			return b.Concat(1, y, skip)
		})
		near(t, name, compute(t, s, x, []int{1, 2 * channels, h, w}, nil), freeU(x, channels, h, w, 1.5, 0.2, f.ByMean))
	}
}

// freeU changes channels of a backbone and the same number of a skip connection.
func freeU(x []float32, channels, h, w int, backbone, low float64, byMean bool) []float32 {
	y := append([]float32(nil), x...)
	cells := h * w
	mean := make([]float64, cells)
	least, most := math.Inf(1), math.Inf(-1)
	for i := range mean {
		for c := range channels {
			mean[i] += float64(x[c*cells+i]) / float64(channels)
		}
		least, most = min(least, mean[i]), max(most, mean[i])
	}
	for c := range channels / 2 {
		for i := range cells {
			factor := backbone
			if byMean {
				factor = (backbone-1)*(mean[i]-least)/(most-least) + 1
			}
			y[c*cells+i] = float32(float64(x[c*cells+i]) * factor)
		}
	}
	for c := channels; c < 2*channels; c++ {
		for i := range cells {
			var sum complex128
			for _, ky := range []int{-1, 0} {
				for _, kx := range []int{-1, 0} {
					for j := range cells {
						angle := 2 * math.Pi * (float64(ky*(i/w-j/w))/float64(h) + float64(kx*(i%w-j%w))/float64(w))
						sum += complex(float64(x[c*cells+j])/float64(cells), 0) * cmplx.Exp(complex(0, angle))
					}
				}
			}
			y[c*cells+i] = x[c*cells+i] + float32((low-1)*real(sum))
		}
	}
	return y
}

// TestNormalizedGuidance compares a batch of three entries with plain arithmetic; in a batch of one side nothing acts.
func TestNormalizedGuidance(t *testing.T) {
	t.Parallel()
	n := patch.NormalizedGuidance{Scale: 5, Tau: 1.5, Alpha: 0.25}
	if n.For(patch.Call{Negative: []bool{true}}) != nil || n.For(patch.Call{}) != nil {
		t.Error("it acts without both sides")
	}
	acting, ok := n.For(patch.Call{Negative: []bool{true, false, false}}).(patch.NormalizedGuidance)
	if !ok {
		t.Fatal("it does not act with both sides")
	}
	const rows, tokens, width = 2, 3, 4
	shape := []int{3 * rows, tokens, width}
	x := values(t, random(t, "x", dtype.F32, shape...))
	src := source(t, "none", random(t, "unused", dtype.F32, 1))
	s := session(t, nn.Target{Compute: dtype.F32}, src, nil, shape, func(b *nn.Builder, _ *weights.Scope, x *onnx.Value) *onnx.Value {
		return acting.Project(b, patch.Output, b.Declare(x, onnx.Dims(shape...)))
	})
	want := append([]float32(nil), x...)
	size := rows * tokens * width
	for i := 0; i < size; i += width {
		var positive, guided [width]float64
		var a, g float64
		for k := range width {
			positive[k] = float64(x[size+i+k])
			guided[k] = 5*positive[k] - 4*float64(x[i+k])
			a, g = a+math.Abs(positive[k]), g+math.Abs(guided[k])
		}
		for k := range width {
			want[size+i+k] = float32(0.25*guided[k]*min(g/a, 1.5)/(g/a) + 0.75*positive[k])
		}
	}
	near(t, "three entries", compute(t, s, x, shape, nil), want)
}

// TestHyperTile: queries are in tiles of the grid, keys and values in pieces of their order, and results go back to where
// the queries were.
func TestHyperTile(t *testing.T) {
	t.Parallel()
	grids := []patch.Grid{{Height: 4, Width: 6}, {Height: 2, Width: 3}}
	h := patch.GraphPatches{patch.HyperTile{Tile: 2, Swap: 2}}
	placed, ok := h.On(patch.Grid{Height: 4, Width: 6}, func() []patch.Grid { return grids }, func() uint32 { return 5 })[0].(patch.HyperTile)
	if !ok || placed.Digest() != "map[0:{3 2 6 4}]" { // height and width trade places, as upstream's
		t.Fatalf("tiles are %s", placed.Digest())
	}
	const n, width = 24, 2
	shape := []int{1, n, width}
	x := values(t, random(t, "x", dtype.F32, shape...))
	src := source(t, "none", random(t, "unused", dtype.F32, 1))
	run := func(number int, attend func(q, k, v *onnx.Value) *onnx.Value) []float32 {
		s := session(t, nn.Target{Compute: dtype.F32}, src, nil, shape, func(b *nn.Builder, _ *weights.Scope, x *onnx.Value) *onnx.Value {
			x = b.Declare(x, onnx.Dims(shape...))
			return placed.Attend(b, patch.Site{Number: number}, x, x, x, attend)
		})
		return compute(t, s, x, shape, nil)
	}
	near(t, "queries", run(0, func(q, _, _ *onnx.Value) *onnx.Value { return q }), x)
	want := make([]float32, len(x))
	for at := range n {
		row, col := at/4, at%4
		piece, inside := row/2*2+col/2, row%2*2+col%2
		copy(want[at*width:][:width], x[(piece*4+inside)*width:])
	}
	near(t, "values", run(0, func(_, _, v *onnx.Value) *onnx.Value { return v }), want)
	near(t, "a layer without tiles", run(1, func(_, _, v *onnx.Value) *onnx.Value { return v }), x)
}
