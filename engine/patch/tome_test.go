package patch_test

import (
	"math"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// TestMergeTokens compares which positions are merged, and into which, with plain arithmetic, including sizes that squares
// of two do not fill. The result of attention is the position itself, so a merged one shows its target.
func TestMergeTokens(t *testing.T) {
	t.Parallel()
	const batch, width = 2, 8
	for _, c := range []struct {
		grid   patch.Grid
		ratio  float64
		merged int
	}{
		{patch.Grid{Height: 4, Width: 6}, 0.3, 7},
		{patch.Grid{Height: 5, Width: 3}, 0.3, 4},
		{patch.Grid{Height: 4, Width: 4}, 1, 12}, // all that do not receive
	} {
		n := c.grid.Height * c.grid.Width
		draws := []uint32{7, 0, 2, 1, 1, 3}
		next := 0
		layers := func() []patch.Grid { return []patch.Grid{{Height: 1, Width: 1}, c.grid} }
		placed, ok := patch.GraphPatches{patch.MergeTokens{Ratio: c.ratio}}.On(c.grid, layers, func() uint32 {
			next++
			return draws[next-1]
		})[0].(patch.MergeTokens)
		if !ok || len(placed.Inputs()) != 2 || placed.Idle() != "" {
			t.Fatalf("%v: %d inputs, %q", c.grid, len(placed.Inputs()), placed.Idle())
		}
		shape := []int{batch, n, width}
		x := values(t, random(t, "x", dtype.F32, shape...))
		src := source(t, "none", random(t, "unused", dtype.F32, 1))
		s := session(t, nn.Target{Compute: dtype.F32}, src, nil, shape, func(b *nn.Builder, _ *weights.Scope, x *onnx.Value) *onnx.Value {
			fewer, back := placed.Tokens(b, patch.Site{Number: 1}, x)
			if got := fewer.Dim(1); got != onnx.D(n-c.merged) {
				t.Errorf("%v: %v positions, wanted %d", c.grid, got, n-c.merged)
			}
			return back(fewer)
		})
		in := map[string]ort.Value{"x": ort.Floats(x, shape...)}
		for _, i := range placed.Inputs() {
			in[i.Name] = ort.Ints(i.Ints, len(i.Ints))
		}
		out, err := s.Run(t.Context(), in, []string{"y"})
		if err != nil {
			t.Fatal(err)
		}
		y, err := out["y"].Float32s()
		if err != nil {
			t.Fatal(err)
		}
		var want []float32
		for row := range batch {
			want = append(want, mergedRow(x[row*n*width:][:n*width], width, c.grid, c.merged, draws)...)
		}
		near(t, "merged", y, want)
	}
}

// mergedRow merges positions of one latent and gives each the mean of those that it is merged with.
func mergedRow(x []float32, width int, at patch.Grid, count int, draws []uint32) []float32 {
	n := at.Height * at.Width
	var receivers, givers []int
	for p := range n {
		row, col := p/at.Width, p%at.Width
		square := row/2*(at.Width/2) + col/2
		inside := row/2 < at.Height/2 && col/2 < at.Width/2
		if inside && int(draws[square]%4) == row%2*2+col%2 {
			receivers = append(receivers, p)
		} else {
			givers = append(givers, p)
		}
	}
	cosine := func(a, b int) float64 {
		var dot, aa, bb float64
		for k := range width {
			u, v := float64(x[a*width+k]), float64(x[b*width+k])
			dot, aa, bb = dot+u*v, aa+u*u, bb+v*v
		}
		return dot / math.Sqrt(aa*bb)
	}
	nearest := map[int]int{}
	for _, g := range givers {
		nearest[g] = slices.MaxFunc(receivers, func(a, b int) int {
			if cosine(g, a) < cosine(g, b) {
				return -1
			}
			return 1
		})
	}
	slices.SortFunc(givers, func(a, b int) int {
		if cosine(a, nearest[a]) > cosine(b, nearest[b]) {
			return -1
		}
		return 1
	})
	groups := map[int][]int{}
	for _, r := range receivers {
		groups[r] = []int{r}
	}
	for i, g := range givers {
		if i < count {
			groups[nearest[g]] = append(groups[nearest[g]], g)
		} else {
			groups[g] = []int{g}
		}
	}
	out := make([]float32, len(x))
	for _, members := range groups {
		for k := range width {
			var sum float64
			for _, p := range members {
				sum += float64(x[p*width+k])
			}
			for _, p := range members {
				out[p*width+k] = float32(sum / float64(len(members)))
			}
		}
	}
	return out
}

// TestMergeTokensIdle: nothing is merged where the network does not attend at the latent's resolution, in latents of one row
// or column, and at a ratio of zero, which alone gives no warning.
func TestMergeTokensIdle(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ratio         float64
		latent, layer patch.Grid
		told          bool
	}{
		{0.5, patch.Grid{Height: 4, Width: 4}, patch.Grid{Height: 2, Width: 2}, true},
		{0.5, patch.Grid{Height: 1, Width: 4}, patch.Grid{Height: 1, Width: 4}, true},
		{0, patch.Grid{Height: 4, Width: 4}, patch.Grid{Height: 4, Width: 4}, false},
	} {
		g := patch.GraphPatches{patch.MergeTokens{Ratio: c.ratio}}
		g = g.On(c.latent, func() []patch.Grid { return []patch.Grid{c.layer} }, func() uint32 {
			t.Errorf("%v: it draws", c)
			return 0
		})
		if len(g.Inputs()) != 0 || (len(g.Idle()) > 0) != c.told {
			t.Errorf("%v: inputs %v, told %q", c, g.Inputs(), g.Idle())
		}
	}
}
