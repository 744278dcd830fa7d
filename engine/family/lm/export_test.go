package lm

import "comfygo/engine/weights"

// Positions are the positions of n tokens among images given as start, size, rows and columns of patches.
func Positions(n int, mask []int64, images ...[4]int) [][]int {
	spans := make([]span, len(images))
	for i, s := range images {
		spans[i] = span{s[0], s[1], grid{s[2], s[3]}}
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
