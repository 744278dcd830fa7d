package loaders

import "comfygo/nodes"

func init() {
	nodes.Register(&TripleCLIPLoader{})
	nodes.Register(&QuadrupleCLIPLoader{})
}

// TripleCLIPLoader opens the three text encoders of Stable Diffusion 3, in any order.
type TripleCLIPLoader struct {
	First  string `in:"clip_name1" files:"text_encoders"`
	Second string `in:"clip_name2" files:"text_encoders"`
	Third  string `in:"clip_name3" files:"text_encoders"`
}

// Spec implements nodes.Node.
func (*TripleCLIPLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "TripleCLIPLoader", DisplayName: "Load CLIP (Triple)", Category: "model/loaders",
		Description: "Loads the three text encoders of Stable Diffusion 3: CLIP-L, CLIP-G and T5-XXL, in any order.",
		Module:      "comfy_extras.nodes_sd3", V3: true, Outputs: nodes.Outputs("CLIP"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *TripleCLIPLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	return loadCLIP(ctx, "sd3", "default", n.First, n.Second, n.Third)
}

// QuadrupleCLIPLoader opens the four text encoders of HiDream, in any order.
type QuadrupleCLIPLoader struct {
	First  string `in:"clip_name1" files:"text_encoders"`
	Second string `in:"clip_name2" files:"text_encoders"`
	Third  string `in:"clip_name3" files:"text_encoders"`
	Fourth string `in:"clip_name4" files:"text_encoders"`
}

// Spec implements nodes.Node.
func (*QuadrupleCLIPLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "QuadrupleCLIPLoader", DisplayName: "Load CLIP (Quadruple)", Category: "model/loaders",
		Description: "Loads the four text encoders of HiDream: CLIP-L, CLIP-G, T5-XXL and Llama 3.1 8B, in any order.",
		Module:      "comfy_extras.nodes_hidream", V3: true, Outputs: nodes.Outputs("CLIP"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *QuadrupleCLIPLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	return loadCLIP(ctx, "hidream", "default", n.First, n.Second, n.Third, n.Fourth)
}
