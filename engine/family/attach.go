package family

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

// ModelPatch is a family of model patches: networks that act inside a diffusion model's graph, block by block.
type ModelPatch interface {
	Family
	// ReadPatch reads a network; src is the whole file. It returns nil if the file holds none of this family.
	ReadPatch(src weights.Source) (PatchNetwork, error)
}

// PatchNetwork is a model patch that was read from a file. It is immutable.
type PatchNetwork interface {
	// Patches names the models that the network is for, for errors.
	Patches() string
	// Fits fails when the network is not for a diffusion model.
	Fits(d Denoiser) error
	// Input makes the tensor that the network reads during the calls for latents of one size.
	Input(ctx context.Context, run Runner, c PatchCall) (*tensor.Tensor, error)
	// Weights is the source of the network's tensors, without prefix.
	Weights() weights.Source
}

// Accompanied is implemented by diffusion models whose estimate counts the model patches that act in a call.
type Accompanied interface {
	Denoiser
	// MemoryWith is Memory for calls with model patches, whose inputs may be nil.
	MemoryWith(shape []int, tokens int, attached []Attached) int64
}

// MemoryWith estimates a call of a model with model patches; see Denoiser.Memory.
func MemoryWith(d Denoiser, shape []int, tokens int, attached []Attached) int64 {
	if a, ok := d.(Accompanied); ok && len(attached) > 0 {
		return a.MemoryWith(shape, tokens, attached)
	}
	return d.Memory(shape, tokens)
}

// EncodingNetwork is a model patch that brings an encoder of its own for the images that it reads.
type EncodingNetwork interface {
	PatchNetwork
	// Encoder are tensors that take the place of those of the VAE of the same names; nil if the file holds none.
	Encoder() weights.Source
}

// DurationNetwork is a model patch that does not act in a model, but predicts how long a video should be.
type DurationNetwork interface {
	PatchNetwork
	// Seconds predicts the duration in seconds from the first row of a text encoding. run runs the network, own the networks of the model.
	Seconds(ctx context.Context, run Runner, d Denoiser, own Runner, c *sampling.Cond) (float64, error)
}

// PatchCall holds the inputs of a model patch; a nil field is not connected.
type PatchCall struct {
	// Height and Width are those of the latent, Frames the number of its frames, 1 for images.
	Height, Width, Frames int
	// Image and Inpaint are images [B,H,W,3] in 0…1, of any size.
	Image, Inpaint *tensor.Tensor
	// Latent is an image as a latent [B,C,h,w], as the VAE gives it, and Format that of the model's latents.
	Latent *tensor.Tensor
	Format sampling.LatentFormat
	// Side is the number of the VAE's pixels per latent cell along one side.
	Side int
	// Mask is [B,1,H,W] of any size: 1 where the image is kept.
	Mask *tensor.Tensor
	// Pace is the number of the VAE's frames per latent frame after the first one, 0 for a VAE of images.
	Pace int
	// Encode encodes images [B,H,W,3] as latents [B,C,h,w] by the VAE that was connected, EncodeVideo the frames of a video as one latent
	// [1,C,T,h,w].
	Encode, EncodeVideo func(ctx context.Context, images *tensor.Tensor) (*tensor.Tensor, error)
	// Vision is an image as an image encoder gives it.
	Vision *ImageEncoding
	// Audio are windows of encoded speech around each frame of a video [speakers,frames,window,values], of all layers of the encoder.
	Audio *tensor.Tensor
}

// Scaled returns images [B,H,W,3], nil for nil, in the size of the latent's image: the means of areas, cut at the centre to
// the same proportions.
func (c PatchCall) Scaled(images *tensor.Tensor) (*tensor.Tensor, error) {
	if images == nil {
		return nil, nil
	}
	if c.Side == 0 {
		return nil, errors.New("it reads images and there is no VAE to encode them: connect one")
	}
	out, err := imaging.UpscaleImage(images, c.Width*c.Side, c.Height*c.Side, "area", "center")
	if err != nil {
		return nil, fmt.Errorf("scaling the image: %w", err)
	}
	return out, nil
}

// Attached is a model patch that acts in a call of a diffusion model.
type Attached struct {
	Net PatchNetwork
	// Input is what Net.Input made.
	Input *tensor.Tensor
	// Mask is the mask [B,H,W] of any size, nil without one.
	Mask *tensor.Tensor
	// Strength multiplies the residuals of the network.
	Strength float32
}
