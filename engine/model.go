package engine

import (
	"context"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family/sd15"
	"comfygo/engine/family/unet"
	"comfygo/engine/models"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// Model is what MODEL links carry: a denoising network with the meaning of its noise levels. It is not changed after
// it was made, and implements sampling.Network.
type Model struct {
	rt       *Runtime
	file     *modelFile
	cfg      models.UNetConfig
	sampling *sampling.ModelSampling
	// weights, when set, is the type that weights are rounded to.
	weights dtype.DType
	// compute, when set, is the type to compute with on a card.
	compute dtype.DType
	// format, when set, replaces the family's.
	format *sampling.LatentFormat
	// family, when set, is the sampling that sampling replaced.
	family *sampling.ModelSampling
	// hooks and options are for the sampler and the network.
	hooks   sampling.Hooks
	options map[string]any
}

var _ sampling.Network = (*Model)(nil)

// LoadModel opens the diffusion model in the file at path. round, when set, is a narrow type that its weights are rounded
// to (upstream's weight_dtype).
func (rt *Runtime) LoadModel(path string, round dtype.DType) (*Model, error) {
	f, err := rt.files.get(path)
	if err != nil {
		return nil, err
	}
	if f.found.UNet == nil {
		return nil, fmt.Errorf("loading %s: the file holds no diffusion model", path)
	}
	kind := sampling.EPS
	if f.found.UNet.VPrediction {
		kind = sampling.VPrediction
	}
	ms, err := sampling.NewModelSampling(kind, sampling.Settings{})
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", path, err)
	}
	return &Model{rt: rt, file: f, cfg: *f.found.UNet, sampling: ms, weights: round}, nil
}

// LoadCheckpoint opens a file that holds a diffusion model, a text encoder and a VAE. A part that the file lacks is nil, as
// upstream has it: the node that needs it says so.
func (rt *Runtime) LoadCheckpoint(path string) (*Model, *CLIP, *VAE, error) {
	f, err := rt.files.get(path)
	if err != nil {
		return nil, nil, nil, err
	}
	m, err := rt.LoadModel(path, dtype.Invalid)
	if err != nil {
		return nil, nil, nil, err
	}
	var c *CLIP
	if f.found.CLIP != nil {
		c = &CLIP{rt: rt, file: f, cfg: *f.found.CLIP}
	}
	return m, c, rt.vaeOf(f), nil
}

// Sampling returns the meaning of the model's noise levels.
func (m *Model) Sampling() *sampling.ModelSampling { return m.sampling }

// LatentFormat relates the VAE's latents to those of the network.
func (m *Model) LatentFormat() sampling.LatentFormat {
	if m.format != nil {
		return *m.format
	}
	return sd15.Latent
}

// Inputs returns the network's inputs for a conditioning entry.
func (m *Model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	in := sampling.Text(c.Tokens).List
	var beside *tensor.Tensor
	var err error
	switch m.cfg.InChannels - m.cfg.OutChannels {
	case 5:
		beside, err = unet.InpaintInput(c, r)
	case 4:
		beside, err = unet.EditInput(c, r)
	}
	if beside != nil {
		in = append(in, sampling.Input{Name: "concat", Value: beside, Rule: sampling.ByCells})
	}
	return in, err
}

