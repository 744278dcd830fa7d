package patches

import (
	"regexp"
	"strconv"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SkipLayerGuidanceDiT{})
	nodes.Register(&SkipLayerGuidanceDiTSimple{})
	nodes.Register(&SkipLayerGuidanceSD3{})
}

var wholeNumber = regexp.MustCompile(`\d+`)

// layersIn reads the numbers in a text; those that no network has are left out.
func layersIn(text string) []int {
	var out []int
	for _, word := range wholeNumber.FindAllString(text, -1) {
		if n, err := strconv.Atoi(word); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// skipping adds a hook that leaves out layers; without layers the model stays as it is.
func skipping(m *engine.Model, double, single string, start, end float64, add func(h es.Hooks, s es.SkippedLayers) es.Hooks) (nodes.Result, error) {
	if m == nil {
		return nodes.Result{}, errNoModel
	}
	ms := m.Sampling()
	s := es.SkippedLayers{Double: layersIn(double), Single: layersIn(single), Low: ms.PercentToSigma(end), High: ms.PercentToSigma(start)}
	if len(s.Double)+len(s.Single) == 0 {
		return nodes.Out(m), nil
	}
	return nodes.Out(m.WithHooks(func(h es.Hooks) es.Hooks { return add(h, s) })), nil
}

func skipSpec(name, module string) nodes.Spec {
	return nodes.Spec{
		Name: name, Category: "advanced/guidance", V3: true, Module: module, Experimental: true,
		Description: "Guides away from what a transformer predicts without some of its layers, which brings out structure.",
		Outputs:     nodes.Outputs("MODEL"),
	}
}

// SkipLayerGuidanceDiT guides away from a network without some of its layers.
type SkipLayerGuidanceDiT struct {
	Model   *engine.Model `in:"model" type:"MODEL"`
	Double  string        `in:"double_layers" default:"7, 8, 9" multiline:"false" advanced:"true"`
	Single  string        `in:"single_layers" default:"7, 8, 9" multiline:"false" advanced:"true"`
	Scale   float64       `in:"scale" default:"3.0" min:"0.0" max:"10.0" step:"0.1"`
	Start   float64       `in:"start_percent" default:"0.01" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
	End     float64       `in:"end_percent" default:"0.15" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
	Rescale float64       `in:"rescaling_scale" default:"0.0" min:"0.0" max:"10.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*SkipLayerGuidanceDiT) Spec() nodes.Spec {
	return skipSpec("SkipLayerGuidanceDiT", "comfy_extras.nodes_slg")
}

// Run implements nodes.Node.
func (n *SkipLayerGuidanceDiT) Run(_ *nodes.Context) (nodes.Result, error) {
	return skipping(n.Model, n.Double, n.Single, n.Start, n.End, func(h es.Hooks, s es.SkippedLayers) es.Hooks {
		return h.WithAfter(es.SkipLayerGuidance(s, n.Scale, n.Rescale))
	})
}

// SkipLayerGuidanceDiTSimple has the negative side predicted without some of the network's layers.
type SkipLayerGuidanceDiTSimple struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	Double string        `in:"double_layers" default:"7, 8, 9" multiline:"false" advanced:"true"`
	Single string        `in:"single_layers" default:"7, 8, 9" multiline:"false" advanced:"true"`
	Start  float64       `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
	End    float64       `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SkipLayerGuidanceDiTSimple) Spec() nodes.Spec {
	return skipSpec("SkipLayerGuidanceDiTSimple", "comfy_extras.nodes_slg")
}

// Run implements nodes.Node.
func (n *SkipLayerGuidanceDiTSimple) Run(_ *nodes.Context) (nodes.Result, error) {
	return skipping(n.Model, n.Double, n.Single, n.Start, n.End, func(h es.Hooks, s es.SkippedLayers) es.Hooks {
		return h.WithBefore(es.SkipLayers(s))
	})
}

// SkipLayerGuidanceSD3 is SkipLayerGuidanceDiT for Stable Diffusion 3, whose layers all have two streams.
type SkipLayerGuidanceSD3 struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	Layers string        `in:"layers" default:"7, 8, 9" multiline:"false" advanced:"true"`
	Scale  float64       `in:"scale" default:"3.0" min:"0.0" max:"10.0" step:"0.1"`
	Start  float64       `in:"start_percent" default:"0.01" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
	End    float64       `in:"end_percent" default:"0.15" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
}

// Spec implements nodes.Node.
func (*SkipLayerGuidanceSD3) Spec() nodes.Spec {
	return skipSpec("SkipLayerGuidanceSD3", "comfy_extras.nodes_sd3")
}

// Run implements nodes.Node.
func (n *SkipLayerGuidanceSD3) Run(_ *nodes.Context) (nodes.Result, error) {
	return skipping(n.Model, n.Layers, "", n.Start, n.End, func(h es.Hooks, s es.SkippedLayers) es.Hooks {
		return h.WithAfter(es.SkipLayerGuidance(s, n.Scale, 0))
	})
}
