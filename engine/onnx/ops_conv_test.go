package onnx_test

import (
	"fmt"
	"testing"

	"comfygo/engine/onnx"
)

// conv is the reference of a convolution over x [B,I,T,H,W] with weight [O,I/groups,t,h,w].
func conv(x, w, bias array, groups int, win onnx.WindowND, out [3]int) array {
	perGroup := w.Shape[0] / groups
	return filled([]int{x.Shape[0], w.Shape[0], out[0], out[1], out[2]}, func(o []int) float32 {
		sum := bias.Data[o[1]]
		w.Each(func(k []int) {
			if k[0] != o[1] {
				return
			}
			at := []int{o[0], o[1]/perGroup*w.Shape[1] + k[1], 0, 0, 0}
			for i := range 3 {
				at[i+2] = o[i+2]*win.Stride[i] + k[i+2]*win.Dilation[i] - win.Before[i]
				if at[i+2] < 0 || at[i+2] >= x.Shape[i+2] {
					return
				}
			}
			sum += x.Data[x.Offset(at...)] * w.Data[w.Offset(k...)]
		})
		return sum
	})
}

// padded returns a shape or a list with ones (or another number) put where a convolution has fewer than three axes.
func padded(v []int, from, fill int) []int {
	out := append([]int(nil), v[:from]...)
	for range 3 - (len(v) - from) {
		out = append(out, fill)
	}
	return append(out, v[from:]...)
}

func TestConvND(t *testing.T) {
	t.Parallel()
	one, two := []int{1, 1, 1}, []int{2, 2, 2}
	cases := []struct {
		name    string
		x, w    []int
		groups  int
		win     onnx.WindowND
		symbols []string
		out     []int
	}{
		{"1d", []int{2, 3, 9}, []int{4, 3, 3}, 1, onnx.Same(3), []string{"B", "3", "L"}, []int{9}},
		{"1d stride, dilation", []int{1, 4, 11}, []int{6, 2, 3}, 2, onnx.WindowND{Stride: two[:1], Dilation: two[:1], Before: one[:1]}, []string{"B", "4", "L"}, []int{4}},
		{"1d depthwise", []int{1, 4, 8}, []int{4, 1, 5}, 4, onnx.Same(5), []string{"B", "4", "L"}, []int{8}},
		{"2d grouped", []int{1, 4, 5, 6}, []int{8, 2, 3, 3}, 2, onnx.Same(3, 3), []string{"B", "4", "H", "W"}, []int{5, 6}},
		{"2d depthwise", []int{1, 6, 5, 7}, []int{6, 1, 3, 3}, 6, onnx.WindowND{Stride: two[:2], Before: one[:2], After: one[:2]}, []string{"B", "6", "H", "W"}, []int{3, 4}},
		{"3d", []int{1, 2, 4, 5, 6}, []int{3, 2, 3, 3, 3}, 1, onnx.Same(3, 3, 3), []string{"B", "2", "T", "H", "W"}, []int{4, 5, 6}},
		{"3d causal", []int{1, 2, 4, 5, 6}, []int{3, 2, 3, 3, 3}, 1, onnx.Causal(3, 3, 3), []string{"B", "2", "T", "H", "W"}, []int{4, 5, 6}},
		{"3d causal in time alone", []int{2, 2, 5, 3, 3}, []int{2, 2, 3, 1, 1}, 1, onnx.Causal(3, 1, 1), []string{"B", "2", "T", "H", "W"}, []int{5, 3, 3}},
		{"3d stride in space", []int{1, 2, 3, 6, 6}, []int{2, 2, 1, 2, 2}, 1, onnx.WindowND{Stride: []int{1, 2, 2}}, []string{"B", "2", "T", "2*H", "2*W"}, []int{3, 3, 3}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			x, w, bias := random(c.x...), random(c.w...), random(c.w[0])
			got := compute(t, []feed{symbolic(x, c.symbols...), fixed(w), fixed(bias)}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
				return g.ConvND(in[0], in[1], in[2], c.groups, c.win)
			})
			win := c.win
			n := len(c.x) - 2
			fill := func(v []int, d int) []int {
				if v == nil {
					return []int{d, d, d}
				}
				return padded(v, 0, d)
			}
			win = onnx.WindowND{Stride: fill(win.Stride, 1), Dilation: fill(win.Dilation, 1), Before: fill(win.Before, 0)}
			out := padded(c.out, 0, 1)
			want := conv(array{Shape: padded(x.Shape, 2, 1), Data: x.Data}, array{Shape: padded(w.Shape, 2, 1), Data: w.Data}, bias, c.groups, win, [3]int(out))
			want.Shape = append(want.Shape[:2:2], want.Shape[5-n:]...)
			same(t, got, want)
		})
	}
}

