package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&TextEncodeBooguEdit{}) }

// booguStep is the number of pixels that widths and heights for the VAE are multiples of: a token's side.
const booguStep = 16

// TextEncodeBooguEdit encodes an instruction with the images that it is about, and a negative prompt without them; both get the
// images' latents.
type TextEncodeBooguEdit struct {
	CLIP           *engine.CLIP `in:"clip" type:"CLIP"`
	Prompt         string       `in:"prompt" multiline:"true" dynamicPrompts:"true"`
	NegativePrompt string       `in:"negative_prompt" advanced:"true" multiline:"true" dynamicPrompts:"true"`
	VAE            *engine.VAE  `in:"vae" type:"VAE"`
	Images         nodes.Grown  `in:"images" autogrow:"image" item:"IMAGE" names:"image_1|image_2|image_3|image_4|image_5|image_6|image_7|image_8|image_9|image_10|image_11|image_12|image_13|image_14|image_15|image_16" least:"0" tooltip:"Images to edit; the model is trained on one."`
}

// Spec implements nodes.Node.
func (*TextEncodeBooguEdit) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextEncodeBooguEdit", Category: "model/conditioning/boogu",
		Module: "comfy_extras.nodes_boogu", V3: true,
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Description: "Encodes an instruction for editing images with Boogu-Image.",
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *TextEncodeBooguEdit) Run(ctx *nodes.Context) (nodes.Result, error) {
	p := engine.Prompt{Text: n.Prompt}
	var latents []any
	for i, v := range n.Images.Values {
		name := "images." + n.Images.Names[i]
		image, _ := v.(*tensor.Tensor)
		seen, err := toArea(name, image, visionArea, 1)
		if err != nil {
			return nodes.Result{}, err
		}
		p.Images = append(p.Images, seen)
		if n.VAE == nil {
			continue
		}
		sized, err := toArea(name, image, latentArea, booguStep)
		if err != nil {
			return nodes.Result{}, err
		}
		z, err := n.VAE.Encode(ctx, sized)
		if err != nil {
			return nodes.Result{}, err
		}
		latents = append(latents, z)
	}
	positive, err := encodePrompt(ctx, n.CLIP, p)
	if err != nil {
		return nodes.Result{}, err
	}
	negative, err := encodePrompt(ctx, n.CLIP, engine.Prompt{Text: n.NegativePrompt})
	if err != nil {
		return nodes.Result{}, err
	}
	if len(latents) > 0 {
		positive, negative = positive.Append(sampling.KeyReferences, latents), negative.Append(sampling.KeyReferences, latents)
	}
	return nodes.Out(positive, negative), nil
}
