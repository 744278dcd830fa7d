package engine

import (
	"fmt"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// readEmbedding reads the vectors [n,width] of a textual-inversion file: the tensor of the encoder's own key, such as
// "clip_l", else the first of "string_to_param", else the first that there is (upstream: sd1_clip.py load_embed).
func readEmbedding(path, key string, width int) (*tensor.Tensor, error) {
	src, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer src.Close()
	names := src.Names()
	if len(names) == 0 {
		return nil, fmt.Errorf("reading embedding %s: the file holds no tensors", path)
	}
	name := names[0]
	for _, n := range names {
		if strings.HasPrefix(n, "string_to_param.") {
			name = n
			break
		}
	}
	if _, ok := src.Lookup(key); ok {
		name = key
	}
	e, _ := src.Lookup(name)
	if len(e.Shape) == 0 || e.Shape[len(e.Shape)-1] == 0 {
		return nil, fmt.Errorf("reading embedding %s: %v holds no vectors", path, e)
	}
	data, err := weights.Float32s(e)
	if err != nil {
		return nil, err
	}
	w := e.Shape[len(e.Shape)-1]
	if w != width {
		return tensor.From(data, len(data)/w, w)
	}
	return tensor.From(data, len(data)/width, width)
}