func TestConvTranspose(t *testing.T) {
	t.Parallel()
	cases := []struct {
		x, w, out []int
		groups    int
		win       onnx.WindowND
		symbols   []string
	}{
		{[]int{2, 3, 7}, []int{3, 4, 4}, []int{14}, 1, onnx.WindowND{Stride: []int{2}, Before: []int{1}, After: []int{1}}, []string{"B", "3", "L"}},
		{[]int{1, 4, 5}, []int{4, 1, 3}, []int{16}, 2, onnx.WindowND{Stride: []int{3}, OutputPadding: []int{1}}, []string{"B", "4", "L"}},
		{[]int{1, 3, 4, 5}, []int{3, 2, 2, 2}, []int{8, 10}, 1, onnx.WindowND{Stride: []int{2, 2}}, []string{"B", "3", "H", "W"}},
		{[]int{1, 2, 3, 3}, []int{2, 2, 3, 3}, []int{7, 7}, 1, onnx.WindowND{Stride: []int{2, 2}, Dilation: []int{2, 2}, Before: []int{1, 1}, After: []int{1, 1}}, []string{"B", "2", "H", "W"}},
	}
	for i, c := range cases {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			n := len(c.x) - 2
			x, w := random(c.x...), random(c.w...)
			got := compute(t, []feed{symbolic(x, c.symbols...), fixed(w)}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
				return g.ConvTranspose(in[0], in[1], nil, c.groups, c.win)
			})
			outs := c.w[1] * c.groups
			want := zeros(append([]int{c.x[0], outs}, c.out...)...)
			x.Each(func(at []int) {
				w.Each(func(k []int) {
					if k[0] != at[1] {
						return
					}
					to := []int{at[0], at[1]/(c.x[1]/c.groups)*c.w[1] + k[1]}
					for i := range n {
						dilation, before := 1, 0
						if c.win.Dilation != nil {
							dilation = c.win.Dilation[i]
						}
						if c.win.Before != nil {
							before = c.win.Before[i]
						}
						p := at[i+2]*c.win.Stride[i] + k[i+2]*dilation - before
						if p < 0 || p >= c.out[i] {
							return
						}
						to = append(to, p)
					}
					want.Data[want.Offset(to...)] += x.Data[x.Offset(at...)] * w.Data[w.Offset(k...)]
				})
			})
			same(t, got, want)
		})
	}
}

func TestAveragePool(t *testing.T) {
	t.Parallel()
	x := random(1, 2, 5, 6)
	got := compute(t, []feed{symbolic(x, "B", "2", "H", "W")}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
		return g.AveragePool(in[0], []int{3, 2}, onnx.WindowND{Stride: []int{2, 2}, Before: []int{1, 0}, After: []int{1, 0}})
	})
	same(t, got, filled([]int{1, 2, 3, 3}, func(o []int) float32 {
		var sum float32
		for i := range 3 {
			for j := range 2 {
				if h := 2*o[2] + i - 1; h >= 0 && h < 5 {
					sum += x.Data[x.Offset(0, o[1], h, 2*o[3]+j)]
				}
			}
		}
		return sum / 6
	}))
}
