package qwenimage

import (
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// variant is what changes the graph beside the config.
type variant struct {
	// References reports that reference latents follow the image, Still that their tokens have the timestep zero, Masked that
	// some text tokens do not count.
	References, Still, Masked bool
	// Controls are the blocks after which a ControlNet adds a residual.
	Controls []int
	// Patches are the numbers of blocks of model patches, Tokens the widths of what each reads.
	Patches, Tokens []int
}

// prepared is a call as the graph takes it.
type prepared struct {
	v      variant
	in     []family.Value
	tokens int
}

// prepare makes the graph's inputs.
func (m *Model) prepare(c family.Call) (*prepared, error) {
	text := c.Inputs.Get(sampling.InputContext)
	x, _, err := dit.PatchifyFrames(c.X, m.Patch, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	p := &prepared{in: []family.Value{family.Floats("x", x), family.Floats("context", text), m.times(c.T)}}
	places := m.textPlaces(c.X.Shape, text.Dim(1))
	places = m.imagePlaces(places, c.X.Shape, 0, 0, 0)
	refs := references(c.Inputs)
	if len(refs) > 0 {
		tokens, err := m.referenceTokens(refs, c.X.Dim(0))
		if err != nil {
			return nil, err
		}
		method := m.Method
		if in := c.Inputs.Get(inputMethod); in != nil && len(in.Data) == 1 {
			method = int(in.Data[0])
		}
		p.in = append(p.in, family.Floats("ref", tokens))
		p.v.References, p.v.Still = true, method == methodStill
		places = m.referencePlaces(places, refs, method)
	}
	p.tokens = len(places) / 3
	if err := p.mask(c.Inputs.Get(inputMask), text); err != nil {
		return nil, err
	}
	if err := p.steer(c.Residuals, m.Layers, x.Dim(1)); err != nil {
		return nil, err
	}
	if err := p.attach(c.Attached, x.Dim(1)); err != nil {
		return nil, err
	}
	const theta = 10000
	p.in = append(p.in, dit.Angles(places, theta, m.axes()...)...)
	return p, nil
}

// times is the input of timesteps: [N], or [N,256] embedded where the network rounds. Upstream: mage_flow/model.py
// MageTimestepProjEmbeddings.
func (c Config) times(t []float32) family.Value {
	if !c.Rounded {
		return family.Vector("timesteps", t)
	}
	const half, factor = frequencies / 2, 1000
	out := tensor.New(len(t), frequencies)
	for i, v := range t {
		v = weights.BF16ToF32(weights.F32ToBF16(v))
		for k := range half {
			exponent := float32(-math.Log(10000)) * float32(k) / half
			angle := float64(factor * (v * weights.BF16ToF32(weights.F32ToBF16(float32(math.Exp(float64(exponent)))))))
			out.Data[i*frequencies+k], out.Data[i*frequencies+half+k] = float32(math.Cos(angle)), float32(math.Sin(angle))
		}
	}
	return family.Floats("timesteps", out)
}

// frequencies is the width of an embedded timestep.
const frequencies = 256

// mask adds what text tokens count, [N,T], with ones for all others.
func (p *prepared) mask(mask, text *tensor.Tensor) error {
	if mask == nil {
		return nil
	}
	rows, n := text.Dim(0), text.Dim(1)
	if mask.Len() != rows*n {
		return fmt.Errorf("the attention mask has shape %v, wanted %d tokens for each of %d rows", mask.Shape, n, rows)
	}
	p.v.Masked = true
	all := tensor.New(rows, p.tokens)
	for i := range all.Data {
		all.Data[i] = 1
	}
	for b := range rows {
		copy(all.Index(b).Data, mask.Data[b*n:(b+1)*n])
	}
	p.in = append(p.in, family.Floats("mask", all))
	return nil
}

// references lists the reference latents of a call.
func references(in sampling.Inputs) []*tensor.Tensor {
	var refs []*tensor.Tensor
	for {
		x := in.Get(inputReference(len(refs)))
		if x == nil {
			return refs
		}
		refs = append(refs, x)
	}
}

// referenceTokens joins the tokens of reference latents, each an image [N,C,h,w] or a video [N,C,T,h,w].
func (m *Model) referenceTokens(refs []*tensor.Tensor, rows int) (*tensor.Tensor, error) {
	var parts []*tensor.Tensor
	for i, r := range refs {
		r = dit.Video(r)
		refs[i] = r
		if len(r.Shape) != 5 || r.Dim(0) != rows || r.Dim(1) != m.Channels {
			return nil, fmt.Errorf("a reference latent has shape %v, the model reads %d channels", r.Shape, m.Channels)
		}
		t, _, err := dit.PatchifyFrames(r, m.Patch, tensor.ChannelsFirst)
		if err != nil {
			return nil, err
		}
		parts = append(parts, t)
	}
	return dit.JoinTokens(parts...), nil
}

// cells is the number of tokens that a size of the latent, or an offset in it, makes. Upstream rounds.
func (c Config) cells(n int) int { return (n + c.Patch/2) / c.Patch }

// textPlaces are the positions of n text tokens: on all axes from half of the image's larger side on.
func (m *Model) textPlaces(shape []int, n int) []float64 {
	start := max(m.cells(shape[4])/2, m.cells(shape[3])/2)
	if m.Origin {
		return make([]float64, 3*n)
	}
	out := make([]float64, 0, 3*n)
	for i := range n {
		p := float64(start + i)
		out = append(out, p, p, p)
	}
	return out
}

// imagePlaces appends the positions of the tokens of a latent of the given shape, centred at zero; frames count on the first
// axis, a single one has an index there. Upstream: process_img.
func (m *Model) imagePlaces(places []float64, shape []int, index, top, left int) []float64 {
	t, h, w := shape[2], m.cells(shape[3]), m.cells(shape[4])
	top, left = m.cells(top)-h/2, m.cells(left)-w/2
	if m.Origin {
		top, left = top-h%2, left-w%2
	}
	for f := range t {
		first := index
		if t > 1 {
			first = f
		}
		for y := range h {
			for x := range w {
				places = append(places, float64(first), float64(y+top), float64(x+left))
			}
		}
	}
	return places
}

// referencePlaces appends those of reference latents. Upstream: _forward.
func (m *Model) referencePlaces(places []float64, refs []*tensor.Tensor, method int) []float64 {
	h, w, index := 0, 0, 0
	for _, r := range refs {
		top, left := 0, 0
		switch method {
		case methodIndex, methodStill:
			index++
		case methodNegative:
			index--
		default:
			index = 1
			if r.Dim(3)+h > r.Dim(4)+w {
				left = w
			} else {
				top = h
			}
			h, w = max(h, r.Dim(3)+top), max(w, r.Dim(4)+left)
		}
		places = m.imagePlaces(places, r.Shape, index, top, left)
	}
	return places
}
