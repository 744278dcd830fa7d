package qwen35

import "comfygo/engine/family/lm"

// WithVision gives a network the tower in its file, with heads of 16 values.
func (e *Encoder) WithVision() (*Encoder, error) {
	var err error
	if e.vision, err = lm.ReadVision(e.src); err == nil {
		e.vision.CLIP, e.vision.Heads = true, 4
	}
	return e, err
}

// Write is the function of this name.
var Write = write
