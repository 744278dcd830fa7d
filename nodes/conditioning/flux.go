package conditioning

import (
	"math"
	"strings"

	"comfygo/engine"
	"comfygo/engine/family/flux"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
	"comfygo/nodes/latent"
)

func init() {
	nodes.Register(&CLIPTextEncodeFlux{})
	nodes.Register(&FluxGuidance{})
	nodes.Register(&FluxDisableGuidance{})
	nodes.Register(&FluxKontextImageScale{})
	nodes.Register(&FluxKontextMultiReferenceLatentMethod{})
	nodes.Register(&EmptyFlux2LatentImage{})
	nodes.Register(&FluxKVCache{})
}

// CLIPTextEncodeFlux encodes a prompt for each of Flux's text encoders, with the guidance.
type CLIPTextEncodeFlux struct {
	CLIP     *engine.CLIP `in:"clip" type:"CLIP"`
	TextL    string       `in:"clip_l" multiline:"true" dynamicPrompts:"true"`
	TextT5   string       `in:"t5xxl" multiline:"true" dynamicPrompts:"true"`
	Guidance float64      `in:"guidance" default:"3.5" min:"0.0" max:"100.0" step:"0.1"`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodeFlux) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodeFlux", Category: "model/conditioning/flux",
		Module: "comfy_extras.nodes_flux", V3: true, Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncodeFlux) Run(ctx *nodes.Context) (nodes.Result, error) {
	c, err := encodeEach(ctx, n.CLIP, map[string]string{"clip_l": n.TextL, "t5xxl": n.TextT5})
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c.With(map[string]any{"guidance": n.Guidance})), nil
}

// FluxGuidance sets the guidance of models that take it as an input.
type FluxGuidance struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Guidance     float64             `in:"guidance" default:"3.5" min:"0.0" max:"100.0" step:"0.1"`
}

// Spec implements nodes.Node.
func (*FluxGuidance) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FluxGuidance", Category: "model/conditioning/flux",
		Module: "comfy_extras.nodes_flux", V3: true,
		Outputs: nodes.Outputs("CONDITIONING"),
		Uses:    nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *FluxGuidance) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.Conditioning.With(map[string]any{"guidance": n.Guidance})), nil
}

// FluxDisableGuidance leaves out the guidance input of a model.
type FluxDisableGuidance struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
}

// Spec implements nodes.Node.
func (*FluxDisableGuidance) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FluxDisableGuidance", Category: "model/conditioning/flux",
		Module: "comfy_extras.nodes_flux", V3: true,
		Outputs:     nodes.Outputs("CONDITIONING"),
		Description: "Disables the guidance embed of Flux and models like it.",
		Uses:        nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *FluxDisableGuidance) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(n.Conditioning.With(map[string]any{"guidance": nil})), nil
}

// FluxKontextImageScale scales an image to the nearest size that Flux Kontext is trained with.
type FluxKontextImageScale struct {
	Image *tensor.Tensor `in:"image" type:"IMAGE"`
}

// Spec implements nodes.Node.
func (*FluxKontextImageScale) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FluxKontextImageScale", Category: "model/conditioning/flux",
		Module: "comfy_extras.nodes_flux", V3: true,
		Outputs:     nodes.Outputs("IMAGE"),
		Description: "Resizes an image to the size of the nearest aspect ratio that Flux Kontext is trained with.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*FluxKontextImageScale) Sizes(s *nodes.Sizing) nodes.Images {
	last := kontextSizes[len(kontextSizes)-1]
	return s.In.Of(float64(last[0]), float64(last[0]))
}

