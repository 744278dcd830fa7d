// Package audio has the classes that load, save and edit audio: comfy_extras.nodes_audio.
//
// Samples are computed in package internal/audio, with torchaudio's values; other formats than WAV and FLAC are read and written by the program
// ffmpeg.
package audio

import (
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

// check refuses values that are not audio. Classes that handle a missing value check for it before.
func check(input string, a *media.Audio) error {
	if !a.Valid() {
		return nodes.Errorf("ValueError", "reading the input %s: it is not audio, a waveform [batch, channels, samples] with a sample rate", input)
	}
	return nil
}

// out returns audio on a link; nil means the link of a video without audio.
func out(a *media.Audio) nodes.Result {
	if a == nil {
		return nodes.Out(nil)
	}
	return nodes.Out(a)
}

// made is audio with a new waveform.
func made(t *tensor.Tensor, rate int) (nodes.Result, error) {
	return nodes.Out(&media.Audio{Waveform: t, SampleRate: rate}), nil
}

// span returns samples [from, to) of all channels.
func span(t *tensor.Tensor, from, to int) (*tensor.Tensor, error) {
	b, c, n := t.Shape[0], t.Shape[1], t.Shape[2]
	if from == 0 && to == n {
		return t, nil
	}
	if err := imaging.CheckSize("trimmed audio", b, c, to-from); err != nil {
		return nil, err
	}
	cut := tensor.New(b, c, to-from)
	for row := range b * c {
		copy(cut.Data[row*(to-from):(row+1)*(to-from)], t.Data[row*n+from:row*n+to])
	}
	return cut, nil
}

// channel returns one channel as [B,1,T].
func channel(t *tensor.Tensor, c int) *tensor.Tensor {
	b, n := t.Shape[0], t.Shape[2]
	one := tensor.New(b, 1, n)
	for i := range b {
		at := (i*t.Shape[1] + c) * n
		copy(one.Data[i*n:(i+1)*n], t.Data[at:at+n])
	}
	return one
}
