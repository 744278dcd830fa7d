package sampling

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// FitLatent returns a latent scaled to the given shape [B,C,axes…], cut at the centre to the same proportions, with its
// rows spread evenly over B. It fails for another rank or number of channels.
func FitLatent(x *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	if len(x.Shape) != len(shape) || x.Dim(1) != shape[1] {
		return nil, fmt.Errorf("reading the latent to inpaint: shape %v does not fit latents of shape %v", x.Shape, shape)
	}
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	if x.Dim(-2) != h || x.Dim(-1) != w {
		var err error
		if x, err = imaging.Upscale(x, w, h, "bilinear", "center"); err != nil {
			return nil, fmt.Errorf("scaling the latent to inpaint: %w", err)
		}
	}
	return PickRows(x, shape[0]), nil
}

// FitMask returns a mask, [H,W], [B,H,W] or [B,C,H,W] of any size, as [B,1,H,W] of zeros and ones for latents of the
// given shape [B,C,H,W]. Latents of videos [B,C,T,H,W] take masks [T,H,W] and [B,C,T,H,W] of their number of frames.
func FitMask(mask *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	axes := len(shape) - 2
	n := len(mask.Shape)
	if axes < 2 || axes > 3 || n < axes || n > len(shape) || axes == 3 && mask.Dim(-3) != shape[2] || mask.Len() == 0 {
		return nil, fmt.Errorf("reading the inpainting mask: shape %v does not fit latents of shape %v", mask.Shape, shape)
	}
	if n == len(shape) && mask.Dim(1) > 1 { // the first channel represents all
		one := tensor.New(append([]int{mask.Dim(0), 1}, mask.Shape[2:]...)...)
		for b := range mask.Dim(0) {
			copy(one.Index(b).Data, mask.Index(b).Index(0).Data)
		}
		mask = one
	}
	planes, err := mask.Reshape(-1, 1, mask.Dim(-2), mask.Dim(-1))
	if err != nil {
		return nil, fmt.Errorf("reading the inpainting mask: %w", err)
	}
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	if planes.Dim(2) != h || planes.Dim(3) != w {
		if planes, err = imaging.Upscale(planes, w, h, "bilinear", "center"); err != nil {
			return nil, fmt.Errorf("scaling the inpainting mask: %w", err)
		}
	}
	planes = apply(planes, func(v float32) float32 { return float32(math.RoundToEven(float64(v))) })
	if planes, err = planes.Reshape(append([]int{-1, 1}, shape[2:]...)...); err != nil {
		return nil, fmt.Errorf("reading the inpainting mask: %w", err)
	}
	return PickRows(planes, shape[0]), nil
}

// PickRows spreads the rows of x evenly over n rows. Upstream: resize_to_batch_size.
func PickRows(x *tensor.Tensor, n int) *tensor.Tensor {
	have := x.Dim(0)
	if have == n {
		return x
	}
	if n <= 1 {
		return x.Slice(0, n)
	}
	out := tensor.New(append([]int{n}, x.Shape[1:]...)...)
	for i := range n {
		at := math.Floor((float64(i) + 0.5) * float64(have) / float64(n))
		if n < have {
			at = math.RoundToEven(float64(i) * (float64(have-1) / float64(n-1)))
		}
		copy(out.Index(i).Data, x.Index(min(int(at), have-1)).Data)
	}
	return out
}
