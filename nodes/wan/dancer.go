package wan

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&WanDancerVideo{})
}

// WanDancerVideo gives conditionings of WanDancer music, first frames, and encoded images.
type WanDancerVideo struct {
	Positive        engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative        engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE             *engine.VAE         `in:"vae" type:"VAE"`
	Width           int                 `in:"width" default:"480" min:"16" max:"16384" step:"16"`
	Height          int                 `in:"height" default:"832" min:"16" max:"16384" step:"16"`
	Length          int                 `in:"length" default:"149" min:"1" max:"16384" step:"4" tooltip:"Frames of the video; the model is trained on 149."`
	VisionOutput    any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true" tooltip:"Encoded first frame."`
	VisionOutputRef any                 `in:"clip_vision_output_ref" type:"CLIP_VISION_OUTPUT" optional:"true" tooltip:"Encoded reference image."`
	StartImage      *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true" tooltip:"First frames, any number of them."`
	Mask            *tensor.Tensor      `in:"mask" type:"MASK" optional:"true" tooltip:"White for frames of start_image that are kept, black for those that are made."`
	Audio           any                 `in:"audio_encoder_output" type:"AUDIO_ENCODER_OUTPUT" optional:"true"`
}

// Spec implements nodes.Node.
func (*WanDancerVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanDancerVideo", Category: "model/conditioning/wan/dancer",
		Module: "comfy_extras.nodes_wandancer", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}, {Type: "LATENT", Name: "latent", Tooltip: "The latent to make."}},
		Uses:    nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanDancerVideo) Sizes(s *nodes.Sizing) nodes.Images { return latent.VideoSizes(s, "length") }

// Run implements nodes.Node.
func (n *WanDancerVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	l, err := c.empty(1, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg := n.Positive, n.Negative
	if n.StartImage != nil {
		first, err := c.first("start_image", n.StartImage)
		if err != nil {
			return nodes.Result{}, err
		}
		if err = imaging.CheckSize("the frames of the video", c.length, c.height, c.width, rgb); err != nil {
			return nodes.Result{}, err
		}
		video := tensor.New(c.length, c.height, c.width, rgb)
		copy(video.Data, first.Data)
		z, err := c.encode(ctx, video)
		if err != nil {
			return nodes.Result{}, err
		}
		mask, err := n.kept(z, first.Dim(0))
		if err != nil {
			return nodes.Result{}, err
		}
		pos, neg = both(pos, neg, map[string]any{sampling.KeyConcatLatent: z, sampling.KeyConcatMask: mask})
	}
	if n.VisionOutput != nil {
		pos, neg = both(pos, neg, visionValue(n.VisionOutput))
		if n.VisionOutputRef != nil {
			pos, neg = both(pos, neg, map[string]any{"clip_vision_output_ref": n.VisionOutputRef})
		}
	}
	if n.Audio != nil {
		values, err := musicValues(n.Audio)
		if err != nil {
			return nodes.Result{}, err
		}
		pos, neg = both(pos, neg, values)
	}
	return nodes.Out(pos, neg, l), nil
}

// kept returns the mask of the part to generate: of frames of the latent, or of the mask's frames [1,4,T,h,w], the first of which counts four
// times.
func (n *WanDancerVideo) kept(z *tensor.Tensor, first int) (*tensor.Tensor, error) {
	t, h, w := z.Dim(2), z.Dim(3), z.Dim(4)
	if n.Mask == nil {
		out := tensor.New(1, 1, t, h, w)
		for i := latent.VideoFrames(first, ratio) * h * w; i < len(out.Data); i++ {
			out.Data[i] = 1
		}
		return out, nil
	}
	m := n.Mask
	if len(m.Shape) != 3 || m.Len() == 0 {
		return nil, nodes.Errorf("ValueError", "reading mask: it has the shape %v, wanted [frames, height, width]", m.Shape)
	}
	m = m.Slice(0, min(n.Length, m.Dim(0)))
	if (m.Dim(0)+ratio-1)%ratio != 0 {
		return nil, nodes.Errorf("RuntimeError", "reading mask: it has %d frames, wanted one more than a multiple of %d", m.Dim(0), ratio)
	}
	// Upstream exchanges width and height here, and takes the values in their order in memory.
	scaled, err := imaging.Upscale(&tensor.Tensor{Shape: []int{1, m.Dim(0), m.Dim(1), m.Dim(2)}, Data: m.Data}, h, w, "nearest-exact", "disabled")
	if err != nil {
		return nil, fmt.Errorf("scaling mask: %w", err)
	}
	frames, size := (m.Dim(0)+ratio-1)/ratio, h*w
	out := tensor.New(1, ratio, frames, h, w)
	for f := range frames {
		for k := range ratio {
			from := scaled.Data[max(0, f*ratio+k-(ratio-1))*size:][:size]
			to := out.Data[(k*frames+f)*size:][:size]
			for i, v := range from {
				to[i] = 1 - v
			}
		}
	}
	return out, nil
}

// musicValues are what WanDancerEncodeAudio made of music.
func musicValues(v any) (map[string]any, error) {
	o, ok := v.(*pyjson.Object)
	if !ok {
		return nil, nodes.Errorf("TypeError", "reading audio_encoder_output: it is a %T: connect WanDancerEncodeAudio", v)
	}
	feature, _ := o.Get("audio_feature")
	audio, ok := feature.(*tensor.Tensor)
	if !ok {
		return nil, nodes.Errorf("KeyError", "reading audio_encoder_output: it has no audio_feature: connect WanDancerEncodeAudio")
	}
	out := map[string]any{keyAudio: audio}
	for key, otherwise := range map[string]float64{sampling.KeyFPS: 30, "audio_inject_scale": 1} {
		out[key] = otherwise
		switch v, _ := o.Get(key); v := v.(type) {
		case float64:
			out[key] = v
		case int64:
			out[key] = float64(v)
		case int:
			out[key] = float64(v)
		}
	}
	return out, nil
}
