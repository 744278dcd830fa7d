package conditioning

import (
	"cmp"
	"math"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() { nodes.Register(&TextEncodeMageFlowEdit{}) }

// Sizes of Mage-Flow: the pixels of a latent cell, the channels of a latent, the sides without an image and the longest side that the text
// encoder sees.
const (
	mageCell     = 16
	mageChannels = 128
	mageSide     = 1024
	mageSeen     = 384
)

// TextEncodeMageFlowEdit encodes an instruction and a negative one with the images that they are about, and makes an empty latent of their size.
type TextEncodeMageFlowEdit struct {
	CLIP           *engine.CLIP `in:"clip" type:"CLIP"`
	Prompt         string       `in:"prompt" multiline:"true" dynamicPrompts:"true"`
	NegativePrompt string       `in:"negative_prompt" advanced:"true" multiline:"true" dynamicPrompts:"true"`
	Images         nodes.Grown  `in:"images" autogrow:"image" item:"IMAGE" names:"image_1|image_2|image_3|image_4|image_5|image_6|image_7|image_8|image_9|image_10|image_11|image_12|image_13|image_14|image_15|image_16" least:"0" tooltip:"Images to edit, resized to the size of the output."`
	Width          int          `in:"width" default:"0" min:"0" max:"8192" step:"16" tooltip:"Output width in pixels; 0 is that of the first image."`
	Height         int          `in:"height" default:"0" min:"0" max:"8192" step:"16" tooltip:"Output height in pixels; 0 is that of the first image."`
	BatchSize      int          `in:"batch_size" default:"1" min:"1" max:"4096"`
	VAE            *engine.VAE  `in:"vae" type:"VAE" optional:"true"`
}

// Spec implements nodes.Node.
func (*TextEncodeMageFlowEdit) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextEncodeMageFlowEdit", Category: "model/conditioning/mage",
		Module: "comfy_extras.nodes_mage", V3: true,
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Description: "Encodes an instruction for Mage-Flow with images to edit, and makes an empty latent of the size to which they are resized.",
		Uses:        nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*TextEncodeMageFlowEdit) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *TextEncodeMageFlowEdit) Run(ctx *nodes.Context) (nodes.Result, error) {
	var images []*tensor.Tensor
	for i, v := range n.Images.Values {
		image, _ := v.(*tensor.Tensor)
		if image == nil || len(image.Shape) != 4 || len(image.Data) == 0 || image.Dim(3) < 3 {
			return nodes.Result{}, nodes.Errorf("ValueError", "encoding an instruction: images.%s holds no pixels of three channels", n.Images.Names[i])
		}
		images = append(images, image)
	}
	width, height := n.size(images)
	empty, err := latent.Empty("latents", engine.Latent{}, n.BatchSize, mageChannels, height/mageCell, width/mageCell)
	if err != nil {
		return nodes.Result{}, err
	}
	p := engine.Prompt{Text: n.Prompt}
	var latents []any
	for _, image := range images {
		seen, err := longestSide(image, mageSeen)
		if err != nil {
			return nodes.Result{}, err
		}
		p.Images = append(p.Images, firstChannels(seen))
		if n.VAE == nil {
			continue
		}
		sized, err := resized(image, width, height)
		if err != nil {
			return nodes.Result{}, err
		}
		z, err := n.VAE.Encode(ctx, firstChannels(sized))
		if err != nil {
			return nodes.Result{}, err
		}
		latents = append(latents, z)
	}
	positive, err := encodePrompt(ctx, n.CLIP, p)
	if err != nil {
		return nodes.Result{}, err
	}
	p.Text = cmp.Or(n.NegativePrompt, " ")
	negative, err := encodePrompt(ctx, n.CLIP, p)
	if err != nil {
		return nodes.Result{}, err
	}
	if len(latents) > 0 {
		positive, negative = positive.Append(sampling.KeyReferences, latents), negative.Append(sampling.KeyReferences, latents)
	}
	return nodes.Out(positive, negative, empty.Values[0]), nil
}

// size returns the size of the output in pixels: a side that is not given is that of the first image.
func (n *TextEncodeMageFlowEdit) size(images []*tensor.Tensor) (width, height int) {
	width, height = mageSide, mageSide
	if len(images) > 0 {
		width, height = images[0].Dim(2), images[0].Dim(1)
	}
	cells := func(pixels int) int { return max(mageCell, pixels/mageCell*mageCell) }
	return cells(cmp.Or(n.Width, width)), cells(cmp.Or(n.Height, height))
}

// longestSide shrinks images whose longer side exceeds a number of pixels.
func longestSide(x *tensor.Tensor, most int) (*tensor.Tensor, error) {
	longest := max(x.Dim(1), x.Dim(2))
	if longest <= most {
		return x, nil
	}
	scale := float64(most) / float64(longest)
	side := func(n int) int { return max(1, int(math.RoundToEven(float64(n)*scale))) }
	return resized(x, side(x.Dim(2)), side(x.Dim(1)))
}

func resized(x *tensor.Tensor, width, height int) (*tensor.Tensor, error) {
	if x.Dim(2) == width && x.Dim(1) == height {
		return x, nil
	}
	return imaging.UpscaleImage(x, width, height, "bicubic", "disabled")
}
