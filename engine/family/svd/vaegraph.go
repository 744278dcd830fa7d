package svd

import (
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/kl"
	"comfygo/engine/family/unet"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// block is a residual block of the decoder with its layers along the time axis.
type block struct {
	// path is where its weights are; before lists what runs between it and the block before, upsample and attention.
	path             string
	upsample, attend string
}

// blocksOf lists the residual blocks of a decoder in the order in which they run.
func blocksOf(s *weights.Scope) []block {
	out := []block{{path: "decoder.mid.block_1"}, {path: "decoder.mid.block_2", attend: "decoder.mid.attn_1"}}
	up := s.At("decoder", "up")
	next := ""
	for level := up.Count("") - 1; level >= 0; level-- {
		l := up.Index(level)
		for i := range l.Count("block") {
			out = append(out, block{path: trimmed(l.At("block").Index(i)), upsample: next})
			next = ""
		}
		if l.Has("upsample.conv.weight") {
			next = trimmed(l.At("upsample", "conv"))
		}
	}
	return out
}

// trimmed is the path of a scope.
func trimmed(s *weights.Scope) string { return strings.TrimSuffix(s.Prefix(), ".") }

// flatTime shows convolutions along the time axis alone, [O,I,k,1,1], as 1x1 convolutions [O,I·k,1,1] of frames whose
// channels lie side by side.
type flatTime struct{ weights.Source }

// Lookup implements weights.Source.
func (f flatTime) Lookup(name string) (weights.Entry, bool) {
	e, ok := f.Source.Lookup(name)
	if k := e.Shape; ok && len(k) == 5 && k[3] == 1 && k[4] == 1 {
		if flat, err := e.Reshape(k[0], k[1]*k[2], 1, 1); err == nil {
			return flat, true
		}
	}
	return e, ok
}

// groups is the number of groups of channels that are normalised, near the number of frames that a layer sees.
const (
	groups = 32
	near   = 3
)

// writer writes the stages of the decoder.
type writer struct{ kl.Writer }

// graph returns the graph of a stage.
func (v *vae) graph(variant string, write func(w *writer, s *weights.Scope)) family.Graph {
	return family.Graph{Part: "vae decoder", Variant: variant, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build("vae decoder "+variant, v.src, func(b *nn.Builder, s *weights.Scope) { write(&writer{kl.Writer{Builder: b}}, s) })
	}}
}

// firstGraph reads a latent "z" [1,C,h,w] and gives the features of the first residual block.
func (v *vae) firstGraph() family.Graph {
	return v.graph("first", func(w *writer, s *weights.Scope) {
		h := w.Cast(w.Input("z", dtype.F32, onnx.D(1), onnx.D(v.LatentChannels), onnx.Sym("H"), onnx.Sym("W")), w.Target.Compute)
		if sh := s.Shape("post_quant_conv.weight"); len(sh) == 4 {
			h = w.Conv2d(s.At("post_quant_conv"), h, sh[0], 1, onnx.Window{Stride: 1})
		}
		h = w.Conv3(s.At("decoder", "conv_in"), h)
		w.features(w.Resnet(s.At(v.blocks[0].path), h))
	})
}

// alongGraph reads three frames of features and gives those behind the first convolution of block i along the time axis.
func (v *vae) alongGraph(i int) family.Graph {
	return v.graph(family.Digest("along", i), func(w *writer, s *weights.Scope) {
		t := s.At(v.blocks[i].path, "time_stack")
		c := v.channels(s, i)
		w.features(w.timeConv(t, "in_layers.2", w.normalised(t.At("in_layers", "0"), c), c))
	})
}

// onwardGraph reads three frames of what alongGraph gives and the features of block i, and gives those of the block
// behind it, or the decoded frame before the last convolution along the time axis.
func (v *vae) onwardGraph(i int) family.Graph {
	return v.graph(family.Digest("onward", i), func(w *writer, s *weights.Scope) {
		at := s.At(v.blocks[i].path)
		c := v.channels(s, i)
		h := w.timeConv(at.At("time_stack"), "out_layers.3", w.normalised(at.At("time_stack", "out_layers", "0"), c), c)
		x := w.feature("spatial", c)
		x = unet.Mixed(w.Builder, at, w.Add(x, h), x)
		if i == len(v.blocks)-1 {
			d := s.At("decoder")
			w.Output("out", w.Cast(w.Conv3(d.At("conv_out"), w.GroupNormSiLU(d.At("norm_out"), x, groups, 1e-6)), dtype.F32))
			return
		}
		next := v.blocks[i+1]
		if next.upsample != "" {
			x = w.UpsampleConv(s.At(next.upsample), x, c)
		}
		if next.attend != "" {
			x = w.SelfAttention(s.At(next.attend), x)
		}
		w.features(w.Resnet(s.At(next.path), x))
	})
}

