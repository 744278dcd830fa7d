package engine

import (
	"context"

	"comfygo/engine/dtype"
	"comfygo/engine/models"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// PredictWithCUDAGraph runs the graph that is written for a GPU on the CPU, where ONNX Runtime computes float16 in float32
// between the operators: what can be checked of it without a GPU. The CPU has no bfloat16 kernels at all, so that such a
// graph is run with float32 in its place.
func PredictWithCUDAGraph(ctx context.Context, m *Model, compute dtype.DType, x *tensor.Tensor, t []float32, cond *tensor.Tensor) (*tensor.Tensor, error) {
	if _, err := m.rt.library(); err != nil {
		return nil, err
	}
	target, err := nn.TargetFor(nn.TargetOptions{CUDA: true, Compute: compute, MapWeights: true})
	if err != nil {
		return nil, err
	}
	n, err := m.rt.makeNetwork(ctx, m.file, "unet for cuda", ort.Device{}, func() (*onnx.Graph, error) {
		g, err := models.UNetGraph(m.file.found.UNetScope(), m.cfg, target, true)
		if err == nil && compute == dtype.BF16 {
			g.Retype(dtype.BF16, dtype.F32, func(source any) any {
				layout := source.(nn.Layout)
				layout.DType = dtype.F32
				return layout
			})
		}
		return g, err
	})
	if err != nil {
		return nil, err
	}
	defer n.Close()
	out, err := n.step(ctx, map[string]ort.Value{
		"x": ort.Floats(x.Data, x.Shape...), "timesteps": ort.Floats(t, len(t)), "context": ort.Floats(cond.Data, cond.Shape...),
	}, "out")
	if err != nil {
		return nil, err
	}
	return asTensor(out)
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

// AsPrepared returns a runtime that shares rt's library and lays the U-Net's weights out in memory.
func (rt *Runtime) AsPrepared() *Runtime {
	return rt.changed(func(c *Config) { c.Prepared = true })
}

func (rt *Runtime) changed(f func(*Config)) *Runtime {
	cfg := rt.cfg
	f(&cfg)
	r := New(cfg)
	if _, err := rt.library(); err != nil {
		panic(err)
	}
	r.lib, r.block = rt.lib, rt.block
	return r
}

// Residuals runs a ControlNet alone: the results for the input blocks, then the middle block's.
func (c *Control) Residuals(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) ([]*tensor.Tensor, error) {
	r, err := c.run(ctx, x, t, in)
	if err != nil {
		return nil, err
	}
	return append(r.blocks, r.middle), nil
}
