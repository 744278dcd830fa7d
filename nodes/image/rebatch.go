package image

import (
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() { nodes.Register(&RebatchImages{}) }

// RebatchImages cuts all images of a list into batches of one size; the last may be smaller.
type RebatchImages struct {
	Images    []*tensor.Tensor `in:"images" type:"IMAGE"`
	BatchSize []int            `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*RebatchImages) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "RebatchImages", DisplayName: "Rebatch Images", Category: "image/batch", Module: "comfy_extras.nodes_rebatch", V3: true,
		InputIsList: true, Outputs: []nodes.Output{{Type: "IMAGE", List: true}},
		Uses: nodes.UsesNothing,
	}
}

func (*RebatchImages) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *RebatchImages) Run(*nodes.Context) (nodes.Result, error) {
	if len(n.BatchSize) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "batch_size is missing")
	}
	size := max(n.BatchSize[0], 1)
	var all []*tensor.Tensor
	for k, batch := range n.Images {
		if batch == nil || len(batch.Shape) == 0 {
			return nodes.Result{}, nodes.Errorf("AttributeError", "putting images into batches: element %d of images is no image", k)
		}
		for i := range batch.Dim(0) {
			all = append(all, batch.Slice(i, i+1))
		}
	}
	var out []*tensor.Tensor
	for from := 0; from < len(all); from += size {
		group := all[from:min(from+size, len(all))]
		batch := tensor.New(append([]int{len(group)}, group[0].Shape[1:]...)...)
		data := batch.Data[:0]
		for _, t := range group {
			if !tensor.SameShape(t, group[0]) {
				return nodes.Result{}, nodes.Errorf("RuntimeError", "putting images of %v and %v into one batch: sizes differ", group[0].Shape, t.Shape)
			}
			data = append(data, t.Data...)
		}
		out = append(out, batch)
	}
	return nodes.Out(out), nil
}
