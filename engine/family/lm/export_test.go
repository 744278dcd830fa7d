package lm

import (
	"context"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Positions are the positions of n tokens among images given as start, size, rows and columns of patches.
func Positions(n int, mask []int64, images ...[4]int) [][]int {
	spans := make([]span, len(images))
	for i, s := range images {
		spans[i] = span{s[0], s[1], grid{s[2], s[3]}, nil}
	}
	return amongImages(n, spans, mask, true)
}

// Small returns the network of one of upstream's classes at sizes of its config.
func Small(class string, config []byte, src weights.Source) (*Encoder, error) {
	m, err := kind{}.Module("comfy.text_encoders.llama."+class, config, src)
	if err != nil || m == nil {
		return nil, err
	}
	return m.(module).Encoder, nil
}

// WithDeepVision gives a network the tower v, whose tensors lie beside its own, and Qwen 3 VL's positions.
func (e *Encoder) WithDeepVision(v *DeepVision) *Encoder {
	e.vision = deepTower{v, e.src}
	e.traits = traitsOf[KeyQwen3VLM]
	return e
}

// Seen is what a tower makes of an image.
type Seen struct {
	Vectors    *tensor.Tensor
	Deep       []*tensor.Tensor
	Rows, Cols int
}

// See reads an image with the network's tower.
func (e *Encoder) See(ctx context.Context, run family.Runner, image *tensor.Tensor) (Seen, error) {
	s, err := e.vision.look(ctx, run, image)
	return Seen{s.vectors, s.deep, s.rows, s.cols}, err
}

// See reads an image with Gemma 3's tower.
func (v *SoftVision) See(ctx context.Context, run family.Runner, image *tensor.Tensor) (*tensor.Tensor, error) {
	s, err := v.look(ctx, run, image)
	return s.vectors, err
}

// SeeFrames reads two frames of a video with Qwen 3 VL's tower.
func (e *Encoder) SeeFrames(ctx context.Context, run family.Runner, frames *tensor.Tensor) (Seen, error) {
	s, err := e.vision.(deepTower).lookFrames(ctx, run, frames)
	return Seen{s.vectors, s.deep, s.rows, s.cols}, err
}
