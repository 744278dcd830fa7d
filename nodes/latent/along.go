package latent

import (
	"slices"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LTXVConcatAVLatent{})
	nodes.Register(&LTXVSeparateAVLatent{})
}

// LTXVConcatAVLatent joins the latents of a video and its audio to a nested latent. One that is joined already gets another sound, as long as
// the one that it had.
type LTXVConcatAVLatent struct {
	Video engine.Latent `in:"video_latent" type:"LATENT"`
	Audio engine.Latent `in:"audio_latent" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*LTXVConcatAVLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVConcatAVLatent", DisplayName: "Concat AV Latent", Category: "model/latent/ltxv", V3: true, Module: "comfy_extras.nodes_lt",
		Description: "Joins the latents of a video and its audio, so that they are sampled together.",
		Outputs:     []nodes.Output{{Type: "LATENT", Name: "latent"}},
		Uses:        nodes.UsesNothing,
	}
}

func (*LTXVConcatAVLatent) Sizes(s *nodes.Sizing) nodes.Images { return s.Joined() }

// Run implements nodes.Node.
func (n *LTXVConcatAVLatent) Run(*nodes.Context) (nodes.Result, error) {
	sound, mask := n.Audio.Samples, n.Audio.NoiseMask
	if n.Video.Samples == nil || sound == nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "concatenating video and audio latents: an input is missing")
	}
	if len(n.Video.Along) > 0 {
		var err error
		if sound, mask, err = fitSound(n.Video.Along[0], sound, mask); err != nil {
			return nodes.Result{}, err
		}
	}
	out := n.Video
	out.Along = []*tensor.Tensor{sound}
	out.AlongMasks = []*tensor.Tensor{mask}
	if n.Audio.BatchIndex != nil { // what both say, the sound says last
		out.BatchIndex = n.Audio.BatchIndex
	}
	if n.Audio.DownscaleRatio != 0 {
		out.DownscaleRatio = n.Audio.DownscaleRatio
	}
	return nodes.Out(out), nil
}

// fitSound cuts or lengthens a sound and its mask to the length of another: silence that is to be filled comes behind it.
func fitSound(like, sound, mask *tensor.Tensor) (*tensor.Tensor, *tensor.Tensor, error) {
	axis := -1
	for i := range like.Shape {
		switch {
		case len(like.Shape) != len(sound.Shape) || like.Shape[i] != sound.Shape[i] && (axis >= 0 || i < 2):
			return nil, nil, nodes.Errorf("ValueError", "concatenating video and audio latents: audio of shape %v cannot be fitted to %v", sound.Shape, like.Shape)
		case like.Shape[i] != sound.Shape[i]:
			axis = i
		}
	}
	if axis < 0 {
		return sound, mask, nil
	}
	n := like.Shape[axis]
	if mask != nil {
		var err error
		if mask, err = es.NoiseMask(mask, sound.Shape); err != nil {
			return nil, nil, err
		}
		mask = resized(mask, axis, n, 1)
	}
	return resized(sound, axis, n, 0), mask, nil
}

// resized cuts an axis to n or lengthens it with a value.
func resized(x *tensor.Tensor, axis, n int, fill float32) *tensor.Tensor {
	shape := slices.Clone(x.Shape)
	shape[axis] = n
	out := tensor.New(shape...)
	line := tensor.Count(x.Shape[axis+1:])
	from, to := x.Shape[axis]*line, n*line
	for i := range tensor.Count(x.Shape[:axis]) {
		row := out.Data[i*to : (i+1)*to]
		for k := copy(row, x.Data[i*from:(i+1)*from]); k < to; k++ {
			row[k] = fill
		}
	}
	return out
}

// LTXVSeparateAVLatent separates the latents of a video and its audio.
type LTXVSeparateAVLatent struct {
	Joined engine.Latent `in:"av_latent" type:"LATENT"`
}

// Spec implements nodes.Node.
func (*LTXVSeparateAVLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVSeparateAVLatent", DisplayName: "Separate AV Latent", Category: "model/latent/ltxv", V3: true, Module: "comfy_extras.nodes_lt",
		Description: "Separates the latents of a video and its audio.",
		Outputs:     []nodes.Output{{Type: "LATENT", Name: "video_latent"}, {Type: "LATENT", Name: "audio_latent"}},
		Uses:        nodes.UsesNothing,
	}
}

func (*LTXVSeparateAVLatent) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *LTXVSeparateAVLatent) Run(*nodes.Context) (nodes.Result, error) {
	if n.Joined.Samples == nil || len(n.Joined.Along) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "separating video and audio latents: the latent has one part only")
	}
	video, sound := n.Joined, n.Joined
	video.Along, video.AlongMasks, sound.Along, sound.AlongMasks = nil, nil, nil, nil
	sound.Samples, sound.NoiseMask = n.Joined.Along[0], nil
	if len(n.Joined.AlongMasks) > 0 {
		sound.NoiseMask = n.Joined.AlongMasks[0]
	}
	return nodes.Out(video, sound), nil
}
