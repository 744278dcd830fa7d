package conditioning

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&TextEncodeJoyImageEdit{}) }

// joySizes are the sizes that JoyImage was trained with: heights with their widths.
var joySizes = []struct {
	height int
	widths []int
}{
	{512, []int{1792, 1856, 1920, 1984, 2048}},
	{576, []int{1600, 1664, 1728, 1792}},
	{640, []int{1472, 1536, 1600}},
	{704, []int{1344, 1408, 1472}},
	{768, []int{1216, 1280, 1344}},
	{832, []int{1152, 1216}},
	{896, []int{1088, 1152}},
	{960, []int{1024, 1088}},
	{1024, []int{960, 1024}},
	{1088, []int{896, 960}},
	{1152, []int{832, 896}},
	{1216, []int{768, 832}},
	{1280, []int{768}},
	{1344, []int{704, 768}},
	{1408, []int{704}},
	{1472, []int{640, 704}},
	{1536, []int{640}},
	{1600, []int{576, 640}},
	{1664, []int{576}},
	{1728, []int{576}},
	{1792, []int{512, 576}},
	{1856, []int{512}},
	{1920, []int{512}},
	{1984, []int{512}},
	{2048, []int{512}},
}

// joySize returns the trained size whose ratio is nearest to that of an image, the first of equal ones.
func joySize(height, width int) (h, w int) {
	best, ratio := math.Inf(1), float64(height)/float64(width)
	for _, s := range joySizes {
		for _, wide := range s.widths {
			if d := math.Abs(float64(s.height)/float64(wide) - ratio); d < best {
				best, h, w = d, s.height, wide
			}
		}
	}
	return h, w
}

// TextEncodeJoyImageEdit encodes an instruction with the images that it refers to; the model also reads their
// latents.
type TextEncodeJoyImageEdit struct {
	CLIP   *engine.CLIP `in:"clip" type:"CLIP"`
	Prompt string       `in:"prompt" multiline:"true" dynamicPrompts:"true"`
	VAE    *engine.VAE  `in:"vae" type:"VAE" optional:"true"`
	Images nodes.Grown  `in:"images" autogrow:"image" item:"IMAGE" prefix:"image" least:"0" most:"6" optional:"true"`
}

// Spec implements nodes.Node.
func (*TextEncodeJoyImageEdit) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TextEncodeJoyImageEdit", Category: "model/conditioning/joyimage",
		Module: "comfy_extras.nodes_joyimage", V3: true,
		Outputs:     nodes.Outputs("CONDITIONING"),
		Description: "Encodes an instruction for editing images with JoyImage.",
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *TextEncodeJoyImageEdit) Run(ctx *nodes.Context) (nodes.Result, error) {
	p := engine.Prompt{Text: n.Prompt}
	var latents []any
	for i, v := range n.Images.Values {
		name := "images." + n.Images.Names[i]
		image, _ := v.(*tensor.Tensor)
		if image == nil || len(image.Shape) != 4 || image.Len() == 0 || image.Dim(3) < 3 {
			return nodes.Result{}, nodes.Errorf("ValueError", "resizing an image: %s holds no pixels of three channels", name)
		}
		if image.Dim(0) != 1 {
			return nodes.Result{}, nodes.Errorf("ValueError", "resizing an image: %s holds %d images, wanted one for each input", name, image.Dim(0))
		}
		h, w := joySize(image.Dim(1), image.Dim(2))
		sized, err := imaging.UpscaleImage(image, w, h, "bilinear", "center")
		if err != nil {
			return nodes.Result{}, nodes.Errorf("ValueError", "resizing %s: %w", name, err)
		}
		sized = firstChannels(sized)
		p.Images = append(p.Images, sized)
		if n.VAE == nil {
			continue
		}
		z, err := n.VAE.Encode(ctx, sized)
		if err != nil {
			return nodes.Result{}, err
		}
		latents = append(latents, z)
	}
	c, err := encodePrompt(ctx, n.CLIP, p)
	if err != nil {
		return nodes.Result{}, err
	}
	if len(latents) > 0 {
		c = c.Append(sampling.KeyReferences, latents)
	}
	return nodes.Out(c), nil
}
