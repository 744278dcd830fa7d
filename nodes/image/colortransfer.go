package image

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ColorTransfer{})
}

// ColorTransferSourceStats2 are the inputs of source_stats for "target_frame".
type ColorTransferSourceStats2 struct {
	TargetIndex int `in:"target_index" default:"0" min:"0" max:"10000" tooltip:"Frame that is measured."`
}

// ColorTransfer gives images the colors of others.
type ColorTransfer struct {
	ImageTarget *tensor.Tensor `in:"image_target" type:"IMAGE" tooltip:"Images to change."`
	ImageRef    *tensor.Tensor `in:"image_ref" type:"IMAGE" tooltip:"Images with the wanted colors."`
	Method      string         `in:"method" options:"reinhard_lab|mkl_lab|histogram"`
	SourceStats nodes.Choice   `in:"source_stats" tooltip:"per_frame matches each frame on its own. uniform measures all frames together, target_frame one chosen frame, and both change all frames in the same way, so that their differences stay."`
	Strength    float64        `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
}

// DynamicOptions implements nodes.Dynamic.
func (*ColorTransfer) DynamicOptions(input string) []nodes.Option {
	switch input {
	case "source_stats":
		return []nodes.Option{{Key: "per_frame"}, {Key: "uniform"}, {Key: "target_frame", Inputs: &ColorTransferSourceStats2{}}}
	}
	return nil
}

// Spec implements nodes.Node.
func (*ColorTransfer) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ColorTransfer", DisplayName: "Transfer Color", Category: "image/filters",
		Module: "comfy_extras.nodes_post_processing", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "image"}},
		Description:   "Matches the colors of an image to those of a reference.",
		SearchAliases: []string{"color match", "color grading", "color correction", "match colors", "color transform", "mkl", "reinhard", "histogram"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*ColorTransfer) Sizes(s *nodes.Sizing) nodes.Images { return s.Kept() }

// Run implements nodes.Node.
func (n *ColorTransfer) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Strength == 0 || n.ImageRef == nil {
		return nodes.Out(n.ImageTarget), nil
	}
	if !isImage(n.ImageTarget) || !isImage(n.ImageRef) {
		return nodes.Result{}, errNoImage("image_target or image_ref")
	}
	target, c := n.ImageTarget, n.ImageTarget.Shape[3]
	if c != n.ImageRef.Shape[3] || n.Method != "histogram" && c != 3 {
		return nodes.Result{}, nodes.Errorf("ValueError", "transferring colors: the images have %d and %d channels", c, n.ImageRef.Shape[3])
	}
	if err := imaging.CheckSize("images with other colors", 2*target.Shape[0], target.Shape[1], target.Shape[2], c); err != nil {
		return nodes.Result{}, err
	}
	frame := 0
	if in, ok := n.SourceStats.Inputs.(*ColorTransferSourceStats2); ok {
		frame = min(max(in.TargetIndex, 0), target.Shape[0]-1)
	}
	change, err := n.change(frame)
	if err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(target.Shape...)
	for i := range target.Shape[0] {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		change(i, target.Index(i).Data, out.Index(i).Data)
		ctx.Progress(float64(i+1), float64(target.Shape[0]))
	}
	return nodes.Out(out), nil
}

// change returns the function that writes frame i with its new colors; frame is the one that target_frame measures.
func (n *ColorTransfer) change(frame int) (func(i int, from, to []float32), error) {
	target, ref, c := n.ImageTarget, n.ImageRef, n.ImageTarget.Shape[3]
	measured := target
	if n.SourceStats.Key == "target_frame" {
		measured = target.Slice(frame, frame+1)
	}
	reference := func(i int) *tensor.Tensor {
		i = min(i, ref.Shape[0]-1)
		return ref.Slice(i, i+1)
	}
	if n.Method == "histogram" {
		uniform := imaging.HistogramTable(measured, ref)
		return func(i int, from, to []float32) {
			table := uniform
			if n.SourceStats.Key == "per_frame" {
				table = imaging.HistogramTable(target.Slice(i, i+1), reference(i))
			}
			for k, v := range from {
				to[k] = min(max(lerp(v, table[k%c][imaging.Bin(v)], n.Strength), 0), 1)
			}
		}, nil
	}
	mkl := n.Method == "mkl_lab"
	if !mkl && n.Method != "reinhard_lab" {
		return nil, nodes.Errorf("ValueError", "transferring colors: there is no method %q", n.Method)
	}
	all := imaging.MeasureLab(ref.Data)
	var uniform imaging.LabTransform
	if n.SourceStats.Key != "per_frame" {
		uniform = imaging.NewLabTransform(imaging.MeasureLab(measured.Data), all, mkl)
	}
	return func(i int, from, to []float32) {
		transform := uniform
		if n.SourceStats.Key == "per_frame" {
			stats := all
			if ref.Shape[0] > 1 {
				stats = imaging.MeasureLab(reference(i).Data)
			}
			transform = imaging.NewLabTransform(imaging.MeasureLab(from), stats, mkl)
		}
		for k := 0; k < len(from); k += 3 {
			lab := imaging.RGBToLab([3]float32(from[k:]))
			moved := transform.Apply(lab)
			for j := range moved {
				moved[j] = lerp(lab[j], moved[j], n.Strength)
			}
			rgb := imaging.LabToRGB(moved)
			copy(to[k:], rgb[:])
		}
	}, nil
}

// lerp is torch.lerp: from a to b by a share that may be above 1.
func lerp(a, b float32, share float64) float32 {
	if share == 1 {
		return b
	}
	w := float32(share)
	if w < 0.5 {
		return a + float32(w*(b-a))
	}
	return b - float32((b-a)*(1-w))
}
