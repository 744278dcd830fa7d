package sampling

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LTXVScheduler{})
	nodes.Register(&Flux2Scheduler{})
	nodes.Register(&Ideogram4Scheduler{})
}

// LTXVScheduler makes the levels of LTX-Video.
type LTXVScheduler struct {
	Steps     int           `in:"steps" default:"20" min:"1" max:"10000"`
	MaxShift  float64       `in:"max_shift" default:"2.05" min:"0.0" max:"100.0" step:"0.01"`
	BaseShift float64       `in:"base_shift" default:"0.95" min:"0.0" max:"100.0" step:"0.01"`
	Stretch   bool          `in:"stretch" default:"true" advanced:"true" tooltip:"Move the levels so that the last one above zero is the terminal one."`
	Terminal  float64       `in:"terminal" default:"0.1" min:"0.0" max:"0.99" step:"0.01" advanced:"true" tooltip:"The last level above zero."`
	Latent    engine.Latent `in:"latent" type:"LATENT" optional:"true"`
}

// Spec implements nodes.Node.
func (*LTXVScheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVScheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_lt",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *LTXVScheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.LTXVSigmas(n.Steps, es.TokenShift(n.BaseShift, n.MaxShift, n.Latent.Positions()), n.Stretch, n.Terminal))
}

// Flux2Scheduler makes the levels of Flux 2.
type Flux2Scheduler struct {
	Steps  int `in:"steps" default:"20" min:"1" max:"4096"`
	Width  int `in:"width" default:"1024" min:"16" max:"16384" step:"1"`
	Height int `in:"height" default:"1024" min:"16" max:"16384" step:"1"`
}

// Spec implements nodes.Node.
func (*Flux2Scheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Flux2Scheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_flux",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *Flux2Scheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.Flux2Sigmas(n.Steps, n.Width, n.Height))
}

// Ideogram4Scheduler makes the levels of Ideogram 4.
type Ideogram4Scheduler struct {
	Steps  int     `in:"steps" default:"20" min:"1" max:"200"`
	Width  int     `in:"width" default:"1024" min:"256" max:"8192" step:"16"`
	Height int     `in:"height" default:"1024" min:"256" max:"8192" step:"16"`
	Mu     float64 `in:"mu" default:"0.0" min:"-10.0" max:"10.0" step:"0.05"`
	Std    float64 `in:"std" default:"1.75" min:"0.1" max:"5.0" step:"0.05"`
}

// Spec implements nodes.Node.
func (*Ideogram4Scheduler) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Ideogram4Scheduler", DisplayName: "Ideogram 4 Scheduler", Category: "model/sampling/schedulers", V3: true, Module: "comfy_extras.nodes_ideogram4",
		Outputs: nodes.Outputs("SIGMAS"),
	}
}

// Run implements nodes.Node.
func (n *Ideogram4Scheduler) Run(_ *nodes.Context) (nodes.Result, error) {
	return levels(es.Ideogram4Sigmas(n.Steps, n.Width, n.Height, n.Mu, n.Std))
}
