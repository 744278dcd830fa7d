package audio

import (
	"comfygo/engine/media"
	sound "comfygo/internal/audio"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() { nodes.Register(&AudioEqualizer3Band{}) }

// AudioEqualizer3Band filters audio in three bands.
type AudioEqualizer3Band struct {
	Audio    *media.Audio `in:"audio" type:"AUDIO"`
	LowGain  float64      `in:"low_gain_dB" default:"0.0" min:"-24.0" max:"24.0" step:"0.1" tooltip:"Gain of low frequencies in decibels."`
	LowFreq  int          `in:"low_freq" default:"100" min:"20" max:"500" tooltip:"Cutoff frequency of the low shelf in Hz."`
	MidGain  float64      `in:"mid_gain_dB" default:"0.0" min:"-24.0" max:"24.0" step:"0.1" tooltip:"Gain of middle frequencies in decibels."`
	MidFreq  int          `in:"mid_freq" default:"1000" min:"200" max:"4000" tooltip:"Center frequency of the middle band in Hz."`
	MidQ     float64      `in:"mid_q" default:"0.707" min:"0.1" max:"10.0" step:"0.1" tooltip:"Q factor of the middle band: higher is narrower."`
	HighGain float64      `in:"high_gain_dB" default:"0.0" min:"-24.0" max:"24.0" step:"0.1" tooltip:"Gain of high frequencies in decibels."`
	HighFreq int          `in:"high_freq" default:"5000" min:"1000" max:"15000" tooltip:"Cutoff frequency of the high shelf in Hz."`
}

// Spec implements nodes.Node.
func (*AudioEqualizer3Band) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AudioEqualizer3Band", DisplayName: "Audio Equalizer (3-Band)", Category: "audio",
		Module: "comfy_extras.nodes_audio", V3: true,
		Outputs:       nodes.Outputs("AUDIO"),
		Experimental:  true,
		Description:   "Raises or lowers low, middle and high frequencies.",
		SearchAliases: []string{"eq", "bass boost", "treble boost", "equalizer"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. A band of 0 dB is left out; the others limit the audio to full scale.
func (n *AudioEqualizer3Band) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Audio == nil {
		return out(nil), nil
	}
	if err := check("audio", n.Audio); err != nil {
		return nodes.Result{}, err
	}
	if n.Audio.Samples() == 0 {
		return out(n.Audio), nil
	}
	if err := imaging.CheckSize("filtered audio", append([]int{2}, n.Audio.Waveform.Shape...)...); err != nil {
		return nodes.Result{}, err
	}
	const shelfQ = 0.707
	rate := n.Audio.SampleRate
	var bands []sound.Biquad
	if n.LowGain != 0 {
		bands = append(bands, sound.LowShelf(rate, n.LowGain, float64(n.LowFreq), shelfQ))
	}
	if n.MidGain != 0 {
		bands = append(bands, sound.Peak(rate, n.MidGain, float64(n.MidFreq), n.MidQ))
	}
	if n.HighGain != 0 {
		bands = append(bands, sound.HighShelf(rate, n.HighGain, float64(n.HighFreq), shelfQ))
	}
	t := n.Audio.Waveform
	for _, b := range bands {
		var err error
		if t, err = b.Apply(ctx, t); err != nil {
			return nodes.Result{}, err
		}
	}
	return made(t, rate)
}
