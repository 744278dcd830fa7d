package audio

import (
	"math"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&TrimAudioDuration{})
	nodes.Register(&SplitAudioChannels{})
	nodes.Register(&AudioAdjustVolume{})
	nodes.Register(&EmptyAudio{})
}

// TrimAudioDuration cuts a span out of audio.
type TrimAudioDuration struct {
	Audio    *media.Audio `in:"audio" type:"AUDIO"`
	Start    float64      `in:"start_index" default:"0.0" min:"-18446744073709551615" max:"18446744073709551615" step:"0.01" tooltip:"Start time in seconds; a negative one counts from the end."`
	Duration float64      `in:"duration" default:"60.0" min:"0.0" step:"0.01" tooltip:"Duration in seconds."`
}

// Spec implements nodes.Node.
func (*TrimAudioDuration) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TrimAudioDuration", DisplayName: "Trim Audio Duration", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       nodes.Outputs("AUDIO"),
		Description:   "Trims audio to a time range.",
		SearchAliases: []string{"cut audio", "audio clip", "shorten audio"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *TrimAudioDuration) Run(*nodes.Context) (nodes.Result, error) {
	if n.Audio == nil {
		return out(nil), nil
	}
	if err := check("audio", n.Audio); err != nil {
		return nodes.Result{}, err
	}
	length, rate := float64(n.Audio.Samples()), float64(n.Audio.SampleRate)
	if length == 0 {
		return out(n.Audio), nil
	}
	start := math.RoundToEven(n.Start * rate)
	if n.Start < 0 {
		start += length
	}
	start = max(0, min(start, length))
	end := max(0, min(start+math.RoundToEven(n.Duration*rate), length))
	if !(start < end) {
		return nodes.Result{}, nodes.Errorf("ValueError", "trimming audio of %g s from %g s for %g s: nothing is left; the start has to lie within the audio and the duration be positive", length/rate, n.Start, n.Duration)
	}
	t, err := span(n.Audio.Waveform, int(start), int(end))
	if err != nil {
		return nodes.Result{}, err
	}
	return made(t, n.Audio.SampleRate)
}

// SplitAudioChannels takes stereo audio apart.
type SplitAudioChannels struct {
	Audio *media.Audio `in:"audio" type:"AUDIO"`
}

// Spec implements nodes.Node.
func (*SplitAudioChannels) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SplitAudioChannels", DisplayName: "Split Audio Channels", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       []nodes.Output{{Type: "AUDIO", Name: "left"}, {Type: "AUDIO", Name: "right"}},
		Description:   "Splits stereo audio into its left and right channel.",
		SearchAliases: []string{"stereo to mono"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SplitAudioChannels) Run(*nodes.Context) (nodes.Result, error) {
	if n.Audio == nil {
		return nodes.Out(nil, nil), nil
	}
	if err := check("audio", n.Audio); err != nil {
		return nodes.Result{}, err
	}
	if c := n.Audio.Channels(); c != 2 {
		return nodes.Result{}, nodes.Errorf("ValueError", "splitting audio: it has to be stereo, 2 channels; it has %d", c)
	}
	if err := imaging.CheckSize("the channels of audio", n.Audio.Waveform.Shape...); err != nil {
		return nodes.Result{}, err
	}
	side := func(c int) *media.Audio {
		return &media.Audio{Waveform: channel(n.Audio.Waveform, c), SampleRate: n.Audio.SampleRate}
	}
	return nodes.Out(side(0), side(1)), nil
}

// AudioAdjustVolume makes audio louder or softer.
type AudioAdjustVolume struct {
	Audio  *media.Audio `in:"audio" type:"AUDIO"`
	Volume int          `in:"volume" default:"1" min:"-100" max:"100" tooltip:"Gain in decibels: 0 leaves the audio as it is, 6 doubles it, -6 halves it."`
}

// Spec implements nodes.Node.
func (*AudioAdjustVolume) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AudioAdjustVolume", DisplayName: "Adjust Audio Volume", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       nodes.Outputs("AUDIO"),
		Description:   "Changes the volume of audio by a number of decibels.",
		SearchAliases: []string{"audio gain", "loudness", "audio level"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *AudioAdjustVolume) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Audio == nil || n.Volume == 0 {
		return out(n.Audio), nil
	}
	if err := check("audio", n.Audio); err != nil {
		return nodes.Result{}, err
	}
	if err := imaging.CheckSize("audio", n.Audio.Waveform.Shape...); err != nil {
		return nodes.Result{}, err
	}
	gain := float32(math.Pow(10, float64(n.Volume)/20))
	t := tensor.New(n.Audio.Waveform.Shape...)
	err := imaging.Chunks(ctx, len(t.Data), 1, func(from, to int) {
		for i := from; i < to; i++ {
			t.Data[i] = n.Audio.Waveform.Data[i] * gain
		}
	})
	if err != nil {
		return nodes.Result{}, err
	}
	return made(t, n.Audio.SampleRate)
}

// EmptyAudio makes silence.
type EmptyAudio struct {
	Duration   float64 `in:"duration" default:"60.0" min:"0.0" max:"18446744073709551615" step:"0.01" tooltip:"Duration in seconds."`
	SampleRate int     `in:"sample_rate" advanced:"true" default:"44100" min:"1" max:"192000" tooltip:"Sample rate in Hz."`
	Channels   int     `in:"channels" advanced:"true" default:"2" min:"1" max:"2" tooltip:"Number of channels: 1 for mono, 2 for stereo."`
}

// Spec implements nodes.Node.
func (*EmptyAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyAudio", DisplayName: "Empty Audio", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       nodes.Outputs("AUDIO"),
		Description:   "Makes silent audio.",
		SearchAliases: []string{"blank audio"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *EmptyAudio) Run(*nodes.Context) (nodes.Result, error) {
	length := math.RoundToEven(n.Duration * float64(n.SampleRate))
	if n.SampleRate < 1 || n.Channels < 0 || !(length >= 0) {
		return nodes.Result{}, nodes.Errorf("ValueError", "making audio of %g s at %d Hz with %d channels", n.Duration, n.SampleRate, n.Channels)
	}
	samples := int(min(length, 1<<60))
	if err := imaging.CheckSize("empty audio", 1, n.Channels, samples); err != nil {
		return nodes.Result{}, err
	}
	return made(tensor.New(1, n.Channels, samples), n.SampleRate)
}
