package ltxv

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	resample "comfygo/internal/audio"
	"comfygo/nodes"
	"comfygo/nodes/audio"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&LTXVAudioVAELoader{})
	nodes.Register(&LTXVAudioVAEEncode{})
	nodes.Register(&LTXVAudioVAEDecode{})
	nodes.Register(&LTXVEmptyLatentAudio{})
	nodes.Register(&LTXVReferenceAudio{})
}

// LTXVAudioVAELoader opens the audio VAE in a checkpoint, with its vocoder.
type LTXVAudioVAELoader struct {
	Name string `in:"ckpt_name" files:"checkpoints" tooltip:"The checkpoint of LTX-Video 2, which holds the audio VAE, too."`
}

// Spec implements nodes.Node.
func (*LTXVAudioVAELoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVAudioVAELoader", DisplayName: "Load LTXV Audio VAE", Category: "model/loaders", Module: audioModule, V3: true,
		Outputs: []nodes.Output{{Type: "VAE", Name: "Audio VAE"}}, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *LTXVAudioVAELoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := find(ctx, "checkpoints", n.Name)
	if err != nil {
		return nodes.Result{}, err
	}
	v, err := ctx.Engine.LoadAudioVAE(path)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(v), nil
}

// LTXVAudioVAEEncode encodes audio to a latent.
type LTXVAudioVAEEncode struct {
	Audio *media.Audio `in:"audio" type:"AUDIO" tooltip:"Audio to encode."`
	VAE   *engine.VAE  `in:"audio_vae" type:"VAE" display_name:"Audio VAE" tooltip:"The audio VAE of the model."`
}

// Spec implements nodes.Node.
func (*LTXVAudioVAEEncode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVAudioVAEEncode", DisplayName: "LTXV Audio VAE Encode", Category: "model/latent/ltxv", Module: audioModule, V3: true,
		Outputs: []nodes.Output{{Type: "LATENT", Name: "Audio Latent"}}, Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*LTXVAudioVAEEncode) Sizes(*nodes.Sizing) nodes.Images { return nodes.Images{} }

// Run implements nodes.Node.
func (n *LTXVAudioVAEEncode) Run(ctx *nodes.Context) (nodes.Result, error) {
	return (&audio.VAEEncodeAudio{Audio: n.Audio, VAE: n.VAE}).Run(ctx)
}

// LTXVAudioVAEDecode decodes an audio latent, or the audio of a nested one.
type LTXVAudioVAEDecode struct {
	Samples engine.Latent `in:"samples" type:"LATENT" tooltip:"Latent to decode."`
	VAE     *engine.VAE   `in:"audio_vae" type:"VAE" display_name:"Audio VAE" tooltip:"The audio VAE of the model."`
}

// Spec implements nodes.Node.
func (*LTXVAudioVAEDecode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVAudioVAEDecode", DisplayName: "LTXV Audio VAE Decode", Category: "model/latent/ltxv", Module: audioModule, V3: true,
		Outputs: []nodes.Output{{Type: "AUDIO", Name: "Audio"}}, Uses: nodes.UsesDevice,
	}
}

var errNoAudioVAE = nodes.Errorf("AttributeError", "there is no audio VAE: connect LTXVAudioVAELoader")

// Run implements nodes.Node.
func (n *LTXVAudioVAEDecode) Run(ctx *nodes.Context) (nodes.Result, error) {
	z := n.Samples.Samples
	if parts := n.Samples.Along; len(parts) > 0 {
		z = parts[len(parts)-1]
	}
	switch {
	case n.VAE == nil:
		return nodes.Result{}, errNoAudioVAE
	case z == nil || z.Len() == 0:
		return nodes.Result{}, nodes.Errorf("ValueError", "decoding audio: the input samples is empty")
	}
	waveform, err := n.VAE.DecodeAudio(ctx, z)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(&media.Audio{Waveform: waveform, SampleRate: n.VAE.AudioOutputRate()}), nil
}

// LTXVEmptyLatentAudio makes the empty audio latent of a video.
type LTXVEmptyLatentAudio struct {
	Frames    int         `in:"frames_number" default:"97" min:"1" max:"1000" step:"1" display:"number" tooltip:"Number of frames of the video."`
	Rate      any         `in:"frame_rate" type:"FLOAT,INT" default:"25.0" widgetType:"FLOAT" min:"1.0" max:"1000.0" step:"0.01" display:"number" tooltip:"Frames per second."`
	BatchSize int         `in:"batch_size" default:"1" min:"1" max:"4096" display:"number" tooltip:"Number of latents."`
	VAE       *engine.VAE `in:"audio_vae" type:"VAE" display_name:"Audio VAE" tooltip:"The audio VAE of the model, which says how latents are laid out."`
}

