package image

import (
	"cmp"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CurveEditor{})
	nodes.Register(&ImageHistogram{})
}

// CurveEditor gives a curve that was drawn in the editor.
type CurveEditor struct {
	Curve     any `in:"curve" type:"CURVE" default:"{\"points\": [[0.0, 0.0], [1.0, 1.0]], \"interpolation\": \"monotone_cubic\"}" socketless:"true"`
	Histogram any `in:"histogram" type:"HISTOGRAM" optional:"true"`
}

// Spec implements nodes.Node.
func (*CurveEditor) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CurveEditor", DisplayName: "Curve Editor", Category: "utilities",
		Module: "comfy_extras.nodes_curve", V3: true,
		Outputs:               []nodes.Output{{Type: "CURVE", Name: "curve"}},
		HasIntermediateOutput: true,
		Uses:                  nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CurveEditor) Run(*nodes.Context) (nodes.Result, error) {
	c, err := newCurve(n.Curve)
	if err != nil {
		return nodes.Result{}, err
	}
	result := nodes.Out(c)
	if n.Histogram == nil {
		return result, nil
	}
	histogram, ok := n.Histogram.([]any)
	if !ok {
		return nodes.Result{}, nodes.Errorf("TypeError", "editing a curve: the histogram is a %s, want a list", pyjson.TypeName(n.Histogram))
	}
	return result.AddUI("histogram", histogram), nil
}

// ImageHistogram counts the values of an image's first frame.
type ImageHistogram struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*ImageHistogram) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ImageHistogram", DisplayName: "Image Histogram", Category: "utilities",
		Module: "comfy_extras.nodes_curve", V3: true,
		Outputs: []nodes.Output{{Type: "HISTOGRAM", Name: "rgb"}, {Type: "HISTOGRAM", Name: "luminance"}, {Type: "HISTOGRAM", Name: "red"}, {Type: "HISTOGRAM", Name: "green"}, {Type: "HISTOGRAM", Name: "blue"}},
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node. Each histogram has 256 counts; rgb is the mean of the three channels, luminance by BT.709.
func (n *ImageHistogram) Run(ctx *nodes.Context) (nodes.Result, error) {
	if !isImage(n.Image) || n.Image.Shape[3] < 3 {
		return nodes.Result{}, nodes.Errorf("IndexError", "counting an image's values: the input image has less than three channels")
	}
	const bins = 256
	var counts [4][bins]int64
	frame := n.Image.Index(0)
	c := frame.Shape[2]
	const work = 64 // operations of a pixel
	err := imaging.Chunks(ctx, len(frame.Data)/c, work, func(from, to int) {
		for i := from; i < to; i++ {
			p := frame.Data[i*c:][:3]
			luminance := float32(float32(0.2126*p[0])+float32(0.7152*p[1])) + float32(0.0722*p[2])
			for k, v := range imaging.ToBytes([]float32{p[0], p[1], p[2], luminance}) {
				counts[k][v]++
			}
		}
	})
	if err != nil {
		return nodes.Result{}, err
	}
	lists := make([][]any, 5)
	for i := range bins {
		lists[0] = append(lists[0], (counts[0][i]+counts[1][i]+counts[2][i])/3)
		for k, channel := range []int{3, 0, 1, 2} {
			lists[k+1] = append(lists[k+1], counts[channel][i])
		}
	}
	return nodes.Out(lists[0], lists[1], lists[2], lists[3], lists[4]), nil
}

// Curve is the value of CURVE links: control points by x and the interpolation between them.
type Curve struct {
	Points [][2]float64
	Linear bool
}

// String writes the curve as upstream's classes are written.
func (c Curve) String() string {
	name := "MonotoneCubicCurve"
	if c.Linear {
		name = "LinearCurve"
	}
	points := make([]any, len(c.Points))
	for i, p := range c.Points {
		points[i] = pyjson.Tuple{p[0], p[1]}
	}
	return name + "(points=" + pyjson.Repr(points) + ")"
}

// maxPoints bounds the control points of a curve.
const maxPoints = 1 << 16

// newCurve reads a curve: an object with points and interpolation, or a list of points.
func newCurve(v any) (Curve, error) {
	if c, ok := v.(Curve); ok {
		return c, nil
	}
	var c Curve
	points := v
	if o, ok := v.(*pyjson.Object); ok {
		points, ok = o.Get("points")
		if !ok {
			return c, nodes.Errorf("KeyError", "reading a curve: it has no points")
		}
		c.Linear = o.String("interpolation") == "linear"
	}
	list, ok := points.([]any)
	if !ok || len(list) > maxPoints {
		return c, nodes.Errorf("TypeError", "reading a curve: its points are no list of at most %d", maxPoints)
	}
	for i, e := range list {
		pair, _ := e.([]any)
		if len(pair) != 2 {
			return c, nodes.Errorf("ValueError", "reading a curve: point %d is no pair", i)
		}
		var p [2]float64
		for k, v := range pair {
			number, ok := nodes.Number(v)
			if !ok {
				return c, nodes.Errorf("ValueError", "reading a curve: point %d has no two numbers", i)
			}
			p[k], _ = number.Float64()
		}
		c.Points = append(c.Points, p)
	}
	slices.SortStableFunc(c.Points, func(a, b [2]float64) int { return cmp.Compare(a[0], b[0]) })
	return c, nil
}
