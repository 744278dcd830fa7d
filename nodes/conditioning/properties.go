package conditioning

import (
	"slices"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

const moduleHooks = "comfy_extras.nodes_hooks"

func init() {
	nodes.Register(&ConditioningSetProperties{})
	nodes.Register(&ConditioningSetPropertiesAndCombine{})
	nodes.Register(&PairConditioningSetProperties{})
	nodes.Register(&PairConditioningSetPropertiesAndCombine{})
	nodes.Register(&ConditioningSetDefaultCombine{})
	nodes.Register(&PairConditioningSetDefaultCombine{})
	nodes.Register(&PairConditioningCombine{})
	nodes.Register(&ConditioningTimestepsRange{})
}

// Range is the value of TIMESTEPS_RANGE links: a part of the way from noise (0) to image (1).
type Range struct{ Start, End float64 }

// Plain implements nodes.Plain.
func (r *Range) Plain() any { return []any{r.Start, r.End} }

// Hooks are the value of HOOKS links: changes to the model that are applied with an entry.
type Hooks interface {
	// Join returns these hooks and others together.
	Join(others Hooks) Hooks
}

// properties are the properties of an entry that the nodes of this file set; nil leaves one unchanged.
type properties struct {
	strength float64
	area     string
	mask     *tensor.Tensor
	hooks    Hooks
	times    *Range
}

// apply returns the conditioning with the properties. Upstream: comfy.hooks.set_conds_props.
func (p properties) apply(c engine.Conditioning) (engine.Conditioning, error) {
	c = withHooks(c, p.hooks)
	if p.mask != nil {
		var err error
		if c, err = inMask(c, p.mask, p.strength, p.area); err != nil {
			return nil, err
		}
	}
	if p.times != nil {
		c = c.With(map[string]any{sampling.KeyStart: p.times.Start, sampling.KeyEnd: p.times.End})
	}
	return c, nil
}

// withHooks adds hooks to those that the entries have.
func withHooks(c engine.Conditioning, h Hooks) engine.Conditioning {
	if h == nil {
		return c
	}
	out := slices.Clone(c)
	for i, entry := range c {
		all := h
		if own, ok := entry.Values["hooks"].(Hooks); ok {
			all = own.Join(h)
		}
		out[i] = entry.With(map[string]any{"hooks": all})
	}
	return out
}

// behind returns a conditioning followed by one with the properties.
func (p properties) behind(first, second engine.Conditioning) (engine.Conditioning, error) {
	second, err := p.apply(second)
	return slices.Concat(first, second), err
}

// hookSpec is the spec that the classes for one conditioning share, or with pair those for both sides.
func hookSpec(name, display string, pair bool) nodes.Spec {
	s := nodes.Spec{Name: name, DisplayName: display, Category: "advanced/hooks/cond single", Module: moduleHooks, Experimental: true, Outputs: nodes.Outputs("CONDITIONING")}
	if pair {
		s.Category = "advanced/hooks/cond pair"
		s.Outputs = []nodes.Output{{Type: "CONDITIONING", Name: "positive"}, {Type: "CONDITIONING", Name: "negative"}}
	}
	return s
}

// result gives the conditionings unless one could not be made.
func result(first engine.Conditioning, err error, others ...engine.Conditioning) (nodes.Result, error) {
	if err != nil {
		return nodes.Result{}, err
	}
	r := nodes.Out(first)
	for _, c := range others {
		r.Values = append(r.Values, c)
	}
	return r, nil
}

// ConditioningSetProperties sets strength, mask, hooks and times of an encoding at once.
type ConditioningSetProperties struct {
	New      engine.Conditioning `in:"cond_NEW" type:"CONDITIONING"`
	Strength float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Area     string              `in:"set_cond_area" options:"default|mask bounds"`
	Mask     *tensor.Tensor      `in:"mask" type:"MASK" optional:"true"`
	Hooks    Hooks               `in:"hooks" type:"HOOKS" optional:"true"`
	Times    *Range              `in:"timesteps" type:"TIMESTEPS_RANGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*ConditioningSetProperties) Spec() nodes.Spec {
	return hookSpec("ConditioningSetProperties", "Cond Set Props", false)
}

// Run implements nodes.Node.
func (n *ConditioningSetProperties) Run(*nodes.Context) (nodes.Result, error) {
	c, err := properties{n.Strength, n.Area, n.Mask, n.Hooks, n.Times}.apply(n.New)
	return result(c, err)
}

// ConditioningSetPropertiesAndCombine is ConditioningSetProperties for an encoding that is put beside another.
type ConditioningSetPropertiesAndCombine struct {
	Cond     engine.Conditioning `in:"cond" type:"CONDITIONING"`
	New      engine.Conditioning `in:"cond_NEW" type:"CONDITIONING"`
	Strength float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Area     string              `in:"set_cond_area" options:"default|mask bounds"`
	Mask     *tensor.Tensor      `in:"mask" type:"MASK" optional:"true"`
	Hooks    Hooks               `in:"hooks" type:"HOOKS" optional:"true"`
	Times    *Range              `in:"timesteps" type:"TIMESTEPS_RANGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*ConditioningSetPropertiesAndCombine) Spec() nodes.Spec {
	return hookSpec("ConditioningSetPropertiesAndCombine", "Cond Set Props Combine", false)
}

// Run implements nodes.Node.
func (n *ConditioningSetPropertiesAndCombine) Run(*nodes.Context) (nodes.Result, error) {
	c, err := properties{n.Strength, n.Area, n.Mask, n.Hooks, n.Times}.behind(n.Cond, n.New)
	return result(c, err)
}

// PairConditioningSetProperties is ConditioningSetProperties for both sides.
type PairConditioningSetProperties struct {
	Positive engine.Conditioning `in:"positive_NEW" type:"CONDITIONING"`
	Negative engine.Conditioning `in:"negative_NEW" type:"CONDITIONING"`
	Strength float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Area     string              `in:"set_cond_area" options:"default|mask bounds"`
	Mask     *tensor.Tensor      `in:"mask" type:"MASK" optional:"true"`
	Hooks    Hooks               `in:"hooks" type:"HOOKS" optional:"true"`
	Times    *Range              `in:"timesteps" type:"TIMESTEPS_RANGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*PairConditioningSetProperties) Spec() nodes.Spec {
	return hookSpec("PairConditioningSetProperties", "Cond Pair Set Props", true)
}

// Run implements nodes.Node.
func (n *PairConditioningSetProperties) Run(*nodes.Context) (nodes.Result, error) {
	p := properties{n.Strength, n.Area, n.Mask, n.Hooks, n.Times}
	positive, err := p.apply(n.Positive)
	if err != nil {
		return nodes.Result{}, err
	}
	negative, err := p.apply(n.Negative)
	return result(positive, err, negative)
}

// PairConditioningSetPropertiesAndCombine is ConditioningSetPropertiesAndCombine for both sides.
type PairConditioningSetPropertiesAndCombine struct {
	Positive    engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative    engine.Conditioning `in:"negative" type:"CONDITIONING"`
	NewPositive engine.Conditioning `in:"positive_NEW" type:"CONDITIONING"`
	NewNegative engine.Conditioning `in:"negative_NEW" type:"CONDITIONING"`
	Strength    float64             `in:"strength" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Area        string              `in:"set_cond_area" options:"default|mask bounds"`
	Mask        *tensor.Tensor      `in:"mask" type:"MASK" optional:"true"`
	Hooks       Hooks               `in:"hooks" type:"HOOKS" optional:"true"`
	Times       *Range              `in:"timesteps" type:"TIMESTEPS_RANGE" optional:"true"`
}

// Spec implements nodes.Node.
func (*PairConditioningSetPropertiesAndCombine) Spec() nodes.Spec {
	return hookSpec("PairConditioningSetPropertiesAndCombine", "Cond Pair Set Props Combine", true)
}

// Run implements nodes.Node.
func (n *PairConditioningSetPropertiesAndCombine) Run(*nodes.Context) (nodes.Result, error) {
	p := properties{n.Strength, n.Area, n.Mask, n.Hooks, n.Times}
	positive, err := p.behind(n.Positive, n.NewPositive)
	if err != nil {
		return nodes.Result{}, err
	}
	negative, err := p.behind(n.Negative, n.NewNegative)
	return result(positive, err, negative)
}

// filling returns a conditioning followed by one that acts wherever the first leaves something uncovered.
func filling(first, rest engine.Conditioning, h Hooks) engine.Conditioning {
	return slices.Concat(first, withHooks(rest, h).With(map[string]any{sampling.KeyDefault: true}))
}

// ConditioningSetDefaultCombine applies an encoding where the areas and masks of another leave the image
// uncovered.
type ConditioningSetDefaultCombine struct {
	Cond    engine.Conditioning `in:"cond" type:"CONDITIONING"`
	Default engine.Conditioning `in:"cond_DEFAULT" type:"CONDITIONING"`
	Hooks   Hooks               `in:"hooks" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*ConditioningSetDefaultCombine) Spec() nodes.Spec {
	return hookSpec("ConditioningSetDefaultCombine", "Cond Set Default Combine", false)
}

// Run implements nodes.Node.
func (n *ConditioningSetDefaultCombine) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(filling(n.Cond, n.Default, n.Hooks)), nil
}

// PairConditioningSetDefaultCombine is ConditioningSetDefaultCombine for both sides.
type PairConditioningSetDefaultCombine struct {
	Positive        engine.Conditioning `in:"positive" type:"CONDITIONING"`
	Negative        engine.Conditioning `in:"negative" type:"CONDITIONING"`
	DefaultPositive engine.Conditioning `in:"positive_DEFAULT" type:"CONDITIONING"`
	DefaultNegative engine.Conditioning `in:"negative_DEFAULT" type:"CONDITIONING"`
	Hooks           Hooks               `in:"hooks" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*PairConditioningSetDefaultCombine) Spec() nodes.Spec {
	return hookSpec("PairConditioningSetDefaultCombine", "Cond Pair Set Default Combine", true)
}

// Run implements nodes.Node.
func (n *PairConditioningSetDefaultCombine) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(filling(n.Positive, n.DefaultPositive, n.Hooks), filling(n.Negative, n.DefaultNegative, n.Hooks)), nil
}

