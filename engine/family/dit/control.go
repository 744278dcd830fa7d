package dit

import (
	"errors"
	"fmt"
	"strconv"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// ErrOfUNet is for residuals of a ControlNet of U-Nets that meet a transformer.
var ErrOfUNet = errors.New("the ControlNet is for U-Nets, and the model is a transformer")

// CheckWidth fails when residuals [N,tokens,C] are not of a width.
func CheckWidth(width int, lists ...[]*tensor.Tensor) error {
	for _, list := range lists {
		for i, t := range list {
			switch {
			case t == nil:
			case len(t.Shape) != 3:
				return ErrOfUNet
			case t.Dim(2) != width:
				return fmt.Errorf("the ControlNet adds tokens of width %d to block %d, and those of the model have %d", t.Dim(2), i, width)
			}
		}
	}
	return nil
}

// Spread returns the residuals of a model with the given number of blocks: those of a ControlNet of fewer blocks, each
// repeated for a run of the model's blocks, or all of them over and over when around is set. Upstream:
// ControlNetFlux.forward_orig.
func Spread(own []*tensor.Tensor, blocks int, around bool) []*tensor.Tensor {
	if len(own) == 0 {
		return nil
	}
	repeat := (blocks + len(own) - 1) / len(own)
	out := make([]*tensor.Tensor, blocks)
	for i := range out {
		if around {
			out[i] = own[i%len(own)]
		} else {
			out[i] = own[i/repeat]
		}
	}
	return out
}

// HintConvolutions converts an image [B,C,8h,8w] to the size of latents by the convolutions 0, 2, 4, … of a torch Sequential at s
// with a SiLU between them. Those that halves lists by their place among the convolutions halve the size.
func HintConvolutions(b *nn.Builder, s *weights.Scope, h *onnx.Value, halves ...int) *onnx.Value {
	n := 0
	for s.Has(strconv.Itoa(2*n) + ".weight") {
		n++
	}
	for i := range n {
		conv := s.Index(2 * i)
		out, kernel := h.Dim(1).N, 3
		if sh := conv.Shape("weight"); len(sh) == 4 {
			out, kernel = sh[0], sh[2]
		}
		pad := kernel / 2
		window := onnx.Window{Stride: 1, Pads: [4]int{pad, pad, pad, pad}}
		for _, k := range halves {
			if k == i {
				window.Stride = 2
			}
		}
		if h = b.Conv2d(conv, h, out, kernel, window); i < n-1 {
			h = b.SiLU(h)
		}
	}
	return h
}
