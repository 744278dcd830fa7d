package sampling

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// GuideEntry is one guide of a video model that appends guides to the latent: how strongly it and the other frames attend to each
// other. Upstream: nodes_lt.py _append_guide_attention_entry.
type GuideEntry struct {
	// Tokens is the number of latent cells that were appended for the guide.
	Tokens int
	// Strength multiplies the attention: 1 leaves it unchanged.
	Strength float64
	// Mask, when set, is [F,H,W] in pixels, 0…1, and multiplies Strength by place.
	Mask *tensor.Tensor
	// Shape holds frames, rows and columns of the guide's own latent.
	Shape [3]int
}

// Weights returns the strengths of the tokens of the guide that the network reads, at most the given number.
func (e GuideEntry) Weights(tokens int) ([]float32, error) {
	if tokens == 0 {
		return nil, nil
	}
	if e.Mask == nil {
		out := make([]float32, tokens)
		for i := range out {
			out[i] = float32(e.Strength)
		}
		return out, nil
	}
	cells, err := e.cells()
	if err != nil {
		return nil, err
	}
	cells = cells[:min(len(cells), tokens)]
	for i := range cells {
		cells[i] *= float32(e.Strength)
	}
	return cells, nil
}

// cells scales the mask to the guide's latent: the mean of each area, and in time the first frame by itself and means of equal
// groups of the others. Upstream: _downsample_mask_to_latent.
func (e GuideEntry) cells() ([]float32, error) {
	frames, h, w := e.Shape[0], e.Shape[1], e.Shape[2]
	if len(e.Mask.Shape) != 3 || e.Mask.Len() == 0 || frames < 1 || h < 1 || w < 1 {
		return nil, fmt.Errorf("reading the mask of a guide: it has the shape %v, wanted [frames,height,width]", e.Mask.Shape)
	}
	n := e.Mask.Dim(0)
	planes, err := e.Mask.Reshape(n, 1, e.Mask.Dim(1), e.Mask.Dim(2))
	if err != nil {
		return nil, fmt.Errorf("reading the mask of a guide: %w", err)
	}
	if planes, err = imaging.Upscale(planes, w, h, "area", "disabled"); err != nil {
		return nil, fmt.Errorf("scaling the mask of a guide: %w", err)
	}
	size := h * w
	out := append([]float32(nil), planes.Data[:size]...)
	rest := frames - 1
	for f := range rest {
		sum := make([]float32, size)
		from, count := 0, 1 // a single frame serves all
		if n > 1 {
			from = 1 + f*(n-1)/rest // fewer frames than the latent has are repeated
			if each := (n - 1) / rest; each > 0 {
				from, count = 1+f*each, each
			}
		}
		for k := range count {
			for i, v := range planes.Index(from + k).Data {
				sum[i] += v
			}
		}
		for i := range sum {
			sum[i] /= float32(count)
		}
		out = append(out, sum...)
	}
	return out, nil
}
