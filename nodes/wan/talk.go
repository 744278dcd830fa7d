package wan

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() { nodes.Register(&WanInfiniteTalkToVideo{}) }

// Speakers are the inputs of WanInfiniteTalkToVideo for two speakers.
type Speakers struct {
	Audio  any            `in:"audio_encoder_output_2" type:"AUDIO_ENCODER_OUTPUT" optional:"true"`
	First  *tensor.Tensor `in:"mask_1" type:"MASK" optional:"true" tooltip:"Where the first speaker is. Needed with a second audio input."`
	Second *tensor.Tensor `in:"mask_2" type:"MASK" optional:"true" tooltip:"Where the second speaker is. Needed with a second audio input."`
}

// WanInfiniteTalkToVideo prepares a model of Wan 2.1 and its conditionings for a video that follows speech.
type WanInfiniteTalkToVideo struct {
	Mode             nodes.Choice        `in:"mode"`
	Model            *engine.Model       `in:"model" type:"MODEL"`
	Patch            *engine.ModelPatch  `in:"model_patch" type:"MODEL_PATCH"`
	Positive         engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative         engine.Conditioning `in:"negative" type:"CONDITIONING"`
	VAE              *engine.VAE         `in:"vae" type:"VAE"`
	Width            int                 `in:"width" default:"832" min:"16" max:"16384" step:"16"`
	Height           int                 `in:"height" default:"480" min:"16" max:"16384" step:"16"`
	Length           int                 `in:"length" default:"81" min:"1" max:"16384" step:"4"`
	VisionOutput     any                 `in:"clip_vision_output" type:"CLIP_VISION_OUTPUT" optional:"true"`
	StartImage       *tensor.Tensor      `in:"start_image" type:"IMAGE" optional:"true"`
	Audio            any                 `in:"audio_encoder_output_1" type:"AUDIO_ENCODER_OUTPUT"`
	MotionFrameCount int                 `in:"motion_frame_count" default:"9" min:"1" max:"33" step:"1" advanced:"true" tooltip:"How many of the last frames of previous_frames the video continues from."`
	AudioScale       float64             `in:"audio_scale" default:"1.0" min:"-10.0" max:"10.0" step:"0.01"`
	PreviousFrames   *tensor.Tensor      `in:"previous_frames" type:"IMAGE" optional:"true"`
}

// DynamicOptions implements nodes.Dynamic.
func (*WanInfiniteTalkToVideo) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "single_speaker"}, {Key: "two_speakers", Inputs: &Speakers{}}}
}

// Spec implements nodes.Node.
func (*WanInfiniteTalkToVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanInfiniteTalkToVideo", Category: "model/conditioning/wan/infinite talk",
		Module: module, V3: true,
		Outputs: []nodes.Output{
			{Type: "MODEL", Name: "model"},
			{Type: "CONDITIONING", Name: "positive"},
			{Type: "CONDITIONING", Name: "negative"},
			{Type: "LATENT", Name: "latent"},
			{Type: "INT", Name: "trim_image"},
		},
		Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*WanInfiniteTalkToVideo) Sizes(s *nodes.Sizing) nodes.Images {
	return latent.VideoSizes(s, "length")
}

// heardFrames is the number of frames of speech that the model hears around a frame.
const heardFrames = 5

// Run implements nodes.Node.
func (n *WanInfiniteTalkToVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil || n.Patch == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "preparing a video of speech: there is no model or no model patch")
	}
	given := n.PreviousFrames
	switch {
	case given != nil && (len(given.Shape) != 4 || given.Dim(0) < n.MotionFrameCount):
		return nodes.Result{}, nodes.Errorf("ValueError", "preparing a video of speech: previous_frames has the shape %v, fewer frames than motion_frame_count (%d)", given.Shape, n.MotionFrameCount)
	case given == nil && n.StartImage == nil:
		return nodes.Result{}, nodes.Errorf("ValueError", "preparing a video of speech: neither start_image nor previous_frames is connected: connect one")
	}
	audio, masks, err := n.speakers()
	if err != nil {
		return nodes.Result{}, err
	}
	c := canvas{n.VAE, n.Width, n.Height, n.Length}
	l, err := c.empty(1, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	values, err := startValues(ctx, c, n.StartImage, l.Samples)
	if err != nil {
		return nodes.Result{}, err
	}
	pos, neg := both(n.Positive, n.Negative, values, visionValue(n.VisionOutput))
	first := sampling.FirstFrames{Results: given != nil}
	trimmed, from := 0, 0
	if given != nil {
		trimmed, from = n.MotionFrameCount, given.Dim(0)-n.MotionFrameCount
		frames, err := c.scaled("previous_frames", given.Slice(from, given.Dim(0)), "bilinear")
		if err == nil {
			first.Latent, err = c.encode(ctx, frames)
		}
		if err != nil {
			return nodes.Result{}, err
		}
	} else if z, ok := values[sampling.KeyConcatLatent].(*tensor.Tensor); ok {
		first.Latent = firstFrames(z, 1)
	}
	heard, err := windowsOf(audio, from, n.Length)
	if err != nil {
		return nodes.Result{}, err
	}
	m, err := n.Model.Attach(n.Patch, engine.PatchOptions{Audio: heard, Mask: masks, Strength: n.AudioScale, End: 1})
	if err != nil {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "%w", err)
	}
	m = m.WithHooks(func(h sampling.Hooks) sampling.Hooks { return h.WithFirstFrames(first) })
	return nodes.Out(m, pos, neg, l, int64(trimmed)), nil
}

