package conditioning

import (
	"errors"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&ControlNetApply{})
	nodes.Register(&ControlNetApplyAdvanced{})
	nodes.Register(&ControlNetApplySD3{})
}

func errNoControlNet() error {
	return nodes.Errorf("RuntimeError", "using a ControlNet: there is none")
}

// steering is a ControlNet with its image for the entries of several conditionings. Entries that had the same control before
// have the same one after, so that they still run in one batch.
type steering struct {
	net     *engine.ControlNet
	image   *tensor.Tensor
	options engine.ControlOptions
	// forAll lends the control to the negative side.
	forAll bool
	made   map[*engine.Control]*engine.Control // by the control before
}

func (s *steering) steer(conds engine.Conditioning) (engine.Conditioning, error) {
	out := make(engine.Conditioning, len(conds))
	for i, entry := range conds {
		o := s.options
		o.Previous, _ = entry.Values[sampling.KeyControl].(*engine.Control)
		c := s.made[o.Previous]
		if c == nil {
			var err error
			if c, err = s.net.With(s.image, o); err != nil {
				if errors.Is(err, engine.ErrNoVAE) {
					return nil, nodes.Errorf("ValueError", "%w", err)
				}
				return nil, err
			}
			if s.made == nil {
				s.made = map[*engine.Control]*engine.Control{}
			}
			s.made[o.Previous] = c
		}
		out[i] = entry.With(map[string]any{sampling.KeyControl: c, sampling.KeyControlForAll: s.forAll})
	}
	return out, nil
}

// both steers a positive and a negative conditioning. A strength of zero leaves them as they are.
func (s *steering) both(positive, negative engine.Conditioning) (nodes.Result, error) {
	if s.options.Strength == 0 {
		return nodes.Out(positive, negative), nil
	}
	if s.net == nil {
		return nodes.Result{}, errNoControlNet()
	}
	p, err := s.steer(positive)
	if err != nil {
		return nodes.Result{}, err
	}
	n, err := s.steer(negative)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(p, n), nil
}

// ControlNetApply steers a conditioning by an image, and with it the negative one of the same run.
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
	how := steering{net: n.Net, image: n.Image, options: engine.ControlOptions{Strength: n.Strength, End: 1}, forAll: true}
	out, err := how.steer(n.Conditioning)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(out), nil
}

// ControlNetApplyAdvanced steers a positive and a negative conditioning by an image for a part of the run.
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

// Run implements nodes.Node.
func (n *ControlNetApplyAdvanced) Run(*nodes.Context) (nodes.Result, error) {
	s := steering{net: n.Net, image: n.Image, options: engine.ControlOptions{Strength: n.Strength, Start: n.Start, End: n.End, VAE: n.VAE}}
	return s.both(n.Positive, n.Negative)
}

// ControlNetApplySD3 is ControlNetApplyAdvanced with a VAE that has to be connected.
type ControlNetApplySD3 struct {
	Positive engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative" type:"CONDITIONING"`
	Net      *engine.ControlNet  `in:"control_net" type:"CONTROL_NET"`
	VAE      *engine.VAE         `in:"vae" type:"VAE"`
	Image    *tensor.Tensor      `in:"image" type:"IMAGE"`
	Strength float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Start    float64             `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	End      float64             `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
}

// Spec implements nodes.Node.
func (*ControlNetApplySD3) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ControlNetApplySD3", DisplayName: "Apply Controlnet with VAE", Category: "model/conditioning/controlnet", Deprecated: true,
		Module: "comfy_extras.nodes_sd3", V3: true,
		Outputs: []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}}, Uses: nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ControlNetApplySD3) Run(*nodes.Context) (nodes.Result, error) {
	s := steering{net: n.Net, image: n.Image, options: engine.ControlOptions{Strength: n.Strength, Start: n.Start, End: n.End, VAE: n.VAE}}
	return s.both(n.Positive, n.Negative)
}
