package ltxv

import (
	"regexp"
	"slices"
	"strconv"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LTXVSpatioTemporalGuidance{})
	nodes.Register(&LTXVModalityGuidance{})
}

// LTXVSpatioTemporalGuidance guides away from a network with self-attention turned off in some blocks.
type LTXVSpatioTemporalGuidance struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	Scale  float64       `in:"scale" default:"1.0" min:"0.0" max:"100.0" step:"0.01" round:"0.01"`
	Blocks string        `in:"blocks" default:"29" multiline:"false" tooltip:"Numbers of the transformer blocks whose self-attention is turned off, with commas between them."`
	Start  float64       `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
	End    float64       `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
}

// Spec implements nodes.Node.
func (*LTXVSpatioTemporalGuidance) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVSpatioTemporalGuidance", DisplayName: "LTXV Spatio-Temporal Guidance (STG)", Category: "advanced/guidance", V3: true, Module: module,
		Outputs:     nodes.Outputs("MODEL"),
		Description: "Guides away from what the model predicts when self-attention passes its values on in some blocks, with one more pass each step. It improves detail and motion.",
	}
}

var number = regexp.MustCompile(`\d+`)

// Run implements nodes.Node.
func (n *LTXVSpatioTemporalGuidance) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "patching the model: there is no model")
	}
	var blocks []int
	for _, text := range number.FindAllString(n.Blocks, -1) {
		i, err := strconv.Atoi(text)
		if err != nil {
			return nodes.Result{}, nodes.Errorf("ValueError", "reading blocks: %s is too large for the number of a block", text)
		}
		if !slices.Contains(blocks, i) {
			blocks = append(blocks, i)
		}
	}
	slices.Sort(blocks)
	ms := n.Model.Sampling()
	return nodes.Out(after(n.Model, sampling.PassAttention(blocks, n.Scale, ms.PercentToSigma(n.End), ms.PercentToSigma(n.Start)))), nil
}

// after is a model with a function behind its guidance.
func after(m *engine.Model, f sampling.AfterFunc) *engine.Model {
	return m.WithHooks(func(h sampling.Hooks) sampling.Hooks { return h.WithAfter(f) })
}

// LTXVModalityGuidance guides away from a network whose video and audio do not attend to each other.
type LTXVModalityGuidance struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Scale float64       `in:"modality_scale" default:"3.0" min:"1.0" max:"100.0" step:"0.1" round:"0.01"`
	Start float64       `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
	End   float64       `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001" advanced:"true"`
}

// Spec implements nodes.Node.
func (*LTXVModalityGuidance) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVModalityGuidance", DisplayName: "LTXV Modality Guidance (A/V coupling)", Category: "advanced/guidance", V3: true, Module: module,
		Outputs: nodes.Outputs("MODEL"),
		Description: "Guides away from what the model predicts when video and audio do not attend to each other, with one more pass each step. " +
			"It brings sound and motion together, such as speech and lips. At a scale of 1 there is no such pass.",
	}
}

// Run implements nodes.Node.
func (n *LTXVModalityGuidance) Run(*nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "patching the model: there is no model")
	}
	ms := n.Model.Sampling()
	apart := map[string]any{sampling.OptionApart: true}
	return nodes.Out(after(n.Model, sampling.AwayFrom(apart, n.Scale-1, ms.PercentToSigma(n.End), ms.PercentToSigma(n.Start)))), nil
}
