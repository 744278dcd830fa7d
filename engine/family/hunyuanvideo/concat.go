package hunyuanvideo

import (
	"fmt"

	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
)

// concat are the additional input channels of the network, or nil.
func (m *model) concat(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	if m.channels == m.out {
		return nil, nil
	}
	if len(r.Shape) != 5 {
		return nil, fmt.Errorf("sampling: the latent has shape %v, the model reads video latents", r.Shape)
	}
	image, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatLatent)
	if err != nil {
		return nil, err
	}
	noise, err := sampling.Number(c, sampling.KeyNoiseAugment)
	if err != nil {
		return nil, err
	}
	switch m.kind.reads {
	case smallImage:
		return m.lowQuality(image, r, noise)
	case smallVideo:
		return m.lowVideo(image, r, noise)
	}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyConcatMask)
	if err != nil {
		return nil, err
	}
	if mask == nil {
		mask = r.Mask
	}
	if m.kind.reads == someImage {
		return m.someImage(image, mask, r)
	}
	if image == nil {
		image = r.Latent
	} else {
		image = r.Format.In(image)
	}
	if image, err = fitFrames(image, r.Shape, m.out); err != nil {
		return nil, err
	}
	if m.kind.reads == anImage {
		return image, nil
	}
	given := tensor.New(append([]int{r.Shape[0], 1}, r.Shape[2:]...)...)
	if mask != nil {
		if given, err = sampling.FitMask(mask, r.Shape); err != nil {
			return nil, err
		}
		for i, v := range given.Data {
			given.Data[i] = 1 - v
		}
	}
	return dit.Channels(image, given), nil
}

// fitFrames returns a latent with the given number of channels, resized to the size and the number of frames of a latent shape.
// Missing frames are zero; without a latent all frames are zero.
func fitFrames(x *tensor.Tensor, shape []int, channels int) (*tensor.Tensor, error) {
	out := tensor.New(append([]int{shape[0], channels}, shape[2:]...)...)
	if x == nil {
		return out, nil
	}
	if len(x.Shape) != 5 || x.Dim(1) != channels || x.Len() == 0 {
		return nil, fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a video latent of %d channels: it comes from the VAE of another family", sampling.KeyConcatLatent, x.Shape, channels)
	}
	fitted, err := sampling.FitLatent(x, []int{shape[0], channels, x.Dim(2), shape[3], shape[4]})
	if err != nil {
		return nil, err
	}
	size := shape[3] * shape[4]
	frames := min(x.Dim(2), shape[2])
	for plane := range shape[0] * channels {
		copy(out.Data[plane*shape[2]*size:], fitted.Data[plane*x.Dim(2)*size:][:frames*size])
	}
	return out, nil
}

// someImage is the given frames and their mask. Upstream: HunyuanVideo15.concat_cond.
func (m *model) someImage(image, mask *tensor.Tensor, r sampling.Request) (*tensor.Tensor, error) {
	if image != nil {
		image = r.Format.In(image)
	}
	image, err := fitFrames(image, r.Shape, m.out)
	if err != nil {
		return nil, err
	}
	given := tensor.New(append([]int{r.Shape[0], 1}, r.Shape[2:]...)...)
	if mask != nil {
		if given, err = dit.GivenCells(mask, r.Shape); err != nil {
			return nil, err
		}
	}
	return dit.Channels(image, given), nil
}

// kept is the most of a latent that stays when noise is added to it.
const kept = 0.75

// noised mixes values with noise of a generator that is seeded by the run. Upstream: HunyuanImage21Refiner.concat_cond.
func noised(x []float32, share float64, seed uint64) {
	const before = 10
	keep := float32(kept)
	var noise []float32
	if share > 0 {
		keep = float32(min(1-share, kept))
		noise = make([]float32, len(x))
		torchrand.New(seed - before).Randn(noise)
	}
	for i := range x {
		x[i] *= keep
		if noise != nil {
			x[i] += float32(share) * noise[i]
		}
	}
}

// lowQuality is the latent to refine.
func (m *model) lowQuality(image *tensor.Tensor, r sampling.Request, noise float64) (*tensor.Tensor, error) {
	if image == nil {
		return tensor.New(r.Shape...), nil
	}
	if len(image.Shape) != 5 || image.Len() == 0 {
		return nil, fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a latent made by the VAE of the refiner", sampling.KeyConcatLatent, image.Shape)
	}
	fitted, err := sampling.FitLatent(image, append(append([]int{image.Dim(0)}, image.Shape[1:3]...), r.Shape[3:]...))
	if err != nil {
		return nil, err
	}
	x := sampling.PickRows(r.Format.In(fitted), r.Shape[0]).Clone()
	if !tensor.SameShape(x, tensor.New(r.Shape...)) {
		return nil, fmt.Errorf("reading a conditioning entry: its %s becomes a latent of shape %v, the one that is sampled has shape %v", sampling.KeyConcatLatent, x.Shape, r.Shape)
	}
	noised(x.Data, noise, r.Seed)
	return x, nil
}

// lowVideo is the start image, the latent to upscale and masks of both. Upstream: HunyuanVideo15_SR_Distilled.concat_cond.
func (m *model) lowVideo(image *tensor.Tensor, r sampling.Request, noise float64) (*tensor.Tensor, error) {
	extra := m.channels - m.out
	if image == nil {
		return fitFrames(nil, r.Shape, extra)
	}
	x, err := fitFrames(image, r.Shape, extra)
	if err != nil {
		return nil, err
	}
	size := tensor.Count(r.Shape[2:])
	low := make([]float32, 0, r.Shape[0]*m.out*size)
	part := func(b int) []float32 { return x.Index(b).Data[(m.out+1)*size : (2*m.out+1)*size] }
	for b := range r.Shape[0] {
		low = append(low, part(b)...)
	}
	noised(low, noise, r.Seed)
	for b := range r.Shape[0] {
		copy(part(b), low[b*m.out*size:])
	}
	return x, nil
}
