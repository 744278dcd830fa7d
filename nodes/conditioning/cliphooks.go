package conditioning

import (
	"math"
	"slices"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() { nodes.Register(&SetClipHooks{}) }

// SetClipHooks applies hooks to text encoders, and has their encodings carry them for the sampler.
type SetClipHooks struct {
	CLIP     *engine.CLIP `in:"clip" type:"CLIP"`
	ToConds  bool         `in:"apply_to_conds" default:"true" advanced:"true"`
	Schedule bool         `in:"schedule_clip" default:"false" advanced:"true"`
	Hooks    any          `in:"hooks" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*SetClipHooks) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SetClipHooks", DisplayName: "Set CLIP Hooks", Category: "advanced/hooks/clip", Module: "comfy_extras.nodes_hooks",
		Description: "Applies hooks to text encoders, and to the sampling of what they encode.",
		Outputs:     nodes.Outputs("CLIP"), Experimental: true, Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *SetClipHooks) Run(ctx *nodes.Context) (nodes.Result, error) {
	group, err := groupOf("hooks", n.Hooks)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	if n.Hooks == nil {
		return nodes.Out(n.CLIP), nil
	}
	spans := []engine.TextHooks{{End: 1, Hooks: group.at(nil)}}
	if n.Schedule {
		spans = group.spans()
	}
	var value any
	if n.ToConds {
		value = group
	}
	c, err := n.CLIP.WithHooks(ctx, spans, value)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}

// at returns the hooks with the strengths that strength gives for each; nil means 1.
func (g HookGroup) at(strength func(h Hook) float64) []sampling.AppliedHook {
	out := make([]sampling.AppliedHook, len(g))
	for i, h := range g {
		out[i] = sampling.AppliedHook{Value: h.file(), Strength: 1}
		if strength != nil {
			out[i].Strength = strength(h)
		}
	}
	return out
}

// spans returns the parts of a run in which the strengths of all hooks stay the same, with the hooks at these strengths.
// Upstream: HookGroup.get_hooks_for_clip_schedule.
func (g HookGroup) spans() []engine.TextHooks {
	bounds := []float64{0}
	ranges := make([][]frameRange, len(g))
	for i, h := range g {
		ranges[i] = h.ranges()
		for _, r := range ranges[i] {
			bounds = append(bounds, r.start, r.end)
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	var out []engine.TextHooks
	for i := range len(bounds) - 1 {
		start, end := bounds[i], bounds[i+1]
		place := 0
		out = append(out, engine.TextHooks{Start: start, End: end, Hooks: g.at(func(Hook) float64 {
			strength := 1.0
			for _, r := range ranges[place] {
				if r.start < end && r.end > start {
					strength = r.strength
					break
				}
			}
			place++
			return strength
		})})
	}
	return out
}

// frameRange is a part of a run with one strength of a hook.
type frameRange struct{ start, end, strength float64 }

// ranges returns the parts of a run by the hook's keyframes; keyframes of nearly the same strength are one.
func (h Hook) ranges() []frameRange {
	if len(h.Keyframes) == 0 {
		return []frameRange{{0, 1, 1}}
	}
	const near = 1e-9
	same := func(a, b float64) bool { return math.Abs(a-b) <= near*max(math.Abs(a), math.Abs(b)) }
	var out []frameRange
	last := h.Keyframes[0]
	for _, k := range h.Keyframes {
		switch {
		case k.Start > last.Start && !same(k.Strength, last.Strength):
			out = append(out, frameRange{last.Start, k.Start, last.Strength})
			last = k
		case k.Start == last.Start:
			last = k
		}
	}
	if !same(last.Start, 1) {
		out = append(out, frameRange{last.Start, 1, last.Strength})
	}
	return out
}
