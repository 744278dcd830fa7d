package latent

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&TrimVideoLatent{})
}

// TrimVideoLatent cuts frames off the start of a video latent.
type TrimVideoLatent struct {
	Samples    engine.Latent `in:"samples" type:"LATENT"`
	TrimAmount int           `in:"trim_amount" default:"0" min:"0" max:"99999"`
}

// Spec implements nodes.Node.
func (*TrimVideoLatent) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TrimVideoLatent", DisplayName: "Trim Video Latent", Category: "model/latent",
		Module: "comfy_extras.nodes_wan", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*TrimVideoLatent) Sizes(s *nodes.Sizing) nodes.Images { return s.Within() }

// Run implements nodes.Node. The noise mask and batch numbers stay, as in upstream; trimming all frames leaves an
// empty latent.
func (n *TrimVideoLatent) Run(*nodes.Context) (nodes.Result, error) {
	s := n.Samples.Samples
	if s == nil || len(s.Shape) < 3 {
		return nodes.Result{}, nodes.Errorf("IndexError", "trimming a video latent: the input samples has no time axis")
	}
	return with(n.Samples, framesOf(s, min(max(n.TrimAmount, 0), s.Shape[2]), s.Shape[2])), nil
}
