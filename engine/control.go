package engine

import (
	"context"
	"fmt"
	"sync"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// ControlNet is what CONTROL_NET links carry: a network that steers a diffusion model by an image.
type ControlNet struct {
	rt   *Runtime
	file *file
	net  family.ControlNetwork
}

// LoadControlNet opens the ControlNet in the file at path.
func (rt *Runtime) LoadControlNet(path string) (*ControlNet, error) {
	f, err := rt.files.Get(path)
	if err != nil {
		return nil, err
	}
	net, err := f.Parts.Control()
	if err != nil {
		return nil, fmt.Errorf("loading the ControlNet: %w", err)
	}
	return &ControlNet{rt: rt, file: f, net: net}, nil
}

// Control is a ControlNet with its image, as conditioning entries hold it. It is not changed after it was made.
type Control struct {
	net      *ControlNet
	hint     *tensor.Tensor // [B,C,H,W] in 0…1
	strength float32
	// start and end bound the part of the sampling in which it acts, from 0 (noise) to 1 (image).
	start, end float64
	previous   *Control

	mu     sync.Mutex
	scaled *tensor.Tensor // hint in the size that was asked for last
}

// With returns the network with images [B,H,W,C] in 0…1. It acts from start to end, from 0 (noise) to 1 (image), together
// with previous, which may be nil.
func (n *ControlNet) With(images *tensor.Tensor, strength, start, end float64, previous *Control) (*Control, error) {
	channels := n.net.Hint().Channels
	if len(images.Shape) != 4 || images.Dim(3) < channels || images.Dim(0) == 0 {
		return nil, fmt.Errorf("using images of shape %v for a ControlNet: it takes %d channels", images.Shape, channels)
	}
	hint := planar(images)
	if hint.Dim(1) > channels {
		return nil, fmt.Errorf("using images of %d channels for a ControlNet: it takes %d", hint.Dim(1), channels)
	}
	return &Control{net: n, hint: hint, strength: float32(strength), start: start, end: end, previous: previous}, nil
}

// Previous is the control that acts together with this one, nil when there is none.
func (c *Control) Previous() *Control { return c.previous }

// residuals are what the ControlNets of a call add to the model; nil when none acts at the call's sigma.
func (m *Model) residuals(ctx context.Context, call family.Call) (*family.Residuals, error) {
	c, ok := call.Inputs.Control.(*Control)
	if !ok || c == nil {
		return nil, nil
	}
	steered, ok := m.net.(family.Steered)
	if !ok {
		return nil, fmt.Errorf("running the model with a ControlNet: %s models cannot be steered by one", m.family.Name())
	}
	r, err := c.at(ctx, m, call)
	if err == nil && r != nil {
		err = steered.CheckResiduals(r)
	}
	if err != nil {
		return nil, fmt.Errorf("steering a %s model: %w", m.family.Name(), err)
	}
	return r, nil
}

// at runs the networks that act at the sigma of a call; nil when none does. Upstream: ControlNet.get_control.
func (c *Control) at(ctx context.Context, m *Model, call family.Call) (*family.Residuals, error) {
	var sum *family.Residuals
	if c.previous != nil {
		var err error
		if sum, err = c.previous.at(ctx, m, call); err != nil {
			return nil, err
		}
	}
	sigma := call.Inputs.Sigma
	if sigma > float32(m.sampling.PercentToSigma(c.start)) || sigma < float32(m.sampling.PercentToSigma(c.end)) {
		return sum, nil
	}
	own, err := c.run(ctx, call)
	if err != nil {
		return nil, err
	}
	own.Add(sum)
	return own, nil
}

// run runs the network and scales its residuals.
func (c *Control) run(ctx context.Context, call family.Call) (*family.Residuals, error) {
	hint, err := c.hintFor(call.X, max(call.Inputs.Entries, 1))
	if err != nil {
		return nil, err
	}
	n := c.net
	r, err := n.net.Residuals(ctx, n.rt.runner(family.RoleControl, false, n.file), call, hint)
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", err, n.file.Path)
	}
	r.Scale(c.strength)
	return r, nil
}

// hintFor returns the images in the size and number for rows of latents that belong to so many entries. Upstream:
// common_upscale, broadcast_image_to.
func (c *Control) hintFor(x *tensor.Tensor, entries int) (*tensor.Tensor, error) {
	side := c.net.net.Hint().Scale
	h, w := x.Dim(-2)*side, x.Dim(-1)*side
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scaled == nil || c.scaled.Dim(2) != h || c.scaled.Dim(3) != w {
		scaled, err := imaging.Upscale(c.hint, w, h, "nearest-exact", "center")
		if err != nil {
			return nil, fmt.Errorf("scaling a ControlNet's image: %w", err)
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
