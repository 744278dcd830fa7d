package latent

import (
	"slices"

	"comfygo/engine"
	"comfygo/engine/family/hidreamo1"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyHiDreamO1LatentImage{})
	nodes.Register(&HiDreamO1ReferenceImages{})
	nodes.Register(&HiDreamO1PatchSeamSmoothing{})
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

// HiDreamO1PatchSeamSmoothing averages predictions on shifted grids of patches in a part of the run.
type HiDreamO1PatchSeamSmoothing struct {
	Model    *engine.Model `in:"model" type:"MODEL"`
	Start    float64       `in:"start_percent" default:"0.8" min:"0.0" max:"1.0" step:"0.01" tooltip:"Progress of the run from which on predictions are averaged."`
	End      float64       `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Progress of the run up to which predictions are averaged."`
	Pattern  string        `in:"pattern" options:"single_shift|symmetric" default:"single_shift" tooltip:"single_shift: one prediction on the grid itself and others beside it. symmetric: all beside it, on either side."`
	Passes   string        `in:"passes" options:"2|4|ramp_2_4|ramp_2_4_8" default:"2" tooltip:"Predictions a step. With ramp their number grows towards the end."`
	Blend    string        `in:"blend" options:"average|window|median" default:"average" tooltip:"average: the mean. window: a mean that favours the middle of patches. median: the middle value of each pixel."`
	Strength float64       `in:"strength" default:"1.0" min:"0.0" max:"1.0" step:"0.01" tooltip:"Share of the averaged prediction; 0 is the prediction on the grid itself."`
}

// seamShifts are the shifts down and right in pixels by pattern and number of predictions.
var seamShifts = map[string]map[int][][2]int{
	"single_shift": {
		2: {{0, 0}, {16, 16}}, 4: {{0, 0}, {16, 0}, {0, 16}, {16, 16}},
		8: {{0, 0}, {16, 0}, {0, 16}, {16, 16}, {8, 8}, {24, 8}, {8, 24}, {24, 24}},
	},
	"symmetric": {
		2: {{-8, -8}, {8, 8}}, 4: {{-8, -8}, {8, -8}, {-8, 8}, {8, 8}},
		8: {{-12, -12}, {4, -12}, {-12, 4}, {4, 4}, {-4, -4}, {12, -4}, {-4, 12}, {12, 12}},
	},
}

// seamLevels are the numbers of predictions of parts of the range.
var seamLevels = map[string][]int{"2": {2}, "4": {4}, "ramp_2_4": {2, 4}, "ramp_2_4_8": {2, 4, 8}}

// Spec implements nodes.Node.
func (*HiDreamO1PatchSeamSmoothing) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "HiDreamO1PatchSeamSmoothing", DisplayName: "HiDream-O1 Patch Seam Smoothing", Category: "model/patch/hidream",
		Module: "comfy_extras.nodes_hidream_o1", V3: true, Experimental: true,
		Description: "Averages predictions of HiDream-O1 on shifted grids of patches late in the run, so that the seams of patches fade.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *HiDreamO1PatchSeamSmoothing) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "smoothing the seams of patches: there is no model: connect one")
	}
	if n.Strength <= 0 || n.End <= n.Start {
		return nodes.Out(n.Model), nil
	}
	s := n.Model.Sampling()
	at := func(percent float64) float64 { return float64(s.Timestep(float32(s.PercentToSigma(percent)))) }
	smoothing := hidreamo1.Smoothing{Start: at(n.Start), End: at(n.End), Blend: n.Blend, Strength: float32(n.Strength)}
	for _, count := range seamLevels[n.Passes] {
		smoothing.Levels = append(smoothing.Levels, seamShifts[n.Pattern][count])
	}
	before, _ := n.Model.Options()[hidreamo1.OptionSmoothing].([]hidreamo1.Smoothing)
	return nodes.Out(n.Model.WithOption(hidreamo1.OptionSmoothing, append(slices.Clone(before), smoothing))), nil
}
