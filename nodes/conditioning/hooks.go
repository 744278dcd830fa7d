package conditioning

import (
	"fmt"
	"slices"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CreateHookLora{})
	nodes.Register(&CreateHookLoraModelOnly{})
	nodes.Register(&CreateHookModelAsLora{})
	nodes.Register(&CreateHookModelAsLoraModelOnly{})
	nodes.Register(&SetHookKeyframes{})
	nodes.Register(&CombineHooks2{})
	nodes.Register(&CombineHooks4{})
	nodes.Register(&CombineHooks8{})
}

// CreateHookLora makes a hook that applies a LoRA to the parts of the sampling that a conditioning covers.
type CreateHookLora struct {
	LoraName      string  `in:"lora_name" files:"loras"`
	StrengthModel float64 `in:"strength_model" default:"1.0" min:"-20.0" max:"20.0" step:"0.01"`
	StrengthClip  float64 `in:"strength_clip" default:"1.0" min:"-20.0" max:"20.0" step:"0.01"`
	PrevHooks     any     `in:"prev_hooks" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*CreateHookLora) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateHookLora", DisplayName: "Create Hook LoRA", Category: "advanced/hooks/create",
		Module:       "comfy_extras.nodes_hooks",
		Outputs:      nodes.Outputs("HOOKS"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateHookLora) Run(ctx *nodes.Context) (nodes.Result, error) {
	return addHook(ctx, n.PrevHooks, "loras", n.LoraName, n.StrengthModel, n.StrengthClip)
}

// CreateHookLoraModelOnly is CreateHookLora for the diffusion model alone.
type CreateHookLoraModelOnly struct {
	LoraName      string  `in:"lora_name" files:"loras"`
	StrengthModel float64 `in:"strength_model" default:"1.0" min:"-20.0" max:"20.0" step:"0.01"`
	PrevHooks     any     `in:"prev_hooks" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*CreateHookLoraModelOnly) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateHookLoraModelOnly", DisplayName: "Create Hook LoRA (MO)", Category: "advanced/hooks/create",
		Module:       "comfy_extras.nodes_hooks",
		Outputs:      nodes.Outputs("HOOKS"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateHookLoraModelOnly) Run(ctx *nodes.Context) (nodes.Result, error) {
	return addHook(ctx, n.PrevHooks, "loras", n.LoraName, n.StrengthModel, 0)
}

// CreateHookModelAsLora makes a hook that replaces weights by those of another checkpoint.
type CreateHookModelAsLora struct {
	CkptName      string  `in:"ckpt_name" files:"checkpoints"`
	StrengthModel float64 `in:"strength_model" default:"1.0" min:"-20.0" max:"20.0" step:"0.01"`
	StrengthClip  float64 `in:"strength_clip" default:"1.0" min:"-20.0" max:"20.0" step:"0.01"`
	PrevHooks     any     `in:"prev_hooks" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*CreateHookModelAsLora) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateHookModelAsLora", DisplayName: "Create Hook Model as LoRA", Category: "advanced/hooks/create",
		Module:       "comfy_extras.nodes_hooks",
		Outputs:      nodes.Outputs("HOOKS"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateHookModelAsLora) Run(ctx *nodes.Context) (nodes.Result, error) {
	return addHook(ctx, n.PrevHooks, "checkpoints", n.CkptName, n.StrengthModel, n.StrengthClip)
}

// CreateHookModelAsLoraModelOnly is CreateHookModelAsLora for the diffusion model alone.
type CreateHookModelAsLoraModelOnly struct {
	CkptName      string  `in:"ckpt_name" files:"checkpoints"`
	StrengthModel float64 `in:"strength_model" default:"1.0" min:"-20.0" max:"20.0" step:"0.01"`
	PrevHooks     any     `in:"prev_hooks" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*CreateHookModelAsLoraModelOnly) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateHookModelAsLoraModelOnly", DisplayName: "Create Hook Model as LoRA (MO)", Category: "advanced/hooks/create",
		Module:       "comfy_extras.nodes_hooks",
		Outputs:      nodes.Outputs("HOOKS"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateHookModelAsLoraModelOnly) Run(ctx *nodes.Context) (nodes.Result, error) {
	return addHook(ctx, n.PrevHooks, "checkpoints", n.CkptName, n.StrengthModel, 0)
}

