package engine

import (
	"context"
	"fmt"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/models"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// ControlNet is what CONTROL_NET links carry: a network that steers another one by a picture.
type ControlNet struct {
	rt   *Runtime
	file *modelFile
	cfg  models.ControlConfig
}

// LoadControlNet opens the ControlNet in the file at path.
func (rt *Runtime) LoadControlNet(path string) (*ControlNet, error) {
	f, err := rt.files.get(path)
	if err != nil {
		return nil, err
	}
	if f.found.Control == nil {
		return nil, fmt.Errorf("loading %s: the file holds no ControlNet", path)
	}
	return &ControlNet{rt: rt, file: f, cfg: *f.found.Control}, nil
}

// Control is a ControlNet with its picture, as conditioning entries hold it. It is not changed after it was made.
type Control struct {
	net      *ControlNet
	hint     *tensor.Tensor // [B,C,H,W] in 0…1
	strength float32
	// start and end bound the time at which it acts, as shares of the way from noise to picture.
	start, end float64
	previous   *Control

	mu     sync.Mutex
	scaled *tensor.Tensor // hint in the size that was asked for last
}

// With returns the network with pictures [B,H,W,C] in 0…1. It acts from start to end, shares of the way from noise to
// picture, together with previous, which may be nil.
func (n *ControlNet) With(pictures *tensor.Tensor, strength, start, end float64, previous *Control) (*Control, error) {
	if len(pictures.Shape) != 4 || pictures.Dim(3) < n.cfg.HintChannels || pictures.Dim(0) == 0 {
		return nil, fmt.Errorf("using pictures of shape %v for a ControlNet: it takes %d channels", pictures.Shape, n.cfg.HintChannels)
	}
	hint := planar(pictures)
	if extra := hint.Dim(1) - n.cfg.HintChannels; extra > 0 {
		return nil, fmt.Errorf("using pictures of %d channels for a ControlNet: it takes %d", hint.Dim(1), n.cfg.HintChannels)
	}
	return &Control{net: n, hint: hint, strength: float32(strength), start: start, end: end, previous: previous}, nil
}

// Previous is the control that acts together with this one, nil when there is none.
func (c *Control) Previous() *Control { return c.previous }

// residuals are what the U-Net adds: to the results of its input blocks, and to that of the middle block.
type residuals struct {
	blocks []*tensor.Tensor
	middle *tensor.Tensor
}

// at runs the networks that act at the noise level of in; nil when none does. Upstream: ControlNet.get_control.
func (c *Control) at(ctx context.Context, m *Model, x *tensor.Tensor, t []float32, in sampling.Inputs) (*residuals, error) {
	var sum *residuals
	if c.previous != nil {
		var err error
		if sum, err = c.previous.at(ctx, m, x, t, in); err != nil {
			return nil, err
		}
	}
	if in.Sigma > float32(m.sampling.PercentToSigma(c.start)) || in.Sigma < float32(m.sampling.PercentToSigma(c.end)) {
		return sum, nil
	}
	own, err := c.run(ctx, x, t, in)
	if err != nil {
		return nil, err
	}
	own.add(sum)
	return own, nil
}

// add adds other, which may be nil, and may have other blocks.
func (r *residuals) add(other *residuals) {
	if other == nil {
		return
	}
	for i, b := range other.blocks {
		if i >= len(r.blocks) {
			r.blocks = append(r.blocks, b)
			continue
		}
		addTo(r.blocks[i], b)
	}
	addTo(r.middle, other.middle)
}

func addTo(sum, more *tensor.Tensor) {
	if tensor.SameShape(sum, more) {
		for i, v := range more.Data {
			sum.Data[i] = v + sum.Data[i]
		}
	}
}

// run runs the network and scales its results.
func (c *Control) run(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*residuals, error) {
	n := c.net
	if x.Dim(1) != n.cfg.UNet.InChannels || in.Get(sampling.InputContext) == nil || in.Get(sampling.InputContext).Dim(2) != n.cfg.UNet.ContextDim {
		return nil, fmt.Errorf("running a ControlNet: it is for another kind of model")
	}
	hint, err := c.hintFor(x, max(in.Entries, 1))
	if err != nil {
		return nil, err
	}
	p, err := n.rt.placeOf(n.rt.cfg.Device, or(n.rt.cfg.UNet, dtype.F16))
	if err != nil {
		return nil, err
	}
	p.target.Lean = !n.rt.cfg.Prepared || n.rt.cfg.Lean
	names := []string{models.ControlMiddle}
	for i := range n.cfg.Blocks {
		names = append(names, models.ControlInput(i))
	}
	var res map[string]ort.Value
	err = n.rt.with(ctx, n.file, "control", p, func() (*onnx.Graph, error) {
		return models.ControlGraph(n.file.found.ControlScope(), n.cfg, p.target)
	}, func(net *network) error {
		var err error
		res, err = net.run(ctx, map[string]ort.Value{
			"x": ort.Floats(x.Data, x.Shape...), "timesteps": ort.Floats(t, len(t)),
			"context": ort.Floats(in.Get(sampling.InputContext).Data, in.Get(sampling.InputContext).Shape...), "hint": ort.Floats(hint.Data, hint.Shape...),
		}, names...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("running a ControlNet: %w", err)
	}
	out := &residuals{}
	for _, name := range names {
		y, err := asTensor(res[name])
		if err != nil {
			return nil, err
		}
		for i := range y.Data {
			y.Data[i] *= c.strength
		}
		if name == models.ControlMiddle {
			out.middle = y
		} else {
			out.blocks = append(out.blocks, y)
		}
	}
	return out, nil
}

// hintFor returns the pictures in the size and number for rows of latents that belong to so many entries. Upstream:
// common_upscale, broadcast_image_to.
func (c *Control) hintFor(x *tensor.Tensor, entries int) (*tensor.Tensor, error) {
	const side = 8 // picture pixels per latent pixel
	h, w := x.Dim(2)*side, x.Dim(3)*side
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scaled == nil || c.scaled.Dim(2) != h || c.scaled.Dim(3) != w {
		scaled, err := imaging.Upscale(c.hint, w, h, "nearest-exact", "center")
		if err != nil {
			return nil, fmt.Errorf("scaling a ControlNet's picture: %w", err)
		}
		c.scaled = scaled
	}
	rows, have := x.Dim(0), c.scaled.Dim(0)
	each := max(rows/entries, 1)
	out := tensor.New(rows, c.scaled.Dim(1), h, w)
	for i := range rows {
		copy(out.Index(i).Data, c.scaled.Index(i%each%have).Data)
	}
	return out, nil
}

// controlled adds the inputs for what steers the network; false when nothing does at this noise level.
func (m *Model) controlled(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs, inputs map[string]ort.Value) (bool, error) {
	c, ok := in.Control.(*Control)
	if !ok || c == nil {
		return false, nil
	}
	r, err := c.at(ctx, m, x, t, in)
	if r == nil || err != nil {
		return false, err
	}
	if err := m.checkResiduals(r); err != nil {
		return false, err
	}
	for i, b := range r.blocks {
		inputs[models.ControlInput(i)] = ort.Floats(b.Data, b.Shape...)
	}
	inputs[models.ControlMiddle] = ort.Floats(r.middle.Data, r.middle.Shape...)
	return true, nil
}

// checkResiduals fails when the ControlNet is for a network of other blocks.
func (m *Model) checkResiduals(r *residuals) error {
	s := m.file.found.UNetScope()
	if blocks := s.Count("input_blocks"); blocks != len(r.blocks) {
		return fmt.Errorf("running the model with a ControlNet: it has %d blocks and the ControlNet is for %d", blocks, len(r.blocks))
	}
	for i, b := range r.blocks {
		if sh := s.At("input_blocks").Index(i).Shape("0.out_layers.3.weight"); len(sh) == 4 && sh[0] != b.Dim(1) {
			return fmt.Errorf("running the model with a ControlNet: block %d is %d wide and the ControlNet's is %d", i, sh[0], b.Dim(1))
		}
	}
	return nil
}
