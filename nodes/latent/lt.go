package latent

import (
	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyLTXVLatentVideo{})
	nodes.Register(&LTXVConditioning{})
	nodes.Register(&LTXVCropGuides{})
}

// EmptyLTXVLatentVideo makes empty video latents of LTX-Video.
type EmptyLTXVLatentVideo struct {
	Width     int `in:"width" default:"768" min:"64" max:"16384" step:"32"`
	Height    int `in:"height" default:"512" min:"64" max:"16384" step:"32"`
	Length    int `in:"length" default:"97" min:"1" max:"16384" step:"8"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyLTXVLatentVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyLTXVLatentVideo", Category: "model/latent/ltxv",
		Module: "comfy_extras.nodes_lt", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyLTXVLatentVideo) Sizes(s *nodes.Sizing) nodes.Images { return VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *EmptyLTXVLatentVideo) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("video latents", engine.Latent{DownscaleRatio: 32}, n.BatchSize, 128, VideoFrames(n.Length, 8), n.Height/32, n.Width/32)
}

// LTXVConditioning sets the frame rate in conditionings.
type LTXVConditioning struct {
	Positive  engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative  engine.Conditioning `in:"negative" type:"CONDITIONING"`
	FrameRate float64             `in:"frame_rate" default:"25.0" min:"0.0" max:"1000.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*LTXVConditioning) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVConditioning", Category: "model/conditioning/ltxv",
		Module: "comfy_extras.nodes_lt", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *LTXVConditioning) Run(*nodes.Context) (nodes.Result, error) {
	values := map[string]any{"frame_rate": n.FrameRate}
	return nodes.Out(n.Positive.With(values), n.Negative.With(values)), nil
}

// LTXVCropGuides takes the guide frames off the end of a video latent and out of its conditionings.
type LTXVCropGuides struct {
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Latent   engine.Latent       `in:"latent" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*LTXVCropGuides) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVCropGuides", Category: "model/conditioning/ltxv",
		Module: "comfy_extras.nodes_lt", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent"}},
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*LTXVCropGuides) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LTXVCropGuides) Run(*nodes.Context) (nodes.Result, error) {
	s := n.Latent.Samples
	if s == nil || len(s.Shape) != 5 {
		return nodes.Result{}, nodes.Errorf("ValueError", "cropping guides: the input latent is no video latent [batch, channels, frames, height, width]")
	}
	mask := n.Latent.NoiseMask
	if mask == nil {
		mask = tensor.New(s.Shape[0], 1, s.Shape[2], 1, 1)
		for i := range mask.Data {
			mask.Data[i] = 1
		}
	}
	guides := 0
	if t, ok := anyValue(n.Positive, "keyframe_idxs").(*tensor.Tensor); ok && t != nil {
		perFrame := s.Dim(-2) * s.Dim(-1)
		if len(t.Shape) < 3 || perFrame == 0 {
			return nodes.Result{}, nodes.Errorf("ValueError", "cropping guides: the positions of the guides have the shape %v", t.Shape)
		}
		guides = t.Shape[2] / perFrame
	}
	if guides == 0 {
		return nodes.Out(n.Positive, n.Negative, engine.Latent{Samples: s, NoiseMask: mask}), nil
	}
	if len(mask.Shape) < 3 {
		return nodes.Result{}, nodes.Errorf("IndexError", "cropping guides: the noise mask has the shape %v, want a time axis", mask.Shape)
	}
	without := map[string]any{"keyframe_idxs": nil, "guide_attention_entries": nil}
	out := engine.Latent{Samples: framesOf(s, 0, s.Shape[2]-guides), NoiseMask: framesOf(mask, 0, mask.Shape[2]-guides)}
	return nodes.Out(n.Positive.With(without), n.Negative.With(without), out), nil
}

// anyValue returns the first value of a key in a conditioning's entries, or nil.
func anyValue(c engine.Conditioning, key string) any {
	for _, entry := range c {
		if v, ok := entry.Values[key]; ok {
			return v
		}
	}
	return nil
}
