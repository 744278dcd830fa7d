package onnx

import "comfygo/engine/dtype"

// GridSample takes values of x [B,C,H,W] at the places in grid [B,H',W',2], across and down in -1…1, interpolated linearly; places beyond the border
// have the border's values, or those of zeros around it. The result is [B,C,H',W']. With corners -1 and 1 are the centres of the outermost pixels, as torch's with
// align_corners=True; otherwise their outer edges. It is computed in float32.
func (g *Graph) GridSample(x, grid *Value, corners bool, beyond Fill) *Value {
	if x.Rank() != 4 || grid.Rank() != 4 || !grid.Dim(3).Is(2) || x.Dim(0) != grid.Dim(0) {
		g.fail("GridSample", "%v at the places %v", x.Shape, grid.Shape)
	}
	align := int64(0)
	if corners {
		align = 1
	}
	padding, ok := map[Fill]string{Edge: "border", Zeros: "zeros"}[beyond]
	if !ok {
		g.fail("GridSample", "places beyond the border are not reflected")
	}
	out := Shape{x.Dim(0), x.Dim(1), grid.Dim(1), grid.Dim(2)}
	y := g.op(DomainONNX, "GridSample", dtype.F32, out, []*Value{g.Cast(x, dtype.F32), g.Cast(grid, dtype.F32)},
		attr{"mode", "linear"}, attr{"padding_mode", padding}, attr{"align_corners", align})
	return g.Cast(y, x.DType)
}
