package sd2

import (
	"errors"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
)

// The widths of the vector that models of unCLIP read: an image encoding of CLIP L or H and the embedding of its sigma,
// which is as wide.
const (
	unclipL = 1536
	unclipH = 2048
)

// noiseLevels is the number of sigmas of image encodings.
const noiseLevels = 1000

// imageVector returns the vector y of the images of an entry; zeros without an image (upstream: model_base.py SD21UNCLIP,
// unclip_adm; Ramesh et al. 2022, arXiv:2204.06125).
func imageVector(width int) func(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	return func(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
		images, err := sampling.Value[[]any](c, sampling.KeyUnCLIP)
		if err != nil {
			return nil, err
		}
		out := tensor.New(1, width)
		half, count := width/2, 0
		noise := make([]float32, half)
		var generator *torchrand.Generator
		for _, entry := range images {
			image, err := imageOf(entry, half)
			if err != nil {
				return nil, err
			}
			for i := range image.embeds.Dim(0) {
				count++
				generator = torchrand.New(r.Seed - 10)
				generator.Randn(noise)
				for k, v := range augmented(image.embeds.Index(i).Data, noise, image.noise) {
					out.Data[k] += v * float32(image.strength)
				}
			}
		}
		if count > 1 {
			const merge = 0.05
			generator.Randn(noise) // upstream draws on from the generator of the last image
			copy(out.Data, augmented(out.Data[:half], noise, merge))
		}
		return out, nil
	}
}

// unclipImage is an image of an entry.
type unclipImage struct {
	embeds          *tensor.Tensor
	strength, noise float64
}

// imageOf reads an image as unCLIPConditioning writes it; width is that of the encoding which the model reads.
func imageOf(entry any, width int) (unclipImage, error) {
	object, ok := entry.(interface{ Get(key string) (any, bool) })
	if !ok {
		return unclipImage{}, fmt.Errorf("reading a conditioning entry: an image of unCLIP is of type %T", entry)
	}
	var image unclipImage
	value := func(key string) any {
		v, _ := object.Get(key)
		return v
	}
	image.strength, _ = value("strength").(float64)
	image.noise, _ = value("noise_augmentation").(float64)
	enc, ok := value("clip_vision_output").(family.ImageEncoding)
	if !ok || enc.Embeds == nil || len(enc.Embeds.Shape) != 2 {
		return image, errors.New("reading a conditioning entry: unCLIP needs the projected output of an image encoder: connect clip_vision_output to CLIP Vision Encode")
	}
	if image.embeds = enc.Embeds; enc.Embeds.Dim(1) != width {
		return image, fmt.Errorf("reading a conditioning entry: the image encoding has width %d, the model reads %d: it comes from another image encoder", enc.Embeds.Dim(1), width)
	}
	return image, nil
}

// augmented adds noise to an image encoding and appends the embedding of the sigma. share is the level as a share of
// the highest.
func augmented(x, noise []float32, share float64) []float32 {
	level := int(math.RoundToEven((noiseLevels - 1) * share))
	keep := alphaBar(level)
	a, b := float32(math.Sqrt(keep)), float32(math.Sqrt(1-keep))
	out := make([]float32, len(x), 2*len(x))
	for i, v := range x {
		out[i] = a*v + b*noise[i]
	}
	return unet.TimestepEmbedding(out, float64(level), len(x))
}

// alphaBar is the cumulative product of alphas at a level of the squared cosine schedule (Nichol and Dhariwal 2021,
// arXiv:2102.09672; upstream: make_beta_schedule squaredcos_cap_v2).
func alphaBar(level int) float64 {
	at := func(i int) float64 {
		c := math.Cos((float64(i)/noiseLevels + 0.008) / 1.008 * math.Pi / 2)
		return c * c
	}
	product := 1.0
	for i := range level + 1 {
		product *= 1 - min(1-at(i+1)/at(i), 0.999)
	}
	return product
}
