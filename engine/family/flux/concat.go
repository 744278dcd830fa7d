package flux

import (
	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// beside returns the additional channels [N,C,H,W] of a network that reads the given total of channels: the latent of an
// image, and for inpainting a mask whose 8 by 8 pixels a cell are channels. Upstream: Flux.concat_cond.
func (m *Model) beside(c *sampling.Cond, r sampling.Request, channels int) (*tensor.Tensor, error) {
	image, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatLatent)
	if err != nil {
		return nil, err
	}
	if image == nil {
		image = tensor.New(r.Shape...)
	}
	if image, err = sampling.FitLatent(image, r.Shape); err != nil {
		return nil, err
	}
	image = r.Format.In(image)
	if channels <= 2*m.Channels {
		return image, nil
	}
	mask, err := m.mask(c, r)
	if err != nil {
		return nil, err
	}
	return dit.Channels(image, mask), nil
}

// mask is an inpainting mask as channels [N,64,H,W].
func (m *Model) mask(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	const side = 8 // pixels per latent cell
	h, w := r.Shape[2], r.Shape[3]
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatMask)
	if err != nil {
		return nil, err
	}
	if mask == nil {
		mask = r.Mask
	}
	if mask == nil {
		mask = tensor.New(r.Shape[0], 1, h, w)
		for i := range mask.Data {
			mask.Data[i] = 1
		}
	}
	if mask, err = meanChannel(mask); err != nil {
		return nil, err
	}
	if mask, err = imaging.Upscale(mask, w*side, h*side, "bilinear", "center"); err != nil {
		return nil, err
	}
	out := tensor.New(mask.Dim(0), side*side, h, w)
	for b := range mask.Dim(0) {
		from, to := mask.Index(b).Data, out.Index(b).Data
		for i, v := range from {
			y, x := i/(w*side), i%(w*side)
			to[((y%side*side+x%side)*h+y/side)*w+x/side] = v
		}
	}
	return sampling.PickRows(out, r.Shape[0]), nil
}

// meanChannel returns the mean of a mask's channels: [B,C,H,W] or [B,H,W] becomes [B,1,H,W].
func meanChannel(mask *tensor.Tensor) (*tensor.Tensor, error) {
	if len(mask.Shape) < 4 {
		return mask.Reshape(-1, 1, mask.Dim(-2), mask.Dim(-1))
	}
	n, c, cells := mask.Dim(0), mask.Dim(1), mask.Dim(2)*mask.Dim(3)
	out := tensor.New(n, 1, mask.Dim(2), mask.Dim(3))
	for b := range n {
		from, to := mask.Index(b).Data, out.Index(b).Data
		for i := range to {
			sum := 0.0
			for ch := range c {
				sum += float64(from[ch*cells+i])
			}
			to[i] = float32(sum / float64(c))
		}
	}
	return out, nil
}
