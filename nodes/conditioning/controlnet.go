package conditioning

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SetUnionControlNetType{})
	nodes.Register(&ControlNetInpaintingAliMamaApply{})
}

// SetUnionControlNetType sets the type of hint of a union ControlNet.
type SetUnionControlNetType struct {
	Net  *engine.ControlNet `in:"control_net" type:"CONTROL_NET"`
	Type string             `in:"type" options:"auto|openpose|depth|hed/pidi/scribble/ted|canny/lineart/anime_lineart/mlsd|normal|segment|tile|repaint"`
}

// Spec implements nodes.Node.
func (*SetUnionControlNetType) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SetUnionControlNetType", DisplayName: "Set Union ControlNet Type", Category: "model/conditioning/controlnet",
		Module: "comfy_extras.nodes_controlnet", V3: true,
		Description:   "Tells a ControlNet that reads several kinds of hints which kind it gets.",
		SearchAliases: []string{"set controlnet type", "union controlnet type"},
		Outputs:       nodes.Outputs("CONTROL_NET"),
		Uses:          nodes.UsesNothing,
	}
}

// unionTypes are the numbers of the kinds of hints.
var unionTypes = map[string]int{
	"openpose": 0, "depth": 1, "hed/pidi/scribble/ted": 2, "canny/lineart/anime_lineart/mlsd": 3, "normal": 4, "segment": 5, "tile": 6, "repaint": 7,
}

// Run implements nodes.Node. The client is warned if the network has no types.
func (n *SetUnionControlNetType) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Net == nil {
		return nodes.Result{}, errNoControlNet()
	}
	var types []int
	if i, ok := unionTypes[n.Type]; ok {
		types = []int{i}
	}
	net, union, err := n.Net.WithTypes(types...)
	if err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "%w", err)
	}
	if !union && len(types) > 0 {
		ctx.Warn("The ControlNet is no union of several types: the type " + n.Type + " has no effect.")
	}
	return nodes.Out(net), nil
}

// ControlNetInpaintingAliMamaApply guides conditionings by an image with a ControlNet for inpainting that does not see the
// masked part.
type ControlNetInpaintingAliMamaApply struct {
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Net      *engine.ControlNet  `in:"control_net" type:"CONTROL_NET"`
	VAE      *engine.VAE         `in:"vae" type:"VAE"`
	Image    *tensor.Tensor      `in:"image" type:"IMAGE"`
	Mask     *tensor.Tensor      `in:"mask" type:"MASK"`
	Strength float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Start    float64             `in:"start_percent" advanced:"true" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	End      float64             `in:"end_percent" advanced:"true" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
}

// Spec implements nodes.Node.
func (*ControlNetInpaintingAliMamaApply) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ControlNetInpaintingAliMamaApply", DisplayName: "Apply ControlNet Inpainting (AliMama)", Category: "model/conditioning/controlnet",
		Module: "comfy_extras.nodes_controlnet", V3: true,
		Description:   "Steers by an image with a hole, for ControlNets that read a mask.",
		SearchAliases: []string{"masked controlnet"},
		Outputs:       []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node. A network that reads no mask gets the whole image, and the client is warned.
func (n *ControlNetInpaintingAliMamaApply) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Net == nil {
		return nodes.Result{}, errNoControlNet()
	}
	s := steering{net: n.Net, image: n.Image, options: engine.ControlOptions{Strength: n.Strength, Start: n.Start, End: n.End, VAE: n.VAE}}
	if !n.Net.Masked() {
		ctx.Warn("The ControlNet does not read a mask: the mask has no effect.")
		return s.both(n.Positive, n.Negative)
	}
	if n.Image == nil || len(n.Image.Shape) != 4 || n.Mask == nil || len(n.Mask.Shape) < 2 || n.Mask.Len() == 0 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "using a ControlNet for inpainting: it takes an image and a mask")
	}
	kept, err := n.Mask.Reshape(-1, 1, n.Mask.Dim(-2), n.Mask.Dim(-1))
	if err != nil {
		return nodes.Result{}, err
	}
	kept = kept.Clone()
	for i, v := range kept.Data {
		kept.Data[i] = 1 - v
	}
	if s.image, err = without(n.Image, kept); err != nil {
		return nodes.Result{}, err
	}
	s.options.Mask = kept
	return s.both(n.Positive, n.Negative)
}

// without returns images [B,H,W,C] with zeros where a mask [M,1,h,w], scaled to their size and rounded, is not one.
func without(images, kept *tensor.Tensor) (*tensor.Tensor, error) {
	h, w, c := images.Dim(1), images.Dim(2), images.Dim(3)
	if kept.Dim(0) != 1 && images.Dim(0) != 1 && kept.Dim(0) != images.Dim(0) {
		return nil, nodes.Errorf("RuntimeError", "using a ControlNet for inpainting: %d masks do not fit %d images: give one, or as many as images", kept.Dim(0), images.Dim(0))
	}
	mask, err := imaging.Upscale(kept, w, h, "bilinear", "center")
	if err != nil {
		return nil, err
	}
	out := tensor.New(max(images.Dim(0), mask.Dim(0)), h, w, c)
	for b := range out.Dim(0) {
		from, to, m := images.Index(b%images.Dim(0)).Data, out.Index(b).Data, mask.Index(b%mask.Dim(0)).Data
		for i, v := range from {
			to[i] = v * float32(math.RoundToEven(float64(m[i/c])))
		}
	}
	return out, nil
}
