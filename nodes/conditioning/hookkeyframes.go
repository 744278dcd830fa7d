package conditioning

import (
	"cmp"
	"math"
	"slices"

	"comfygo/nodes"
)

func init() {
	nodes.Register(&CreateHookKeyframe{})
	nodes.Register(&CreateHookKeyframesInterpolated{})
	nodes.Register(&CreateHookKeyframesFromFloats{})
}

// CreateHookKeyframe makes a keyframe: from a point of the sampling on hooks have a strength.
type CreateHookKeyframe struct {
	StrengthMult float64 `in:"strength_mult" default:"1.0" min:"-20.0" max:"20.0" step:"0.01"`
	StartPercent float64 `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	PrevHookKf   any     `in:"prev_hook_kf" type:"HOOK_KEYFRAMES" optional:"true"`
}

// Spec implements nodes.Node.
func (*CreateHookKeyframe) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateHookKeyframe", DisplayName: "Create Hook Keyframe", Category: "advanced/hooks/scheduling",
		Module:        "comfy_extras.nodes_hooks",
		Outputs:       []nodes.Output{{Type: "HOOK_KEYFRAMES", Name: "HOOK_KF"}},
		Experimental:  true,
		SearchAliases: []string{"hook scheduling", "strength animation", "timed hook"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateHookKeyframe) Run(*nodes.Context) (nodes.Result, error) {
	frames, err := keyframesOf("prev_hook_kf", n.PrevHookKf)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(frames.with(Keyframe{Strength: n.StrengthMult, Start: n.StartPercent, Steps: 1})), nil
}

// CreateHookKeyframesInterpolated makes keyframes with strengths that run from one value to another.
type CreateHookKeyframesInterpolated struct {
	StrengthStart  float64 `in:"strength_start" default:"1.0" min:"0.0" max:"10.0" step:"0.001"`
	StrengthEnd    float64 `in:"strength_end" default:"1.0" min:"0.0" max:"10.0" step:"0.001"`
	Interpolation  string  `in:"interpolation" options:"linear|ease_in|ease_out|ease_in_out"`
	StartPercent   float64 `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	EndPercent     float64 `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
	KeyframesCount int     `in:"keyframes_count" default:"5" min:"2" max:"100" step:"1"`
	PrintKeyframes bool    `in:"print_keyframes" default:"false" advanced:"true"`
	PrevHookKf     any     `in:"prev_hook_kf" type:"HOOK_KEYFRAMES" optional:"true"`
}

// Spec implements nodes.Node.
func (*CreateHookKeyframesInterpolated) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateHookKeyframesInterpolated", DisplayName: "Create Hook Keyframes Interp.", Category: "advanced/hooks/scheduling",
		Module:        "comfy_extras.nodes_hooks",
		Outputs:       []nodes.Output{{Type: "HOOK_KEYFRAMES", Name: "HOOK_KF"}},
		Experimental:  true,
		SearchAliases: []string{"ease hook strength", "smooth hook transition", "interpolate keyframes"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateHookKeyframesInterpolated) Run(ctx *nodes.Context) (nodes.Result, error) {
	strengths, err := interpolated(n.StrengthStart, n.StrengthEnd, n.KeyframesCount, n.Interpolation)
	if err != nil {
		return nodes.Result{}, err
	}
	return keyframesBetween(ctx, n.PrevHookKf, strengths, n.StartPercent, n.EndPercent, n.PrintKeyframes)
}

// CreateHookKeyframesFromFloats makes keyframes with the strengths of a list.
type CreateHookKeyframesFromFloats struct {
	FloatsStrength any     `in:"floats_strength" type:"FLOATS" default:"-1" min:"-1" step:"0.001" forceInput:"true"`
	StartPercent   float64 `in:"start_percent" default:"0.0" min:"0.0" max:"1.0" step:"0.001"`
	EndPercent     float64 `in:"end_percent" default:"1.0" min:"0.0" max:"1.0" step:"0.001"`
	PrintKeyframes bool    `in:"print_keyframes" default:"false" advanced:"true"`
	PrevHookKf     any     `in:"prev_hook_kf" type:"HOOK_KEYFRAMES" optional:"true"`
}

// Spec implements nodes.Node.
func (*CreateHookKeyframesFromFloats) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateHookKeyframesFromFloats", DisplayName: "Create Hook Keyframes From Floats", Category: "advanced/hooks/scheduling",
		Module:        "comfy_extras.nodes_hooks",
		Outputs:       []nodes.Output{{Type: "HOOK_KEYFRAMES", Name: "HOOK_KF"}},
		Experimental:  true,
		SearchAliases: []string{"batch keyframes", "strength list to keyframes"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateHookKeyframesFromFloats) Run(ctx *nodes.Context) (nodes.Result, error) {
	var strengths []float64
	list, ok := n.FloatsStrength.([]any)
	if !ok {
		list = []any{n.FloatsStrength}
	}
	for i, v := range list {
		f, ok := floatOf(v)
		if !ok {
			return nodes.Result{}, nodes.Errorf("Exception", "making keyframes: element %d of floats_strength is no number", i)
		}
		strengths = append(strengths, f)
	}
	return keyframesBetween(ctx, n.PrevHookKf, strengths, n.StartPercent, n.EndPercent, n.PrintKeyframes)
}

// Keyframe is a strength of hooks from a fraction of the sampling on.
type Keyframe struct {
	Strength, Start float64
	// Steps is the least number of steps that use the keyframe, unless it starts before the sampled range.
	Steps int
}

// Keyframes are the value of HOOK_KEYFRAMES links, by their start.
type Keyframes []Keyframe

// with returns the keyframes and more of them.
func (k Keyframes) with(more ...Keyframe) Keyframes {
	out := append(slices.Clone(k), more...)
	slices.SortStableFunc(out, func(a, b Keyframe) int { return cmp.Compare(a.Start, b.Start) })
	return out
}

// keyframesOf reads a HOOK_KEYFRAMES input; nil has none.
func keyframesOf(input string, v any) (Keyframes, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case Keyframes:
		return v, nil
	}
	return nil, nodes.Errorf("AttributeError", "reading keyframes: the input %s has none", input)
}

func floatOf(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case float32:
		return float64(v), true
	case int64:
		return float64(v), true
	case int:
		return float64(v), true
	}
	return 0, false
}

// maxKeyframes bounds a list of strengths.
const maxKeyframes = 1 << 16

// keyframesBetween spreads strengths evenly over a part of the sampling. The first of them is used for a step at least.
func keyframesBetween(ctx *nodes.Context, previous any, strengths []float64, start, end float64, show bool) (nodes.Result, error) {
	frames, err := keyframesOf("prev_hook_kf", previous)
	if err != nil {
		return nodes.Result{}, err
	}
	if len(strengths) > maxKeyframes {
		return nodes.Result{}, nodes.Errorf("ValueError", "making keyframes: %d are more than %d", len(strengths), maxKeyframes)
	}
	more := make([]Keyframe, 0, len(strengths))
	for i, at := range linspace(start, end, len(strengths)) {
		frame := Keyframe{Strength: strengths[i], Start: float64(at)}
		if i == 0 {
			frame.Steps = 1
		}
		more = append(more, frame)
		if show {
			ctx.Log.Info("hook keyframe", "start_percent", frame.Start, "strength", frame.Strength)
		}
	}
	return nodes.Out(frames.with(more...)), nil
}

// linspace is torch.linspace in float32: counted from both ends.
func linspace(from, to float64, n int) []float32 {
	out := make([]float32, n)
	if n == 1 {
		out[0] = float32(from)
		return out
	}
	step := (float32(to) - float32(from)) / float32(n-1)
	for i := range out {
		if i < n/2 {
			out[i] = float32(from) + step*float32(i)
		} else {
			out[i] = float32(to) - step*float32(n-1-i)
		}
	}
	return out
}

// interpolated returns n values from one to another.
func interpolated(from, to float64, n int, method string) ([]float64, error) {
	if n < 0 || n > maxKeyframes {
		return nil, nodes.Errorf("ValueError", "making keyframes: %d of them", n)
	}
	ease := map[string]func(x float64) float64{
		"ease_in":     func(x float64) float64 { return x * x },
		"ease_out":    func(x float64) float64 { return 1 - (1-x)*(1-x) },
		"ease_in_out": func(x float64) float64 { return (1 - math.Cos(x*math.Pi)) / 2 },
	}[method]
	out := make([]float64, n)
	if method == "linear" {
		for i, v := range linspace(from, to, n) {
			out[i] = float64(v)
		}
		return out, nil
	}
	if ease == nil {
		return nil, nodes.Errorf("ValueError", "making keyframes: there is no interpolation %q", method)
	}
	for i, x := range linspace(0, 1, n) {
		out[i] = float64(float32((to-from)*ease(float64(x)) + from))
	}
	return out, nil
}
