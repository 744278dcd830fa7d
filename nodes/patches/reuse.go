package patches

import (
	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&EasyCache{})
	nodes.Register(&LazyCache{})
}

// reuseSpec is what both classes share.
func reuseSpec(name, description string) nodes.Spec {
	return nodes.Spec{
		Name: name, DisplayName: name, Category: "advanced/debug", V3: true, Module: "comfy_extras.nodes_easycache",
		Description: description, Experimental: true,
		Outputs: []nodes.Output{{Type: "MODEL", Tooltip: "The model that leaves out predictions."}},
	}
}

func reusing(ctx *nodes.Context, m *engine.Model, verbose bool, r es.Reuse) (nodes.Result, error) {
	if m == nil {
		return nodes.Result{}, errNoModel
	}
	if verbose {
		ctx.Log.Info("the run will leave out predictions that change little", "threshold", r.Threshold, "from", r.Start, "to", r.End)
	}
	return nodes.Out(m.WithHooks(func(h es.Hooks) es.Hooks { return h.WithReuse(r) })), nil
}

// EasyCache leaves out runs of the network that would change little.
type EasyCache struct {
	Model     *engine.Model `in:"model" type:"MODEL" tooltip:"The model to make faster."`
	Threshold float64       `in:"reuse_threshold" default:"0.2" min:"0.0" max:"3.0" step:"0.01" advanced:"true" tooltip:"How much change may add up before the network runs again."`
	Start     float64       `in:"start_percent" default:"0.15" min:"0.0" max:"1.0" step:"0.01" advanced:"true" tooltip:"Where in the run this begins."`
	End       float64       `in:"end_percent" default:"0.95" min:"0.0" max:"1.0" step:"0.01" advanced:"true" tooltip:"Where in the run this ends."`
	Verbose   bool          `in:"verbose" default:"false" advanced:"true" tooltip:"Say so in the log."`
}

// Spec implements nodes.Node.
func (*EasyCache) Spec() nodes.Spec {
	return reuseSpec("EasyCache", "Leaves out runs of the network that would change little, and uses what the last one did (arXiv 2507.02860).")
}

// Run implements nodes.Node.
func (n *EasyCache) Run(ctx *nodes.Context) (nodes.Result, error) {
	return reusing(ctx, n.Model, n.Verbose, es.Reuse{Threshold: n.Threshold, Start: n.Start, End: n.End})
}

// LazyCache leaves out guided predictions that would change little.
type LazyCache struct {
	Model     *engine.Model `in:"model" type:"MODEL" tooltip:"The model to make faster."`
	Threshold float64       `in:"reuse_threshold" default:"0.2" min:"0.0" max:"3.0" step:"0.01" advanced:"true" tooltip:"How much change may add up before the model is asked again."`
	Start     float64       `in:"start_percent" default:"0.15" min:"0.0" max:"1.0" step:"0.01" advanced:"true" tooltip:"Where in the run this begins."`
	End       float64       `in:"end_percent" default:"0.95" min:"0.0" max:"1.0" step:"0.01" advanced:"true" tooltip:"Where in the run this ends."`
	Verbose   bool          `in:"verbose" default:"false" advanced:"true" tooltip:"Say so in the log."`
}

// Spec implements nodes.Node.
func (*LazyCache) Spec() nodes.Spec {
	return reuseSpec("LazyCache", "Leaves out guided predictions that would change little: coarser than EasyCache, but for every model.")
}

// Run implements nodes.Node.
func (n *LazyCache) Run(ctx *nodes.Context) (nodes.Result, error) {
	return reusing(ctx, n.Model, n.Verbose, es.Reuse{Threshold: n.Threshold, Start: n.Start, End: n.End, Guided: true})
}
