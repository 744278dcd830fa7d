package sdxl

import (
	"fmt"

	"comfygo/engine/family/unet"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// embedded is the width of the embedding of each number in the vector.
const embedded = 256

// vector returns the pooled text encoding with the embeddings of the image's size, its crop and the size that is aimed at
// (upstream: model_base.py SDXL.encode_adm; Podell et al. 2023, arXiv:2307.01952).
func vector(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	s, err := sizesOf(c, r)
	if err != nil {
		return nil, err
	}
	return pooledWith(c, s.height, s.width, s.cropHeight, s.cropWidth, s.targetHeight, s.targetWidth)
}

// The aesthetic scores of the two sides where a prompt states none.
const (
	positiveScore = 6
	negativeScore = 2.5
)

// refinerVector is vector with an aesthetic score in place of the size that is aimed at (upstream: SDXLRefiner.encode_adm).
func refinerVector(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
	s, err := sizesOf(c, r)
	if err != nil {
		return nil, err
	}
	score := float64(positiveScore)
	if r.Negative {
		score = negativeScore
	}
	if _, given := c.Values[sampling.KeyAesthetic]; given {
		if score, err = sampling.Value[float64](c, sampling.KeyAesthetic); err != nil {
			return nil, err
		}
	}
	return pooledWith(c, s.height, s.width, s.cropHeight, s.cropWidth, score)
}

// pooledWith appends the embeddings of numbers to each row of the pooled text encoding.
func pooledWith(c *sampling.Cond, numbers ...float64) (*tensor.Tensor, error) {
	if c.Pooled == nil || len(c.Pooled.Shape) != 2 {
		return nil, fmt.Errorf("reading a conditioning entry: it has no pooled text encoding, which this model needs: connect one made by the text encoders of the model's family")
	}
	var tail []float32
	for _, n := range numbers {
		tail = unet.TimestepEmbedding(tail, n, embedded)
	}
	rows, w := c.Pooled.Dim(0), c.Pooled.Dim(1)
	out := tensor.New(rows, w+len(tail))
	for i := range rows {
		n := copy(out.Index(i).Data, c.Pooled.Index(i).Data)
		copy(out.Index(i).Data[n:], tail)
	}
	return out, nil
}

// sizes are the numbers that an entry states, in pixels.
type sizes struct {
	width, height, cropWidth, cropHeight, targetWidth, targetHeight float64
}

// sizesOf reads the sizes of an entry; without them they are the latent's, uncropped.
func sizesOf(c *sampling.Cond, r sampling.Request) (sizes, error) {
	const side = 8 // pixels per latent cell
	s := sizes{width: float64(r.Shape[len(r.Shape)-1] * side), height: float64(r.Shape[len(r.Shape)-2] * side)}
	read := func(key string, to *float64) error {
		if _, given := c.Values[key]; !given {
			return nil
		}
		v, err := sampling.Value[int](c, key)
		*to = float64(v)
		return err
	}
	if err := read(sampling.KeyWidth, &s.width); err != nil {
		return s, err
	}
	if err := read(sampling.KeyHeight, &s.height); err != nil {
		return s, err
	}
	s.targetWidth, s.targetHeight = s.width, s.height
	for key, to := range map[string]*float64{
		sampling.KeyCropWidth: &s.cropWidth, sampling.KeyCropHeight: &s.cropHeight,
		sampling.KeyTargetWidth: &s.targetWidth, sampling.KeyTargetHeight: &s.targetHeight,
	} {
		if err := read(key, to); err != nil {
			return s, err
		}
	}
	return s, nil
}

// editInput returns the latent of the image to edit. Models of the EDM kind read it as the network reads latents, others as
// the VAE gives it (upstream: SDXL_instructpix2pix).
func editInput(m *unet.Model) func(*sampling.Cond, sampling.Request) (*tensor.Tensor, error) {
	return func(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error) {
		x, err := unet.EditInput(c, r)
		if err != nil || m.Type != sampling.VPredictionEDM {
			return x, err
		}
		return Latent.In(x), nil
	}
}
