package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"unsafe"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/patch"
	"comfygo/engine/residency"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// runner runs the graphs of one network: family.Runner bound to files, a device and types.
type runner struct {
	rt *Runtime
	// files identifies the weight files, for the session key.
	files string
	role  family.Role
	// device is where the network runs; compute is its compute type on a GPU, weights is the type to which the user rounds its
	// weights. Invalid means the default for either.
	device           ort.Device
	compute, weights dtype.DType
	// bfloat16: the user's flags ask for bfloat16. What families and nodes ask for is for GPUs and changes nothing on the CPU.
	bfloat16 bool
	// adapters are the LoRA changes of the network, or nil.
	adapters *patch.Part
	// apart asks for sessions of their own for weights that adapters change.
	apart bool
}

var _ family.Runner = runner{}

// runner returns the runner of a network over files. onCPU keeps it off the GPU.
func (rt *Runtime) runner(role family.Role, onCPU bool, files ...*file) runner {
	r := runner{rt: rt, role: role, device: rt.cfg.Device}
	for _, f := range files {
		if f != nil {
			r.files += f.ID
		}
	}
	c := rt.cfg
	switch role {
	case family.RoleText, family.RoleVision, family.RoleAudio:
		r.compute = c.Text
		onCPU = onCPU || c.TextOnCPU
	case family.RoleVAE:
		r.compute = c.VAE
		onCPU = onCPU || c.VAEOnCPU
	case family.RoleDiffusion, family.RoleControl:
		r.compute = c.UNet
	}
	r.bfloat16 = r.compute == dtype.BF16
	if onCPU {
		r.device = ort.Device{}
	}
	return r
}

// target is what graphs of a network are written for: the one place where the user's settings, the device and the role
// become a target.
func (r runner) target(ctx context.Context, g family.Graph) (nn.Target, error) {
	lib, err := r.rt.library()
	if err != nil {
		return nn.Target{}, err
	}
	capability := 0
	if lib.Regions(ctx, r.device) {
		capability = lib.Capability(r.device)
	}
	return Target(TargetOptions{
		Device: r.device, Role: r.role, Compute: r.compute, Weights: r.weights, Block: r.rt.block, Linear: r.rt.linear,
		Int8: r.rt.cfg.Int8, Bfloat16: r.bfloat16 && ort.HasBfloat16(), Streamed: g.Streamed, Wide: g.Wide, Lean: r.rt.cfg.Lean, Prepared: r.rt.cfg.Prepared, Capability: capability,
	})
}

// TargetOptions determine the target of a graph.
type TargetOptions struct {
	Device ort.Device
	Role   family.Role
	// Compute is the requested compute type on a GPU; Invalid means the default of the role. The CPU computes in float32 but for Bfloat16.
	Compute dtype.DType
	// Weights is the type that weights are rounded to; Invalid leaves them unchanged.
	Weights dtype.DType
	// Block is the channel block of the CPU's convolutions.
	Block int
	// Linear reports that the CPU runs the engine's own operators.
	Linear bool
	// Int8 is Config's.
	Int8 bool
	// Bfloat16 has linear layers and 3x3 convolutions multiply in bfloat16 on a CPU that can.
	Bfloat16 bool
	// Streamed, Wide, Lean and Prepared are family.Graph's and Config's.
	Streamed, Wide, Lean, Prepared bool
	// Capability is the compute capability of a GPU; 0 if it is unknown.
	Capability int
}

// Target returns the target of a network's graphs. Production, tests and tools use it alike. It fails for a compute type
// that a GPU cannot compute in.
func Target(o TargetOptions) (nn.Target, error) {
	lean := o.Lean || o.Streamed
	if o.Role == family.RoleDiffusion || o.Role == family.RoleControl {
		lean = lean || !o.Prepared
	}
	preferred := o.Role.Preferred()
	if o.Wide && preferred == dtype.F16 {
		preferred = dtype.BF16
	}
	return nn.TargetFor(nn.TargetOptions{
		CUDA: o.Device.Kind == ort.CUDA, Compute: or(o.Compute, preferred), Block: o.Block, Linear: o.Linear, MapWeights: lean,
		Int8: o.Int8 && (o.Role == family.RoleDiffusion || o.Role == family.RoleControl), Weights: o.Weights, Capability: o.Capability,
		Bfloat16: o.Bfloat16,
	})
}

