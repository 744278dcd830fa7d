package audio

import (
	"context"
	"math"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	sound "comfygo/internal/audio"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&JoinAudioChannels{})
	nodes.Register(&AudioConcat{})
	nodes.Register(&AudioMerge{})
}

// JoinAudioChannels makes stereo of two mono channels.
type JoinAudioChannels struct {
	Left  *media.Audio `in:"audio_left" type:"AUDIO"`
	Right *media.Audio `in:"audio_right" type:"AUDIO"`
}

// Spec implements nodes.Node.
func (*JoinAudioChannels) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "JoinAudioChannels", DisplayName: "Join Audio Channels", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:     []nodes.Output{{Type: "AUDIO", Name: "audio"}},
		Description: "Joins two mono channels into stereo audio, as long as the shorter one.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node. Of two sample rates the higher one is kept.
func (n *JoinAudioChannels) Run(ctx *nodes.Context) (nodes.Result, error) {
	if r, done := onlyOne(n.Left, n.Right); done {
		return r, nil
	}
	if err := checkBoth("audio_left", n.Left, "audio_right", n.Right); err != nil {
		return nodes.Result{}, err
	}
	if n.Left.Channels() != 1 || n.Right.Channels() != 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "joining audio: both inputs have to be mono; they have %d and %d channels", n.Left.Channels(), n.Right.Channels())
	}
	l, r, rate, err := matched(ctx, n.Left, n.Right)
	if err != nil {
		return nodes.Result{}, err
	}
	length := min(l.Shape[2], r.Shape[2])
	if l, err = span(l, 0, length); err != nil {
		return nodes.Result{}, err
	}
	if r, err = span(r, 0, length); err != nil {
		return nodes.Result{}, err
	}
	t, err := concatenated(1, l, r)
	if err != nil {
		return nodes.Result{}, err
	}
	return made(t, rate)
}

// AudioConcat puts one audio behind another.
type AudioConcat struct {
	Audio1    *media.Audio `in:"audio1" type:"AUDIO"`
	Audio2    *media.Audio `in:"audio2" type:"AUDIO"`
	Direction string       `in:"direction" options:"after|before" default:"after" tooltip:"Whether audio2 comes after or before audio1."`
}

