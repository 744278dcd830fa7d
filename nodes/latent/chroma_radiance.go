package latent

import (
	"comfygo/engine"
	"comfygo/engine/family/radiance"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EmptyChromaRadianceLatentImage{})
	nodes.Register(&ChromaRadianceOptions{})
}

// EmptyChromaRadianceLatentImage makes empty images for Chroma Radiance, which works on pixels.
type EmptyChromaRadianceLatentImage struct {
	Width     int `in:"width" default:"1024" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"1024" min:"16" max:"16384" step:"16"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyChromaRadianceLatentImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyChromaRadianceLatentImage", Category: "model/latent/chroma radiance",
		Module: "comfy_extras.nodes_chroma_radiance", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyChromaRadianceLatentImage) Sizes(s *nodes.Sizing) nodes.Images { return imageSizes(s) }

// Run implements nodes.Node.
func (n *EmptyChromaRadianceLatentImage) Run(*nodes.Context) (nodes.Result, error) {
	return Empty("images", engine.Latent{}, n.BatchSize, 3, n.Height, n.Width)
}

// ChromaRadianceOptions sets how Chroma Radiance is run within a range of sigmas.
type ChromaRadianceOptions struct {
	Model                 *engine.Model `in:"model" type:"MODEL"`
	PreserveWrapper       bool          `in:"preserve_wrapper" default:"true" tooltip:"Keeps the options of earlier nodes of this class, which take precedence."`
	StartSigma            float64       `in:"start_sigma" advanced:"true" default:"1.0" min:"0.0" max:"1.0" tooltip:"Sigma from which on the options count."`
	EndSigma              float64       `in:"end_sigma" advanced:"true" default:"0.0" min:"0.0" max:"1.0" tooltip:"Last sigma at which the options count."`
	NerfTileSize          int           `in:"nerf_tile_size" advanced:"true" default:"-1" min:"-1" tooltip:"Number of patches whose pixels are computed at once: 0 is all of them, -1 the default of 512."`
	ForceSequentialTxtIds bool          `in:"force_sequential_txt_ids" advanced:"true" default:"false" tooltip:"Numbers the text tokens, for checkpoints that were trained so and do not say it."`
}

// Spec implements nodes.Node.
func (*ChromaRadianceOptions) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ChromaRadianceOptions", Category: "model/patch/chroma radiance",
		Module: "comfy_extras.nodes_chroma_radiance", V3: true,
		Description: "Sets how Chroma Radiance is run within a range of sigmas.",
		Outputs:     nodes.Outputs("MODEL"),
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ChromaRadianceOptions) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "setting options of Chroma Radiance: there is no model: connect one")
	}
	if n.NerfTileSize < 0 && !n.ForceSequentialTxtIds {
		return nodes.Out(n.Model), nil
	}
	list := []radiance.Options{{Start: float32(n.StartSigma), End: float32(n.EndSigma), Tile: n.NerfTileSize, Sequential: n.ForceSequentialTxtIds}}
	if before, ok := n.Model.Options()[radiance.Option].([]radiance.Options); ok && n.PreserveWrapper {
		list = append(list, before...)
	}
	return nodes.Out(n.Model.WithOption(radiance.Option, list)), nil
}
