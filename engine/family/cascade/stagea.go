package cascade

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// readStageA reads the VAE of stage A, whose images are in 0…1 and whose decoder does not clamp them (upstream:
// ldm/cascade/stage_a.py).
func readStageA(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("vquantizer.codebook.weight") {
		return nil, nil
	}
	first, last := s.Shape("up_blocks.0.0.weight"), s.Shape("out_block.0.weight")
	if len(first) != 4 || len(last) != 4 {
		return nil, fmt.Errorf("its shapes make no VAE: up_blocks.0.0.weight is %v and out_block.0.weight is %v", first, last)
	}
	const shuffled = 2
	v := &autoencoder{
		// A position of the last level holds four pixels and hidden features of four times its width, in some copies.
		decodeFloats: 4 * last[1], encodeFloats: 4 * last[1], sources: []weights.Source{src},
		info: family.VAEInfo{
			Channels: first[1], Downscale: 4, CanDecode: true, CanEncode: s.Has("in_block.1.weight"), Output: func(v float32) float32 { return v },
		},
	}
	v.decoder = half("vae decoder", src, "z", first[1], 1, func(w *layers, s *weights.Scope, x *onnx.Value) *onnx.Value {
		x = w.sequence(s.At("up_blocks"), x, w.transposed)
		return w.PixelShuffle(w.plain(s.At("out_block", "0"), x), shuffled)
	})
	if v.info.CanEncode {
		v.encoder = half("vae encoder", src, "pixels", rgb, v.info.Downscale, func(w *layers, s *weights.Scope, x *onnx.Value) *onnx.Value {
			x = w.Add(w.Mul(x, w.Const(0.5)), w.Const(0.5))
			h, wide := onnx.Sym("H").Times(onnx.D(shuffled)), onnx.Sym("W").Times(onnx.D(shuffled))
			x = w.Transpose(w.Reshape(x, x.Dim(0), x.Dim(1), h, onnx.D(shuffled), wide, onnx.D(shuffled)), 0, 1, 3, 5, 2, 4)
			x = w.plain(s.At("in_block", "1"), w.Reshape(x, x.Dim(0), onnx.D(rgb*shuffled*shuffled), h, wide))
			return w.sequence(s.At("down_blocks"), x, func(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.strided(s, x, 2) })
		})
	}
	return v, nil
}

// sequence runs the layers s.0, s.1, … according to their keys; resize is the one that changes the size.
func (w *layers) sequence(s *weights.Scope, x *onnx.Value, resize func(*weights.Scope, *onnx.Value) *onnx.Value) *onnx.Value {
	for i := range s.Count("") {
		l := s.Index(i)
		switch {
		case l.Has("gammas"):
			x = w.modulated(l, x)
		case l.Has("weight"):
			x = resize(l, x)
		default:
			x = w.plain(l.At("0"), x)
		}
	}
	return x
}

// modulated adds a depthwise convolution and a layer over the channels, each of normalised features that are scaled and
// shifted by learned numbers.
func (w *layers) modulated(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const count = 6
	r := s.Weight("gammas", count)
	gamma := func(i int) *onnx.Value {
		if e, err := r.Entry.Rows(i, 1); err == nil && !r.Missing() {
			return w.Table(&weights.Ref{Name: fmt.Sprintf("%s.%d", r.Name, i), Entry: e})
		}
		return w.Scalar(dtype.F32, 0)
	}
	shifted := func(t *onnx.Value, i int) *onnx.Value {
		n := w.LayerNormPlain(t, epsilon)
		return w.Add(w.Add(n, w.Mul(n, gamma(i))), gamma(i+1))
	}
	c := x.Dim(1).N
	h := w.PadAxes(w.FromTokens(shifted(w.ToTokens(x), 0), x), onnx.Edge, []int{0, 0, 1, 1}, []int{0, 0, 1, 1})
	h = w.ConvND(s.At("depthwise", "1"), h, c, []int{3, 3}, c, onnx.WindowND{})
	x = w.Add(x, w.Mul(h, gamma(2)))
	t := shifted(w.ToTokens(x), 3)
	inner := c
	if sh := s.Shape("channelwise.0.weight"); len(sh) == 2 {
		inner = sh[0]
	}
	t = w.Linear(s.At("channelwise", "2"), w.Gelu(w.Linear(s.At("channelwise", "0"), t, inner), false), c)
	return w.Add(x, w.FromTokens(w.Mul(t, gamma(5)), x))
}
