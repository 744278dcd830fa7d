package onnx

import "comfygo/engine/dtype"

// GridSample takes values of x [B,C,H,W] at the places in grid [B,H',W',2], across and down in -1…1, interpolated linearly; places beyond the border
// have the border's values. The result is [B,C,H',W']. With corners -1 and 1 are the centres of the outermost pixels, as torch's with
// align_corners=True; otherwise their outer edges. It is computed in float32.
func (g *Graph) GridSample(x, grid *Value, corners bool) *Value {
	if x.Rank() != 4 || grid.Rank() != 4 || !grid.Dim(3).Is(2) || x.Dim(0) != grid.Dim(0) {
		g.fail("GridSample", "%v at the places %v", x.Shape, grid.Shape)
	}
	align := int64(0)
	if corners {
		align = 1
	}
	out := Shape{x.Dim(0), x.Dim(1), grid.Dim(1), grid.Dim(2)}
	y := g.op(DomainONNX, "GridSample", dtype.F32, out, []*Value{g.Cast(x, dtype.F32), g.Cast(grid, dtype.F32)},
		attr{"mode", "linear"}, attr{"padding_mode", "border"}, attr{"align_corners", align})
	return g.Cast(y, x.DType)
}
