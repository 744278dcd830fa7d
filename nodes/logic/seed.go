package logic

import (
	"comfygo/nodes"
)

func init() {
	nodes.Register(&Seed{})
}

// Seed gives a seed.
type Seed struct {
	Seed any `in:"seed" type:"INT" min:"0" max:"9223372036854775807" control_after_generate:"\"fixed\""`
}

// Spec implements nodes.Node.
func (*Seed) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SeedNode", DisplayName: "Seed", Category: "utilities",
		Module: "comfy_extras.nodes_seed", V3: true,
		Outputs:       []nodes.Output{{Type: "INT", Name: "seed"}},
		SearchAliases: []string{"seed", "random"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *Seed) Run(*nodes.Context) (nodes.Result, error) { return nodes.Out(n.Seed), nil }
