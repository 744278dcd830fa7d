package flux

import (
	"fmt"
	"slices"

	"comfygo/engine/family/dit"
	"comfygo/engine/tensor"
)

// Methods are the ways in which reference latents are placed, by upstream's names. Upstream: Flux._forward.
const (
	// MethodOffset puts all of them one step behind the image, side by side or below each other.
	MethodOffset = "offset"
	// MethodIndex gives each of them an index of its own.
	MethodIndex = "index"
	// MethodUXO puts them diagonally behind the image.
	MethodUXO = "uxo"
	// MethodStill is MethodIndex with the timestep zero for their tokens.
	MethodStill = "index_timestep_zero"
)

// methods lists the methods; an input of the network holds the place in it.
var methods = []string{MethodOffset, MethodIndex, MethodUXO, MethodStill}

// methodOf returns the place of a method; unknown ones count as MethodOffset, as upstream has it.
func methodOf(name string) int { return max(slices.Index(methods, name), 0) }

// positions are those of the tokens of a call: text, image, reference latents, with one number an axis.
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
		case MethodIndex, MethodStill:
			index += p.RefScale
		case MethodUXO:
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

// tokensOf joins the tokens of reference latents.
func tokensOf(refs []*tensor.Tensor, rows, channels, patch int) (*tensor.Tensor, error) {
	var parts []*tensor.Tensor
	total := 0
	for _, r := range refs {
		if len(r.Shape) == 5 && r.Dim(2) == 1 { // an image of a VAE for videos
			r = &tensor.Tensor{Shape: []int{r.Dim(0), r.Dim(1), r.Dim(3), r.Dim(4)}, Data: r.Data}
		}
		if len(r.Shape) != 4 || r.Dim(0) != rows || r.Dim(1) != channels {
			return nil, fmt.Errorf("running the model: a reference latent has shape %v, the model reads %d channels", r.Shape, channels)
		}
		t, _, err := dit.Patchify(r, patch, tensor.ChannelsFirst)
		if err != nil {
			return nil, err
		}
		parts = append(parts, t)
		total += t.Dim(1)
	}
	width := channels * patch * patch
	out := tensor.New(rows, total, width)
	for b := range rows {
		to := out.Index(b).Data
		for _, p := range parts {
			to = to[copy(to, p.Index(b).Data):]
		}
	}
	return out, nil
}
