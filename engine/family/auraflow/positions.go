package auraflow

import (
	"fmt"

	"comfygo/engine/family/dit"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// positions cuts the middle of the table of positions out for a grid of tokens, [1,tokens,Dim]. A grid that is larger than
// the table gets one that is interpolated to its larger side. Upstream: apply_pos_embeds.
func (m *Model) positions(src weights.Source, grid dit.Grid) (*tensor.Tensor, error) {
	e, ok := src.Lookup("positional_encoding")
	if !ok || e.Count() != m.Side*m.Side*m.Dim {
		return nil, fmt.Errorf("the table of positions is %v, wanted %d positions", e, m.Side*m.Side)
	}
	side := max(m.Side, grid.Height, grid.Width)
	top, left := (side-grid.Height)/2, (side-grid.Width)/2
	out := tensor.New(1, grid.Tokens(), m.Dim)
	row := func(y int) []float32 { return out.Data[y*grid.Width*m.Dim : (y+1)*grid.Width*m.Dim] }
	if side == m.Side {
		for y := range grid.Height {
			if err := weights.Range(row(y), e, ((top+y)*m.Side+left)*m.Dim); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	table, err := weights.Float32s(e)
	if err != nil {
		return nil, err
	}
	for y := range grid.Height {
		y0, y1, fy := m.between(top+y, side)
		to := row(y)
		for x := range grid.Width {
			x0, x1, fx := m.between(left+x, side)
			for d := range m.Dim {
				at := func(y, x int) float32 { return table[(y*m.Side+x)*m.Dim+d] }
				to[x*m.Dim+d] = (1-fy)*((1-fx)*at(y0, x0)+fx*at(y0, x1)) + fy*((1-fx)*at(y1, x0)+fx*at(y1, x1))
			}
		}
	}
	return out, nil
}

// between returns the two places of the table between which place i of one of the given side lies, and how far it is from
// the first. Upstream: torch's interpolate, bilinear, with pixels as areas.
func (c Config) between(i, side int) (low, high int, far float32) {
	at := max(float32(c.Side)/float32(side)*(float32(i)+0.5)-0.5, 0)
	low = min(int(at), c.Side-1)
	return low, min(low+1, c.Side-1), at - float32(low)
}
