package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ControlNetApply{})
	nodes.Register(&ControlNetApplyAdvanced{})
}

func errNoControlNet() error {
	return nodes.Errorf("RuntimeError", "using a ControlNet: there is none")
}

// ControlNetApply steers a conditioning by a picture, and with it the negative one of the same run.
type ControlNetApply struct {
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Net          *engine.ControlNet  `in:"control_net" type:"CONTROL_NET"`
	Image        *tensor.Tensor      `in:"image" type:"IMAGE"`
	Strength     float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*ControlNetApply) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ControlNetApply", DisplayName: "Apply ControlNet (DEPRECATED)", Category: "model/conditioning/controlnet", Deprecated: true,
		Outputs: nodes.Outputs("CONDITIONING"), Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ControlNetApply) Run(*nodes.Context) (nodes.Result, error) {
	if n.Strength == 0 {
		return nodes.Out(n.Conditioning), nil
	}
	if n.Net == nil {
		return nodes.Result{}, errNoControlNet()
	}
	out := make(engine.Conditioning, len(n.Conditioning))
	for i, entry := range n.Conditioning {
		previous, _ := entry.Values[sampling.KeyControl].(*engine.Control)
		c, err := n.Net.With(n.Image, n.Strength, 0, 1, previous)
		if err != nil {
			return nodes.Result{}, err
		}
		out[i] = entry.With(map[string]any{sampling.KeyControl: c, sampling.KeyControlForAll: true})
	}
	return nodes.Out(out), nil
}

// ControlNetApplyAdvanced steers a positive and a negative conditioning by a picture for a part of the run.
type ControlNetApplyAdvanced struct {
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Net      *engine.ControlNet  `in:"control_net" type:"CONTROL_NET"`
	Image    *tensor.Tensor      `in:"image" type:"IMAGE"`
	Strength float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Start    float64             `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	End      float64             `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
	VAE      *engine.VAE         `in:"vae" type:"VAE" optional:"true"` // for families whose ControlNets see latents
}

// Spec implements nodes.Node.
func (*ControlNetApplyAdvanced) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ControlNetApplyAdvanced", DisplayName: "Apply ControlNet", Category: "model/conditioning/controlnet",
		SearchAliases: []string{"controlnet", "apply controlnet", "use controlnet", "control net"},
		Outputs:       []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}}, Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node. Entries that had the same control before have the same one after, so that they still run in
// one batch.
func (n *ControlNetApplyAdvanced) Run(*nodes.Context) (nodes.Result, error) {
	if n.Strength == 0 {
		return nodes.Out(n.Positive, n.Negative), nil
	}
	if n.Net == nil {
		return nodes.Result{}, errNoControlNet()
	}
	made := map[*engine.Control]*engine.Control{} // by the control before
	steer := func(conds engine.Conditioning) (engine.Conditioning, error) {
		out := make(engine.Conditioning, len(conds))
		for i, entry := range conds {
			previous, _ := entry.Values[sampling.KeyControl].(*engine.Control)
			if made[previous] == nil {
				c, err := n.Net.With(n.Image, n.Strength, n.Start, n.End, previous)
				if err != nil {
					return nil, err
				}
				made[previous] = c
			}
			out[i] = entry.With(map[string]any{sampling.KeyControl: made[previous], sampling.KeyControlForAll: false})
		}
		return out, nil
	}
	positive, err := steer(n.Positive)
	if err != nil {
		return nodes.Result{}, err
	}
	negative, err := steer(n.Negative)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(positive, negative), nil
}
