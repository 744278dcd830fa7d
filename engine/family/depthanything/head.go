package depthanything

import (
	"fmt"

	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// epsilon is that of the head's norms.
const epsilon = 1e-5

// head writes the head for the patches of the levels. Inputs of a network with rays: those that placed declares. Upstream: dpt.py DPT and DualDPT.
func (w writer) head(s *weights.Scope, features []*onnx.Value) {
	rows, h, width := features[0].Dim(0), onnx.Sym("h"), onnx.Sym("w")
	var levelled [levels]*onnx.Value
	for i, x := range features {
		if w.rays {
			x = w.LayerNorm(s.At("norm"), x, epsilon)
		}
		x = w.Reshape(w.Transpose(x, 0, 2, 1), rows, x.Dim(2), h, width)
		x = w.Conv2d(s.At("projects").Index(i), x, w.widths[i], 1, onnx.Window{Stride: 1})
		if w.rays {
			x = w.placed(x, i)
		}
		x = w.scaled(s.At("resize_layers").Index(i), x, i)
		levelled[i] = w.Conv2d(s.At("scratch", fmt.Sprintf("layer%d_rn", i+1)), x, w.features, 3, onnx.Pad1())
	}
	scratch, half, patch := s.At("scratch"), w.features/2, onnx.D(w.config.Patch)
	x := w.Conv2d(scratch.At("output_conv1"), w.pyramid(scratch, levelled, ""), half, 3, onnx.Pad1())
	x = w.ResizeTo(x, onnx.Corners, rows, x.Dim(1), h.Times(patch), width.Times(patch))
	if w.rays {
		x = w.placed(x, levels)
	}
	dit.Output(w.Builder, "main", w.last(scratch.At("output_conv2"), x, w.values, 2, false))
	if w.sky {
		dit.Output(w.Builder, "sky", w.Relu(w.last(scratch.At("sky_output_conv2"), x, 1, 2, false)))
	}
	if !w.withRays {
		return
	}
	x = w.pyramid(scratch, levelled, "_aux")
	layers := scratch.At("output_conv1_aux").Index(levels - 1)
	for i := range layers.Count("") {
		out := half
		if i%2 == 1 {
			out = w.features
		}
		x = w.Conv2d(layers.Index(i), x, out, 3, onnx.Pad1())
	}
	dit.Output(w.Builder, "rays", w.last(scratch.At("output_conv2_aux").Index(levels-1), w.placed(x, levels+1), rayValues, 5, true))
}

// scaled brings the features of a level to its size: four times and twice that of the patches, that of the patches, and half of it.
func (w writer) scaled(s *weights.Scope, x *onnx.Value, level int) *onnx.Value {
	switch level {
	case 0, 1:
		times := 4 >> level
		return w.ConvTranspose(s, x, w.widths[level], []int{times, times}, 1, onnx.WindowND{Stride: []int{times, times}})
	case levels - 1:
		return w.Conv2d(s, x, w.widths[level], 3, onnx.Window{Stride: 2, Pads: [4]int{1, 1, 1, 1}})
	}
	return x
}

// pyramid joins the levels from the smallest to the largest, and doubles that. suffix tells the heads' blocks apart. The last layer of a block, which
// looks at one pixel, comes before the enlargement: that is the same, with fewer pixels.
func (w writer) pyramid(s *weights.Scope, levelled [levels]*onnx.Value, suffix string) *onnx.Value {
	var x *onnx.Value
	for i := levels - 1; i >= 0; i-- {
		block := s.At(fmt.Sprintf("refinenet%d%s", i+1, suffix))
		if y := levelled[i]; x == nil {
			x = y
		} else {
			x = w.Add(x, w.residual(block.At("resConfUnit1"), y))
		}
		x = w.residual(block.At("resConfUnit2"), x)
		x = w.Conv2d(block.At("out_conv"), x, w.features, 1, onnx.Window{Stride: 1})
		h, width := x.Dim(2).Times(onnx.D(2)), x.Dim(3).Times(onnx.D(2))
		if i > 0 {
			h, width = levelled[i-1].Dim(2), levelled[i-1].Dim(3)
		}
		x = w.ResizeTo(x, onnx.Corners, x.Dim(0), x.Dim(1), h, width)
	}
	return x
}

// residual is a block of two convolutions. Upstream: ResidualConvUnit.
func (w writer) residual(s *weights.Scope, x *onnx.Value) *onnx.Value {
	y := w.Conv2d(s.At("conv1"), w.Relu(x), w.features, 3, onnx.Pad1())
	return w.Add(w.Conv2d(s.At("conv2"), w.Relu(y), w.features, 3, onnx.Pad1()), x)
}

// last writes the two convolutions that end a head, the second of which is layer number second of s.
func (w writer) last(s *weights.Scope, x *onnx.Value, out, second int, normed bool) *onnx.Value {
	inner := 1 // a missing one is reported when the layer is written
	if shape := s.Shape("0.weight"); len(shape) > 0 && shape[0] > 0 {
		inner = shape[0]
	}
	y := w.Conv2d(s.At("0"), x, inner, 3, onnx.Pad1())
	if normed {
		y = w.Transpose(w.LayerNorm(s.At("2"), w.Transpose(y, 0, 2, 3, 1), epsilon), 0, 3, 1, 2)
	}
	return w.Conv2d(s.Index(second), w.Relu(y), out, 1, onnx.Window{Stride: 1})
}

// placed adds their places to the features of a grid, that of a level or a later one: the first half of the channels tells the column, the second the
// row. Upstream: dpt.py _add_pos_embed.
func (w writer) placed(x *onnx.Value, grid int) *onnx.Value {
	across := dit.Input(w.Builder, placeName("column", grid), onnx.D(1), x.Dim(1), onnx.D(1), x.Dim(3))
	down := dit.Input(w.Builder, placeName("row", grid), onnx.D(1), x.Dim(1), x.Dim(2), onnx.D(1))
	return w.Add(w.Add(x, across), down)
}

// placeName is the name of an input of a grid.
func placeName(axis string, grid int) string { return fmt.Sprintf("%s %d", axis, grid) }
