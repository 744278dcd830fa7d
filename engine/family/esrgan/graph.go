// Package esrgan is the family of ESRGAN upscale models and of Real-ESRGAN's compact network.
package esrgan

import (
	"fmt"
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/kl"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// Config describes an upscale model: an ESRGAN (Wang et al. 2018, arXiv:1809.00219; Real-ESRGAN,
// arXiv:2107.10833; ESRGAN+, arXiv:2001.08073) or the compact network of Real-ESRGAN. It is read off the weights.
type Config struct {
	// In and Out are the channels of the images that go in and come out.
	In, Out int
	// Scale is the upscaling factor of a side.
	Scale int
	// Unshuffle is the side of the squares of pixels that are put into the channels first; 1 means none are.
	Unshuffle int
	// Shuffle is the side of the squares of pixels that lie in the channels of the result; 1 means none do.
	Shuffle int
	// Features is the width of the network.
	Features int

	layout *rrdbLayout // nil for the compact network
	blocks int
	ups    int
	convs  int // of the compact network
}

// rrdbLayout is how the layers of an ESRGAN are called.
type rrdbLayout struct {
	first, trunk       string
	block, dense, conv string // block i, its dense block j = 1…3 and its convolution k = 1…5: block.i.dense+j.conv+k
	inner              string // what follows the convolution's name
	up                 func(n int) string
	hr, last           func(ups int) string
}

func (l *rrdbLayout) denseScope(s *weights.Scope, block, dense int) *weights.Scope {
	return s.At(l.block).Index(block).At(l.dense + strconv.Itoa(dense))
}

func fixed(name string) func(int) string { return func(int) string { return name } }

// rrdbLayouts are ESRGAN's own, BSRGAN's and Real-ESRGAN's. In the first, layers are numbered as in a torch Sequential.
var rrdbLayouts = []rrdbLayout{
	{
		first: "model.0", block: "model.1.sub", dense: "RDB", conv: "conv", inner: ".0",
		up: func(n int) string { return "model." + strconv.Itoa(3*n) },
		hr: func(ups int) string { return "model." + strconv.Itoa(3*ups+2) }, last: func(ups int) string { return "model." + strconv.Itoa(3*ups+4) },
	},
	{
		first: "conv_first", trunk: "trunk_conv", block: "RRDB_trunk", dense: "RDB", conv: "conv",
		up: func(n int) string { return "upconv" + strconv.Itoa(n) }, hr: fixed("HRconv"), last: fixed("conv_last"),
	},
	{
		first: "conv_first", trunk: "conv_body", block: "body", dense: "rdb", conv: "conv",
		up: func(n int) string { return "conv_up" + strconv.Itoa(n) }, hr: fixed("conv_hr"), last: fixed("conv_last"),
	},
}

// upscalerPrefixes are where trainers put the weights.
var upscalerPrefixes = []string{"", "params_ema.", "params.", "module.", "netG."}

// maxUps limits the doublings of a network, far beyond every published one.
const maxUps = 5

// readESRGAN returns nil if the weights do not belong to an ESRGAN.
func readESRGAN(s *weights.Scope) (*Config, error) {
	for i := range rrdbLayouts {
		l := &rrdbLayouts[i]
		first := s.Shape(l.first + ".weight")
		dense := l.denseScope(s, 0, 1)
		if len(first) != 4 || !dense.Has(l.conv+"1"+l.inner+".weight") {
			continue
		}
		c := &Config{In: first[1], Features: first[0], Unshuffle: 1, Shuffle: 1, layout: l}
		for s.At(l.block).Index(c.blocks).HasAny(l.dense + "1") {
			c.blocks++
		}
		for s.Has(l.up(c.ups+1)+".weight") && c.ups < maxUps {
			c.ups++
		}
		last := s.Shape(l.last(c.ups) + ".weight")
		if len(last) != 4 {
			return nil, fmt.Errorf("reading the upscaler's shape: %s.weight is %v, wanted four dimensions", l.last(c.ups), last)
		}
		c.Out, c.Scale = last[0], 1<<c.ups
		for _, side := range []int{2, 4} {
			if c.In == c.Out*side*side {
				if c.Scale%side != 0 {
					return nil, fmt.Errorf("reading the upscaler's shape: it takes squares of %d pixels and enlarges by %d", side, c.Scale)
				}
				c.Unshuffle, c.In, c.Scale = side, c.Out, c.Scale/side
			}
		}
		return c, nil
	}
	return nil, nil
}

// readCompact returns nil if the weights do not belong to a compact network.
func readCompact(s *weights.Scope) (*Config, error) {
	first, slope := s.Shape("body.0.weight"), s.Shape("body.1.weight")
	if len(first) != 4 || len(slope) != 1 {
		return nil, nil
	}
	c := &Config{In: first[1], Features: first[0], Unshuffle: 1}
	for s.Has("body." + strconv.Itoa(2*c.convs) + ".weight") {
		c.convs++
	}
	last := s.Shape("body." + strconv.Itoa(2*(c.convs-1)) + ".weight")
	if len(last) != 4 || c.convs < 2 {
		return nil, fmt.Errorf("reading the upscaler's shape: body has %d convolutions, the last is %v", c.convs, last)
	}
	for _, out := range []int{c.In, 3, 4, 1} {
		for side := 1; side <= 1<<maxUps; side++ {
			if out > 0 && last[0] == out*side*side {
				c.Out, c.Shuffle, c.Scale = out, side, side
				if c.Out != c.In {
					return nil, fmt.Errorf("reading the upscaler's shape: %d channels go in and %d come out, which cannot be added", c.In, c.Out)
				}
				return c, nil
			}
		}
	}
	return nil, fmt.Errorf("reading the upscaler's shape: %d channels come out, which are no squares of pixels", last[0])
}

// Graph writes the network: input "pixels" [B,In·Unshuffle²,H,W] float32 in 0…1, output "out"
// [B,Out·Shuffle²,H·s,W·s] float32, where s is Scale·Unshuffle/Shuffle (reference: spandrel's ESRGAN and Compact).
func Graph(src weights.Source, cfg Config, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("upscaler", src, func(b *nn.Builder, s *weights.Scope) {
		u := &upscaler{Writer: kl.Writer{Builder: b}, cfg: cfg}
		in := cfg.In * cfg.Unshuffle * cfg.Unshuffle
		h := u.Cast(u.Input("pixels", dtype.F32, onnx.Sym("B"), onnx.D(in), onnx.Sym("H"), onnx.Sym("W")), b.Target.Compute)
		if cfg.layout == nil {
			h = u.compact(s.At("body"), h)
		} else {
			h = u.esrgan(s, h)
		}
		u.Output("out", u.Cast(h, dtype.F32))
	})
}

// upscaler is a network being written.
type upscaler struct {
	kl.Writer
	cfg Config
}

// leak is the slope of ESRGAN's rectifiers.
const leak = 0.2

func (u *upscaler) act(h *onnx.Value) *onnx.Value { return u.LeakyRelu(h, leak) }

func (u *upscaler) compact(s *weights.Scope, h *onnx.Value) *onnx.Value {
	for i := range u.cfg.convs - 1 {
		h = u.PRelu(s.Index(2*i+1), u.Conv3(s.Index(2*i), h))
	}
	return u.Conv3(s.Index(2*(u.cfg.convs-1)), h)
}

func (u *upscaler) esrgan(s *weights.Scope, h *onnx.Value) *onnx.Value {
	l := u.cfg.layout
	first := u.Conv3(s.At(l.first), h)
	h = first
	for i := range u.cfg.blocks {
		y := h
		for j := 1; j <= 3; j++ {
			y = u.dense(l.denseScope(s, i, j), y)
		}
		h = u.scaledSum(y, h)
	}
	trunk := s.At(l.trunk)
	if l.trunk == "" {
		trunk = s.At(l.block).Index(u.cfg.blocks)
	}
	h = u.Conv2dAdd(trunk, h, first, u.cfg.Features, 3, onnx.Pad1())
	for n := 1; n <= u.cfg.ups; n++ {
		h = u.act(u.UpsampleConv(s.At(l.up(n)), h, u.cfg.Features))
	}
	h = u.act(u.Conv3(s.At(l.hr(u.cfg.ups)), h))
	return u.Conv3(s.At(l.last(u.cfg.ups)), h)
}

// dense is five convolutions, each of which reads the results of all earlier ones.
func (u *upscaler) dense(s *weights.Scope, x *onnx.Value) *onnx.Value {
	l := u.cfg.layout
	conv := func(k int, in *onnx.Value) *onnx.Value { return u.Conv3(s.At(l.conv+strconv.Itoa(k)+l.inner), in) }
	plus := s.At(l.conv + "1x1") // ESRGAN+ has further paths around pairs of layers
	all := []*onnx.Value{x}
	for k := 1; k <= 4; k++ {
		y := u.act(conv(k, u.joined(all)))
		if plus.Has("weight") && k == 2 {
			y = u.Add(y, u.Conv2d(plus, x, y.Dim(1).N, 1, onnx.Window{Stride: 1}))
		}
		if plus.Has("weight") && k == 4 {
			y = u.Add(y, all[2])
		}
		all = append(all, y)
	}
	return u.scaledSum(conv(5, u.joined(all)), x)
}

func (u *upscaler) joined(xs []*onnx.Value) *onnx.Value {
	if len(xs) == 1 {
		return xs[0]
	}
	return u.Concat(1, xs...)
}

// scaledSum is x plus a fifth of y.
func (u *upscaler) scaledSum(y, x *onnx.Value) *onnx.Value {
	const share = 0.2
	return u.Add(u.Mul(y, u.Const(share)), x)
}

// ESRGAN reports that the network is an ESRGAN; the other kind adds its result to the enlarged image.
func (c Config) ESRGAN() bool { return c.layout != nil }