// Run implements nodes.Node.
func (n *FluxKontextImageScale) Run(*nodes.Context) (nodes.Result, error) {
	if n.Image == nil || len(n.Image.Shape) != 4 || len(n.Image.Data) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "scaling an image: the input image is not an image [batch, height, width, channels]")
	}
	ratio := float64(n.Image.Shape[2]) / float64(n.Image.Shape[1])
	best := kontextSizes[0]
	for _, s := range kontextSizes[1:] {
		if math.Abs(ratio-float64(s[0])/float64(s[1])) < math.Abs(ratio-float64(best[0])/float64(best[1])) {
			best = s
		}
	}
	out, err := imaging.UpscaleImage(n.Image, best[0], best[1], "lanczos", "center")
	return nodes.Out(out), err
}

// FluxKontextMultiReferenceLatentMethod chooses how several reference latents are placed.
type FluxKontextMultiReferenceLatentMethod struct {
	Conditioning           engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	ReferenceLatentsMethod string              `in:"reference_latents_method" options:"offset|index|uxo/uno|index_timestep_zero" advanced:"true"`
}

// Spec implements nodes.Node.
func (*FluxKontextMultiReferenceLatentMethod) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FluxKontextMultiReferenceLatentMethod", DisplayName: "Edit Model Reference Method", Category: "model/conditioning/flux",
		Module: "comfy_extras.nodes_flux", V3: true,
		Outputs:      nodes.Outputs("CONDITIONING"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *FluxKontextMultiReferenceLatentMethod) Run(*nodes.Context) (nodes.Result, error) {
	method := n.ReferenceLatentsMethod
	if strings.Contains(method, "uxo") || strings.Contains(method, "uso") {
		method = "uxo"
	}
	return nodes.Out(n.Conditioning.With(map[string]any{"reference_latents_method": method})), nil
}

// EmptyFlux2LatentImage makes empty latents of Flux.2.
type EmptyFlux2LatentImage struct {
	Width     int `in:"width" default:"1024" min:"16" max:"16384" step:"16"`
	Height    int `in:"height" default:"1024" min:"16" max:"16384" step:"16"`
	BatchSize int `in:"batch_size" default:"1" min:"1" max:"4096"`
}

// Spec implements nodes.Node.
func (*EmptyFlux2LatentImage) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "EmptyFlux2LatentImage", DisplayName: "Empty Flux 2 Latent", Category: "model/latent/flux",
		Module: "comfy_extras.nodes_flux", V3: true,
		Outputs: nodes.Outputs("LATENT"),
		Uses:    nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*EmptyFlux2LatentImage) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.Canvas(s.Number("width"), s.Number("height"), "batch_size")
	p.Exact = false // sides are rounded
	return p
}

// Run implements nodes.Node.
func (n *EmptyFlux2LatentImage) Run(*nodes.Context) (nodes.Result, error) {
	return latent.Empty("Flux.2 latents", engine.Latent{}, n.BatchSize, 128, n.Height/16, n.Width/16)
}

// kontextSizes are widths and heights that Flux Kontext is trained with, by width.
var kontextSizes = [][2]int{
	{672, 1568},
	{688, 1504},
	{720, 1456},
	{752, 1392},
	{800, 1328},
	{832, 1248},
	{880, 1184},
	{944, 1104},
	{1024, 1024},
	{1104, 944},
	{1184, 880},
	{1248, 832},
	{1328, 800},
	{1392, 752},
	{1456, 720},
	{1504, 688},
	{1568, 672},
}

// FluxKVCache has a run compute the keys and values of reference latents once: those of its first call serve all others.
type FluxKVCache struct {
	Model *engine.Model `in:"model" type:"MODEL"`
}

// Spec implements nodes.Node.
func (*FluxKVCache) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "FluxKVCache", DisplayName: "Flux KV Cache", Category: "experimental",
		Module: "comfy_extras.nodes_flux", V3: true,
		Description:  "Computes the keys and values of reference latents once a run, in its first call. Makes editing with Flux models faster.",
		Outputs:      nodes.Outputs("MODEL"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *FluxKVCache) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "caching keys and values: there is no model: connect one")
	}
	return nodes.Out(n.Model.WithOption(flux.OptionCache, &flux.Cache{})), nil
}