// lastGraph reads three decoded frames and gives the one in the middle.
func (v *vae) lastGraph() family.Graph {
	return v.graph("last", func(w *writer, s *weights.Scope) {
		at, c := s.At("decoder", "conv_out"), 3
		if sh := at.Shape("weight"); len(sh) == 4 {
			c = sh[0]
		}
		frames := w.frames(c)
		keep := w.kept()
		for k, f := range frames {
			if keep[k] != nil {
				frames[k] = w.Mul(f, keep[k])
			}
		}
		w.Output("out", w.Cast(w.timeConv(at, "time_mix_conv", frames, c), dtype.F32))
	})
}

// channels is the number of channels of block i.
func (v *vae) channels(s *weights.Scope, i int) int {
	if sh := s.At(v.blocks[i].path).Shape("conv2.weight"); len(sh) == 4 {
		return sh[0]
	}
	return groups
}

// feature declares an input of features [1,c,H,W].
func (w *writer) feature(name string, c int) *onnx.Value {
	return w.Cast(w.Input(name, dtype.F32, onnx.D(1), onnx.D(c), onnx.Sym("H"), onnx.Sym("W")), w.Target.Compute)
}

// frames declares the inputs of three frames.
func (w *writer) frames(c int) []*onnx.Value {
	return []*onnx.Value{w.feature("before", c), w.feature("x", c), w.feature("after", c)}
}

// kept declares the inputs that are zero beyond the ends of the video, nil for the frame in the middle.
func (w *writer) kept() [near]*onnx.Value {
	one := func(name string) *onnx.Value { return w.Cast(w.Input(name, dtype.F32, onnx.D(1)), w.Target.Compute) }
	return [near]*onnx.Value{one("has.before"), nil, one("has.after")}
}

// normalised declares the inputs of three frames and of the normalisation over all frames of the video, and applies it with
// the weight and bias of scope s and SiLU.
func (w *writer) normalised(s *weights.Scope, c int) []*onnx.Value {
	frames, keep := w.frames(c), w.kept()
	mean := w.Cast(w.Input("mean", dtype.F32, onnx.D(1), onnx.D(groups), onnx.D(1)), w.Target.Compute)
	inverse := w.Cast(w.Input("inverse", dtype.F32, onnx.D(1), onnx.D(groups), onnx.D(1)), w.Target.Compute)
	weight, bias := w.perChannel(s, "weight", c), w.perChannel(s, "bias", c)
	for k, f := range frames {
		g := w.Reshape(f, onnx.D(1), onnx.D(groups), onnx.Infer)
		g = w.ReshapeLike(w.Mul(w.Sub(g, mean), inverse), f)
		frames[k] = w.SiLU(w.Add(w.Mul(g, weight), bias))
		if keep[k] != nil {
			frames[k] = w.Mul(frames[k], keep[k])
		}
	}
	return frames
}

// perChannel takes a weight of c values for the channels of features.
func (w *writer) perChannel(s *weights.Scope, name string, c int) *onnx.Value {
	r := s.Weight(name, c)
	if e, err := r.Entry.Reshape(1, c, 1, 1); err == nil && !r.Missing() {
		r = &weights.Ref{Name: r.Name, Entry: e}
	}
	return w.Table(r)
}

// timeConv is the convolution at path along the time axis, of which the frame in the middle is wanted.
func (w *writer) timeConv(s *weights.Scope, path string, frames []*onnx.Value, out int) *onnx.Value {
	c := frames[0].Dim(1)
	for k, f := range frames {
		frames[k] = w.Unsqueeze(f, 2)
	}
	x := w.Concat(2, frames...)
	x = w.Reshape(x, x.Dim(0), c.Times(onnx.D(near)), x.Dim(3), x.Dim(4))
	return w.Conv2d(s.At(path), x, out, 1, onnx.Window{Stride: 1})
}

// features gives features and the mean and variance of each group of their channels.
func (w *writer) features(x *onnx.Value) {
	g := w.Cast(w.Reshape(x, onnx.D(1), onnx.D(groups), onnx.Infer), dtype.F32)
	mean := w.ReduceMean(g, true, 2)
	off := w.Sub(g, mean)
	w.Output("out.mean", mean)
	w.Output("out.variance", w.ReduceMean(w.Mul(off, off), true, 2))
	w.Output("out", w.Cast(x, dtype.F32))
}
