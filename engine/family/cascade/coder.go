package cascade

import (
	"strconv"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

// readCoder reads the encoder of images for stage C, the network that previews its latents, or both (upstream:
// ldm/cascade/stage_c_coder.py). Each also lies alone in a file, without prefix.
func readCoder(src weights.Source) (family.Autoencoder, error) {
	const first, block = "backbone.1.0.block.0.1.running_mean", "blocks.11.running_mean"
	if _, control := src.Lookup("projections.0.0.weight"); control { // it has the same backbone
		return nil, nil
	}
	for key, prefix := range map[string]string{first: "encoder.", block: "previewer."} {
		if _, ok := src.Lookup(key); ok {
			src = layout.Renamed(src, func(name string) string { return prefix + name })
			break
		}
	}
	s := weights.NewScope(src)
	encodes, decodes := s.Has("encoder."+first), s.Has("previewer."+block)
	if !encodes && !decodes {
		return nil, nil
	}
	const channels, smaller, larger = 16, 32, 8
	v := &autoencoder{sources: []weights.Source{src}, info: family.VAEInfo{Channels: channels, Downscale: smaller, Upscale: larger, CanEncode: encodes, CanDecode: decodes}}
	if encodes {
		v.encodeFloats = 64
		v.encoder = half("vae encoder", src, "pixels", rgb, smaller, func(w *layers, s *weights.Scope, x *onnx.Value) *onnx.Value {
			return w.efficientNet(s.At("encoder"), x)
		})
	} else {
		v.info.Downscale = larger
	}
	if decodes {
		width := groupsOf(s.Shape("previewer.blocks.21.weight"))
		v.decodeFloats = 4 * width
		v.decoder = half("vae decoder", src, "z", channels, 1, func(w *layers, s *weights.Scope, x *onnx.Value) *onnx.Value {
			return w.previewer(s.At("previewer", "blocks"), x)
		})
	}
	return v, nil
}

// groupsOf is the number of output channels of a weight.
func groupsOf(shape []int) int {
	if len(shape) == 0 {
		return 1
	}
	return shape[0]
}

// previewer decodes latents to images in -1…1 that are eight times as large.
func (w *layers) previewer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	last := 0
	for _, child := range s.Children() {
		if n, err := strconv.Atoi(child); err == nil {
			last = max(last, n)
		}
	}
	for i := range last + 1 {
		l := s.Index(i)
		if !l.Has("weight") || l.Has("running_mean") {
			continue
		}
		k := l.Shape("weight")
		if len(k) == 4 && k[2] == 2 {
			x = w.transposed(l, x)
		} else {
			x = w.plain(l, x)
		}
		if norm := s.Index(i + 2); norm.Has("running_mean") {
			x = w.batchNorm(norm, w.Gelu(x, false))
		}
	}
	return w.Mul(w.Sub(x, w.Const(0.5)), w.Const(2))
}

// strides are the strides of the stages of EfficientNetV2-S (Tan and Le 2021, arXiv:2104.00298), which its shapes do not
// tell.
var strides = []int{2, 1, 2, 2, 2, 1, 2, 1}

// efficientNet encodes images in -1…1 to latents that are 32 times smaller.
func (w *layers) efficientNet(s *weights.Scope, x *onnx.Value) *onnx.Value {
	x = w.Add(w.Mul(x, w.Const(0.5)), w.Const(0.5))
	x = w.Div(w.Sub(x, w.shaped(s, "mean", []int{rgb}, 1, rgb, 1, 1)), w.shaped(s, "std", []int{rgb}, 1, rgb, 1, 1))
	return w.plain(s.At("mapper", "0"), w.features(s.At("backbone"), x))
}

// features are the stages of EfficientNetV2-S.
func (w *layers) features(net *weights.Scope, x *onnx.Value) *onnx.Value {
	for i := range net.Count("") {
		stage, stride := net.Index(i), 1
		if i < len(strides) {
			stride = strides[i]
		}
		if stage.Has("0.weight") {
			x = w.activated(stage, x, stride)
			continue
		}
		for j := range stage.Count("") {
			if j > 0 {
				stride = 1
			}
			x = w.inverted(stage.Index(j).At("block"), x, stride)
		}
	}
	return x
}

// activated is a convolution with batch norm and SiLU.
func (w *layers) activated(s *weights.Scope, x *onnx.Value, stride int) *onnx.Value {
	return w.SiLU(w.normed(s, x, stride))
}

// normed is a convolution, or a depthwise one, with batch norm.
func (w *layers) normed(s *weights.Scope, x *onnx.Value, stride int) *onnx.Value {
	if k := s.Shape("0.weight"); len(k) == 4 && k[1] == 1 && x.Dim(1).N == k[0] {
		p := (k[3] - 1) / 2
		return w.ConvND(s.At("0"), x, k[0], k[2:], k[0], onnx.WindowND{Stride: []int{stride, stride}, Before: []int{p, p}, After: []int{p, p}})
	}
	return w.strided(s.At("0"), x, stride)
}

// inverted is an inverted residual block: wider features of one convolution, or of one over the channels, a depthwise one
// and a gate for each channel, lead back to the width of the stage.
func (w *layers) inverted(s *weights.Scope, x *onnx.Value, stride int) *onnx.Value {
	in := x
	switch {
	case s.Has("2.fc1.weight"):
		x = w.activated(s.At("1"), w.activated(s.At("0"), x, 1), stride)
		x = w.normed(s.At("3"), w.gated(s.At("2"), x), 1)
	case s.Has("1.0.weight"):
		x = w.normed(s.At("1"), w.activated(s.At("0"), x, stride), 1)
	default:
		x = w.activated(s.At("0"), x, stride)
	}
	if stride == 1 && in.Dim(1) == x.Dim(1) {
		return w.Add(x, in)
	}
	return x
}

// gated multiplies each channel by a small network's result for the means of all channels.
func (w *layers) gated(s *weights.Scope, x *onnx.Value) *onnx.Value {
	c := x.Dim(1).N
	m := w.SiLU(w.Linear(s.At("fc1"), w.ReduceMean(x, false, 2, 3), groupsOf(s.Shape("fc1.weight"))))
	return w.Mul(x, w.Unsqueeze(w.Sigmoid(w.Linear(s.At("fc2"), m, c)), 2, 3))
}
