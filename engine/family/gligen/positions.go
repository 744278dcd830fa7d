package gligen

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

const (
	// mostBoxes is the number of tokens, of which those without a box are the network's own null token.
	mostBoxes = 30
	// frequencies are the frequencies of the Fourier features of a box's sides, from 1 up to below temperature.
	frequencies, temperature = 8, 100
	features                 = frequencies * 2 * 4
)

// positionNet computes the tokens of boxes; it is small enough to be computed on the host.
type positionNet struct {
	text, width       int
	nullText, nullBox []float32
	first, mid, last  linear
}

// linear is a layer [out,in].
type linear struct {
	weight, bias []float32
	out, in      int
}

func readPositions(s *weights.Scope, width int) (*positionNet, error) {
	shape := s.Shape("null_positive_feature")
	if len(shape) != 1 {
		return nil, fmt.Errorf("position_net.null_positive_feature is %v, wanted one dimension", shape)
	}
	p := &positionNet{text: shape[0], width: width}
	hidden := -1
	if sh := s.Shape("linears.0.weight"); len(sh) == 2 {
		hidden = sh[0]
	}
	refs := []*weights.Ref{
		s.Weight("null_positive_feature", p.text), s.Weight("null_position_feature", features),
		s.Weight("linears.0.weight", hidden, p.text+features), s.Weight("linears.0.bias", hidden),
		s.Weight("linears.2.weight", hidden, hidden), s.Weight("linears.2.bias", hidden),
		s.Weight("linears.4.weight", width, hidden), s.Weight("linears.4.bias", width),
	}
	if err := s.Err(); err != nil {
		return nil, err
	}
	values := make([][]float32, len(refs))
	for i, r := range refs {
		var err error
		if values[i], err = weights.Float32s(r.Entry); err != nil {
			return nil, err
		}
	}
	p.nullText, p.nullBox = values[0], values[1]
	p.first = linear{values[2], values[3], hidden, p.text + features}
	p.mid = linear{values[4], values[5], hidden, hidden}
	p.last = linear{values[6], values[7], width, hidden}
	return p, nil
}

// gate returns the hyperbolic tangent of the scalar that scales a branch.
func gate(src weights.Source, name string) (float32, error) {
	e, ok := src.Lookup(name)
	if !ok {
		return 0, fmt.Errorf("%s is missing", name)
	}
	v, err := weights.Float32s(e)
	if err != nil || len(v) != 1 {
		return 0, fmt.Errorf("%s is %v, wanted one number (%w)", name, e.Shape, err)
	}
	return float32(math.Tanh(float64(v[0]))), nil
}

// tokens returns the tokens [1,30,width] of boxes in a latent with the given number of rows and columns (upstream: gligen.py
// PositionNet).
func (p *positionNet) tokens(boxes []box, height, width int) *tensor.Tensor {
	out := tensor.New(1, mostBoxes, p.width)
	var null []float32
	for i := range mostBoxes {
		to := out.Data[i*p.width : (i+1)*p.width]
		if i < len(boxes) {
			b := boxes[i]
			w, h := float32(width), float32(height)
			sides := [4]float32{float32(b.X) / w, float32(b.Y) / h, float32(b.X+b.Width) / w, float32(b.Y+b.Height) / h}
			copy(to, p.token(b.Text, fourier(sides)))
			continue
		}
		if null == nil {
			null = p.token(p.nullText, p.nullBox)
		}
		copy(to, null)
	}
	return out
}

// fourier returns, for each frequency, the sines of the four sides and then their cosines.
func fourier(sides [4]float32) []float32 {
	out := make([]float32, 0, features)
	for k := range frequencies {
		f := float32(math.Pow(temperature, float64(k)/frequencies))
		for _, s := range sides {
			out = append(out, float32(math.Sin(float64(f*s))))
		}
		for _, s := range sides {
			out = append(out, float32(math.Cos(float64(f*s))))
		}
	}
	return out
}

func (p *positionNet) token(text, place []float32) []float32 {
	x := append(append(make([]float32, 0, p.first.in), text...), place...)
	return p.last.apply(silu(p.mid.apply(silu(p.first.apply(x)))))
}

func (l linear) apply(x []float32) []float32 {
	out := make([]float32, l.out)
	for i := range out {
		sum := float64(l.bias[i])
		for j, w := range l.weight[i*l.in : (i+1)*l.in] {
			sum += float64(w) * float64(x[j])
		}
		out[i] = float32(sum)
	}
	return out
}

func silu(x []float32) []float32 {
	for i, v := range x {
		x[i] = float32(float64(v) / (1 + math.Exp(-float64(v))))
	}
	return x
}
