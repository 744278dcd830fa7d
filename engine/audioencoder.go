package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// AudioEncoder is the value of AUDIO_ENCODER links: a network that describes speech over time.
type AudioEncoder struct {
	rt   *Runtime
	file *file
	net  family.AudioEncoder
}

// LoadAudioEncoder opens the audio encoder in the file at path.
func (rt *Runtime) LoadAudioEncoder(path string) (*AudioEncoder, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Audio()
	if err != nil {
		return nil, fmt.Errorf("loading the audio encoder: %w", err)
	}
	return &AudioEncoder{rt: rt, file: f, net: net}, nil
}

// Rate is the sample rate in Hz of the audio that Encode reads.
func (e *AudioEncoder) Rate() int { return e.net.Rate() }

// Encode encodes waveforms [B,channels,samples] of the encoder's sample rate.
func (e *AudioEncoder) Encode(ctx context.Context, waveform *tensor.Tensor) (family.AudioEncoding, error) {
	out, err := e.net.Encode(ctx, e.rt.runner(family.RoleAudio, false, e.file), waveform)
	if err != nil {
		return out, fmt.Errorf("encoding the audio: %w", err)
	}
	return out, nil
}
