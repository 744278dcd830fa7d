package sampling

import (
	"strconv"

	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&MultiGPUWorkUnits{})
	nodes.Register(&SelectModelDevice{})
	nodes.Register(&SelectCLIPDevice{})
	nodes.Register(&SelectVAEDevice{})
}

const multiGPU = "comfy_extras.nodes_multigpu"

// MultiGPUWorkUnits shares the conditionings of a step out to several GPUs.
type MultiGPUWorkUnits struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Most  int           `in:"max_gpus" default:"2" min:"1" step:"1"`
}

// Spec implements nodes.Node.
func (*MultiGPUWorkUnits) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "MultiGPU_WorkUnits", DisplayName: "MultiGPU CFG Split", Category: "advanced/multigpu", V3: true, Module: multiGPU,
		Outputs:     nodes.Outputs("MODEL"),
		Description: "Runs the conditionings of a step, such as positive and negative prompt, on several GPUs at once. Each GPU holds its own copy of the weights.",
	}
}

// Run implements nodes.Node.
func (n *MultiGPUWorkUnits) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoInput("model")
	}
	m := n.Model.Spread(n.Most)
	if len(m.Devices()) == 1 {
		ctx.Log.Info("MultiGPU CFG Split: there are no further GPUs", "node", ctx.ID)
	}
	return nodes.Out(m), nil
}

// errNoInput is for links without a value.
func errNoInput(name string) error {
	return nodes.Errorf("AttributeError", "the input %s is empty: connect a loader to it", name)
}

// deviceChoices are the options of a device input: GPUs are listed where there are several. Upstream: get_gpu_device_options.
func deviceChoices(env nodes.Env, cpu bool) []any {
	out := []any{"default"}
	if cpu {
		out = append(out, "cpu")
	}
	for i := range env.GPUs {
		if env.GPUs > 1 {
			out = append(out, "gpu:"+strconv.Itoa(i))
		}
	}
	return out
}

// placeOf is the place that a device input names; ok is false for a device that does not exist, which is told: workflows come from other
// machines.
func placeOf(ctx *nodes.Context, what, option string) (p engine.Place, ok bool) {
	if p, ok = ctx.Engine.Place(option); !ok {
		ctx.Warn(what + ": the device " + strconv.Quote(option) + " does not exist here; the input is passed on unchanged")
	}
	return p, ok
}

// SelectModelDevice puts a diffusion model on a device.
type SelectModelDevice struct {
	Model  *engine.Model `in:"model" type:"MODEL"`
	Device string        `in:"device" choices:"device"`
}

// Spec implements nodes.Node.
func (*SelectModelDevice) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SelectModelDevice", DisplayName: "Select Model Device", Category: "advanced/multigpu", V3: true, Module: multiGPU,
		Outputs: nodes.Outputs("MODEL"), Validates: []string{"device"},
		Description: "Puts the diffusion model on a device: the CPU, a GPU by its number, or the loader's choice. A device that does not exist changes nothing.",
	}
}

// Choices implements nodes.Chooser.
func (*SelectModelDevice) Choices(env nodes.Env, _ string) []any { return deviceChoices(env, true) }

// ValidateInputs implements nodes.Validator: any device is valid.
func (*SelectModelDevice) ValidateInputs(*nodes.Context) error { return nil }

// Run implements nodes.Node.
func (n *SelectModelDevice) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoInput("model")
	}
	p, ok := placeOf(ctx, "Select Model Device", n.Device)
	if !ok {
		return nodes.Out(n.Model), nil
	}
	return nodes.Out(n.Model.At(p)), nil
}

// SelectCLIPDevice puts text encoders on a device.
type SelectCLIPDevice struct {
	CLIP   *engine.CLIP `in:"clip" type:"CLIP"`
	Device string       `in:"device" choices:"device"`
}

// Spec implements nodes.Node.
func (*SelectCLIPDevice) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SelectCLIPDevice", DisplayName: "Select CLIP Device", Category: "advanced/multigpu", V3: true, Module: multiGPU,
		Outputs: nodes.Outputs("CLIP"), Validates: []string{"device"},
		Description: "Puts the text encoders on a device: the CPU, a GPU by its number, or the loader's choice. A device that does not exist changes nothing.",
	}
}

// Choices implements nodes.Chooser.
func (*SelectCLIPDevice) Choices(env nodes.Env, _ string) []any { return deviceChoices(env, true) }

// ValidateInputs implements nodes.Validator: any device is valid.
func (*SelectCLIPDevice) ValidateInputs(*nodes.Context) error { return nil }

// Run implements nodes.Node.
func (n *SelectCLIPDevice) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoInput("clip")
	}
	p, ok := placeOf(ctx, "Select CLIP Device", n.Device)
	if !ok {
		return nodes.Out(n.CLIP), nil
	}
	return nodes.Out(n.CLIP.At(p)), nil
}

// SelectVAEDevice puts a VAE on a device.
type SelectVAEDevice struct {
	VAE    *engine.VAE `in:"vae" type:"VAE"`
	Device string      `in:"device" choices:"device"`
}

// Spec implements nodes.Node.
func (*SelectVAEDevice) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SelectVAEDevice", DisplayName: "Select VAE Device", Category: "advanced/multigpu", V3: true, Module: multiGPU,
		Outputs: nodes.Outputs("VAE"), Validates: []string{"device"},
		Description: "Puts the VAE on a GPU by its number, or on the loader's choice. A device that does not exist, and the CPU, change nothing.",
	}
}

// Choices implements nodes.Chooser.
func (*SelectVAEDevice) Choices(env nodes.Env, _ string) []any { return deviceChoices(env, false) }

// ValidateInputs implements nodes.Validator: any device is valid.
func (*SelectVAEDevice) ValidateInputs(*nodes.Context) error { return nil }

// Run implements nodes.Node.
func (n *SelectVAEDevice) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.VAE == nil {
		return nodes.Result{}, errNoInput("vae")
	}
	p, ok := placeOf(ctx, "Select VAE Device", n.Device)
	if n.Device == "cpu" {
		ctx.Warn("Select VAE Device: a VAE is not put on the CPU by this node; the input is passed on unchanged")
		ok = false
	}
	if !ok {
		return nodes.Out(n.VAE), nil
	}
	return nodes.Out(n.VAE.At(p)), nil
}
