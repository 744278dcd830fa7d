package conditioning

import (
	"fmt"
	"math"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&EmptyLatentHunyuan3Dv2{})
	nodes.Register(&Hunyuan3Dv2Conditioning{})
	nodes.Register(&Hunyuan3Dv2ConditioningMultiView{})
}

// EmptyLatentHunyuan3Dv2 makes empty latents of Hunyuan3D 2.
type EmptyLatentHunyuan3Dv2 struct {
	Resolution int `in:"resolution" default:"3072" min:"1" max:"8192"`
	BatchSize  int `in:"batch_size" default:"1" min:"1" max:"4096" tooltip:"Number of latents."`
}

// Spec implements nodes.Node.
func (*EmptyLatentHunyuan3Dv2) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyLatentHunyuan3Dv2", Category: "model/latent/hunyuan 3d",
		Module: "comfy_extras.nodes_hunyuan3d", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyLatentHunyuan3Dv2) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Within()
	p.Count, p.Width, p.Height = 0, 0, 0 // a shape has no pixels
	return p
}

// Run implements nodes.Node.
func (n *EmptyLatentHunyuan3Dv2) Run(*nodes.Context) (nodes.Result, error) {
	return latent.Empty("Hunyuan3D latents", engine.Latent{Type: "hunyuan3dv2"}, n.BatchSize, 64, n.Resolution)
}

// Hunyuan3Dv2Conditioning makes conditionings of an encoded image; the negative one is zeros.
type Hunyuan3Dv2Conditioning struct {
	ClipVisionOutput any `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT"`
}

// Spec implements nodes.Node.
func (*Hunyuan3Dv2Conditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Hunyuan3Dv2Conditioning", Category: "model/conditioning/hunyuan 3d",
		Module: "comfy_extras.nodes_hunyuan3d", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *Hunyuan3Dv2Conditioning) Run(*nodes.Context) (nodes.Result, error) {
	states, err := lastStates("clip_vision_output", n.ClipVisionOutput)
	if err != nil {
		return nodes.Result{}, err
	}
	return pair(states), nil
}

// Hunyuan3Dv2ConditioningMultiView makes conditionings of encoded images from up to four sides.
type Hunyuan3Dv2ConditioningMultiView struct {
	Front any `in:"front" type:"CLIP_VISION_OUTPUT" optional:"true"`
	Left  any `in:"left" type:"CLIP_VISION_OUTPUT" optional:"true"`
	Back  any `in:"back" type:"CLIP_VISION_OUTPUT" optional:"true"`
	Right any `in:"right" type:"CLIP_VISION_OUTPUT" optional:"true"`
}

// Spec implements nodes.Node.
func (*Hunyuan3Dv2ConditioningMultiView) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Hunyuan3Dv2ConditioningMultiView", Category: "model/conditioning/hunyuan 3d",
		Module: "comfy_extras.nodes_hunyuan3d", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *Hunyuan3Dv2ConditioningMultiView) Run(*nodes.Context) (nodes.Result, error) {
	var views []*tensor.Tensor
	for i, v := range []any{n.Front, n.Left, n.Back, n.Right} {
		if v == nil {
			continue
		}
		states, err := lastStates([]string{"front", "left", "back", "right"}[i], v)
		if err != nil {
			return nodes.Result{}, err
		}
		views = append(views, withPosition(states, i))
	}
	if len(views) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "conditioning Hunyuan3D: no view is connected")
	}
	all, err := imaging.Concat(1, views...)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("conditioning Hunyuan3D: the views do not fit together: %w", err)
	}
	return pair(all), nil
}

// lastStates returns the last hidden states [B,tokens,width] of an encoded image.
func lastStates(input string, v any) (*tensor.Tensor, error) {
	var states *tensor.Tensor
	switch e := v.(type) {
	case family.ImageEncoding:
		states = e.Last
	case *family.ImageEncoding:
		if e != nil {
			states = e.Last
		}
	}
	if states == nil || len(states.Shape) != 3 {
		return nil, nodes.Errorf("AttributeError", "conditioning Hunyuan3D: the input %s is no output of a CLIP vision encoder", input)
	}
	return states, nil
}

func pair(states *tensor.Tensor) nodes.Result {
	entry := func(t *tensor.Tensor) engine.Conditioning {
		return engine.Conditioning{{Tokens: t, Values: map[string]any{}}}
	}
	return nodes.Out(entry(states), entry(tensor.New(states.Shape...)))
}

// withPosition adds the sine and cosine embedding of a view's number.
func withPosition(states *tensor.Tensor, view int) *tensor.Tensor {
	const base = 10000
	out := states.Clone()
	width := states.Shape[2]
	half := width / 2
	embedding := make([]float32, width)
	for i := range half {
		angle := float64(view) / math.Pow(base, float64(i)/float64(half))
		embedding[i], embedding[half+i] = float32(math.Sin(angle)), float32(math.Cos(angle))
	}
	for i := range out.Data {
		out.Data[i] += embedding[i%width]
	}
	return out
}
