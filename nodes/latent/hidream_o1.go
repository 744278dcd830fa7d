package latent

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyHiDreamO1LatentImage{})
	nodes.Register(&HiDreamO1ReferenceImages{})
}

// EmptyHiDreamO1LatentImage makes empty images for HiDream-O1, which works on pixels.
type EmptyHiDreamO1LatentImage struct {
	Width     int `in:"width" default:"2048" min:"64" max:"4096" step:"32" tooltip:"Image width in pixels; the model is trained at 2048."`
	Height    int `in:"height" default:"2048" min:"64" max:"4096" step:"32" tooltip:"Image height in pixels; the model is trained at 2048."`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"64"`
}

// Spec implements nodes.Node.
func (*EmptyHiDreamO1LatentImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyHiDreamO1LatentImage", DisplayName: "Empty HiDream-O1 Latent Image", Category: "model/latent/hidream",
		Module: "comfy_extras.nodes_hidream_o1", V3: true,
		Outputs:     nodes.Outputs("LATENT"),
		Description: "Makes empty images for HiDream-O1, which has no latents. The model is trained at about 4 megapixels, such as 2048x2048, 2304x1728, 2560x1440 or 3104x1312; smaller images get worse.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyHiDreamO1LatentImage) Sizes(s *nodes.Sizing) nodes.Images { return imageSizes(s) }

// Run implements nodes.Node.
func (n *EmptyHiDreamO1LatentImage) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("images", engine.Latent{}, n.BatchSize, 3, n.Height, n.Width)
}

// HiDreamO1ReferenceImages adds reference images to conditionings.
type HiDreamO1ReferenceImages struct {
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Images   nodes.Grown         `in:"images" autogrow:"image" item:"IMAGE" names:"image_1|image_2|image_3|image_4|image_5|image_6|image_7|image_8|image_9|image_10" least:"1" tooltip:"Reference images: one is edited by the prompt, several are references."`
}

// Spec implements nodes.Node.
func (*HiDreamO1ReferenceImages) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "HiDreamO1ReferenceImages", DisplayName: "HiDream-O1 Reference Images", Category: "model/conditioning/hidream",
		Module: "comfy_extras.nodes_hidream_o1", V3: true,
		Outputs:     []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Description: "Adds 1 to 10 reference images to the conditionings of HiDream-O1.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *HiDreamO1ReferenceImages) Run(*nodes.Context) (nodes.Result, error) {
	refs := []any{}
	for i, v := range n.Images.Values {
		t, ok := v.(*tensor.Tensor)
		if !ok || t == nil || len(t.Shape) != 4 {
			return nodes.Result{}, nodes.Errorf("ValueError", "adding reference images: the input images.%s is not an image", n.Images.Names[i])
		}
		refs = append(refs, t)
	}
	return nodes.Out(n.Positive.Append("reference_latents", refs), n.Negative.Append("reference_latents", refs)), nil
}