// Spec implements nodes.Node.
func (*AudioConcat) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AudioConcat", DisplayName: "Concatenate Audio", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       nodes.Outputs("AUDIO"),
		Description:   "Puts audio2 after or before audio1.",
		SearchAliases: []string{"join audio", "combine audio", "append audio"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. Mono becomes stereo; of two sample rates the higher one is kept.
func (n *AudioConcat) Run(ctx *nodes.Context) (nodes.Result, error) {
	if r, done := onlyOne(n.Audio1, n.Audio2); done {
		return r, nil
	}
	if err := checkBoth("audio1", n.Audio1, "audio2", n.Audio2); err != nil {
		return nodes.Result{}, err
	}
	first, err := stereo(n.Audio1)
	if err != nil {
		return nodes.Result{}, err
	}
	second, err := stereo(n.Audio2)
	if err != nil {
		return nodes.Result{}, err
	}
	a, b, rate, err := matched(ctx, first, second)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Direction == "before" {
		a, b = b, a
	}
	t, err := concatenated(2, a, b)
	if err != nil {
		return nodes.Result{}, err
	}
	return made(t, rate)
}

// AudioMerge lays two audios over one another.
type AudioMerge struct {
	Audio1 *media.Audio `in:"audio1" type:"AUDIO"`
	Audio2 *media.Audio `in:"audio2" type:"AUDIO"`
	Method string       `in:"merge_method" options:"add|mean|subtract|multiply" tooltip:"How the samples are combined."`
}

// Spec implements nodes.Node.
func (*AudioMerge) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AudioMerge", DisplayName: "Merge Audio", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       nodes.Outputs("AUDIO"),
		Description:   "Mixes two audio tracks. The result is as long as audio1 and is scaled down where it would exceed full scale.",
		SearchAliases: []string{"mix audio", "overlay audio", "layer audio"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. audio2 is cut or filled with silence to the length of audio1; of two sample rates the higher one is kept.
func (n *AudioMerge) Run(ctx *nodes.Context) (nodes.Result, error) {
	if r, done := onlyOne(n.Audio1, n.Audio2); done {
		return r, nil
	}
	if err := checkBoth("audio1", n.Audio1, "audio2", n.Audio2); err != nil {
		return nodes.Result{}, err
	}
	a, b, rate, err := matched(ctx, n.Audio1, n.Audio2)
	if err != nil {
		return nodes.Result{}, err
	}
	if a.Shape[2] == 0 || b.Shape[2] == 0 {
		return made(a, rate)
	}
	t, err := mixed(ctx, a, b, n.Method)
	if err != nil {
		return nodes.Result{}, err
	}
	if err := limitPeak(ctx, t); err != nil {
		return nodes.Result{}, err
	}
	return made(t, rate)
}

// onlyOne answers for links without audio: the other audio is the result.
func onlyOne(a, b *media.Audio) (nodes.Result, bool) {
	switch {
	case a == nil:
		return out(b), true
	case b == nil:
		return out(a), true
	}
	return nodes.Result{}, false
}

func checkBoth(name1 string, a *media.Audio, name2 string, b *media.Audio) error {
	if err := check(name1, a); err != nil {
		return err
	}
	return check(name2, b)
}

// matched converts the audio with the lower sample rate to the rate of the other.
func matched(ctx *nodes.Context, a, b *media.Audio) (first, second *tensor.Tensor, rate int, err error) {
	rate = max(a.SampleRate, b.SampleRate)
	if first, err = sound.Resample(ctx, a.Waveform, a.SampleRate, rate); err != nil {
		return nil, nil, 0, err
	}
	second, err = sound.Resample(ctx, b.Waveform, b.SampleRate, rate)
	return first, second, rate, err
}

// stereo repeats a mono channel.
func stereo(a *media.Audio) (*media.Audio, error) {
	if a.Channels() != 1 {
		return a, nil
	}
	t, err := concatenated(1, a.Waveform, a.Waveform)
	return &media.Audio{Waveform: t, SampleRate: a.SampleRate}, err
}

// concatenated joins two waveforms along axis 1 or 2; the others have to be equal.
func concatenated(axis int, a, b *tensor.Tensor) (*tensor.Tensor, error) {
	shape := append([]int(nil), a.Shape...)
	for i, n := range b.Shape {
		if i != axis && shape[i] != n {
			return nil, nodes.Errorf("RuntimeError", "joining audio of the shapes %v and %v: batch size and channels have to be equal", a.Shape, b.Shape)
		}
	}
	shape[axis] += b.Shape[axis]
	if err := imaging.CheckSize("joined audio", shape...); err != nil {
		return nil, err
	}
	t := tensor.New(shape...)
	na, nb := tensor.Count(a.Shape[axis:]), tensor.Count(b.Shape[axis:])
	for row := range tensor.Count(shape[:axis]) {
		to := t.Data[row*(na+nb) : (row+1)*(na+nb)]
		copy(to, a.Data[row*na:(row+1)*na])
		copy(to[na:], b.Data[row*nb:(row+1)*nb])
	}
	return t, nil
}

// mixed combines two waveforms sample by sample, over the length of a. A batch or channel count of 1 is repeated.
func mixed(ctx context.Context, a, b *tensor.Tensor, method string) (*tensor.Tensor, error) {
	shape := []int{0, 0, a.Shape[2]}
	for i := range 2 {
		switch {
		case a.Shape[i] == b.Shape[i] || b.Shape[i] == 1:
			shape[i] = a.Shape[i]
		case a.Shape[i] == 1:
			shape[i] = b.Shape[i]
		default:
			return nil, nodes.Errorf("RuntimeError", "merging audio of the shapes %v and %v: batch size and channels have to be equal, or 1", a.Shape, b.Shape)
		}
	}
	if err := imaging.CheckSize("merged audio", shape...); err != nil {
		return nil, err
	}
	t := tensor.New(shape...)
	n := shape[2]
	for i := range shape[0] {
		for c := range shape[1] {
			row := t.Data[(i*shape[1]+c)*n:][:n]
			copy(row, rowOf(a, i, c))
			other := rowOf(b, i, c)
			err := imaging.Chunks(ctx, n, 4, func(from, to int) {
				combine(row[from:to], other[min(from, len(other)):min(to, len(other))], method)
			})
			if err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// rowOf is one channel; of a batch or channels of one, that one.
func rowOf(t *tensor.Tensor, batch, c int) []float32 {
	if t.Shape[0] == 1 {
		batch = 0
	}
	if t.Shape[1] == 1 {
		c = 0
	}
	n := t.Shape[2]
	return t.Data[(batch*t.Shape[1]+c)*n:][:n]
}

// combine changes a by b, which counts as silence beyond its end.
func combine(a, b []float32, method string) {
	for i := range a {
		v := float32(0)
		if i < len(b) {
			v = b[i]
		}
		switch method {
		case "add":
			a[i] += v
		case "subtract":
			a[i] -= v
		case "multiply":
			a[i] *= v
		case "mean":
			a[i] = (a[i] + v) / 2
		}
	}
}

// limitPeak scales a waveform whose peak exceeds full scale. A waveform with NaN is unchanged, as upstream's maximum is NaN then.
func limitPeak(ctx context.Context, t *tensor.Tensor) error {
	peak := float32(0)
	err := imaging.Chunks(ctx, len(t.Data), 4, func(from, to int) {
		for _, v := range t.Data[from:to] { // the maximum with NaN is NaN
			peak = max(peak, float32(math.Abs(float64(v))))
		}
	})
	if err != nil || !(peak > 1) {
		return err
	}
	return imaging.Chunks(ctx, len(t.Data), 1, func(from, to int) {
		for i := from; i < to; i++ {
			t.Data[i] /= peak
		}
	})
}
