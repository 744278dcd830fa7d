package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ConditioningSetArea{})
	nodes.Register(&ConditioningSetAreaPercentage{})
	nodes.Register(&ConditioningSetAreaPercentageVideo{})
	nodes.Register(&ConditioningSetAreaStrength{})
	nodes.Register(&ConditioningSetMask{})
	nodes.Register(&ConditioningSetTimestepRange{})
}

// latentCell is how many pixels one latent value of the SD families is wide and high.
const latentCell = 8

// inArea returns the conditioning limited to an area.
func inArea(c engine.Conditioning, area sampling.Area, strength float64) nodes.Result {
	return nodes.Out(c.With(map[string]any{sampling.KeyArea: area, sampling.KeyStrength: strength, sampling.KeyMaskBounds: false}))
}

// ConditioningSetArea limits an encoding to a rectangle given in pixels.
type ConditioningSetArea struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Width        int                 `in:"width" default:"64" min:"64" max:"16384" step:"8"`
	Height       int                 `in:"height" default:"64" min:"64" max:"16384" step:"8"`
	X            int                 `in:"x" default:"0" min:"0" max:"16384" step:"8"`
	Y            int                 `in:"y" default:"0" min:"0" max:"16384" step:"8"`
	Strength     float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ConditioningSetArea) Spec() nodes.Spec {
	return transform("ConditioningSetArea", "Conditioning (Set Area)", "regional prompt", "area prompt", "spatial conditioning", "localized prompt")
}

// Run implements nodes.Node.
func (n *ConditioningSetArea) Run(*nodes.Context) (nodes.Result, error) {
	cells := func(a, b int) []float64 { return []float64{float64(a / latentCell), float64(b / latentCell)} }
	return inArea(n.Conditioning, sampling.Area{Size: cells(n.Height, n.Width), Offset: cells(n.Y, n.X)}, n.Strength), nil
}

// ConditioningSetAreaPercentage limits an encoding to a rectangle given in shares of the image.
type ConditioningSetAreaPercentage struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Width        float64             `in:"width" default:"1.0" min:"0" max:"1.0" step:"0.01"`
	Height       float64             `in:"height" default:"1.0" min:"0" max:"1.0" step:"0.01"`
	X            float64             `in:"x" default:"0" min:"0" max:"1.0" step:"0.01"`
	Y            float64             `in:"y" default:"0" min:"0" max:"1.0" step:"0.01"`
	Strength     float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ConditioningSetAreaPercentage) Spec() nodes.Spec {
	return transform("ConditioningSetAreaPercentage", "Conditioning (Set Area with Percentage)")
}

// Run implements nodes.Node.
func (n *ConditioningSetAreaPercentage) Run(*nodes.Context) (nodes.Result, error) {
	return inArea(n.Conditioning, sampling.Area{Size: []float64{n.Height, n.Width}, Offset: []float64{n.Y, n.X}, Percent: true}, n.Strength), nil
}

// ConditioningSetAreaPercentageVideo limits an encoding to a box given in shares of a video's frames and size.
type ConditioningSetAreaPercentageVideo struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Width        float64             `in:"width" default:"1.0" min:"0" max:"1.0" step:"0.01"`
	Height       float64             `in:"height" default:"1.0" min:"0" max:"1.0" step:"0.01"`
	Temporal     float64             `in:"temporal" default:"1.0" min:"0" max:"1.0" step:"0.01"`
	X            float64             `in:"x" default:"0" min:"0" max:"1.0" step:"0.01"`
	Y            float64             `in:"y" default:"0" min:"0" max:"1.0" step:"0.01"`
	Z            float64             `in:"z" default:"0" min:"0" max:"1.0" step:"0.01"`
	Strength     float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ConditioningSetAreaPercentageVideo) Spec() nodes.Spec {
	s := transform("ConditioningSetAreaPercentageVideo", "Conditioning (Set Area with Percentage for Video)")
	s.Module = "comfy_extras.nodes_video_model"
	return s
}

// Run implements nodes.Node.
func (n *ConditioningSetAreaPercentageVideo) Run(*nodes.Context) (nodes.Result, error) {
	area := sampling.Area{Size: []float64{n.Temporal, n.Height, n.Width}, Offset: []float64{n.Z, n.Y, n.X}, Percent: true}
	return inArea(n.Conditioning, area, n.Strength), nil
}

// ConditioningSetAreaStrength sets how much an encoding counts.
type ConditioningSetAreaStrength struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Strength     float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ConditioningSetAreaStrength) Spec() nodes.Spec {
	return transform("ConditioningSetAreaStrength", "Conditioning (Set Area Strength)")
}

// Run implements nodes.Node.
func (n *ConditioningSetAreaStrength) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.Conditioning.With(map[string]any{sampling.KeyStrength: n.Strength})), nil
}

// ConditioningSetMask limits an encoding to a mask.
type ConditioningSetMask struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Mask         *tensor.Tensor      `in:"mask" type:"MASK"`
	Strength     float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Area         string              `in:"set_cond_area" options:"default|mask bounds"`
}

// Spec implements nodes.Node.
func (*ConditioningSetMask) Spec() nodes.Spec {
	return transform("ConditioningSetMask", "Conditioning (Set Mask)", "masked prompt", "regional inpaint conditioning", "mask conditioning")
}

// Run implements nodes.Node. With "mask bounds" the model sees only the rectangle around the mask, otherwise the whole
// image, and the masked part counts.
func (n *ConditioningSetMask) Run(*nodes.Context) (nodes.Result, error) {
	c, err := inMask(n.Conditioning, n.Mask, n.Strength, n.Area)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}

// inMask returns the conditioning limited to a mask.
func inMask(c engine.Conditioning, mask *tensor.Tensor, strength float64, area string) (engine.Conditioning, error) {
	if mask == nil || len(mask.Shape) < 2 || mask.Len() == 0 {
		return nil, nodes.Errorf("ValueError", "the input mask is no mask")
	}
	if len(mask.Shape) == 2 {
		mask = &tensor.Tensor{Shape: []int{1, mask.Dim(0), mask.Dim(1)}, Data: mask.Data}
	}
	return c.With(map[string]any{sampling.KeyMask: mask, sampling.KeyMaskBounds: area != "default", sampling.KeyMaskStrength: strength}), nil
}

// ConditioningSetTimestepRange limits an encoding to a range of the timesteps.
type ConditioningSetTimestepRange struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Start        float64             `in:"start" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	End          float64             `in:"end" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
}

// Spec implements nodes.Node.
func (*ConditioningSetTimestepRange) Spec() nodes.Spec {
	return transform("ConditioningSetTimestepRange", "ConditioningSetTimestepRange")
}

// Run implements nodes.Node.
func (n *ConditioningSetTimestepRange) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.Conditioning.With(map[string]any{sampling.KeyStart: n.Start, sampling.KeyEnd: n.End})), nil
}
