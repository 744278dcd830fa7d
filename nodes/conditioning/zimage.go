package conditioning

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&TextEncodeZImageOmni{}) }

// TextEncodeZImageOmni encodes an instruction with up to three reference images for Z-Image Omni.
type TextEncodeZImageOmni struct {
	CLIP   *engine.CLIP         `in:"clip" type:"CLIP"`
	Vision *engine.ImageEncoder `in:"image_encoder" type:"CLIP_VISION" optional:"true"`
	Prompt string               `in:"prompt" multiline:"true" dynamicPrompts:"true"`
	Resize bool                 `in:"auto_resize_images" default:"true" advanced:"true"`
	VAE    *engine.VAE          `in:"vae" type:"VAE" optional:"true"`
	Image1 *tensor.Tensor       `in:"image1" type:"IMAGE" optional:"true"`
	Image2 *tensor.Tensor       `in:"image2" type:"IMAGE" optional:"true"`
	Image3 *tensor.Tensor       `in:"image3" type:"IMAGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*TextEncodeZImageOmni) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextEncodeZImageOmni", Category: "model/conditioning/z-image", Module: "comfy_extras.nodes_zimage", V3: true, Experimental: true,
		Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// The parts of the model's chat template that stand around and between images.
const (
	omniOpen   = "<|im_start|>user\n<|vision_start|>"
	omniNext   = "<|vision_end|><|vision_start|>"
	omniClose  = "<|vision_end|><|im_end|>"
	omniPrompt = "<|vision_end|>{}<|im_end|>\n<|im_start|>assistant\n<|vision_start|>"
)

// Run implements nodes.Node.
func (n *TextEncodeZImageOmni) Run(ctx *nodes.Context) (nodes.Result, error) {
	var images []*tensor.Tensor
	var names []string
	for i, image := range []*tensor.Tensor{n.Image1, n.Image2, n.Image3} {
		if image != nil {
			images, names = append(images, image), append(names, fmt.Sprintf("image%d", i+1))
		}
	}
	p := engine.Prompt{Text: n.Prompt}
	var between []string
	if len(images) > 0 {
		p.Template = omniPrompt
		between = append(between, omniOpen)
		for range len(images) - 1 {
			between = append(between, omniNext)
		}
		between = append(between, omniClose)
	}
	values, err := n.references(ctx, images, names)
	if err != nil {
		return nodes.Result{}, err
	}
	out, err := encodePrompt(ctx, n.CLIP, p)
	if err != nil {
		return nodes.Result{}, err
	}
	for _, text := range between {
		c, err := encodePrompt(ctx, n.CLIP, engine.Prompt{Text: text, Template: "{}"})
		if err != nil {
			return nodes.Result{}, err
		}
		values[sampling.KeyReferenceText] = append(values[sampling.KeyReferenceText], c[0].Tokens)
	}
	for _, key := range []string{sampling.KeyReferences, sampling.KeyVisionOutputs, sampling.KeyReferenceText} {
		if len(values[key]) > 0 {
			out = out.Append(key, values[key])
		}
	}
	return nodes.Out(out), nil
}

// references encodes the images by the image encoder and by the VAE.
func (n *TextEncodeZImageOmni) references(ctx *nodes.Context, images []*tensor.Tensor, names []string) (map[string][]any, error) {
	values := map[string][]any{}
	for i, image := range images {
		if len(image.Shape) != 4 || len(image.Data) == 0 || image.Dim(3) < 3 {
			return nil, nodes.Errorf("ValueError", "encoding an image: %s holds no pixels of three channels", names[i])
		}
		if n.Vision != nil {
			v, err := n.Vision.Encode(ctx, image, true)
			if err != nil {
				return nil, err
			}
			values[sampling.KeyVisionOutputs] = append(values[sampling.KeyVisionOutputs], v)
		}
		if n.VAE == nil {
			continue
		}
		if n.Resize {
			var err error
			if image, err = toArea(names[i], image, latentArea, latentStep); err != nil {
				return nil, err
			}
		}
		z, err := n.VAE.Encode(ctx, image)
		if err != nil {
			return nil, err
		}
		values[sampling.KeyReferences] = append(values[sampling.KeyReferences], z)
	}
	return values, nil
}
