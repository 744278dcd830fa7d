package sampling

import (
	"slices"
	"testing"

	"comfygo/engine/tensor"
)

// TestFeather fades an area's inner edges over min(8, size/4) places of each axis, as upstream does (samplers.py get_area_and_mult).
func TestFeather(t *testing.T) {
	t.Parallel()
	ones := func(n int) []float32 { return slices.Repeat([]float32{1}, n) }
	for name, c := range map[string]struct {
		offset, size, dims []int
		axes               [][]float32 // the weights along each axis, of which the area's are the products
	}{
		"inside in rows, right edge in columns": {
			[]int{5, 0},
			[]int{10, 33},
			[]int{20, 40},
			[][]float32{{0.5, 1, 1, 1, 1, 1, 1, 1, 1, 0.5}, append(ones(26), 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125)},
		},
		"whole":                    {[]int{0, 0}, []int{8, 8}, []int{8, 8}, [][]float32{ones(8), ones(8)}},
		"too small to fade":        {[]int{1, 1}, []int{3, 3}, []int{8, 8}, [][]float32{ones(3), ones(3)}},
		"three frames of a video":  {[]int{2, 0, 4}, []int{3, 4, 4}, []int{9, 4, 8}, [][]float32{ones(3), ones(4), ones(4)}},
		"eight frames of a video":  {[]int{2, 0, 0}, []int{8, 2, 2}, []int{9, 2, 2}, [][]float32{{0.5, 1, 1, 1, 1, 1, 1, 1}, ones(2), ones(2)}},
		"both ends of four places": {[]int{1, 0}, []int{4, 1}, []int{6, 1}, [][]float32{{1, 1, 1, 1}, ones(1)}},
	} {
		w := tensor.New(append([]int{2, 3}, c.size...)...)
		for i := range w.Data {
			w.Data[i] = 1
		}
		(&region{offset: c.offset, size: c.size}).feather(w, c.dims)
		for i, got := range w.Data {
			want, at := float32(1), i
			for axis := len(c.size) - 1; axis >= 0; axis-- {
				want *= c.axes[axis][at%c.size[axis]]
				at /= c.size[axis]
			}
			if got != want {
				t.Errorf("%s: weight %d is %g, want %g", name, i, got, want)
				break
			}
		}
	}
}
