package svd

import (
	"fmt"
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

// groups is the number of groups of channels that are normalised, near the number of frames that a layer along the time axis
// reads.
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
		w.Output("out", w.Cast(w.Resnet(s.At(v.blocks[0].path), h), dtype.F32))
	})
}

// layers along the time axis in a block: the prefix of its normalisation and that of its convolution.
var layers = [2]struct{ norm, conv string }{{"in_layers.0", "in_layers.2"}, {"out_layers.0", "out_layers.3"}}

// normalGraph reads a frame of features "x" and the mean and the inverse deviation of each group of channels over all frames
// of the video, [groups,1], and gives what a convolution of block i along the time axis reads: normalised, with SiLU, packed.
func (v *vae) normalGraph(i, layer int) family.Graph {
	return v.graph(family.Digest("normal", i, layer), func(w *writer, s *weights.Scope) {
		c := v.channels(s, i)
		n := s.At(v.blocks[i].path, "time_stack", layers[layer].norm)
		x := w.Input("x", dtype.F32, onnx.D(1), onnx.D(c), onnx.Sym("H"), onnx.Sym("W"))
		mean, inverse := w.Input("mean", dtype.F32, onnx.D(groups), onnx.D(1)), w.Input("inverse", dtype.F32, onnx.D(groups), onnx.D(1))
		// One factor and one offset for each channel: features are passed over twice instead of four times.
		scale := w.Mul(w.inGroups(n, "weight", c), inverse)
		shift := w.Sub(w.inGroups(n, "bias", c), w.Mul(scale, mean))
		perChannel := func(p *onnx.Value) *onnx.Value { return w.Reshape(p, onnx.D(1), onnx.D(c), onnx.D(1), onnx.D(1)) }
		h := w.Cast(w.Add(w.Mul(x, perChannel(scale)), perChannel(shift)), w.Target.Compute)
		w.Output("out", w.Cast(w.Packed(w.SiLU(h)), dtype.F32))
	})
}

// alongGraph reads three normalised frames and gives the features after the first convolution of block i along the time axis.
func (v *vae) alongGraph(i int) family.Graph {
	return v.graph(family.Digest("along", i), func(w *writer, s *weights.Scope) {
		h := w.timeConv(s.At(v.blocks[i].path, "time_stack", layers[0].conv), w.frames(v.channels(s, i)))
		w.Output("out", w.Cast(h, dtype.F32))
	})
}

// onwardGraph reads three normalised frames of what alongGraph gives and the features of block i, and gives those of the
// block after it, or the decoded frame before the last convolution along the time axis.
func (v *vae) onwardGraph(i int) family.Graph {
	return v.graph(family.Digest("onward", i), func(w *writer, s *weights.Scope) {
		at := s.At(v.blocks[i].path)
		c := v.channels(s, i)
		h := w.timeConv(at.At("time_stack", layers[1].conv), w.frames(c))
		x := unet.MixedSum(w.Builder, at, w.feature("spatial", c), h)
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
		w.Output("out", w.Cast(w.Resnet(s.At(next.path), x), dtype.F32))
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
		for k, f := range frames {
			frames[k] = w.Packed(f)
		}
		w.Output("out", w.Cast(w.timeConv(at.At("time_mix_conv"), frames), dtype.F32))
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

// inGroups takes a weight of c values for the channels of features, float32 [groups,c/groups] on every device: it meets values
// that are computed once a video.
func (w *writer) inGroups(s *weights.Scope, name string, c int) *onnx.Value {
	r := s.Weight(name, c)
	src := nn.Layout{Entry: r.Entry, DType: dtype.F32, Via: w.Target.Weights}
	return w.Weight(r.Name+".groups", dtype.F32, []int{groups, c / groups}, src)
}

// frames declares the inputs of three frames of c channels.
func (w *writer) frames(c int) []*onnx.Value {
	return []*onnx.Value{w.feature("before", c), w.feature("x", c), w.feature("after", c)}
}

// timeConv is the convolution of scope s along the time axis over three frames, packed, of which the one in the middle is wanted.
func (w *writer) timeConv(s *weights.Scope, frames []*onnx.Value) *onnx.Value {
	w.At(s.Prefix())
	c := frames[0].Dim(1).N
	r := s.Weight("weight", c, c, near, 1, 1)
	taps := make([]*weights.Ref, near)
	for k := range taps {
		taps[k] = tap(r, k)
	}
	return w.PointwiseSum(frames, taps, s.Optional("bias", c))
}

// tap is the part of the weight r [O,I,T,1,1] of a convolution along the time axis that belongs to frame k of its inputs,
// [O,I,1,1].
func tap(r *weights.Ref, k int) *weights.Ref {
	e, sh := r.Entry, r.Entry.Shape
	name, shape, every := fmt.Sprintf("%s[%d]", r.Name, k), []int{sh[0], sh[1], 1, 1}, sh[2]
	if r.Missing() {
		e.Shape = shape
		return &weights.Ref{Name: name, Entry: e}
	}
	const piece = 4096
	read := func(dst []float32, from int) error {
		buf := make([]float32, every*min(piece, len(dst)))
		for len(dst) > 0 {
			n := min(piece, len(dst))
			if err := weights.Range(buf[:every*n], e, every*from); err != nil {
				return err
			}
			for i := range dst[:n] {
				dst[i] = buf[every*i+k]
			}
			dst, from = dst[n:], from+n
		}
		return nil
	}
	c := weights.Computation{Op: fmt.Sprint("tap ", k), DType: e.DType, Parts: []weights.Entry{e}, Read: read}
	return &weights.Ref{Name: name, Entry: weights.Compute(name, shape, c)}
}
