package conditioning

import (
	"fmt"
	"math"
	"strings"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&TextEncodeQwenImageEdit{})
	nodes.Register(&TextEncodeQwenImageEditPlus{})
}

// The areas in pixels that images are resized to: for the VAE, and for the text encoder of Edit Plus.
const (
	latentArea = 1024 * 1024
	visionArea = 384 * 384
)

// latentStep is the number of pixels that widths and heights for the VAE are multiples of.
const latentStep = 8

// toArea resizes images to an area, with sides that are multiples of step, and keeps their red, green and blue. name is the name of
// the input in errors.
func toArea(name string, images *tensor.Tensor, area, step float64) (*tensor.Tensor, error) {
	if images == nil || len(images.Shape) != 4 || len(images.Data) == 0 || images.Dim(3) < 3 {
		return nil, nodes.Errorf("ValueError", "resizing an image: %s holds no pixels of three channels", name)
	}
	h, w := float64(images.Dim(1)), float64(images.Dim(2))
	scale := math.Sqrt(area / (w * h))
	side := func(n float64) int { return int(math.RoundToEven(n*scale/step) * step) }
	out, err := imaging.UpscaleImage(images, side(w), side(h), "area", "disabled")
	if err != nil {
		return nil, fmt.Errorf("resizing %s: %w", name, err)
	}
	return firstChannels(out), nil
}

// firstChannels keeps three channels of images [B,H,W,C].
func firstChannels(x *tensor.Tensor) *tensor.Tensor {
	c := x.Dim(3)
	if c == 3 {
		return x
	}
	out := tensor.New(x.Dim(0), x.Dim(1), x.Dim(2), 3)
	for i := range len(out.Data) / 3 {
		copy(out.Data[3*i:3*i+3], x.Data[i*c:])
	}
	return out
}

// TextEncodeQwenImageEdit encodes an instruction with the image that it is about.
type TextEncodeQwenImageEdit struct {
	CLIP   *engine.CLIP   `in:"clip" type:"CLIP"`
	Prompt string         `in:"prompt" multiline:"true" dynamicPrompts:"true"`
	VAE    *engine.VAE    `in:"vae" type:"VAE" optional:"true"`
	Image  *tensor.Tensor `in:"image" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*TextEncodeQwenImageEdit) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextEncodeQwenImageEdit", Category: "model/conditioning/qwen image", Module: "comfy_extras.nodes_qwen", V3: true,
		Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *TextEncodeQwenImageEdit) Run(ctx *nodes.Context) (nodes.Result, error) {
	p := engine.Prompt{Text: n.Prompt}
	var latents []any
	if n.Image != nil {
		image, err := toArea("image", n.Image, latentArea, 1)
		if err != nil {
			return nodes.Result{}, err
		}
		p.Images = []*tensor.Tensor{image}
		if n.VAE != nil {
			z, err := n.VAE.Encode(ctx, image)
			if err != nil {
				return nodes.Result{}, err
			}
			latents = append(latents, z)
		}
	}
	return encodeWithReferences(ctx, n.CLIP, p, latents)
}

// encodeWithReferences encodes a prompt and adds reference latents to it.
func encodeWithReferences(ctx *nodes.Context, c *engine.CLIP, p engine.Prompt, latents []any) (nodes.Result, error) {
	out, err := encodePrompt(ctx, c, p)
	if err != nil {
		return nodes.Result{}, err
	}
	if len(latents) > 0 {
		out = out.Append(sampling.KeyReferences, latents)
	}
	return nodes.Out(out), nil
}

func encodePrompt(ctx *nodes.Context, c *engine.CLIP, p engine.Prompt) (engine.Conditioning, error) {
	if c == nil {
		return nil, errNoCLIP()
	}
	tokens, err := c.TokenizePrompt(ctx, p)
	if err != nil {
		return nil, err
	}
	return c.EncodeTokens(ctx, tokens)
}

// editTemplate stands around the instruction of Edit Plus, in which each image has its own place.
const editTemplate = "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), then explain how the user's text instruction should alter or modify the image. Generate a new image that meets the user's requirements while maintaining consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"

// TextEncodeQwenImageEditPlus encodes an instruction with up to three images.
type TextEncodeQwenImageEditPlus struct {
	CLIP   *engine.CLIP   `in:"clip" type:"CLIP"`
	Prompt string         `in:"prompt" multiline:"true" dynamicPrompts:"true"`
	VAE    *engine.VAE    `in:"vae" type:"VAE" optional:"true"`
	Image1 *tensor.Tensor `in:"image1" type:"IMAGE" optional:"true"`
	Image2 *tensor.Tensor `in:"image2" type:"IMAGE" optional:"true"`
	Image3 *tensor.Tensor `in:"image3" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*TextEncodeQwenImageEditPlus) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextEncodeQwenImageEditPlus", Category: "model/conditioning/qwen image", Module: "comfy_extras.nodes_qwen", V3: true,
		Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *TextEncodeQwenImageEditPlus) Run(ctx *nodes.Context) (nodes.Result, error) {
	p := engine.Prompt{Template: editTemplate}
	var places strings.Builder
	var latents []any
	for i, image := range []*tensor.Tensor{n.Image1, n.Image2, n.Image3} {
		if image == nil {
			continue
		}
		name := fmt.Sprintf("image%d", i+1)
		seen, err := toArea(name, image, visionArea, 1)
		if err != nil {
			return nodes.Result{}, err
		}
		p.Images = append(p.Images, seen)
		fmt.Fprintf(&places, "Picture %d: <|vision_start|><|image_pad|><|vision_end|>", i+1)
		if n.VAE == nil {
			continue
		}
		z, err := encodeAtArea(ctx, n.VAE, name, image)
		if err != nil {
			return nodes.Result{}, err
		}
		latents = append(latents, z)
	}
	p.Text = places.String() + n.Prompt
	return encodeWithReferences(ctx, n.CLIP, p, latents)
}

// encodeAtArea encodes an image by a VAE at about a million pixels.
func encodeAtArea(ctx *nodes.Context, vae *engine.VAE, name string, image *tensor.Tensor) (*tensor.Tensor, error) {
	x, err := toArea(name, image, latentArea, latentStep)
	if err != nil {
		return nil, err
	}
	return vae.Encode(ctx, x)
}
