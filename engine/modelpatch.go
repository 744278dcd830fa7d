package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// ModelPatch is the value of MODEL_PATCH links: a network that acts inside a diffusion model.
type ModelPatch struct {
	rt   *Runtime
	file *file
	net  family.PatchNetwork
}

// LoadModelPatch opens the model patch in the file at path.
func (rt *Runtime) LoadModelPatch(path string) (*ModelPatch, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.ModelPatch()
	if err != nil {
		return nil, fmt.Errorf("loading the model patch: %w", err)
	}
	return &ModelPatch{rt: rt, file: f, net: net}, nil
}

// PatchOptions are the inputs of a model patch; inputs that it does not read may be nil.
type PatchOptions struct {
	VAE *VAE
	// Image and Inpaint are [B,H,W,C] in 0…1, Mask is [B,H,W]: 1 where the image is to be kept.
	Image, Inpaint, Mask *tensor.Tensor
	Vision               *family.ImageEncoding
	// Audio is as in family.PatchCall; Mask is then 1 where each speaker is, where several are to be told apart.
	Audio *tensor.Tensor
	// Latent is an image as a latent [B,C,h,w], as EncoderOf's VAE gives it.
	Latent *tensor.Tensor
	// Strength multiplies the residuals of the network. Fade, when set, changes it from step to step.
	Strength float64
	Fade     *Fade
	// Start and End bound the part of the sampling in which it acts, from 0 (noise) to 1 (image).
	Start, End float64
}

// Fade leads the strength of a model patch with the level of noise: from Strength at the sigma From and above to To at zero, linearly. Where
// it is not above zero the patch does not act.
type Fade struct{ From, To float64 }

// strength is the strength at a level of noise; acts is false where the patch does not act.
func (o PatchOptions) strength(sigma float32) (strength float64, acts bool) {
	if o.Fade == nil {
		return o.Strength, true
	}
	s := min(float64(sigma)/o.Fade.From, 1)*(o.Strength-o.Fade.To) + o.Fade.To
	return s, s > 0
}

// Patches names the models that the patch is for, and reports whether it reads PatchOptions.Latent.
func (p *ModelPatch) Patches() (models string, latent bool) {
	_, latent = p.net.(family.EncodingNetwork)
	return p.net.Patches(), latent
}

// EncoderOf returns the VAE that encodes the images of a model patch: v, with the encoder of the patch's file if there is one.
func (p *ModelPatch) EncoderOf(v *VAE) (*VAE, error) {
	net, ok := p.net.(family.EncodingNetwork)
	if !ok || net.Encoder() == nil {
		return v, nil
	}
	return v.replaced(net.Encoder(), p.file)
}

// attachment is a model patch with its images, as a model holds it.
type attachment struct {
	patch *ModelPatch
	PatchOptions

	mu    sync.Mutex
	size  [3]int         // frames, rows and columns that were asked for last
	input *tensor.Tensor // for that size
}

// Attach returns the model with a model patch. It fails when the patch is not for the model.
func (m *Model) Attach(p *ModelPatch, o PatchOptions) (*Model, error) {
	if err := p.net.Fits(m.net); err != nil {
		return nil, fmt.Errorf("patching the %s model %s by %s, which is for %s: %w", m.family.Name(), m.file.Path, p.file.Path, p.net.Patches(), err)
	}
	for _, image := range []*tensor.Tensor{o.Image, o.Inpaint} {
		if image != nil && (len(image.Shape) != 4 || image.Dim(3) < 3 || image.Len() == 0) {
			return nil, fmt.Errorf("patching a model by %s: the image has shape %v, wanted three channels", p.file.Path, image.Shape)
		}
	}
	c := *m
	c.attached = append(c.attached[:len(c.attached):len(c.attached)], &attachment{patch: p, PatchOptions: o})
	return &c, nil
}

