package sampling

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&BasicGuider{})
	nodes.Register(&CFGGuider{})
	nodes.Register(&DualCFGGuider{})
	nodes.Register(&DualModelGuider{})
	nodes.Register(&PerpNegGuider{})
}

// Guider is the value of GUIDER links: a model and the guidance of its predictions.
type Guider struct {
	Model  *engine.Model
	Guider *es.Guider
}

// named is a conditioning with the name of its input.
type named struct {
	input string
	conds engine.Conditioning
}

// conditionings reads several conditionings.
func conditionings(inputs ...named) ([][]es.Cond, error) {
	out := make([][]es.Cond, len(inputs))
	for i, in := range inputs {
		var err error
		if out[i], err = entries(in.input, in.conds); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// guider returns a guider on a model, unless its conditionings could not be read.
func guider(model *engine.Model, err error, make func() *es.Guider) (nodes.Result, error) {
	if err != nil {
		return nodes.Result{}, err
	}
	if model == nil {
		return nodes.Result{}, errNoModel
	}
	return nodes.Out(&Guider{Model: model, Guider: make()}), nil
}

// BasicGuider follows one prompt.
type BasicGuider struct {
	Model        *engine.Model       `in:"model" type:"MODEL"`
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
}

// Spec implements nodes.Node.
func (*BasicGuider) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "BasicGuider", DisplayName: "Basic Guider", Category: "model/sampling/guiders", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("GUIDER"),
	}
}

// Run implements nodes.Node.
func (n *BasicGuider) Run(_ *nodes.Context) (nodes.Result, error) {
	c, err := conditionings(named{"conditioning", n.Conditioning})
	return guider(n.Model, err, func() *es.Guider { return es.BasicGuider(c[0]) })
}

// CFGGuider is classifier-free guidance.
type CFGGuider struct {
	Model    *engine.Model       `in:"model" type:"MODEL"`
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	CFG      float64             `in:"cfg" default:"8.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
}

// Spec implements nodes.Node.
func (*CFGGuider) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CFGGuider", DisplayName: "CFG Guider", Category: "model/sampling/guiders", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Outputs: nodes.Outputs("GUIDER"),
	}
}

// Run implements nodes.Node.
func (n *CFGGuider) Run(_ *nodes.Context) (nodes.Result, error) {
	c, err := conditionings(named{"positive", n.Positive}, named{"negative", n.Negative})
	return guider(n.Model, err, func() *es.Guider { return es.CFGGuider(c[0], c[1], n.CFG) })
}

// DualCFGGuider guides by two positive prompts.
type DualCFGGuider struct {
	Model       *engine.Model       `in:"model" type:"MODEL"`
	Cond1       engine.Conditioning `in:"cond1" type:"CONDITIONING"`
	Cond2       engine.Conditioning `in:"cond2" type:"CONDITIONING"`
	Negative    engine.Conditioning `in:"negative" type:"CONDITIONING"`
	CFGConds    float64             `in:"cfg_conds" default:"8.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	CFGNegative float64             `in:"cfg_cond2_negative" default:"8.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	Style       string              `in:"style" options:"regular|nested"`
}

// Spec implements nodes.Node.
func (*DualCFGGuider) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DualCFGGuider", DisplayName: "Dual CFG Guider", Category: "model/sampling/guiders", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		SearchAliases: []string{"dual prompt guidance"},
		Outputs:       nodes.Outputs("GUIDER"),
	}
}

// Run implements nodes.Node.
func (n *DualCFGGuider) Run(_ *nodes.Context) (nodes.Result, error) {
	c, err := conditionings(named{"cond1", n.Cond1}, named{"cond2", n.Cond2}, named{"negative", n.Negative})
	return guider(n.Model, err, func() *es.Guider {
		return es.DualCFGGuider(c[0], c[1], c[2], n.CFGConds, n.CFGNegative, n.Style == "nested")
	})
}

// DualModelGuider has another model predict for the negative prompt.
type DualModelGuider struct {
	Model         *engine.Model       `in:"model" type:"MODEL" tooltip:"Predicts for the positive prompt."`
	Positive      engine.Conditioning `in:"positive" type:"CONDITIONING"`
	CFG           float64             `in:"cfg" default:"4.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	ModelNegative *engine.Model       `in:"model_negative" type:"MODEL" optional:"true" tooltip:"Predicts for the negative prompt; the same model as above gives ordinary guidance."`
	Negative      engine.Conditioning `in:"negative" type:"CONDITIONING" optional:"true" tooltip:"The negative prompt, read by the negative model. Without one, models that can go without text do."`
}

// Spec implements nodes.Node.
func (*DualModelGuider) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "DualModelGuider", DisplayName: "Dual Model CFG Guider", Category: "model/sampling/guiders", V3: true, Module: "comfy_extras.nodes_custom_sampler",
		Experimental: true,
		Outputs:      nodes.Outputs("GUIDER"),
	}
}

// Run implements nodes.Node.
func (n *DualModelGuider) Run(ctx *nodes.Context) (nodes.Result, error) {
	negative := n.Negative
	if negative == nil {
		negative = engine.Conditioning{{}}
	}
	c, err := conditionings(named{"positive", n.Positive}, named{"negative", negative})
	return guider(n.Model, err, func() *es.Guider {
		if n.ModelNegative == nil {
			return es.CFGGuider(c[0], c[1], n.CFG)
		}
		return es.DualModelGuider(c[0], c[1], n.CFG, modelParams(n.ModelNegative, ctx.Log))
	})
}

// PerpNegGuider takes what contradicts the positive prompt out of the negative one.
type PerpNegGuider struct {
	Model             *engine.Model       `in:"model" type:"MODEL"`
	Positive          engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative          engine.Conditioning `in:"negative" type:"CONDITIONING"`
	EmptyConditioning engine.Conditioning `in:"empty_conditioning" type:"CONDITIONING"`
	CFG               float64             `in:"cfg" default:"8.0" min:"0.0" max:"100.0" step:"0.1" round:"0.01"`
	NegScale          float64             `in:"neg_scale" default:"1.0" min:"0.0" max:"100.0" step:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*PerpNegGuider) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "PerpNegGuider", DisplayName: "Perp-Neg Guider", Category: "experimental", V3: true, Module: "comfy_extras.nodes_perpneg",
		Experimental: true,
		Outputs:      nodes.Outputs("GUIDER"),
	}
}

// Run implements nodes.Node.
func (n *PerpNegGuider) Run(_ *nodes.Context) (nodes.Result, error) {
	c, err := conditionings(named{"positive", n.Positive}, named{"negative", n.Negative}, named{"empty_conditioning", n.EmptyConditioning})
	return guider(n.Model, err, func() *es.Guider { return es.PerpNegGuider(c[0], c[1], c[2], n.CFG, n.NegScale) })
}
