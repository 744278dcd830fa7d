// Package unet holds the U-Net that the families of Stable Diffusion share: config, graph, inputs and LoRA keys. It
// registers no family itself.
package unet

import (
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// blankInpaint is the latent of a black image, which an inpainting model reads without a mask.
var blankInpaint = [4]float32{0.8223, -0.6876, 0.6364, 0.1380}

// EditInput returns the latent [N,C,H,W] of the image to edit, which InstructPix2Pix models read beside the noisy one;
// zeros without an image. Upstream: IP2P.concat_cond.
func EditInput(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	image, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatLatent)
	if err != nil {
		return nil, err
	}
	if image == nil {
		return tensor.New(r.Shape...), nil
	}
	return sampling.FitLatent(image, r.Shape)
}

// InpaintInput returns the additional input of inpainting models: a mask and the latent of the masked image, [N,1+C,H,W].
// Upstream: BaseModel.concat_cond.
func InpaintInput(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	given, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatMask)
	if err != nil {
		return nil, err
	}
	image, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatLatent)
	if err != nil {
		return nil, err
	}
	shape, latent, mask := r.Shape, r.Latent, r.Mask
	if given != nil {
		mask = given
	}
	maskPart := tensor.New(append([]int{shape[0], 1}, shape[2:]...)...)
	pixels := tensor.New(shape...)
	if mask == nil {
		for i := range maskPart.Data {
			maskPart.Data[i] = 1
		}
		cells := tensor.Count(shape[2:])
		for i := range pixels.Data {
			pixels.Data[i] = 1
			if ch := i / cells % shape[1]; ch < len(blankInpaint) {
				pixels.Data[i] = blankInpaint[ch]
			}
		}
	} else {
		if image != nil {
			latent = r.Format.In(image)
		}
		if pixels, err = sampling.FitLatent(latent, shape); err != nil {
			return nil, err
		}
		if maskPart, err = sampling.FitMask(mask, shape); err != nil {
			return nil, err
		}
	}
	out := tensor.New(append([]int{shape[0], 1 + shape[1]}, shape[2:]...)...)
	for b := range shape[0] {
		row := out.Index(b).Data
		n := copy(row, maskPart.Index(b).Data)
		copy(row[n:], pixels.Index(b).Data)
	}
	return out, nil
}
