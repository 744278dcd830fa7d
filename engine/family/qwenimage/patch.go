package qwenimage

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

func init() { family.Register(patchKind{}) }

// patchKind registers DiffSynth's ControlNets of Qwen-Image, which act after every block.
type patchKind struct{}

// Name implements family.Family.
func (patchKind) Name() string { return "DiffSynth ControlNet for Qwen-Image" }

// Rank implements family.Family.
func (patchKind) Rank() int { return 20 }

// Patch is one of DiffSynth's ControlNets.
type Patch struct {
	// Source holds the network's tensors.
	Source weights.Source
	// Dim is the width of a token, Token that of a token of the image's latent, Blocks is the number of blocks.
	Dim, Token, Blocks int
}

// ReadPatch implements family.ModelPatch.
func (patchKind) ReadPatch(src weights.Source) (family.PatchNetwork, error) {
	s := weights.NewScope(src)
	if !s.Has("controlnet_blocks.0.y_rms.weight") {
		return nil, nil
	}
	in := s.Shape("img_in.weight")
	plain := latents.Wan21.Channels * patchArea
	if len(in) != 2 || in[1] < plain || (in[1]-plain)%patchArea != 0 {
		return nil, fmt.Errorf("img_in.weight is %v, wanted tokens of at least %d values", in, plain)
	}
	return &Patch{Source: src, Dim: in[0], Token: in[1], Blocks: s.Count("controlnet_blocks")}, nil
}

// patchArea is the number of latent cells of a token.
const patchArea = 4

// Patches implements family.PatchNetwork.
func (*Patch) Patches() string { return "Qwen-Image" }

// Weights implements family.PatchNetwork.
func (p *Patch) Weights() weights.Source { return p.Source }

// Fits implements family.PatchNetwork.
func (p *Patch) Fits(d family.Denoiser) error {
	m, ok := d.(*Model)
	switch {
	case !ok || m.Patch != side:
		return errors.New("the model is of another family")
	case m.Dim != p.Dim:
		return fmt.Errorf("its tokens have width %d, and those of the model %d", p.Dim, m.Dim)
	}
	return nil
}

// Input implements family.PatchNetwork: the tokens of the image's latent, with a mask where the network reads one. Upstream:
// DiffSynthCnetPatch.
func (p *Patch) Input(ctx context.Context, _ family.Runner, c family.PatchCall) (*tensor.Tensor, error) {
	if c.Image == nil {
		return nil, errors.New("it needs an image: connect one")
	}
	if c.Image.Dim(0) != 1 {
		return nil, fmt.Errorf("it takes one image, and there are %d", c.Image.Dim(0))
	}
	image, err := c.Scaled(c.Image)
	if err != nil {
		return nil, err
	}
	z, err := c.Encode(ctx, image)
	if err != nil {
		return nil, err
	}
	if z.Dim(1) != latents.Wan21.Channels {
		return nil, fmt.Errorf("the VAE makes latents of %d channels, wanted %d: connect the VAE of Qwen-Image", z.Dim(1), latents.Wan21.Channels)
	}
	z = latents.Wan21.In(z)
	if more := p.Token/patchArea - z.Dim(1); more > 0 {
		mask, err := p.mask(c.Mask, more, z)
		if err != nil {
			return nil, err
		}
		z = dit.Channels(z, mask)
	}
	tokens, _, err := dit.Patchify(z, 2, tensor.ChannelsFirst)
	return tokens, err
}

// mask returns the given number of channels of a mask for a latent, or ones without a mask.
func (p *Patch) mask(mask *tensor.Tensor, channels int, z *tensor.Tensor) (*tensor.Tensor, error) {
	if mask == nil {
		out := tensor.New(1, channels, z.Dim(2), z.Dim(3))
		for i := range out.Data {
			out.Data[i] = 1
		}
		return out, nil
	}
	if channels != 1 || mask.Dim(0) != 1 {
		return nil, fmt.Errorf("%d masks do not fit a network that reads %d", mask.Dim(0), channels)
	}
	return imaging.Upscale(mask, z.Dim(3), z.Dim(2), "bilinear", "none")
}

// patched adds the results of DiffSynth's ControlNets for the image tokens of img after block i. Upstream:
// BlockWiseControlBlock.
func (n network) patched(s *weights.Scope, v variant, hints []*onnx.Value, strengths []*onnx.Value, img *onnx.Value, i int) *onnx.Value {
	for k, blocks := range v.Patches {
		if i >= blocks {
			continue
		}
		b := s.At(dit.AttachedName(k), "controlnet_blocks").Index(i)
		img = dit.OnFirst(n.Builder, img, onnx.D(0), onnx.Sym("X"), func(x *onnx.Value) *onnx.Value {
			y := n.Add(n.RMSNorm(b.At("x_rms"), x, eps), n.RMSNorm(b.At("y_rms"), hints[k], eps))
			y = n.Linear(b.At("output_proj"), n.Gelu(n.Linear(b.At("input_proj"), y, n.c.Dim), false), n.c.Dim)
			return n.Add(x, n.Mul(y, strengths[k]))
		})
	}
	return img
}

// attach adds the model patches of a call to the inputs of the graph.
func (p *prepared) attach(list []family.Attached, tokens int) error {
	for k, a := range list {
		net, ok := a.Net.(*Patch)
		if !ok {
			return fmt.Errorf("%T is no patch of it", a.Net)
		}
		if a.Input.Dim(1) != tokens {
			return fmt.Errorf("a patch has %d tokens, and the image %d", a.Input.Dim(1), tokens)
		}
		p.v.Patches = append(p.v.Patches, net.Blocks)
		p.v.Tokens = append(p.v.Tokens, net.Token)
		p.in = append(p.in, dit.AttachedValues(k, a)...)
	}
	return nil
}