// Spec implements nodes.Node.
func (*LTXVEmptyLatentAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVEmptyLatentAudio", DisplayName: "LTXV Empty Latent Audio", Category: "model/latent/ltxv", Module: audioModule, V3: true,
		Outputs: []nodes.Output{{Type: "LATENT", Name: "Latent"}}, Uses: nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*LTXVEmptyLatentAudio) Sizes(*nodes.Sizing) nodes.Images { return nodes.Images{} }

// Run implements nodes.Node.
func (n *LTXVEmptyLatentAudio) Run(*nodes.Context) (nodes.Result, error) {
	var rate float64
	switch v := n.Rate.(type) {
	case float64:
		rate = v
	case int64:
		rate = float64(v)
	case int:
		rate = float64(v)
	default:
		return nodes.Result{}, nodes.Errorf("TypeError", "making an audio latent: frame_rate is %T, wanted a number", n.Rate)
	}
	if n.VAE == nil {
		return nodes.Result{}, errNoAudioVAE
	}
	channels, bins, perSecond, ok := n.VAE.AudioLatent()
	if !ok {
		return nodes.Result{}, nodes.Errorf("AttributeError", "making an audio latent: the VAE is not the audio VAE of LTX-Video 2: connect LTXVAudioVAELoader")
	}
	if !(rate > 0) {
		return nodes.Result{}, nodes.Errorf("ZeroDivisionError", "making an audio latent: frame_rate is %v, wanted a positive number", rate)
	}
	count := math.RoundToEven(float64(n.Frames) / rate * perSecond)
	return latent.Empty("audio latents", engine.Latent{Type: "audio"}, n.BatchSize, channels, int(min(count, math.MaxInt32)), bins)
}

// LTXVReferenceAudio has the model speak with the voice of a recording.
type LTXVReferenceAudio struct {
	Model    *engine.Model       `in:"model" type:"MODEL"`
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Audio    *media.Audio        `in:"reference_audio" type:"AUDIO" tooltip:"Recording of the voice. The LoRA of this kind were trained with about five seconds."`
	VAE      *engine.VAE         `in:"audio_vae" type:"VAE" display_name:"Audio VAE" tooltip:"The audio VAE of the model."`
	Scale    float64             `in:"identity_guidance_scale" default:"3.0" min:"0.0" max:"100.0" step:"0.01" round:"0.01" tooltip:"Strength of guidance towards the voice, which takes one more pass a step without the recording. 0 turns it off."`
	Start    float64             `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001" advanced:"true" tooltip:"Where the guidance begins, as a part of the schedule."`
	End      float64             `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001" advanced:"true" tooltip:"Where the guidance ends, as a part of the schedule."`
}

// Spec implements nodes.Node.
func (*LTXVReferenceAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVReferenceAudio", DisplayName: "LTXV Reference Audio (ID-LoRA)", Category: "model/conditioning/ltxv", Module: module, V3: true,
		Description: "Gives the model a recording whose voice it is to speak with, for ID-LoRA, and guides it towards that voice.",
		Outputs:     []nodes.Output{{Type: "MODEL"}, {Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Uses:        nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *LTXVReferenceAudio) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch {
	case n.Model == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "patching the model: there is no model")
	case n.VAE == nil:
		return nodes.Result{}, errNoAudioVAE
	case n.Audio == nil || n.Audio.Waveform == nil || len(n.Audio.Waveform.Shape) != 3 || n.Audio.Waveform.Len() == 0:
		return nodes.Result{}, nodes.Errorf("ValueError", "encoding the reference audio: the input reference_audio is empty")
	}
	if _, _, _, ok := n.VAE.AudioLatent(); !ok {
		return nodes.Result{}, nodes.Errorf("AttributeError", "encoding the reference audio: the VAE is not the audio VAE of LTX-Video 2: connect LTXVAudioVAELoader")
	}
	waveform, err := resample.Resample(ctx, n.Audio.Waveform, n.Audio.SampleRate, n.VAE.AudioRate())
	if err != nil {
		return nodes.Result{}, err
	}
	z, err := n.VAE.EncodeAudio(ctx, waveform)
	if err != nil {
		return nodes.Result{}, err
	}
	values := map[string]any{sampling.KeyReferenceAudio: map[string]any{"tokens": tokens(z)}}
	ms := n.Model.Sampling()
	without := map[string]any{sampling.OptionWithoutReference: true}
	m := after(n.Model, sampling.AwayFrom(without, n.Scale, ms.PercentToSigma(n.End), ms.PercentToSigma(n.Start)))
	return nodes.Out(m, n.Positive.With(values), n.Negative.With(values)), nil
}

// tokens are the values of an audio latent [B,C,T,F] at each time, [B,T,C·F].
func tokens(z *tensor.Tensor) *tensor.Tensor {
	b, c, t, f := z.Dim(0), z.Dim(1), z.Dim(2), z.Dim(3)
	out := tensor.New(b, t, c*f)
	for row := range b * c {
		for i := range t {
			copy(out.Data[((row/c*t+i)*c+row%c)*f:], z.Data[(row*t+i)*f:(row*t+i+1)*f])
		}
	}
	return out
}
