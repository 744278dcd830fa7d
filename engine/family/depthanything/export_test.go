package depthanything

import (
	"context"

	"comfygo/engine/family"
	"comfygo/engine/family/dino"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Cells are the rows and columns of patches of an image of h x w pixels.
func Cells(n family.DepthNetwork, h, w int, c family.DepthCall) (rows, columns int) {
	return n.(*model).cells(h, w, c)
}

// Cameras finds the cameras of rays.
func Cameras(ctx context.Context, rays *tensor.Tensor, h, w int) (extrinsics, intrinsics *tensor.Tensor, err error) {
	return cameras(ctx, rays, h, w)
}

// Choice is the number of the view of x [views,tokens,C] that a graph chooses.
func Choice(ctx context.Context, run family.Runner, src weights.Source, x *tensor.Tensor, anchor string) (int, error) {
	m := &model{config: dino.Config{Width: x.Dim(2)}}
	g := family.Graph{Part: "choice", Variant: anchor, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("choice", src, func(b *nn.Builder, _ *weights.Scope) {
			w := writer{Builder: b, model: m, form: form{anchor: anchor}}
			dit.Output(b, "chosen", w.choice(dit.Input(b, "x", onnx.Sym("B"), onnx.D(x.Dim(1)), onnx.D(x.Dim(2)))))
		})
	}}
	res, err := run.Run(ctx, g, append(countsOf(x.Dim(0)), family.Floats("x", x)), "chosen")
	if err != nil {
		return 0, err
	}
	for i := range x.Dim(0) {
		if res["chosen"].Data[2*i] == 1 {
			return i, nil
		}
	}
	return -1, nil
}
