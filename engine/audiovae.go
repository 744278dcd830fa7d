package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"comfygo/engine/tensor"
)

var errNotAudio = errors.New("the VAE is one of images or videos: connect the VAE of an audio model")

var errAudio = errors.New("the VAE is one of audio: use VAEDecodeAudio and VAEEncodeAudio")

// LoadAudioVAE opens the VAE of audio in the file at path, such as a checkpoint that has one of videos, too.
func (rt *Runtime) LoadAudioVAE(path string) (*VAE, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.AudioVAE()
	if err != nil {
		return nil, fmt.Errorf("loading the audio VAE: %w", err)
	}
	return rt.newVAE(net, f), nil
}

// AudioLatent returns the format of latents [B,channels,T,bins] of spectrogram VAEs and the number of their values along T per second, or false
// for other VAEs.
func (v *VAE) AudioLatent() (channels, bins int, perSecond float64, ok bool) {
	a := v.info.Audio
	if a == nil || a.Bins == 0 {
		return 0, 0, 0, false
	}
	return v.info.Channels, a.Bins, a.PerSecond, true
}

// AudioRate returns the sample rate in Hz of audio that the VAE encodes, 0 for VAEs of images and videos.
func (v *VAE) AudioRate() int {
	if v.info.Audio == nil {
		return 0
	}
	return v.info.Audio.Rate
}

// AudioOutputRate returns the sample rate in Hz of audio that the VAE decodes; see AudioRate.
func (v *VAE) AudioOutputRate() int {
	if v.info.Audio == nil {
		return 0
	}
	return cmp.Or(v.info.Audio.OutputRate, v.info.Audio.Rate)
}

// DecodeAudio turns audio latents [B,C,axes…] into waveforms [B,channels,T].
func (v *VAE) DecodeAudio(ctx context.Context, z *tensor.Tensor) (*tensor.Tensor, error) {
	if v.info.Audio == nil {
		return nil, fmt.Errorf("decoding audio: %w", errNotAudio)
	}
	if len(z.Shape) < 3 || z.Dim(1) != v.info.Channels || z.Len() == 0 {
		return nil, fmt.Errorf("decoding an audio latent of shape %v: this VAE takes %d channels", z.Shape, v.info.Channels)
	}
	a := v.info.Audio
	if err := v.rt.checkHost("decoding the audio", int64(z.Dim(0))*int64(max(z.Dim(2), z.Shape[len(z.Shape)-1]))*int64(a.Hop)*int64(a.Channels)*4); err != nil {
		return nil, err
	}
	return v.rows(ctx, z, v.decode)
}

// EncodeAudio turns waveforms [B,channels,T] of the VAE's sample rate into latents [B,C,axes…]. A single channel is taken twice, and
// samples beyond the last whole latent value are left out.
func (v *VAE) EncodeAudio(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	a := v.info.Audio
	switch {
	case a == nil:
		return nil, fmt.Errorf("encoding audio: %w", errNotAudio)
	case !v.info.CanEncode:
		return nil, fmt.Errorf("encoding audio: %s holds only the VAE's decoder", v.files[0].Path)
	case len(x.Shape) != 3 || x.Dim(0) < 1 || x.Dim(1) < 1 || x.Dim(2) < a.Hop:
		return nil, fmt.Errorf("encoding audio of shape %v: wanted at least %d samples, one latent value", x.Shape, a.Hop)
	}
	return v.rows(ctx, a.Fitted(x), v.encode)
}

// rows applies f to each row of x.
func (v *VAE) rows(ctx context.Context, x *tensor.Tensor, f func(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error)) (*tensor.Tensor, error) {
	var out *tensor.Tensor
	for b := range x.Dim(0) {
		y, err := f(ctx, x.Slice(b, b+1))
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = tensor.New(append([]int{x.Dim(0)}, y.Shape[1:]...)...)
		}
		copy(out.Index(b).Data, y.Data)
	}
	return out, nil
}
