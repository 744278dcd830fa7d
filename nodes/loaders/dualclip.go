package loaders

import "comfygo/nodes"

func init() { nodes.Register(&DualCLIPLoader{}) }

// DualCLIPLoader opens two files that hold the text encoders of one model family, in either order.
type DualCLIPLoader struct {
	First  string `in:"clip_name1" files:"text_encoders"`
	Second string `in:"clip_name2" files:"text_encoders"`
	Type   string `in:"type" options:"sdxl|sd3|flux|hunyuan_video|hidream|hunyuan_image|hunyuan_video_15|kandinsky5|kandinsky5_image|ltxv|newbie|ace"`
	Device string `in:"device" optional:"true" options:"default|cpu" advanced:"true"`
}

// Spec implements nodes.Node.
func (*DualCLIPLoader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DualCLIPLoader", DisplayName: "Load CLIP (Dual)", Category: "model/loaders",
		Description: "Loads the two text encoders of a model family: CLIP-L and CLIP-G for type sdxl.",
		Outputs:     nodes.Outputs("CLIP"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *DualCLIPLoader) Run(ctx *nodes.Context) (nodes.Result, error) {
	return loadCLIP(ctx, n.Type, n.Device, n.First, n.Second)
}

// loadCLIP opens text encoders by the names of their files.
func loadCLIP(ctx *nodes.Context, kind, device string, names ...string) (nodes.Result, error) {
	paths := make([]string, len(names))
	for i, name := range names {
		var err error
		if paths[i], err = find(ctx, "text_encoders", name); err != nil {
			return nodes.Result{}, err
		}
	}
	c, err := ctx.Engine.LoadCLIP(kind, paths...)
	if err != nil {
		return nodes.Result{}, err
	}
	if device == "cpu" {
		c = c.OnCPU()
	}
	return nodes.Out(c), nil
}
