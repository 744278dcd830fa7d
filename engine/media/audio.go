// Package media holds the values of AUDIO and VIDEO links that nodes pass to each other.
//
// It knows nothing of files, codecs, nodes or HTTP.
package media

import (
	"comfygo/engine/tensor"
	"comfygo/internal/pyjson"
)

// Audio is the value of AUDIO links; a link without audio (of a video without an audio stream) carries nil.
type Audio struct {
	// Waveform is [B,C,T], full scale at -1 and 1. It may go beyond.
	Waveform *tensor.Tensor
	// SampleRate is in Hz.
	SampleRate int
}

// Channels is the number of channels.
func (a *Audio) Channels() int { return a.Waveform.Shape[1] }

// Samples is the number of samples of a channel.
func (a *Audio) Samples() int { return a.Waveform.Shape[2] }

// Valid reports whether there is a waveform [B,C,T] and a sample rate; a link of another pack may carry anything.
func (a *Audio) Valid() bool {
	return a != nil && a.Waveform != nil && len(a.Waveform.Shape) == 3 && a.SampleRate > 0
}

// MemoryBytes is the size in host memory.
func (a *Audio) MemoryBytes() int64 {
	if a == nil || a.Waveform == nil {
		return 0
	}
	return 4 * int64(len(a.Waveform.Data))
}

// Plain is the audio as upstream's dictionary.
func (a *Audio) Plain() any {
	if a == nil {
		return nil
	}
	return pyjson.NewObject("waveform", a.Waveform, "sample_rate", a.SampleRate)
}
