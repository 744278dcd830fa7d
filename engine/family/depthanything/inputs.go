package depthanything

import (
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/dino"
	"comfygo/engine/nn"
	"comfygo/engine/tensor"
)

// frequency is the base of the rotations' angles. Upstream: dino2.py.
const frequency = 100

// angles are the inputs by which tokens are turned: within a view by their rows and columns, counted from one, and across views all alike. The camera's
// token stands at zero.
func (m *model) angles(rows, columns int) []family.Value {
	tokens, half := 1+rows*columns, m.config.Width/m.config.Heads/2
	within, across := make([]float64, 2*tokens), make([]float64, 2*tokens)
	for i := range rows * columns {
		within[2*(i+1)], within[2*(i+1)+1] = float64(i/columns+1), float64(i%columns+1)
		across[2*(i+1)], across[2*(i+1)+1] = 1, 1
	}
	var out []family.Value
	for name, places := range map[string][]float64{"": within, " across": across} {
		cos, sin := nn.RotaryTable(places, frequency, half, half)
		shape := []int{1, tokens, half}
		out = append(out, family.Floats("cos"+name, &tensor.Tensor{Shape: shape, Data: cos}), family.Floats("sin"+name, &tensor.Tensor{Shape: shape, Data: sin}))
	}
	return out
}

// anchorOf names the view that the others are placed by, of n.
func anchorOf(n int, c family.DepthCall) family.Value {
	at := 0
	if c.Scene && c.Anchor == "middle" && n >= fewest {
		at = n / 2
	}
	x := tensor.New(n, 1, 2)
	for i := range n {
		if i == at || !c.Scene {
			x.Data[2*i] = 1
		} else {
			x.Data[2*i+1] = 1
		}
	}
	return family.Floats("anchor", x)
}

// countsOf are the inputs by which the graph chooses one of n views.
func countsOf(n int) []family.Value {
	apart, numbers := tensor.New(n, n), tensor.New(n)
	for i := range apart.Data {
		if i/n != i%n {
			apart.Data[i] = 1
		}
	}
	for i := range n {
		numbers.Data[i] = float32(i)
	}
	return []family.Value{family.Floats("apart", apart), family.Floats("numbers", numbers), family.Vector("others", []float32{float32(n - 1)})}
}

// places are the inputs that tell the head where features are.
func (m *model) places(rows, columns int, rays bool) []family.Value {
	patch := m.config.Patch
	aspect := float64(columns) / float64(rows)
	var out []family.Value
	add := func(grid, width, h, w int) {
		diagonal := math.Sqrt(1 + aspect*aspect)
		across, down := waves(dino.Spaced(aspect/diagonal, w), width/2), waves(dino.Spaced(1/diagonal, h), width/2)
		column, row := tensor.New(1, width, 1, w), tensor.New(1, width, h, 1)
		copy(column.Data, across)
		copy(row.Data[width/2*h:], down)
		out = append(out, family.Floats(placeName("column", grid), column), family.Floats(placeName("row", grid), row))
	}
	for i, width := range m.widths {
		add(i, width, rows, columns)
	}
	add(levels, m.features/2, rows*patch, columns*patch)
	if rays {
		const enlarged = 8
		add(levels+1, m.features/2, rows*enlarged, columns*enlarged)
	}
	return out
}

// waves are sines and cosines of places, [width, places], a tenth as large. Upstream: dpt.py _make_sincos_pos_embed.
func waves(places []float32, width int) []float32 {
	const base, part = 100, 0.1
	half := width / 2
	out := make([]float32, width*len(places))
	for k := range half {
		omega := 1 / float32(math.Pow(base, float64(float32(k)/float32(half))))
		for i, p := range places {
			sin, cos := math.Sincos(float64(p * omega))
			out[k*len(places)+i], out[(half+k)*len(places)+i] = float32(sin)*part, float32(cos)*part
		}
	}
	return out
}
