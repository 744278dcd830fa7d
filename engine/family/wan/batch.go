package wan

import (
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// batch is a call made ready for the graph.
type batch struct {
	call family.Call
	v    variant
	in   []family.Value
	// grid are the patches of a frame; frames is the number of frames of x and of those after it, without the tokens before it.
	grid           dit.Grid
	frames, before int
	// places are the positions of all tokens, further the values of cosines and sines where angles are not of places alone.
	places []float64
	turns  []turn
	// sizes are further symbols of the graph.
	sizes map[string]int
}

// turn is a further rotation of the tokens from one on: by an angle for the whole head.
type turn struct {
	from  int
	angle float64
}

// padded continues a video latent to patches.
func padded(x *tensor.Tensor) (*tensor.Tensor, error) {
	flat, err := x.Reshape(x.Dim(0), x.Dim(1)*x.Dim(2), x.Dim(3), x.Dim(4))
	if err != nil {
		return nil, err
	}
	if flat, err = tensor.WrapTo(flat, side); err != nil {
		return nil, err
	}
	return flat.Reshape(x.Dim(0), x.Dim(1), x.Dim(2), flat.Dim(2), flat.Dim(3))
}

// joinFrames puts the frames of videos [N,C,·,H,W] one after the other.
func joinFrames(xs ...*tensor.Tensor) *tensor.Tensor {
	n, c, t, size := xs[0].Dim(0), xs[0].Dim(1), 0, xs[0].Dim(3)*xs[0].Dim(4)
	for _, x := range xs {
		t += x.Dim(2)
	}
	out := tensor.New(n, c, t, xs[0].Dim(3), xs[0].Dim(4))
	to := out.Data
	for plane := range n * c {
		for _, x := range xs {
			each := x.Dim(2) * size
			to = to[copy(to, x.Data[plane*each:(plane+1)*each]):]
		}
	}
	return out
}

// sameSides fails for a video whose rows or sizes in space are not those of x.
func sameSides(what string, t, x *tensor.Tensor) error {
	if len(t.Shape) != 5 || t.Dim(0) != x.Dim(0) || t.Dim(3) != x.Dim(3) || t.Dim(4) != x.Dim(4) {
		return fmt.Errorf("%s has shape %v, the latent %v: both have to be of one width and height", what, t.Shape, x.Shape)
	}
	return nil
}

// batch makes the graph's inputs of a call.
func (m *model) batch(c family.Call) (*batch, error) {
	b := &batch{call: c, grid: dit.GridOf(c.X.Shape, side), sizes: map[string]int{}}
	b.v.Skip, _ = dit.Skipped(c.Inputs.Options)
	x, err := m.video(c)
	if err != nil {
		return nil, err
	}
	b.frames = x.Dim(2)
	b.add("x", x)
	text := c.Inputs.Get(sampling.InputContext)
	b.in = append(b.in, family.Floats("context", text))
	if image := c.Inputs.Get(inputImage); image != nil {
		b.v.Image = image.Dim(1)
		b.add("image", image)
	}
	if err := m.references(b); err != nil {
		return nil, err
	}
	if err := m.controls(b); err != nil {
		return nil, err
	}
	if err := b.attach(); err != nil {
		return nil, err
	}
	if m.kind.form != formS2V {
		m.timesteps(b)
	}
	b.in = append(b.in, turned(angles(b.places), b.places, b.turns)...)
	return b, nil
}

func (b *batch) add(name string, t *tensor.Tensor) { b.in = append(b.in, family.Floats(name, t)) }

// video is the video input of the network [N,C,F,2h,2w]: the latent with its additional channels, and frames after it.
func (m *model) video(c family.Call) (*tensor.Tensor, error) {
	parts := []*tensor.Tensor{c.X}
	if m.channels > m.out {
		concat := c.Inputs.Get(inputConcat)
		if concat == nil || concat.Dim(1) != m.channels-m.out || concat.Len() != c.X.Len()/m.out*(m.channels-m.out) {
			return nil, fmt.Errorf("it needs %d channels beside those of the latent for each frame", m.channels-m.out)
		}
		parts = append(parts, concat)
	}
	x := dit.Channels(parts...)
	if refs := c.Inputs.Get(inputRefs); refs != nil {
		if err := sameSides("a reference latent", refs, x); err != nil {
			return nil, err
		}
		if m.audio > 0 { // those of HuMo follow
			x = joinFrames(x, refs)
		} else {
			x = joinFrames(refs, x)
		}
	}
	if further := c.Inputs.Get(inputFurther); further != nil {
		if err := sameSides("what "+sampling.KeyTimeConcat+" gives", further, x); err != nil {
			return nil, err
		}
		x = joinFrames(x, further)
	}
	return padded(x)
}

// references adds the latents whose tokens go before and after the video's, and the positions of all.
func (m *model) references(b *batch) error {
	r := dit.RotaryOf(b.call.Inputs.Options, dit.Unscaled)
	if part, ok := m.part(b.call); ok {
		b.places = places(nil, b.frames, b.grid, float64(part.Start), dit.Unscaled)
		return nil
	}
	if m.pose > 0 {
		return m.posed(b, r)
	}
	frames := b.frames
	if ref := b.call.Inputs.Get(inputRef); ref != nil {
		if len(ref.Shape) != 4 || ref.Dim(0) != b.call.X.Dim(0) || dit.GridOf(ref.Shape, side) != b.grid {
			return fmt.Errorf("the reference latent has shape %v, the latent %v: both have to be of one width and height", ref.Shape, b.call.X.Shape)
		}
		ref, err := tensor.WrapTo(ref, side)
		if err != nil {
			return err
		}
		b.v.Ref = true
		b.before = b.grid.Tokens()
		frames++
		b.add("ref", ref)
	}
	behind := 0
	if refs := b.call.Inputs.Get(inputRefs); refs != nil {
		behind = refs.Dim(2)
	}
	if m.kind.form == formDancer && !whole(b.call.Inputs) {
		b.v.Global = true
		for _, t := range steps(frames, b.call.Inputs, r) {
			r.ShiftT = t
			b.places = places(b.places, 1, b.grid, 0, r)
		}
		return nil
	}
	b.places = places(nil, frames-behind, b.grid, 0, r)
	b.places = places(b.places, behind, b.grid, float64(frames-behind), dit.Unscaled)
	for i := 0; ; i++ {
		t := b.call.Inputs.Get(inputContext(i))
		if t == nil {
			return nil
		}
		b.v.Context++
		b.turns = append(b.turns, turn{from: len(b.places) / 3, angle: float64(i + 1)})
		b.places = places(b.places, t.Dim(2), dit.GridOf(t.Shape, side), 0, r)
		t, err := padded(t)
		if err != nil {
			return err
		}
		n := fmt.Sprint(i)
		b.sizes["F"+n], b.sizes["h"+n], b.sizes["w"+n] = t.Dim(2), t.Dim(3)/side, t.Dim(4)/side
		b.add(inputContext(i), t)
	}
}

// turned adds the rotations of turns to angles. Upstream: rope_encode, source_id.
func turned(values []family.Value, places []float64, turns []turn) []family.Value {
	if len(turns) == 0 {
		return values
	}
	cos, sin := values[0].Tensor.Data, values[1].Tensor.Data
	const theta, half = 10000, headWidth / 2
	for i, t := range turns {
		to := len(places) / 3
		if i+1 < len(turns) {
			to = turns[i+1].from
		}
		for at := range half {
			s, c := math.Sincos(float64(float32(t.angle * math.Pow(theta, -float64(2*at)/headWidth))))
			for token := t.from; token < to; token++ {
				x, y := float64(cos[token*half+at]), float64(sin[token*half+at])
				cos[token*half+at], sin[token*half+at] = float32(x*c-y*s), float32(y*c+x*s)
			}
		}
	}
	return values
}

// timesteps adds the timesteps: one per row, or one per frame where a noise mask gives frames noise of their own.
func (m *model) timesteps(b *batch) {
	noise := b.call.Inputs.Get(inputNoise)
	rows := b.call.X.Dim(0)
	if noise == nil || noise.Len()%rows != 0 {
		b.in = append(b.in, family.Vector("timesteps", b.call.T))
		return
	}
	each := noise.Len() / rows
	times := tensor.New(rows, each)
	equal := true
	for i, v := range noise.Data {
		times.Data[i] = b.call.T[i/each] * v
		equal = equal && v == noise.Data[i/each*each]
	}
	if equal {
		row := make([]float32, rows)
		for i := range row {
			row[i] = times.Data[i*each]
		}
		b.in = append(b.in, family.Vector("timesteps", row))
		return
	}
	b.spread(times)
}

// spread adds timesteps [N,U] of runs of tokens. Where the runs are not of one length each is as long as fits, and the last
// shorter. Upstream: repeat_e.
func (b *batch) spread(times *tensor.Tensor) {
	tokens, units := len(b.places)/3, times.Dim(1)
	b.add("timesteps", times)
	b.sizes["U"] = units
	if units == b.frames && tokens == b.frames*b.grid.Tokens() {
		b.v.Times = perFrame
		return
	}
	run := tokens / units
	if run*units == tokens {
		b.v.Times = perRun
		b.sizes["L"] = run
		return
	}
	if run*units != tokens {
		run++
	}
	list := make([]int64, tokens)
	for i := range list {
		list[i] = int64(i / max(run, 1))
	}
	b.v.Times = perToken
	b.in = append(b.in, family.Ints("places", list, tokens))
}

// symbols are the values of the graph's symbols.
func (b *batch) symbols() map[string]int {
	b.sizes["B"], b.sizes["F"], b.sizes["h"], b.sizes["w"] = b.call.X.Dim(0), b.frames, b.grid.Height, b.grid.Width
	b.sizes["T"] = b.call.Inputs.Get(sampling.InputContext).Dim(1)
	return b.sizes
}

// own returns the tokens of the latent's own frames among all that the network gives [N,S,W].
func (b *batch) own(y *tensor.Tensor) *tensor.Tensor {
	n := b.call.X.Dim(2) * b.grid.Tokens()
	if b.before == 0 && y.Dim(1) == n {
		return y
	}
	out := tensor.New(y.Dim(0), n, y.Dim(2))
	for row := range y.Dim(0) {
		copy(out.Index(row).Data, y.Index(row).Data[b.before*y.Dim(2):])
	}
	return out
}
