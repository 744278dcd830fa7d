package engine

import (
	"context"
	"log/slog"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/residency"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// cudaOnCPU runs the graphs that are written for a GPU on the CPU, where ONNX Runtime computes float16 in float32 between
// the operators. This is the part that can be checked without a GPU. The CPU has no bfloat16 kernels, so such a graph runs
// with float32 instead.
type cudaOnCPU struct{ runner }

func (r cudaOnCPU) Run(ctx context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	if _, err := r.rt.library(); err != nil {
		return nil, err
	}
	target, err := Target(TargetOptions{Device: ort.Device{Kind: ort.CUDA}, Role: r.role, Compute: r.compute})
	if err != nil {
		return nil, err
	}
	values, err := asValues(in)
	if err != nil {
		return nil, err
	}
	out := map[string]*tensor.Tensor{}
	key := residency.Key{Files: r.files, Part: g.Part + " for cuda", Variant: g.Variant, Target: target}
	steady := func(input string) bool { return input == sampling.InputContext }
	err = r.rt.sessions.Use(ctx, key, true, residency.Adapted{Steady: steady, Build: func() (*onnx.Graph, error) {
		graph, err := g.Build(family.Spec{Target: target})
		if err == nil {
			graph.Portable(func(source any, t dtype.DType) any {
				layout := source.(nn.Layout)
				layout.Form, layout.DType = nn.Plain, t
				return layout
			})
		}
		if err == nil && r.compute == dtype.BF16 {
			graph.Retype(dtype.BF16, dtype.F32, func(source any) any {
				if stack, ok := source.(nn.Stack); ok {
					return stack.As(dtype.F32)
				}
				layout := source.(nn.Layout)
				layout.DType = dtype.F32
				return layout
			})
		}
		return graph, err
	}}, func(n *residency.Network) error {
		res, err := n.Run(ctx, residency.Adapted{}, values, outputs...)
		if err != nil {
			return err
		}
		for _, name := range outputs {
			if out[name], err = asTensor(res[name]); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

// PredictWithCUDAGraph runs the graph of a model that is written for a GPU on the CPU.
func PredictWithCUDAGraph(ctx context.Context, m *Model, compute dtype.DType, x *tensor.Tensor, t []float32, cond *tensor.Tensor) (*tensor.Tensor, error) {
	r := m.runner()
	r.compute, r.device = compute, ort.Device{}
	return m.net.Predict(ctx, cudaOnCPU{r}, family.Call{X: x, T: t, Inputs: sampling.Text(cond)})
}

// AsksForBfloat16 reports whether the model multiplies in bfloat16 on CPUs that can.
func (m *Model) AsksForBfloat16() bool { return m.runner().bfloat16 }

// WithComputeType returns a runtime that shares rt's library and has a compute type for diffusion models.
func (rt *Runtime) WithComputeType(t dtype.DType) *Runtime {
	return rt.changed(func(c *Config) { c.UNet = t })
}

// OpenLibrary returns the library of rt, opened.
func (rt *Runtime) OpenLibrary() (*ort.Runtime, error) { return rt.library() }

// OnDevice returns a runtime that shares rt's library and runs on another device.
func (rt *Runtime) OnDevice(d ort.Device) *Runtime {
	return rt.changed(func(c *Config) { c.Device = d })
}

// WithMemory returns a runtime that shares rt's library and believes in this much free memory.
func (rt *Runtime) WithMemory(available func() int64) *Runtime {
	return rt.changed(func(c *Config) { c.Available = available })
}

// WithLog returns a runtime that shares rt's library and writes to another log.
func (rt *Runtime) WithLog(log *slog.Logger) *Runtime {
	return rt.changed(func(c *Config) { c.Log = log })
}

// AsPrepared returns a runtime that shares rt's library and lays the U-Net's weights out in memory.
func (rt *Runtime) AsPrepared() *Runtime {
	return rt.changed(func(c *Config) { c.Prepared = true })
}

func (rt *Runtime) changed(f func(*Config)) *Runtime {
	cfg := rt.cfg
	f(&cfg)
	if _, err := rt.library(); err != nil {
		panic(err)
	}
	r := New(cfg)
	r.lib, r.block, r.linear = rt.lib, rt.block, rt.linear
	return r
}

// Residuals runs a ControlNet alone: the results for the input blocks, then the middle block's.
func (c *Control) Residuals(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) ([]*tensor.Tensor, error) {
	r, err := c.run(ctx, &Model{}, family.Call{X: x, T: t, Inputs: in})
	if err != nil {
		return nil, err
	}
	return append(r.Output, r.Middle), nil
}

// WithFamilies returns a runtime with other families.
func (rt *Runtime) WithFamilies(reg *family.Registry) *Runtime {
	return rt.changed(func(c *Config) { c.Families = reg })
}
