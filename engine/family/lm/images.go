package lm

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/decoder"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// span is the place of an image among the tokens of a row.
type span struct {
	start, size int
	grid
	// deep are added to the states of the image's tokens after the first layers.
	deep []*tensor.Tensor
}

// withImages puts the vectors of images in place of their tokens, and returns where they are.
func (e *Encoder) withImages(ctx context.Context, run family.Runner, tokens tokenizer.Tokens) (tokenizer.Tokens, []span, error) {
	var spans []span
	out, err := decoder.Splice(tokens, func(t tokenizer.Token, at int) (*tensor.Tensor, error) {
		if e.vision == nil || t.Image == nil {
			return nil, fmt.Errorf("encoding a prompt with an image: %s has no vision tower that can be run; use a file of the text encoder that carries one, or leave the image out", e.src.Path())
		}
		look := e.vision.look
		if t.Frames {
			deep, ok := e.vision.(deepTower)
			if !ok {
				return nil, fmt.Errorf("encoding a prompt with a video: the vision tower of %s reads single images", e.src.Path())
			}
			look = deep.lookFrames
		}
		image, err := look(ctx, run, t.Image)
		if err != nil {
			return nil, err
		}
		spans = append(spans, span{at, image.vectors.Dim(0), image.grid, image.deep})
		return image.vectors, nil
	})
	return out, spans, err
}

// amongImages are the positions of n tokens with images among them: an image takes as many positions as its longer side
// has tokens, and its own tokens are arranged in rows and columns. mask distinguishes tokens from padding after an image
// (upstream: llama.py Qwen25_7BVLI.forward).
func amongImages(n int, spans []span, mask []int64, masked bool) positions {
	if len(spans) == 0 || spans[0].rows == 0 {
		return inOrder(0, n)
	}
	p := positions{make([]int, n), make([]int, n), make([]int, n)}
	all := func(i, v int) { p[0][i], p[1][i], p[2][i] = v, v, v }
	for i := range n {
		all(i, 1)
	}
	for i := range spans[0].start {
		all(i, i)
	}
	offset := 0
	for _, s := range spans {
		end := s.start + s.size
		longest := max(s.rows, s.cols, 1) / merge
		next := longest + s.start + offset
		counted := 0
		for i := end; i < n; i++ {
			switch {
			case !masked:
				all(i, next+i-end)
			case mask[i] != 0:
				all(i, next+counted)
				counted++
			default:
				all(i, p[0][i])
			}
		}
		wide := max(s.cols/merge, 1)
		for i := range s.size {
			at, from := s.start+i, s.start+offset
			p[0][at], p[1][at], p[2][at] = from, from+i/wide, from+i%wide
		}
		offset += longest - s.size
	}
	return p
}

// deepLayers is the number of layers after which the towers of Qwen 3 VL add to the states.
const deepLayers = 3

// deepInputs are what images add to the states of n tokens, [rows,n,width] for each of the first layers. Images are in the
// first row.
func (c Config) deepInputs(rows, n int, spans []span) []family.Value {
	out := make([]family.Value, deepLayers)
	for i := range out {
		x := tensor.New(rows, n, c.Width)
		for _, s := range spans {
			if i < len(s.deep) {
				copy(x.Data[s.start*c.Width:], s.deep[i].Data)
			}
		}
		out[i] = family.Floats(outDeep(i), x)
	}
	return out
}

// Span is the place of an image among the tokens of a row: Rows and Cols are those of its patches.
type Span struct{ Start, Size, Rows, Cols int }

// AmongImages are the positions of n tokens, on one axis without images and on three (time, row, column) with them; mask marks the tokens that
// count.
func AmongImages(n int, images []Span, mask []int64) [][]int {
	spans := make([]span, len(images))
	for i, s := range images {
		spans[i] = span{start: s.Start, size: s.Size, grid: grid{s.Rows, s.Cols}}
	}
	return amongImages(n, spans, mask, false)
}
