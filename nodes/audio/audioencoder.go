package audio

import (
	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/internal/audio"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&AudioEncoderLoader{})
	nodes.Register(&AudioEncoderEncode{})
}

// moduleAudioEncoder is upstream's module of these classes.
const moduleAudioEncoder = "comfy_extras.nodes_audio_encoder"

// AudioEncoderLoader opens an audio encoder.
type AudioEncoderLoader struct {
	Name string `in:"audio_encoder_name" files:"audio_encoders"`
}

// Spec implements nodes.Node.
func (*AudioEncoderLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AudioEncoderLoader", DisplayName: "Load Audio Encoder", Category: "model/loaders", Module: moduleAudioEncoder, V3: true,
		Description: "Loads an audio encoder, Wav2Vec2 or Whisper, for models of talking videos.",
		Outputs:     nodes.Outputs("AUDIO_ENCODER"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *AudioEncoderLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, ok := ctx.Folders.Find("audio_encoders", n.Name)
	if !ok {
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the audio encoder: there is no file %q in the folder audio_encoders", n.Name)
	}
	e, err := ctx.Engine.LoadAudioEncoder(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(e), nil
}

// AudioEncoderEncode encodes audio by an audio encoder; the output is a family.AudioEncoding.
type AudioEncoderEncode struct {
	Encoder *engine.AudioEncoder `in:"audio_encoder" type:"AUDIO_ENCODER"`
	Audio   *media.Audio         `in:"audio" type:"AUDIO"`
}

// Spec implements nodes.Node.
func (*AudioEncoderEncode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "AudioEncoderEncode", Category: "model/conditioning", Module: moduleAudioEncoder, V3: true,
		Description: "Encodes audio for models of talking videos, at 50 hidden states a second.",
		Outputs:     nodes.Outputs("AUDIO_ENCODER_OUTPUT"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *AudioEncoderEncode) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch {
	case n.Encoder == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "encoding audio: there is no audio encoder: connect one of AudioEncoderLoader")
	case n.Audio == nil:
		return nodes.Result{}, nodes.Errorf("TypeError", "encoding audio: there is no audio; a video without an audio stream gives none")
	}
	if err := check("audio", n.Audio); err != nil {
		return nodes.Result{}, err
	}
	waveform, err := audio.Resample(ctx, n.Audio.Waveform, n.Audio.SampleRate, n.Encoder.Rate())
	if err != nil {
		return nodes.Result{}, err
	}
	encoded, err := n.Encoder.Encode(ctx, waveform)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(encoded), nil
}
