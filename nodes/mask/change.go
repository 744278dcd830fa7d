package mask

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&InvertMask{})
	nodes.Register(&CropMask{})
	nodes.Register(&FeatherMask{})
	nodes.Register(&GrowMask{})
	nodes.Register(&ThresholdMask{})
}

// InvertMask inverts a mask.
type InvertMask struct {
	Mask *tensor.Tensor `in:"mask" type:"MASK"`
}

// Spec implements nodes.Node.
func (*InvertMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "InvertMask", DisplayName: "Invert Mask", Category: "image/mask", Module: module, V3: true,
		SearchAliases: []string{"reverse mask", "flip mask"}, Outputs: nodes.Outputs("MASK"),
		Uses: nodes.UsesNothing,
	}
}

func (*InvertMask) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *InvertMask) Run(*nodes.Context) (nodes.Result, error) {
	if _, err := flat("mask", n.Mask); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(n.Mask.Shape...)
	vec.SubtractFrom(out.Data, n.Mask.Data, 1)
	return nodes.Out(out), nil
}

// CropMask cuts a rectangle out of a mask.
type CropMask struct {
	Mask   *tensor.Tensor `in:"mask" type:"MASK"`
	X      int            `in:"x" default:"0" min:"0" max:"16384" step:"1"`
	Y      int            `in:"y" default:"0" min:"0" max:"16384" step:"1"`
	Width  int            `in:"width" default:"512" min:"1" max:"16384" step:"1"`
	Height int            `in:"height" default:"512" min:"1" max:"16384" step:"1"`
}

// Spec implements nodes.Node.
func (*CropMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CropMask", DisplayName: "Crop Mask", Category: "image/mask", Module: module, V3: true,
		SearchAliases: []string{"cut mask", "extract mask region", "mask slice"}, Outputs: nodes.Outputs("MASK"),
		Uses: nodes.UsesNothing,
	}
}

func (*CropMask) Sizes(s *nodes.Sizing) nodes.Images {
	return s.Canvas(s.Number("width"), s.Number("height"))
}

// Run cuts what sticks out; it fails when nothing is left.
func (n *CropMask) Run(*nodes.Context) (nodes.Result, error) {
	m, err := flat("mask", n.Mask)
	if err != nil {
		return nodes.Result{}, err
	}
	out, err := imaging.Crop(m, 1, n.Y, min(n.Y+n.Height, m.Shape[1]), n.X, min(n.X+n.Width, m.Shape[2]))
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}

// FeatherMask makes the mask fade towards the sides.
type FeatherMask struct {
	Mask   *tensor.Tensor `in:"mask" type:"MASK"`
	Left   int            `in:"left" default:"0" min:"0" max:"16384" step:"1"`
	Top    int            `in:"top" default:"0" min:"0" max:"16384" step:"1"`
	Right  int            `in:"right" default:"0" min:"0" max:"16384" step:"1"`
	Bottom int            `in:"bottom" default:"0" min:"0" max:"16384" step:"1"`
}

// Spec implements nodes.Node.
func (*FeatherMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FeatherMask", DisplayName: "Feather Mask", Category: "image/mask", Module: module, V3: true,
		SearchAliases: []string{"soft edge mask", "blur mask edges", "gradient mask edge"}, Outputs: nodes.Outputs("MASK"),
		Uses: nodes.UsesNothing,
	}
}

func (*FeatherMask) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *FeatherMask) Run(*nodes.Context) (nodes.Result, error) {
	m, err := flat("mask", n.Mask)
	if err != nil {
		return nodes.Result{}, err
	}
	out := m.Clone()
	h, w := m.Shape[1], m.Shape[2]
	cols, colsBack := ramp(min(n.Left, w)), ramp(min(n.Right, w))
	rows, rowsBack := ramp(min(n.Top, h)), ramp(min(n.Bottom, h))
	for i := range out.Data {
		y, x := i/w%h, i%w
		v := &out.Data[i]
		for _, side := range []struct {
			ramp []float32
			at   int
		}{{cols, x}, {colsBack, w - 1 - x}, {rows, y}, {rowsBack, h - 1 - y}} {
			if side.at < len(side.ramp) {
				*v *= side.ramp[side.at]
			}
		}
	}
	return nodes.Out(out), nil
}

