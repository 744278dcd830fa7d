package family

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/internal/plain"
	"comfygo/internal/pyjson"
)

// audioRate is the sample rate in Hz of upstream's audio encoders, which their dictionary does not have.
const audioRate = 16000

// Plain is the encoding as upstream's dictionary.
func (e AudioEncoding) Plain() any {
	layers := make([]any, len(e.Layers))
	for i, t := range e.Layers {
		layers[i] = t
	}
	return pyjson.NewObject("encoded_audio", e.Last, "encoded_audio_all_layers", layers, "audio_samples", int64(e.Samples))
}

// FromPlain implements nodes.FromPlain.
func (e *AudioEncoding) FromPlain(v any) error {
	o, err := plain.Dictionary(v)
	if err != nil {
		return err
	}
	out := AudioEncoding{Rate: audioRate}
	if out.Last, err = plain.Needed(o, "encoded_audio", -1, -1, -1); err != nil {
		return err
	}
	layers, _ := o.Get("encoded_audio_all_layers")
	list, ok := layers.([]any)
	if !ok {
		return fmt.Errorf("encoded_audio_all_layers is a %s, want a list", pyjson.TypeName(layers))
	}
	for i, l := range list {
		t, ok := l.(*tensor.Tensor)
		if !ok {
			return fmt.Errorf("layer %d of encoded_audio_all_layers is a %s, want a tensor", i, pyjson.TypeName(l))
		}
		out.Layers = append(out.Layers, t)
	}
	samples, err := plain.Number(o, "audio_samples")
	if err != nil {
		return err
	}
	if !(samples >= 0 && samples <= 1<<40) {
		return fmt.Errorf("audio_samples is %v", samples)
	}
	out.Samples = int(samples)
	*e = out
	return nil
}
