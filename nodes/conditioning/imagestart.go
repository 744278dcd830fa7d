package conditioning

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

// imageStart is an image as models read it that make a video or other views of it.
type imageStart struct {
	// embeds is the projected encoding of the image, [1,images,width], latent its latent.
	embeds, latent *tensor.Tensor
}

// startOf encodes images for such a model: whole by the image encoder, scaled to width x height and with the given amount
// of noise by the VAE. The noise is the same each time.
func startOf(ctx *nodes.Context, vision *engine.ImageEncoder, images *tensor.Tensor, vae *engine.VAE, width, height int, noise float64) (imageStart, error) {
	var start imageStart
	switch {
	case vision == nil:
		return start, nodes.Errorf("AttributeError", "encoding the image: there is no image encoder: clip_vision is None, as from a checkpoint that holds none; connect a CLIPVisionLoader")
	case vae == nil:
		return start, nodes.Errorf("AttributeError", "encoding the image: there is no VAE. A checkpoint without one was loaded; add a node that loads it from its own file")
	case images == nil || len(images.Shape) != 4 || images.Len() == 0 || images.Dim(3) < 3:
		return start, nodes.Errorf("ValueError", "encoding the image: the input init_image is not an image [batch, height, width, channels]")
	}
	encoding, err := vision.Encode(ctx, images, true)
	if err != nil {
		return start, err
	}
	if encoding.Embeds == nil || len(encoding.Embeds.Shape) != 2 {
		return start, nodes.Errorf("ValueError", "encoding the image: clip_vision gives no projected encoding: use the image encoder that belongs to the model")
	}
	start.embeds = &tensor.Tensor{Shape: append([]int{1}, encoding.Embeds.Shape...), Data: encoding.Embeds.Data}
	pixels, err := imaging.UpscaleImage(images, width, height, "bilinear", "center")
	if err != nil {
		return start, fmt.Errorf("encoding the image: %w", err)
	}
	if noise > 0 {
		pixels = noisy(pixels, noise)
	}
	start.latent, err = vae.Encode(ctx, pixels)
	return start, err
}

// noisy returns the color channels of images with noise of the given strength.
func noisy(t *tensor.Tensor, strength float64) *tensor.Tensor {
	const colors = 3
	out := tensor.New(t.Dim(0), t.Dim(1), t.Dim(2), colors)
	torchrand.New(0).Randn(out.Data)
	for i := range out.Data {
		out.Data[i] = t.Data[i/colors*t.Dim(3)+i%colors] + out.Data[i]*float32(strength)
	}
	return out
}

// entries returns the positive and the negative conditioning of the image: the negative one sees zeros in its place. Both
// carry values.
func (s imageStart) entries(positive *tensor.Tensor, values map[string]any) (pos, neg engine.Conditioning) {
	entry := func(tokens, image *tensor.Tensor) engine.Conditioning {
		return engine.Conditioning{engine.Cond{Tokens: tokens}.With(values).With(map[string]any{"concat_latent_image": image})}
	}
	return entry(positive, s.latent), entry(tensor.New(s.embeds.Shape...), tensor.New(s.latent.Shape...))
}

// withLatent returns the conditionings with an empty latent of the given number of rows for width x height pixels.
func withLatent(pos, neg engine.Conditioning, l engine.Latent, rows, width, height int) (nodes.Result, error) {
	const channels, downscale = 4, 8
	r, err := latent.Empty("latents", l, rows, channels, height/downscale, width/downscale)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(pos, neg, r.Values[0]), nil
}
