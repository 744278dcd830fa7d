package radiance

import (
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// head is the network that computes pixels.
type head struct {
	// tokens is the width of the blocks' tokens, pixel that of a pixel, inner that inside a layer; side is the side of a patch.
	tokens, pixel, inner, side int
	// convolved reports that a convolution over the whole image follows.
	convolved bool
}

// out is the number of values of a pixel that the graph of tiles gives.
func (h head) out() int {
	if h.convolved {
		return h.pixel
	}
	return rgb
}

// write writes the graph of the pixels of patches. Inputs: pixels [N,P²,3], tokens [N,C], places [1,P²,64]. Output: out
// [N,P²,out], normalised. Upstream: chroma_radiance/layers.py NerfEmbedder, NerfGLUBlock, NerfFinalLayer.
func (h head) write(b *nn.Builder, s *weights.Scope) {
	n, area := onnx.Sym("N"), onnx.D(h.side*h.side)
	pixels := dit.Input(b, "pixels", n, area, onnx.D(rgb))
	places := dit.Input(b, "places", onnx.D(1), area, onnx.D(frequencies*frequencies))
	tokens := dit.Input(b, "tokens", n, onnx.D(h.tokens))
	x := b.Concat(2, pixels, b.Expand(places, n, area, places.Dim(2)))
	x = b.Linear(s.At("nerf_image_embedder", "embedder", "0"), x, h.pixel)
	for i := range s.Count("nerf_blocks") {
		x = h.block(b, s.At("nerf_blocks").Index(i), x, tokens)
	}
	if h.convolved {
		x = b.RMSNorm(s.At("nerf_final_layer_conv", "norm"), x, dit.F32Epsilon)
	} else {
		last := s.At("nerf_final_layer")
		x = b.Linear(last.At("linear"), b.RMSNorm(last.At("norm"), x, dit.F32Epsilon), rgb)
	}
	dit.Output(b, "out", x)
}

// block is a gated layer whose matrices, of columns of length one, are computed from each patch's token.
func (h head) block(b *nn.Builder, s *weights.Scope, x, tokens *onnx.Value) *onnx.Value {
	parts := b.Split(b.Linear(s.At("param_generator"), tokens, 3*h.pixel*h.inner), 1, h.pixel*h.inner, h.pixel*h.inner, h.pixel*h.inner)
	matrix := func(i, rows, cols int) *onnx.Value {
		m := b.Reshape(parts[i], x.Dim(0), onnx.D(rows), onnx.D(cols))
		const shortest = 1e-12 // torch's bound for the length
		return b.Div(m, b.Max(b.ReduceL2(m, true, 1), b.Const(shortest)))
	}
	y := b.RMSNorm(s.At("norm"), x, dit.F32Epsilon)
	y = b.SwiGLU(b.MatMul(y, matrix(1, h.pixel, h.inner)), b.MatMul(y, matrix(0, h.pixel, h.inner)))
	return b.Add(x, b.MatMul(y, matrix(2, h.inner, h.pixel)))
}

// writeLast writes the graph of the convolution: x [B,pixel,H,W] to out [B,3,H,W].
func (h head) writeLast(b *nn.Builder, s *weights.Scope) {
	x := dit.Input(b, "x", onnx.Sym("B"), onnx.D(h.pixel), onnx.Sym("H"), onnx.Sym("W"))
	dit.Output(b, "out", b.Conv2d(s.At("nerf_final_layer_conv", "conv"), x, rgb, 3, onnx.Pad1()))
}