// Log implements family.Runner.
func (r runner) Log() *slog.Logger { return r.rt.cfg.Log }

// Patched implements family.Runner.
func (r runner) Patched(src weights.Source) (weights.Source, error) { return r.adapters.Source(src) }

// Fits implements family.Runner.
func (r runner) Fits(bytes int64) bool { return r.rt.sessions.Fits(r.device, bytes) }

// Check implements family.Runner.
func (r runner) Check(what string, bytes int64) error {
	return r.rt.sessions.Check(r.device, what, bytes)
}

// Run implements family.Runner.
func (r runner) Run(ctx context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	target, err := r.target(ctx, g)
	if err != nil {
		return nil, err
	}
	values, err := asValues(in)
	if err != nil {
		return nil, err
	}
	key := residency.Key{Files: r.files, Part: g.Part, Variant: g.Variant, Adapters: r.adapters.Structure(), Device: r.device, Target: target}
	// With weights in host memory, a session reads those that adapters change directly from the memory where they are computed for
	// the run. A GPU keeps copies, and so does a session for hooks, which alternate from step to step.
	key.Exchange = r.adapters != nil && r.device.Kind != ort.CUDA && !r.apart
	if !key.Exchange {
		key.Adapters += r.adapters.Values()
	}
	out := make(map[string]*tensor.Tensor, len(outputs))
	sizes := make(map[string][]int, len(values))
	for name, v := range values {
		sizes[name] = v.Shape
	}
	adapters := residency.Adapted{Sizes: sizes, Doing: doing[r.role], Adapters: r.adapters.Adapters(), Build: func() (*onnx.Graph, error) {
		return g.Build(family.Spec{Target: target, Adapters: r.adapters})
	}}
	if g.Steps {
		adapters.Steady = func(input string) bool { return input == sampling.InputContext || slices.Contains(g.Steady, input) }
	}
	run := func(n *residency.Network) error {
		do := n.Run
		if g.Steps && len(outputs) == 1 {
			do = n.Step
		}
		res, err := do(ctx, adapters, values, outputs...)
		if err != nil {
			return err
		}
		for _, name := range outputs {
			if out[name], err = asTensor(res[name]); err != nil {
				return err
			}
		}
		return nil
	}
	err = r.rt.sessions.Use(ctx, key, !g.Steps, adapters, run)
	if errors.Is(err, residency.ErrOtherGraph) {
		key.Exchange = false
		key.Adapters += r.adapters.Values()
		err = r.rt.sessions.Use(ctx, key, !g.Steps, adapters, run)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// doing names the runs of networks whose callers do not know how much memory a run takes.
var doing = map[family.Role]string{
	family.RoleText: "encoding the prompt", family.RoleVision: "encoding the image", family.RoleAudio: "encoding the audio",
}

func asValues(in []family.Value) (map[string]ort.Value, error) {
	values := make(map[string]ort.Value, len(in))
	for _, v := range in {
		switch {
		case v.Tensor != nil:
			values[v.Name] = ort.Floats(v.Tensor.Data, v.Tensor.Shape...)
		case v.Shape != nil:
			bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v.Ints))), 8*len(v.Ints))
			values[v.Name] = ort.Value{DType: dtype.I64, Shape: v.Shape, Data: bytes}
		default:
			return nil, fmt.Errorf("running a network: its input %s has no value", v.Name)
		}
	}
	return values, nil
}

// asTensor takes a float32 output of a session.
func asTensor(v ort.Value) (*tensor.Tensor, error) {
	data, err := v.Float32s()
	if err != nil {
		return nil, err
	}
	return tensor.From(data, v.Shape...)
}

// or returns t, or otherwise when t is Invalid.
func or(t, otherwise dtype.DType) dtype.DType {
	if t == dtype.Invalid {
		return otherwise
	}
	return t
}
