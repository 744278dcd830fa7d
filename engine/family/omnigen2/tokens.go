package omnigen2

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// variant is what changes the graph beside the config.
type variant struct {
	// References reports that reference latents come before the image, Masked that some text tokens do not count.
	References, Masked bool
}

// prepared is a call as the graph takes it.
type prepared struct {
	v      variant
	in     []family.Value
	grid   dit.Grid
	tokens int
}

// prepare makes the graph's inputs. Upstream: flat_and_pad_to_seq, OmniGen2RotaryPosEmbed.
func (m *Model) prepare(c family.Call) (*prepared, error) {
	text, rows := c.Inputs.Get(sampling.InputContext), c.X.Dim(0)
	x, grid, err := dit.Patchify(c.X, m.Patch, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	times := make([]float32, rows)
	for i, t := range c.T {
		times[i] = 1 - t
	}
	p := &prepared{grid: grid, tokens: text.Dim(1) + grid.Tokens()}
	p.in = []family.Value{family.Floats("x", x), family.Floats("context", text), family.Vector("times", times)}
	if mask := c.Inputs.Get(inputMask); mask != nil {
		if mask.Len() != rows*text.Dim(1) {
			return nil, fmt.Errorf("the attention mask has shape %v, wanted %d tokens for each of %d rows", mask.Shape, text.Dim(1), rows)
		}
		p.v.Masked = true
		p.in = append(p.in, family.Floats("mask", &tensor.Tensor{Shape: []int{rows, text.Dim(1)}, Data: mask.Data}))
	}
	places := make([]float64, 0, 3*text.Dim(1))
	for i := range text.Dim(1) {
		places = append(places, float64(i), float64(i), float64(i))
	}
	p.in = m.angles(p.in, "text", places)
	shift, err := m.references(p, c, text.Dim(1))
	if err != nil {
		return nil, err
	}
	p.in = m.angles(p.in, "image", square(nil, shift, grid))
	return p, nil
}

// references adds the tokens of reference latents, each at a place of its own after the text, and returns the place of the
// image.
func (m *Model) references(p *prepared, c family.Call, shift int) (int, error) {
	var parts []*tensor.Tensor
	var places []float64
	var index []int64
	for {
		r := c.Inputs.Get(inputReference(len(parts)))
		if r == nil {
			break
		}
		if len(r.Shape) != 4 || r.Dim(0) != c.X.Dim(0) || r.Dim(1) != m.Channels {
			return 0, fmt.Errorf("a reference latent has shape %v, the model reads %d channels", r.Shape, m.Channels)
		}
		if len(parts) == m.References {
			return 0, fmt.Errorf("it takes no more than %d reference latents", m.References)
		}
		t, grid, err := dit.Patchify(r, m.Patch, tensor.ChannelsLast)
		if err != nil {
			return 0, err
		}
		places = square(places, shift, grid)
		for range grid.Tokens() {
			index = append(index, int64(len(parts)))
		}
		parts = append(parts, t)
		shift += max(grid.Height, grid.Width)
	}
	if len(parts) == 0 {
		return shift, nil
	}
	p.v.References = true
	p.tokens += len(index)
	p.in = append(p.in, family.Floats("ref", join(parts)), family.Ints("ref_index", index, len(index)))
	p.in = m.angles(p.in, "ref", places)
	return shift, nil
}

// join joins tokens [N,·,W] one after the other.
func join(parts []*tensor.Tensor) *tensor.Tensor {
	total := 0
	for _, p := range parts {
		total += p.Dim(1)
	}
	out := tensor.New(parts[0].Dim(0), total, parts[0].Dim(2))
	for b := range out.Dim(0) {
		to := out.Index(b).Data
		for _, p := range parts {
			to = to[copy(to, p.Index(b).Data):]
		}
	}
	return out
}

// square appends the positions of an image's tokens: its place, row and column.
func square(places []float64, at int, g dit.Grid) []float64 {
	for y := range g.Height {
		for x := range g.Width {
			places = append(places, float64(at), float64(y), float64(x))
		}
	}
	return places
}

// angles appends the cosines and sines of positions, three a token.
func (c Config) angles(in []family.Value, of string, places []float64) []family.Value {
	const theta = 10000
	d := c.HeadDim / 3
	cos, sin := nn.RotaryTable(places, theta, d, d, d)
	shape := []int{1, len(places) / 3, c.HeadDim / 2}
	return append(in, family.Floats("cos_"+of, &tensor.Tensor{Shape: shape, Data: cos}), family.Floats("sin_"+of, &tensor.Tensor{Shape: shape, Data: sin}))
}
