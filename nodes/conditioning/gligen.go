package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() { nodes.Register(&GLIGENTextBoxApply{}) }

// GLIGENTextBoxApply places the object of a text in a box.
type GLIGENTextBoxApply struct {
	To     engine.Conditioning `in:"conditioning_to" type:"CONDITIONING"`
	CLIP   *engine.CLIP        `in:"clip" type:"CLIP"`
	Model  *engine.Grounding   `in:"gligen_textbox_model" type:"GLIGEN"`
	Text   string              `in:"text" multiline:"true" dynamicPrompts:"true" tooltip:"What is to be in the box."`
	Width  int                 `in:"width" default:"64" min:"8" max:"16384" step:"8" tooltip:"Width of the box in pixels."`
	Height int                 `in:"height" default:"64" min:"8" max:"16384" step:"8" tooltip:"Height of the box in pixels."`
	X      int                 `in:"x" default:"0" min:"0" max:"16384" step:"8" tooltip:"Left side of the box in pixels."`
	Y      int                 `in:"y" default:"0" min:"0" max:"16384" step:"8" tooltip:"Top side of the box in pixels."`
}

// Spec implements nodes.Node.
func (*GLIGENTextBoxApply) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GLIGENTextBoxApply", DisplayName: "Apply GLIGEN Text Box", Category: "model/conditioning/gligen",
		Description: "Has what a text describes appear in a box of the image. Several boxes, 30 at most, are chained.",
		Outputs:     nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *GLIGENTextBoxApply) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil || n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "placing a text by GLIGEN: clip or gligen_textbox_model is missing")
	}
	out, err := n.Model.Place(ctx, n.To, n.CLIP, n.Text, n.X, n.Y, n.Width, n.Height)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}