// Predict runs the network: x [N,C,H,W] as the network reads it, one timestep a row, and the conditions of
// in; the result is the raw prediction [N,C,H,W].
func (m *Model) Predict(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	plain := x
	x, err := m.joined(x, in)
	if err != nil {
		return nil, err
	}
	if err := m.check(x, t, in); err != nil {
		return nil, err
	}
	even := true
	grid := 1 << (m.cfg.Levels - 1)
	kind := "unet even"
	if x.Dim(2)%grid != 0 || x.Dim(3)%grid != 0 {
		even, kind = false, "unet odd"
	}
	p, err := m.rt.placeOf(m.rt.cfg.Device, or(m.compute, or(m.rt.cfg.UNet, dtype.F16)))
	if err != nil {
		return nil, err
	}
	p.target.Weights = m.weights
	p.target.Lean = !m.rt.cfg.Prepared || m.rt.cfg.Lean
	inputs := map[string]ort.Value{
		"x":         ort.Floats(x.Data, x.Shape...),
		"timesteps": ort.Floats(t, len(t)),
		"context":   ort.Floats(in.Get(sampling.InputContext).Data, in.Get(sampling.InputContext).Shape...),
	}
	if m.cfg.AdmChannels > 0 {
		inputs["y"] = ort.Floats(in.Get("y").Data, in.Get("y").Shape...)
	}
	write := models.UNetGraph
	steered, err := m.controlled(ctx, plain, t, in, inputs)
	if err != nil {
		return nil, err
	}
	if steered {
		kind, write = kind+" controlled", models.ControlledUNetGraph
	}
	var out ort.Value
	err = m.rt.with(ctx, m.file, kind, p, func() (*onnx.Graph, error) {
		return write(m.file.found.UNetScope(), m.cfg, p.target, even)
	}, func(n *network) error {
		var err error
		out, err = n.step(ctx, inputs, "out")
		return err
	})
	if err != nil {
		return nil, err
	}
	y, err := asTensor(out)
	if err != nil {
		return nil, err
	}
	return y, m.explain(y)
}

// explain looks for the cause when a prediction is not finite: a weight that is none. Weights that stay in the file are
// not looked through when they are loaded, so that loading does not have to read them all.
func (m *Model) explain(y *tensor.Tensor) error {
	for _, v := range y.Data {
		if v-v == 0 {
			continue
		}
		src := m.file.found.UNetScope().Source()
		for _, name := range src.Names() {
			if e, ok := src.Lookup(name); ok {
				if err := weights.Scan(e); err != nil {
					return fmt.Errorf("running the model gave %v: %w", v, err)
				}
			}
		}
		return nil // the numbers ran away by themselves: the sampler knows the step
	}
	return nil
}

// joined appends the channels that some models read beside the latent.
func (m *Model) joined(x *tensor.Tensor, in sampling.Inputs) (*tensor.Tensor, error) {
	c := in.Get("concat")
	if c == nil {
		return x, nil
	}
	if len(c.Shape) != 4 || c.Dim(0) != x.Dim(0) || c.Dim(2) != x.Dim(2) || c.Dim(3) != x.Dim(3) {
		return nil, fmt.Errorf("running the model: extra channels of shape %v do not fit a latent of shape %v", c.Shape, x.Shape)
	}
	out := tensor.New(x.Dim(0), x.Dim(1)+c.Dim(1), x.Dim(2), x.Dim(3))
	for b := range x.Dim(0) {
		n := copy(out.Index(b).Data, x.Index(b).Data)
		copy(out.Index(b).Data[n:], c.Index(b).Data)
	}
	return out, nil
}

func (m *Model) check(x *tensor.Tensor, t []float32, in sampling.Inputs) error {
	context, y := in.Get(sampling.InputContext), in.Get("y")
	switch {
	case len(x.Shape) != 4 || x.Dim(1) != m.cfg.InChannels:
		return fmt.Errorf("running the model: the latent has shape %v, the model reads %d channels", x.Shape, m.cfg.InChannels)
	case len(t) != x.Dim(0):
		return fmt.Errorf("running the model: %d timesteps for %d rows", len(t), x.Dim(0))
	case context == nil || len(context.Shape) != 3 || context.Dim(0) != x.Dim(0):
		return fmt.Errorf("running the model: it needs a text encoding for each row")
	case context.Dim(2) != m.cfg.ContextDim:
		return fmt.Errorf("running the model: the text encoding is %d wide, the model reads %d: it comes from another kind of text encoder", context.Dim(2), m.cfg.ContextDim)
	case m.cfg.AdmChannels > 0 && (y == nil || len(y.Shape) != 2 || y.Dim(0) != x.Dim(0) || y.Dim(1) != m.cfg.AdmChannels):
		return fmt.Errorf("running the model: it needs a vector of %d values for each row", m.cfg.AdmChannels)
	}
	return m.rt.checkHost("running the model", m.runBytes(x.Dim(0), x.Dim(2), x.Dim(3)))
}
