package audio

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/audio"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&VAEEncodeAudio{})
	nodes.Register(&VAEDecodeAudio{})
	nodes.Register(&VAEDecodeAudioTiled{})
}

// VAEEncodeAudio encodes audio to a latent.
type VAEEncodeAudio struct {
	Audio *media.Audio `in:"audio" type:"AUDIO"`
	VAE   *engine.VAE  `in:"vae" type:"VAE"`
}

// Spec implements nodes.Node.
func (*VAEEncodeAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VAEEncodeAudio", DisplayName: "VAE Encode Audio", Category: "model/latent", Module: "comfy_extras.nodes_audio", V3: true,
		Outputs: nodes.Outputs("LATENT"), SearchAliases: []string{"audio to latent"}, Uses: nodes.UsesDevice,
	}
}

// Sizes implements nodes.Sizer.
func (*VAEEncodeAudio) Sizes(*nodes.Sizing) nodes.Images { return nodes.Images{} }

// Run implements nodes.Node.
func (n *VAEEncodeAudio) Run(ctx *nodes.Context) (nodes.Result, error) {
	switch {
	case n.Audio == nil:
		return nodes.Result{}, nodes.Errorf("ValueError", "encoding audio: there is no audio; a video without an audio stream gives none")
	case n.VAE == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "encoding audio: there is no VAE: connect the VAE of the model")
	}
	if err := check("audio", n.Audio); err != nil {
		return nodes.Result{}, err
	}
	waveform := n.Audio.Waveform
	if rate := n.VAE.AudioRate(); rate > 0 {
		var err error
		if waveform, err = audio.Resample(ctx, waveform, n.Audio.SampleRate, rate); err != nil {
			return nodes.Result{}, err
		}
	}
	z, err := n.VAE.EncodeAudio(ctx, waveform)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(engine.Latent{Samples: z}), nil
}

// VAEDecodeAudio decodes an audio latent.
type VAEDecodeAudio struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	VAE     *engine.VAE   `in:"vae" type:"VAE"`
}

// Spec implements nodes.Node.
func (*VAEDecodeAudio) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VAEDecodeAudio", DisplayName: "VAE Decode Audio", Category: "model/latent", Module: "comfy_extras.nodes_audio", V3: true,
		Outputs: nodes.Outputs("AUDIO"), SearchAliases: []string{"latent to audio"}, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *VAEDecodeAudio) Run(ctx *nodes.Context) (nodes.Result, error) {
	return decode(ctx, n.Samples, n.VAE)
}

// VAEDecodeAudioTiled decodes an audio latent. Here all decoding of audio is done in pieces without visible seams, so the size and the
// overlap of tiles have no effect.
type VAEDecodeAudioTiled struct {
	Samples engine.Latent `in:"samples" type:"LATENT"`
	VAE     *engine.VAE   `in:"vae" type:"VAE"`
	Tile    int           `in:"tile_size" default:"512" min:"32" max:"8192" step:"8"`
	Overlap int           `in:"overlap" default:"64" min:"0" max:"1024" step:"8"`
}

// Spec implements nodes.Node.
func (*VAEDecodeAudioTiled) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VAEDecodeAudioTiled", DisplayName: "VAE Decode Audio (Tiled)", Category: "model/latent", Module: "comfy_extras.nodes_audio", V3: true,
		Outputs: nodes.Outputs("AUDIO"), SearchAliases: []string{"latent to audio"}, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *VAEDecodeAudioTiled) Run(ctx *nodes.Context) (nodes.Result, error) {
	return decode(ctx, n.Samples, n.VAE)
}

// decode decodes the last part of a latent and makes audio quieter that is louder than usual. Upstream: vae_decode_audio.
func decode(ctx *nodes.Context, l engine.Latent, vae *engine.VAE) (nodes.Result, error) {
	z := l.Samples
	if len(l.Along) > 0 {
		z = l.Along[len(l.Along)-1]
	}
	switch {
	case vae == nil:
		return nodes.Result{}, nodes.Errorf("AttributeError", "decoding audio: there is no VAE: connect the VAE of the model")
	case z == nil || z.Len() == 0:
		return nodes.Result{}, nodes.Errorf("ValueError", "decoding audio: the input samples is empty")
	}
	waveform, err := vae.DecodeAudio(ctx, z)
	if err != nil {
		return nodes.Result{}, err
	}
	for b := range waveform.Dim(0) {
		soften(waveform.Index(b))
	}
	return out(&media.Audio{Waveform: waveform, SampleRate: vae.AudioOutputRate()}), nil
}

// soften divides samples by five times their standard deviation where that is above one.
func soften(x *tensor.Tensor) {
	const most = 5
	n, sum, squares := float64(len(x.Data)), 0.0, 0.0
	for _, v := range x.Data {
		sum += float64(v)
	}
	mean := sum / n
	for _, v := range x.Data {
		squares += (float64(v) - mean) * (float64(v) - mean)
	}
	by := float32(most * math.Sqrt(squares/max(n-1, 1)))
	if !(by >= 1) {
		return
	}
	for i := range x.Data {
		x.Data[i] /= by
	}
}
