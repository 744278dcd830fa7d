package sampling

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// blankInpaint is the latent of a black picture: what an inpainting model reads when there is no mask.
var blankInpaint = [4]float32{0.8223, -0.6876, 0.6364, 0.1380}

// concatInput returns the channels that the network reads beside the noisy latent, nil for an ordinary network. latent
// is scaled for the network; mask may be nil. Upstream: BaseModel.concat_cond, IP2P.concat_cond.
func concatInput(kind Concat, c *Cond, f LatentFormat, shape []int, latent, mask *tensor.Tensor) (*tensor.Tensor, error) {
	switch kind {
	case ConcatEdit:
		if c.ConcatLatent == nil {
			return tensor.New(shape...), nil
		}
		return fitLatent(c.ConcatLatent, shape)
	case ConcatInpaint:
		return inpaintInput(c, f, shape, latent, mask)
	}
	return nil, nil
}

func inpaintInput(c *Cond, f LatentFormat, shape []int, latent, mask *tensor.Tensor) (*tensor.Tensor, error) {
	if c.ConcatMask != nil {
		mask = c.ConcatMask
	}
	var err error
	maskPart := tensor.New(append([]int{shape[0], 1}, shape[2:]...)...)
	picture := tensor.New(shape...)
	if mask == nil {
		for i := range maskPart.Data {
			maskPart.Data[i] = 1
		}
		cells := tensor.Count(shape[2:])
		for i := range picture.Data {
			picture.Data[i] = 1
			if ch := i / cells % shape[1]; ch < len(blankInpaint) {
				picture.Data[i] = blankInpaint[ch]
			}
		}
	} else {
		if c.ConcatLatent != nil {
			latent = f.In(c.ConcatLatent)
		}
		if picture, err = fitLatent(latent, shape); err != nil {
			return nil, err
		}
		if maskPart, err = fitConcatMask(mask, shape); err != nil {
			return nil, err
		}
	}
	out := tensor.New(append([]int{shape[0], 1 + shape[1]}, shape[2:]...)...)
	for b := range shape[0] {
		row := out.Index(b).Data
		n := copy(row, maskPart.Index(b).Data)
		copy(row[n:], picture.Index(b).Data)
	}
	return out, nil
}

// fitLatent scales a latent to the run's, cutting it to the same proportions, and picks rows to match.
func fitLatent(x *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
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
	return pickRows(x, shape[0]), nil
}

// fitConcatMask returns a mask [B,1,H,W] of zeros and ones in the run's size.
func fitConcatMask(mask *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	if len(mask.Shape) < 2 || len(mask.Shape) > 4 || len(shape) != 4 {
		return nil, fmt.Errorf("reading the inpainting mask: shape %v does not fit latents of shape %v", mask.Shape, shape)
	}
	if len(mask.Shape) == 4 && mask.Dim(1) > 1 { // the first channel stands for all
		one := tensor.New(mask.Dim(0), mask.Dim(2), mask.Dim(3))
		for b := range mask.Dim(0) {
			copy(one.Index(b).Data, mask.Index(b).Index(0).Data)
		}
		mask = one
	}
	planes, err := mask.Reshape(-1, 1, mask.Dim(-2), mask.Dim(-1))
	if err != nil {
		return nil, fmt.Errorf("reading the inpainting mask: %w", err)
	}
	if planes.Dim(2) != shape[2] || planes.Dim(3) != shape[3] {
		if planes, err = imaging.Upscale(planes, shape[3], shape[2], "bilinear", "center"); err != nil {
			return nil, fmt.Errorf("scaling the inpainting mask: %w", err)
		}
	}
	planes = apply(planes, func(v float32) float32 { return float32(math.RoundToEven(float64(v))) })
	return pickRows(planes, shape[0]), nil
}

// pickRows spreads the rows of x evenly over n rows. Upstream: resize_to_batch_size.
func pickRows(x *tensor.Tensor, n int) *tensor.Tensor {
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
