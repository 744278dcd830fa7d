package mask

import (
	"fmt"

	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/image"
)

func init() { nodes.Register(&MaskPreview{}) }

// MaskPreview shows masks; the images go to the temp folder.
type MaskPreview struct {
	Mask *tensor.Tensor `in:"mask" type:"MASK"`
}

// Spec implements nodes.Node.
func (*MaskPreview) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MaskPreview", DisplayName: "Preview Mask", Category: "image/mask", Module: module, V3: true,
		Description:   "Shows masks; they go to the temp folder and are gone after a restart.",
		SearchAliases: []string{"show mask", "view mask", "inspect mask", "debug mask"},
		Outputs:       []nodes.Output{{Type: "MASK", Name: "mask"}}, OutputNode: true,
		Uses: nodes.UsesNothing,
	}
}

func (*MaskPreview) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node.
func (n *MaskPreview) Run(ctx *nodes.Context) (nodes.Result, error) {
	shown, err := (&MaskToImage{Mask: tensor.ViewOf(n.Mask)}).Run(ctx)
	if err != nil {
		return nodes.Result{}, err
	}
	files, err := image.Preview(ctx, shown.Values[0].(*tensor.View).Dense(), "", nil)
	if err != nil {
		return nodes.Result{}, fmt.Errorf("saving previews: %w", err)
	}
	return nodes.Out(n.Mask).AddUI("images", files).AddUI("animated", []any{false}), nil
}