// attachments are the model patches for a call with a latent x [N,C,axes…] at a sigma.
func (m *Model) attachments(ctx context.Context, x *tensor.Tensor, sigma float32) ([]family.Attached, error) {
	var out []family.Attached
	for _, a := range m.attached {
		if sigma > float32(m.sampling.PercentToSigma(a.Start)) || sigma < float32(m.sampling.PercentToSigma(a.End)) {
			continue
		}
		strength, acts := a.strength(sigma)
		if !acts {
			continue
		}
		frames := 1
		if len(x.Shape) == 5 {
			frames = x.Dim(2)
		}
		input, err := a.inputFor(ctx, m.LatentFormat(), [3]int{frames, x.Dim(-2), x.Dim(-1)})
		if err != nil {
			return nil, fmt.Errorf("patching the model by %s: %w", a.patch.file.Path, err)
		}
		out = append(out, family.Attached{Net: a.patch.net, Input: input, Mask: a.Mask, Strength: float32(strength)})
	}
	return out, nil
}

// inputFor returns the network's input for latents of a size, computed once per size.
func (a *attachment) inputFor(ctx context.Context, format sampling.LatentFormat, size [3]int) (*tensor.Tensor, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.input != nil && a.size == size {
		return a.input, nil
	}
	c := family.PatchCall{Latent: a.Latent, Format: format, Frames: size[0], Height: size[1], Width: size[2], Vision: a.Vision, Audio: a.Audio, Encode: a.encode, EncodeVideo: a.encodeVideo, Image: rgb(a.Image), Inpaint: rgb(a.Inpaint)}
	if a.VAE != nil {
		c.Side, c.Pace = a.VAE.Downscale(), a.VAE.Pace()
	}
	if a.Mask != nil {
		var err error
		if c.Mask, err = a.Mask.Reshape(-1, 1, a.Mask.Dim(-2), a.Mask.Dim(-1)); err != nil {
			return nil, err
		}
	}
	input, err := a.patch.net.Input(ctx, a.patch.rt.runner(family.RoleControl, false, a.patch.file), c)
	if err != nil {
		return nil, err
	}
	a.size, a.input = size, input
	return input, nil
}

// rgb returns the first three channels of images.
func rgb(images *tensor.Tensor) *tensor.Tensor {
	if images == nil || images.Dim(3) == 3 {
		return images
	}
	out := tensor.New(images.Dim(0), images.Dim(1), images.Dim(2), 3)
	for i := range out.Len() / 3 {
		copy(out.Data[3*i:3*i+3], images.Data[i*images.Dim(3):])
	}
	return out
}

// errNoVAE is for model patches that read images.
var errNoVAE = errors.New("there is no VAE to encode an image: connect one")

// encodeVideo encodes the frames of a video [T,H,W,3] as a latent [1,C,T',h,w].
func (a *attachment) encodeVideo(ctx context.Context, frames *tensor.Tensor) (*tensor.Tensor, error) {
	if a.VAE == nil {
		return nil, errNoVAE
	}
	return a.VAE.Encode(ctx, frames)
}

// encode encodes images [B,H,W,3] one by one as latents [B,C,h,w].
func (a *attachment) encode(ctx context.Context, images *tensor.Tensor) (*tensor.Tensor, error) {
	if a.VAE == nil {
		return nil, errNoVAE
	}
	var out *tensor.Tensor
	for b := range images.Dim(0) {
		z, err := a.VAE.Encode(ctx, images.Slice(b, b+1))
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = tensor.New(images.Dim(0), z.Dim(1), z.Dim(-2), z.Dim(-1))
		}
		copy(out.Index(b).Data, z.Data)
	}
	return out, nil
}

// Seconds predicts by a model patch how long the video of a text encoding should be; see family.DurationNetwork.
func (m *Model) Seconds(ctx context.Context, p *ModelPatch, c Cond) (float64, error) {
	net, ok := p.net.(family.DurationNetwork)
	if !ok {
		return 0, fmt.Errorf("predicting the duration: %s is no duration head, but for %s: load one with ModelPatchLoader", p.file.Path, p.net.Patches())
	}
	s, err := net.Seconds(ctx, p.rt.runner(family.RoleControl, false, p.file), m.net, m.runner(), &sampling.Cond{Tokens: c.Tokens, Values: c.Values})
	if err != nil {
		return 0, fmt.Errorf("predicting the duration by %s for the %s model %s: %w", p.file.Path, m.family.Name(), m.file.Path, err)
	}
	return s, nil
}