// SetHookKeyframes sets the keyframes of hooks.
type SetHookKeyframes struct {
	Hooks  any `in:"hooks" type:"HOOKS"`
	HookKf any `in:"hook_kf" type:"HOOK_KEYFRAMES" optional:"true"`
}

// Spec implements nodes.Node.
func (*SetHookKeyframes) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SetHookKeyframes", DisplayName: "Set Hook Keyframes", Category: "advanced/hooks/scheduling",
		Module:       "comfy_extras.nodes_hooks",
		Outputs:      nodes.Outputs("HOOKS"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *SetHookKeyframes) Run(*nodes.Context) (nodes.Result, error) {
	group, err := groupOf("hooks", n.Hooks)
	if err != nil || n.HookKf == nil {
		return nodes.Out(n.Hooks), err
	}
	if n.Hooks == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "setting keyframes: the input hooks has no group of hooks, as CombineHooks2 gives without inputs")
	}
	frames, err := keyframesOf("hook_kf", n.HookKf)
	if err != nil {
		return nodes.Result{}, err
	}
	out := slices.Clone(group)
	for i := range out {
		out[i].Keyframes = frames
	}
	return nodes.Out(out), nil
}

// CombineHooks2 joins two groups of hooks.
type CombineHooks2 struct {
	HooksA any `in:"hooks_A" type:"HOOKS" optional:"true"`
	HooksB any `in:"hooks_B" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*CombineHooks2) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CombineHooks2", DisplayName: "Combine Hooks [2]", Category: "advanced/hooks/combine",
		Module:        "comfy_extras.nodes_hooks",
		Outputs:       nodes.Outputs("HOOKS"),
		Experimental:  true,
		SearchAliases: []string{"merge hooks"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CombineHooks2) Run(*nodes.Context) (nodes.Result, error) {
	return joinHooks(n.HooksA, n.HooksB)
}

// CombineHooks4 joins four groups of hooks.
type CombineHooks4 struct {
	HooksA any `in:"hooks_A" type:"HOOKS" optional:"true"`
	HooksB any `in:"hooks_B" type:"HOOKS" optional:"true"`
	HooksC any `in:"hooks_C" type:"HOOKS" optional:"true"`
	HooksD any `in:"hooks_D" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*CombineHooks4) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CombineHooks4", DisplayName: "Combine Hooks [4]", Category: "advanced/hooks/combine",
		Module:       "comfy_extras.nodes_hooks",
		Outputs:      nodes.Outputs("HOOKS"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CombineHooks4) Run(*nodes.Context) (nodes.Result, error) {
	return joinHooks(n.HooksA, n.HooksB, n.HooksC, n.HooksD)
}

// CombineHooks8 joins eight groups of hooks.
type CombineHooks8 struct {
	HooksA any `in:"hooks_A" type:"HOOKS" optional:"true"`
	HooksB any `in:"hooks_B" type:"HOOKS" optional:"true"`
	HooksC any `in:"hooks_C" type:"HOOKS" optional:"true"`
	HooksD any `in:"hooks_D" type:"HOOKS" optional:"true"`
	HooksE any `in:"hooks_E" type:"HOOKS" optional:"true"`
	HooksF any `in:"hooks_F" type:"HOOKS" optional:"true"`
	HooksG any `in:"hooks_G" type:"HOOKS" optional:"true"`
	HooksH any `in:"hooks_H" type:"HOOKS" optional:"true"`
}