// speakers returns the encoded speech of each speaker [frames,values], one after the other, and the masks [2,H,W] of two.
func (n *WanInfiniteTalkToVideo) speakers() (audio []*tensor.Tensor, masks *tensor.Tensor, err error) {
	outputs := []any{n.Audio}
	if two, ok := n.Mode.Inputs.(*Speakers); ok {
		switch {
		case two.Audio != nil && (two.First == nil || two.Second == nil):
			return nil, nil, nodes.Errorf("ValueError", "preparing a video of speech: with two audio inputs mask_1 and mask_2 are needed: connect both")
		case two.Audio == nil && two.First != nil && two.Second != nil:
			return nil, nil, nodes.Errorf("ValueError", "preparing a video of speech: with two masks audio_encoder_output_2 is needed: connect it")
		case two.Audio != nil:
			outputs = append(outputs, two.Audio)
			a, b := two.First, two.Second
			if len(a.Shape) != 3 || a.Dim(0) != 1 || a.Len() == 0 || !tensor.SameShape(a, b) {
				return nil, nil, nodes.Errorf("RuntimeError", "preparing a video of speech: mask_1 has the shape %v and mask_2 %v, wanted one mask each, of one size", a.Shape, b.Shape)
			}
			masks = tensor.New(2, a.Dim(1), a.Dim(2))
			copy(masks.Index(0).Data, a.Data)
			copy(masks.Index(1).Data, b.Data)
		}
	}
	total := 0
	for _, o := range outputs {
		x, err := speechOf(o)
		if err != nil {
			return nil, nil, err
		}
		audio = append(audio, x)
		total += x.Dim(0)
	}
	if len(audio) == 1 {
		return audio, masks, nil
	}
	at := 0
	for i, x := range audio {
		if x.Dim(1) != audio[0].Dim(1) {
			return nil, nil, nodes.Errorf("RuntimeError", "preparing a video of speech: the two audio inputs come from different audio encoders")
		}
		all := tensor.New(total, x.Dim(1))
		copy(all.Data[at*x.Dim(1):], x.Data)
		audio[i] = all
		at += x.Dim(0)
	}
	return audio, masks, nil
}

// speechOf returns the output of an audio encoder for each frame of the video [frames,layers·width], without its first layer.
func speechOf(output any) (*tensor.Tensor, error) {
	e, err := encodingOf(output, 2)
	if err != nil {
		return nil, err
	}
	if e.Layers[0].Dim(0) != 1 {
		return nil, nodes.Errorf("ValueError", "reading audio_encoder_output: it is of %d waveforms, wanted one", e.Layers[0].Dim(0))
	}
	layers, width := e.Layers[1:], e.Layers[0].Dim(2)
	var out *tensor.Tensor
	for i, layer := range layers {
		x := interpolated(layer.Index(0), tokenRate, talkRate)
		if x.Dim(0) == 0 {
			return nil, nodes.Errorf("RuntimeError", "reading audio_encoder_output: the audio is too short for a frame")
		}
		if out == nil {
			out = tensor.New(x.Dim(0), len(layers)*width)
		}
		for f := range x.Dim(0) {
			copy(out.Index(f).Data[i*width:], x.Index(f).Data)
		}
	}
	return out, nil
}

// windowsOf are the frames of speech around each of length frames from one on [speakers,length,heardFrames,values]. Behind the speech is its first
// frame, which is silence for the most part. Upstream: get_audio_embeds.
func windowsOf(audio []*tensor.Tensor, from, length int) (*tensor.Tensor, error) {
	values, spoken := audio[0].Dim(1), audio[0].Dim(0)
	if err := imaging.CheckSize("audio for the video", len(audio), length, heardFrames, values); err != nil {
		return nil, err
	}
	out := tensor.New(len(audio), length, heardFrames, values)
	to := out.Data
	for _, x := range audio {
		for f := range length {
			for k := range heardFrames {
				at := min(max(from+f+k-heardFrames/2, 0), max(spoken, from+length)-1)
				if at >= spoken {
					at = 0
				}
				to = to[copy(to, x.Index(at).Data):]
			}
		}
	}
	return out, nil
}

// firstFrames are the first n frames of x [N,C,T,h,w].
func firstFrames(x *tensor.Tensor, n int) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1), n, x.Dim(3), x.Dim(4))
	size := x.Dim(3) * x.Dim(4)
	for i := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[i*n*size:(i+1)*n*size], x.Data[i*x.Dim(2)*size:])
	}
	return out
}