// ramp returns the factors of n places from the edge inwards.
func ramp(n int) []float32 {
	out := make([]float32, max(n, 0))
	for i := range out {
		out[i] = float32(float64(i+1) / float64(n))
	}
	return out
}

// GrowMask makes a mask larger or, by a negative number, smaller.
type GrowMask struct {
	Mask    *tensor.Tensor `in:"mask" type:"MASK"`
	Expand  int            `in:"expand" default:"0" min:"-16384" max:"16384" step:"1"`
	Tapered bool           `in:"tapered_corners" default:"true" advanced:"true"`
}

// Spec implements nodes.Node.
func (*GrowMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GrowMask", DisplayName: "Grow Mask", Category: "image/mask", Module: module, V3: true,
		SearchAliases: []string{"expand mask", "shrink mask"}, Outputs: nodes.Outputs("MASK"),
		Uses: nodes.UsesNothing,
	}
}

func (*GrowMask) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run takes the greatest (or least) value of the neighbours, pixel by pixel outwards; tapered corners leave the
// diagonal neighbours out.
func (n *GrowMask) Run(ctx *nodes.Context) (nodes.Result, error) {
	m, err := flat("mask", n.Mask)
	if err != nil {
		return nodes.Result{}, err
	}
	steps, sign := n.Expand, float32(1)
	if steps < 0 {
		steps, sign = -steps, -1
	}
	if steps == 0 {
		return nodes.Out(m), nil
	}
	out, next := m.Clone(), tensor.New(m.Shape...)
	for range min(steps, m.Shape[1]+m.Shape[2]) { // by then nothing changes any more
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		spread(next, out, !n.Tapered, sign)
		out, next = next, out
	}
	return nodes.Out(out), nil
}

// spread fills out with the greatest of each value's 3x3 neighbours, or with a sign of -1 the least, without the corners unless
// asked for. Outside lies what is at the edge.
func spread(out, m *tensor.Tensor, corners bool, sign float32) {
	h, w := m.Shape[1], m.Shape[2]
	column := make([]float32, w) // the extremes of three rows
	for i := range m.Shape[0] {
		from, to := m.Index(i).Data, out.Index(i).Data
		for y := range h {
			here := from[y*w:][:w]
			extreme(column, here, from[max(y-1, 0)*w:], sign)
			extreme(column, column, from[min(y+1, h-1)*w:], sign)
			line, sides := to[y*w:][:w], here
			if corners {
				sides = column
			}
			line[0] = column[0]
			extreme(line[1:], column[1:], sides, sign)
			extreme(line[:w-1], line, sides[1:], sign)
		}
	}
}

// extreme fills to with the greater values of a and b, or with a sign of -1 the lesser ones.
func extreme(to, a, b []float32, sign float32) {
	a, b = a[:len(to)], b[:len(to)]
	if sign < 0 {
		for i := range to {
			to[i] = min(a[i], b[i])
		}
		return
	}
	for i := range to {
		to[i] = max(a[i], b[i])
	}
}

// ThresholdMask makes every value 0 or 1.
type ThresholdMask struct {
	Mask  *tensor.Tensor `in:"mask" type:"MASK"`
	Value float64        `in:"value" default:"0.5" min:"0.0" max:"1.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ThresholdMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ThresholdMask", DisplayName: "Threshold Mask", Category: "image/mask", Module: module, V3: true,
		SearchAliases: []string{"binary mask"}, Outputs: nodes.Outputs("MASK"),
		Uses: nodes.UsesNothing,
	}
}

func (*ThresholdMask) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *ThresholdMask) Run(*nodes.Context) (nodes.Result, error) {
	if _, err := flat("mask", n.Mask); err != nil {
		return nodes.Result{}, err
	}
	limit := float32(n.Value)
	return nodes.Out(each(n.Mask, func(v float32) float32 {
		if v > limit {
			return 1
		}
		return 0
	})), nil
}
