package t2iadapter

import (
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// feature names the output of a level [B,C,h,w].
func feature(i int) string { return "feature." + strconv.Itoa(i) }

// build writes the network for an input x [B,C,h,w] in blocks of pixels: the sizes count, because an odd one is padded
// before it is halved. Upstream: t2i_adapter/adapter.py Adapter, Adapter_light.
func (n *Network) build(spec family.Spec, h, w int) (*onnx.Graph, error) {
	return spec.Build("t2i adapter", n.src, func(b *nn.Builder, s *weights.Scope) {
		channels := n.Channels * n.Unshuffle * n.Unshuffle
		x := b.Cast(b.Input("x", dtype.F32, onnx.Sym("B"), onnx.D(channels), onnx.D(h), onnx.D(w)), b.Target.Compute)
		g := graph{b, n.Config}
		if !n.Light {
			x = b.Conv2d(s.At("conv_in"), x, n.Widths[0], 3, onnx.Pad1())
		}
		for i := range n.Widths {
			if n.Light {
				x = g.lightLevel(s.At("body").Index(i), x, i)
			} else {
				x = g.level(s.At("body"), x, i)
			}
			b.Output(feature(i), b.Cast(x, dtype.F32))
		}
	})
}

type graph struct {
	*nn.Builder
	c Config
}

// halves reports whether a level begins by halving the size.
func (g graph) halves(level int) bool {
	if g.c.XL {
		return level == 2
	}
	return level > 0
}

// halve halves the size; odd sizes are rounded up.
func (g graph) halve(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if s.Has("down_opt.op.weight") {
		return g.Conv2d(s.At("down_opt", "op"), x, x.Dim(1).N, 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
	}
	odd := []int{x.Dim(2).N % 2, x.Dim(3).N % 2}
	return g.AveragePool(x, []int{2, 2}, onnx.WindowND{Stride: []int{2, 2}, Before: odd, After: odd})
}

// level writes the residual blocks of a level of a full adapter.
func (g graph) level(s *weights.Scope, x *onnx.Value, level int) *onnx.Value {
	out, k := g.c.Widths[level], g.c.Kernel
	same := onnx.Window{Stride: 1, Pads: [4]int{k / 2, k / 2, k / 2, k / 2}}
	for j := range g.c.Blocks {
		l := s.Index(level*g.c.Blocks + j)
		if j == 0 && g.halves(level) {
			x = g.halve(l, x)
		}
		if x.Dim(1).N != out {
			x = g.Conv2d(l.At("in_conv"), x, out, k, same)
		}
		y := g.Relu(g.Conv2d(l.At("block1"), x, out, 3, onnx.Pad1()))
		x = g.Add(g.Conv2d(l.At("block2"), y, out, k, same), x)
	}
	return x
}

// lightLevel writes a level of a light adapter, which narrows the channels to a quarter inside.
func (g graph) lightLevel(s *weights.Scope, x *onnx.Value, level int) *onnx.Value {
	inner := g.c.Widths[level] / 4
	if sh := s.Shape("in_conv.weight"); len(sh) == 4 {
		inner = sh[0]
	}
	if g.halves(level) {
		x = g.halve(s, x)
	}
	x = g.Conv2d(s.At("in_conv"), x, inner, 1, onnx.Window{Stride: 1})
	for j := range g.c.Blocks {
		l := s.At("body").Index(j)
		y := g.Relu(g.Conv2d(l.At("block1"), x, inner, 3, onnx.Pad1()))
		x = g.Add(g.Conv2d(l.At("block2"), y, inner, 3, onnx.Pad1()), x)
	}
	return g.Conv2d(s.At("out_conv"), x, g.c.Widths[level], 1, onnx.Window{Stride: 1})
}