// Spec implements nodes.Node.
func (*CombineHooks8) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CombineHooks8", DisplayName: "Combine Hooks [8]", Category: "advanced/hooks/combine",
		Module:       "comfy_extras.nodes_hooks",
		Outputs:      nodes.Outputs("HOOKS"),
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CombineHooks8) Run(*nodes.Context) (nodes.Result, error) {
	return joinHooks(n.HooksA, n.HooksB, n.HooksC, n.HooksD, n.HooksE, n.HooksF, n.HooksG, n.HooksH)
}

// Hook changes the weights of models while entries that have it are sampled.
type Hook struct {
	// Folder and File name the LoRA or checkpoint below the model folders.
	Folder, File string
	// Model and CLIP are the strengths for the diffusion model and the text encoder.
	Model, CLIP float64
	// Keyframes change the strength over the sampling; without them it stays at 1.
	Keyframes Keyframes

	// path is the path of the file.
	path string
	// made is the same for all copies of one hook: a group has each hook once.
	made *struct{ _ byte }
}

// HookGroup is the value of HOOKS links.
type HookGroup []Hook

var _ Hooks = HookGroup(nil)

// Join implements Hooks.
func (g HookGroup) Join(others Hooks) Hooks {
	more, _ := others.(HookGroup)
	out := slices.Clone(g)
	for _, h := range more {
		if !slices.ContainsFunc(out, func(o Hook) bool { return o.made == h.made }) {
			out = append(out, h)
		}
	}
	return out
}

// Weights returns the hooks as samplers apply them.
func (g HookGroup) Weights() sampling.WeightHooks {
	out := make(sampling.WeightHooks, len(g))
	for i, h := range g {
		out[i] = sampling.WeightHook{ID: fmt.Sprintf("%p %v", h.made, h.Keyframes), Value: h.file()}
		for _, k := range h.Keyframes {
			out[i].Keyframes = append(out[i].Keyframes, sampling.Keyframe(k))
		}
	}
	return out
}

func (h Hook) file() engine.HookFile {
	return engine.HookFile{Path: h.path, Checkpoint: h.Folder == "checkpoints", Model: h.Model, CLIP: h.CLIP}
}

// Empty reports whether the group has no hooks.
func (g HookGroup) Empty() bool { return len(g) == 0 }

// groupOf reads a HOOKS input; nil means an empty group.
func groupOf(input string, v any) (HookGroup, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case HookGroup:
		return v, nil
	}
	return nil, nodes.Errorf("AttributeError", "reading hooks: the input %s is no group of hooks", input)
}

// addHook returns the previous hooks and one of a file. A LoRA with strengths of 0 adds no hook.
func addHook(ctx *nodes.Context, previous any, folder, file string, model, clip float64) (nodes.Result, error) {
	group, err := groupOf("prev_hooks", previous)
	if err != nil {
		return nodes.Result{}, err
	}
	if folder == "loras" && model == 0 && clip == 0 {
		return nodes.Out(slices.Concat(HookGroup{}, group)), nil
	}
	path, ok := ctx.Folders.Find(folder, file)
	if !ok {
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "creating a hook: there is no %q in the model folder %s", file, folder)
	}
	hook := Hook{Folder: folder, File: file, Model: model, CLIP: clip, path: path, made: &struct{ _ byte }{}}
	return nodes.Out(append(slices.Clone(group), hook)), nil
}

// joinHooks joins groups; without any the result is nil.
func joinHooks(values ...any) (nodes.Result, error) {
	var all Hooks
	for i, v := range values {
		if v == nil {
			continue
		}
		group, err := groupOf("hooks_"+string(rune('A'+i)), v)
		if err != nil {
			return nodes.Result{}, err
		}
		if all == nil {
			all = HookGroup{}
		}
		all = all.Join(group)
	}
	if all == nil {
		return nodes.Out(nil), nil
	}
	return nodes.Out(all), nil
}
