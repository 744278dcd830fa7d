package mask

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&VOIDQuadmaskPreprocess{})
}

// VOIDQuadmaskPreprocess converts masks to the four levels of VOID.
type VOIDQuadmaskPreprocess struct {
	Mask        *tensor.Tensor `in:"mask" type:"MASK"`
	DilateWidth int            `in:"dilate_width" default:"0" min:"0" max:"50" step:"1" tooltip:"Radius in pixels by which the object to remove grows; 0 leaves it."`
}

// Spec implements nodes.Node.
func (*VOIDQuadmaskPreprocess) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VOIDQuadmaskPreprocess", DisplayName: "VOID Quadmask Preprocessor", Category: "image/mask",
		Module: "comfy_extras.nodes_void", V3: true,
		Outputs: []nodes.Output{{Type: "MASK", Name: "quadmask"}},
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*VOIDQuadmaskPreprocess) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// quadLevels are the upper bounds of the levels and the levels themselves, 0 to remove up to 255 to keep.
var quadLevels = []struct{ bound, level float32 }{{31, 0}, {95, 63}, {191, 127}}

// Run implements nodes.Node. Masks in 0…1 are scaled to 255; the result is 1 where an object is removed and 0 where all is kept.
func (n *VOIDQuadmaskPreprocess) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Mask == nil || len(n.Mask.Shape) != 3 || len(n.Mask.Data) == 0 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "preparing a quadmask: the input mask is no mask [batch, height, width]")
	}
	const most = 1 << 12
	if n.DilateWidth < 0 || n.DilateWidth > most {
		return nodes.Result{}, nodes.Errorf("ValueError", "preparing a quadmask: dilate_width is %d", n.DilateWidth)
	}
	if err := imaging.CheckSize("a quadmask", append([]int{4}, n.Mask.Shape...)...); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(n.Mask.Shape...)
	copy(out.Data, n.Mask.Data)
	if scaled(out.Data) {
		for i := range out.Data {
			out.Data[i] *= 255
		}
	}
	if err := n.dilate(ctx, out); err != nil {
		return nodes.Result{}, err
	}
	for i, v := range out.Data {
		level := v
		if v > quadLevels[len(quadLevels)-1].bound {
			level = 255
		}
		for k := len(quadLevels) - 1; k >= 0; k-- {
			if v <= quadLevels[k].bound {
				level = quadLevels[k].level
			}
		}
		out.Data[i] = (255 - level) / 255
	}
	return nodes.Out(out), nil
}

// scaled reports whether the values are in 0…1.
func scaled(values []float32) bool {
	for _, v := range values {
		if !(v <= 1) { // NaN as well
			return false
		}
	}
	return true
}

// dilate sets everything near values below the middle to 0.
func (n *VOIDQuadmaskPreprocess) dilate(ctx context.Context, t *tensor.Tensor) error {
	if n.DilateWidth == 0 {
		return nil
	}
	const middle = 128
	binary := tensor.New(t.Shape[0], t.Shape[1], t.Shape[2], 1)
	for i, v := range t.Data {
		if v < middle {
			binary.Data[i] = 1
		}
	}
	grown, err := imaging.Extreme(ctx, binary, 2*n.DilateWidth+1, false)
	if err != nil {
		return err
	}
	for i, v := range grown.Data {
		if v > 0.5 {
			t.Data[i] = 0
		}
	}
	return nil
}
