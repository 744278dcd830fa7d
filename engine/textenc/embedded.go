package textenc

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// Embedded returns the bytes of a file that a weight file carries as a tensor, such as a tokenizer under "spiece_model" or
// "tokenizer_json". It fails if it is missing; the error contains key and what.
func Embedded(src weights.Source, key, what string) ([]byte, error) {
	e, ok := src.Lookup(key)
	if !ok {
		return nil, fmt.Errorf("reading %s of %s: the file has no tensor %q; use a file of the text encoder that carries it", what, src.Path(), key)
	}
	if e.DType != dtype.U8 && e.DType != dtype.I8 || len(e.Data) != e.Count() {
		return nil, fmt.Errorf("reading %s of %s: the tensor %v does not hold the bytes of a file", what, src.Path(), e)
	}
	if err := e.Probe(0, len(e.Data)); err != nil {
		return nil, fmt.Errorf("reading %s of %s: %w", what, src.Path(), err)
	}
	return append([]byte(nil), e.Data...), nil
}
