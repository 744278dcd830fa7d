package lumina

import (
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/tensor"
)

// values are the graph's inputs for a latent x [B,C,H,W], which Patch divides, and a text encoding [B,T,Text] at the given
// sigmas.
func (m *Model) values(x, text *tensor.Tensor, sigmas []float32) ([]family.Value, error) {
	tokens, err := tensor.ToPatches(x, m.Patch, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	times := make([]float32, len(sigmas))
	for i, s := range sigmas {
		times[i] = (1 - s) * m.TimeScale
	}
	tokens, realImage := m.pad(tokens)
	text, realText := m.pad(text)
	in := []family.Value{family.Floats("tokens", tokens), family.Floats("context", text), family.Vector("times", times)}
	if m.Pad > 0 {
		in = append(in, family.Floats("real_text", realText), family.Floats("real_image", realImage))
	}
	if m.Pixel > 0 {
		in = append(in, family.Floats("places", dit.PixelPlaces(1, m.Frequencies, float32(m.Frequencies-1))))
	}
	in = m.angles(in, "text", textPositions(text.Dim(1)))
	return m.angles(in, "image", imagePositions(text.Dim(1)+1, x.Dim(2)/m.Patch, x.Dim(3)/m.Patch, tokens.Dim(1))), nil
}

// pad appends zeros to tokens [B,S,W] so that Pad divides their count, and returns ones for the real tokens, [1,S,1].
func (c Config) pad(x *tensor.Tensor) (padded, is *tensor.Tensor) {
	n, total := x.Dim(1), x.Dim(1)
	if c.Pad > 0 {
		total = (n + c.Pad - 1) / c.Pad * c.Pad
	}
	is = tensor.New(1, total, 1)
	for i := range n {
		is.Data[i] = 1
	}
	if total == n {
		return x, is
	}
	padded = tensor.New(x.Dim(0), total, x.Dim(2))
	for b := range x.Dim(0) {
		copy(padded.Index(b).Data, x.Index(b).Data)
	}
	return padded, is
}

// angles appends the cosines and sines of positions, three a token.
func (c Config) angles(in []family.Value, of string, positions []float64) []family.Value {
	cos, sin := nn.RotaryTable(positions, c.Theta, c.Axes[:]...)
	shape := []int{1, len(positions) / len(c.Axes), c.HeadDim / 2}
	return append(in, family.Floats("cos_"+of, &tensor.Tensor{Shape: shape, Data: cos}), family.Floats("sin_"+of, &tensor.Tensor{Shape: shape, Data: sin}))
}

// textPositions counts text tokens along the first axis, from one on.
func textPositions(n int) []float64 {
	out := make([]float64, 3*n)
	for i := range n {
		out[3*i] = float64(i + 1)
	}
	return out
}

// imagePositions places the tokens of an image of h rows and w columns at a time on the first axis; the remaining ones up
// to total are at the origin.
func imagePositions(at, h, w, total int) []float64 {
	out := make([]float64, 3*total)
	for r := range h {
		for c := range w {
			copy(out[3*(r*w+c):], []float64{float64(at), float64(r), float64(c)})
		}
	}
	return out
}