// PairConditioningCombine is ConditioningCombine for both sides.
type PairConditioningCombine struct {
	PositiveA engine.Conditioning `in:"positive_A" type:"CONDITIONING"`
	NegativeA engine.Conditioning `in:"negative_A" type:"CONDITIONING"`
	PositiveB engine.Conditioning `in:"positive_B" type:"CONDITIONING"`
	NegativeB engine.Conditioning `in:"negative_B" type:"CONDITIONING"`
}

// Spec implements nodes.Node.
func (*PairConditioningCombine) Spec() nodes.Spec {
	return hookSpec("PairConditioningCombine", "Cond Pair Combine", true)
}

// Run implements nodes.Node.
func (n *PairConditioningCombine) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(slices.Concat(n.PositiveA, n.PositiveB), slices.Concat(n.NegativeA, n.NegativeB)), nil
}

// ConditioningTimestepsRange makes a part of the way from noise to image, with the parts before and after it.
type ConditioningTimestepsRange struct {
	Start float64 `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	End   float64 `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
}

// Spec implements nodes.Node.
func (*ConditioningTimestepsRange) Spec() nodes.Spec {
	const typ = "TIMESTEPS_RANGE"
	return nodes.Spec{
		Name: "ConditioningTimestepsRange", DisplayName: "Timesteps Range", Category: "advanced/hooks", Module: moduleHooks, Experimental: true,
		SearchAliases: []string{"prompt scheduling", "timestep segments", "conditioning phases"},
		Outputs:       []nodes.Output{{Type: typ, Name: typ}, {Type: typ, Name: "BEFORE_RANGE"}, {Type: typ, Name: "AFTER_RANGE"}},
	}
}

// Run implements nodes.Node.
func (n *ConditioningTimestepsRange) Run(*nodes.Context) (nodes.Result, error) {
	return nodes.Out(&Range{n.Start, n.End}, &Range{0, n.Start}, &Range{n.End, 1}), nil
}
