package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Audio is a family of audio encoders.
type Audio interface {
	Family
	// Read reads an audio encoder; src is the whole file. It returns nil if the file holds none of this family.
	Read(src weights.Source) (AudioEncoder, error)
}

// AudioEncoder is an audio encoder that was read from a file: it describes speech over time for models of talking videos.
type AudioEncoder interface {
	// Rate is the sample rate in Hz of the audio that Encode reads.
	Rate() int
	// Encode encodes waveforms [B,channels,samples] of that rate.
	Encode(ctx context.Context, run Runner, waveform *tensor.Tensor) (AudioEncoding, error)
	// Weights is the source of the network's tensors.
	Weights() weights.Source
}

// AudioEncoding is the output of an audio encoder for B waveforms, the value of AUDIO_ENCODER_OUTPUT links. Upstream: a dictionary
// with encoded_audio, encoded_audio_all_layers and audio_samples.
type AudioEncoding struct {
	// Last is [B,tokens,width], the last hidden states after the final norm. There are 50 tokens a second.
	Last *tensor.Tensor
	// Layers are what each layer reads, and Last after them: one more than the encoder has layers, [B,tokens,width] each.
	Layers []*tensor.Tensor
	// Samples is the number of samples of a waveform at the encoder's sample rate of Rate Hz.
	Samples, Rate int
}
