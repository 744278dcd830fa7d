package flux

import (
	"comfygo/engine/family/dit"
	"comfygo/engine/tensor"
)

// positions are the positions of the tokens of a call: text, image, reference latents, with one number an axis.
type positions struct {
	Config
	rotary dit.Rotary
	list   []float64
}

// text numbers n text tokens along the config's axes.
func (p *positions) text(n int) {
	for i := range n {
		at := make([]float64, len(p.Axes))
		for _, axis := range p.TextAxes {
			at[axis] = float64(i)
		}
		p.list = append(p.list, at...)
	}
}

// image numbers the tokens of a latent whose first token lies at an index and at offsets in latent cells. Upstream:
// Flux.process_img.
func (p *positions) image(g dit.Grid, index float64, top, left int) {
	half := p.Patch / 2
	ys := dit.Line(g.Height, float64((top+half)/p.Patch)+p.rotary.ShiftY, p.rotary.ScaleY)
	xs := dit.Line(g.Width, float64((left+half)/p.Patch)+p.rotary.ShiftX, p.rotary.ScaleX)
	for _, y := range ys {
		for _, x := range xs {
			at := make([]float64, len(p.Axes))
			at[0], at[1], at[2] = float64(float32(index+p.rotary.ShiftT)), y, x
			p.list = append(p.list, at...)
		}
	}
}

// references numbers the tokens of reference latents by a method.
func (p *positions) references(image dit.Grid, refs []*tensor.Tensor, method string) {
	h, w, index := 0, 0, 0.0
	for _, ref := range refs {
		rh, rw := ref.Dim(-2), ref.Dim(-1)
		top, left := 0, 0
		switch method {
		case dit.MethodIndex, dit.MethodStill:
			index += p.RefScale
		case dit.MethodUXO:
			top, left = image.Height*p.Patch+h, image.Width*p.Patch+w
			h, w = h+rh, w+rw
		default:
			index = 1
			if rh+h > rw+w {
				left = w
			} else {
				top = h
			}
			h, w = max(h, rh+top), max(w, rw+left)
		}
		p.image(dit.GridOf(ref.Shape, p.Patch), index, top, left)
	}
}
