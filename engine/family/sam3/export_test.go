package sam3

import "comfygo/engine/family"

// Smaller returns a network for images of fewer cells along a side.
func Smaller(n family.Segmenter, grid int) family.Segmenter {
	m := *n.(*model)
	m.activations = family.Activations{}
	m.grid = grid
	return &m
}

// Kinds is kinds.
func Kinds(prompt string) (texts []string, most []int) {
	for _, k := range kinds(prompt) {
		texts, most = append(texts, k.text), append(most, k.most)
	}
	return texts, most
}

// Logits has f called with each mask of each frame before it is packed.
func Logits(n family.Segmenter, f func(mask []float32)) { n.(*model).packed = f }
