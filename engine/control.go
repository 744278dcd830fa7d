package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/warning"
	"comfygo/internal/imaging"
)

// ControlNet is the value of CONTROL_NET links: a network that steers a diffusion model by an image. It is immutable.
type ControlNet struct {
	rt   *Runtime
	file *file
	// base is the file whose weights were added to those of file, or nil.
	base *file
	net  family.ControlNetwork
	// pooled reports that residuals are means over the image.
	pooled bool
	types  []int
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
	stem := strings.TrimSuffix(path, filepath.Ext(path))
	pooled := strings.HasSuffix(stem, "_shuffle") || strings.HasSuffix(stem, "_shuffle_fp16") // as upstream tells them
	return &ControlNet{rt: rt, file: f, net: net, pooled: pooled}, nil
}

// Difference reports that the weights are differences to those of a diffusion model, and that none was added yet.
func (n *ControlNet) Difference() bool {
	d, ok := n.net.(family.Difference)
	return ok && d.Difference()
}

// Added returns the network with the weights of a diffusion model, adapters included, added to its own if these are
// differences, or unchanged otherwise.
func (n *ControlNet) Added(m *Model) (*ControlNet, error) {
	if !n.Difference() {
		return n, nil
	}
	src, err := m.loras.Whole(diffusionPart, m.net.Weights())
	if err != nil {
		return nil, err
	}
	c := *n
	if c.net, err = n.net.(family.Difference).Added(src); err != nil {
		return nil, fmt.Errorf("adding the weights of %s to %s: %w", m.file.Path, n.file.Path, err)
	}
	c.base = m.file
	return &c, nil
}

// WithTypes returns a union network with the given hint types, which are limited only by the number of types that it knows.
// For other networks ok is false.
func (n *ControlNet) WithTypes(types ...int) (net *ControlNet, ok bool, err error) {
	u, ok := n.net.(family.Types)
	if !ok || u.Types() == 0 {
		return n, false, nil
	}
	for _, t := range types {
		if t >= u.Types() {
			return nil, true, fmt.Errorf("setting the type of the ControlNet %s: it knows %d types and this one is number %d: use a union network of more types", n.file.Path, u.Types(), t+1)
		}
	}
	c := *n
	c.types = types
	return &c, true, nil
}

// Masked reports that the network reads a mask beside the image.
func (n *ControlNet) Masked() bool { return n.net.Hint().Mask }

// Control is a ControlNet with its image, as conditioning entries hold it. It is immutable.
type Control struct {
	net *ControlNet
	ControlOptions
	hint *tensor.Tensor // [B,C,H,W] in 0…1

	mu     sync.Mutex
	scaled *tensor.Tensor // hint in the size that was asked for last
	// constant are the residuals of constantOf, a scaled hint, where the network runs once.
	constant   *family.Residuals
	constantOf *tensor.Tensor
}

// ControlOptions configure a ControlNet.
type ControlOptions struct {
	// Strength multiplies the residuals of the network.
	Strength float64
	// Start and End bound the part of the sampling in which it acts, from 0 (noise) to 1 (image).
	Start, End float64
	// VAE encodes the image for networks that read latents.
	VAE *VAE
	// Mask, when set, is [B,H,W] of any size for networks that read one: 1 where the image counts. Without it all of it does.
	Mask *tensor.Tensor
	// Previous, when set, acts together with this one.
	Previous *Control
}

// ErrNoVAE is returned by With where a VAE is missing.
var ErrNoVAE = errors.New("this ControlNet reads latents: connect a VAE to an Apply ControlNet node that takes one")

// With returns the network with images [B,H,W,C] in 0…1.
func (n *ControlNet) With(images *tensor.Tensor, o ControlOptions) (*Control, error) {
	h := n.net.Hint()
	if images == nil || len(images.Shape) != 4 || images.Dim(0) == 0 || images.Dim(1) == 0 || images.Dim(2) == 0 || images.Dim(3) < h.Channels {
		var shape []int
		if images != nil {
			shape = images.Shape
		}
		return nil, fmt.Errorf("using images of shape %v for a ControlNet: it takes %d channels", shape, h.Channels)
	}
	if h.Latent != nil {
		if o.VAE == nil {
			return nil, fmt.Errorf("using the ControlNet %s: %w", n.file.Path, ErrNoVAE)
		}
		if got := o.VAE.LatentChannels(); got != h.Latent.Channels {
			return nil, fmt.Errorf("using the ControlNet %s: it reads latents of %d channels and the VAE makes %d: connect the VAE of %s", n.file.Path, h.Latent.Channels, got, n.net.Steers())
		}
	}
	hint := planar(images)
	switch {
	case h.Channels == 1 && hint.Dim(1) > 1: // the mean is taken after the scaling, which is linear
		hint = meanOfChannels(hint)
	case hint.Dim(1) > h.Channels && h.Latent == nil:
		return nil, fmt.Errorf("using images of %d channels for a ControlNet: it takes %d", hint.Dim(1), h.Channels)
	}
	return &Control{net: n, hint: hint, ControlOptions: o}, nil
}

// meanOfChannels returns [B,1,H,W] of [B,C,H,W].
func meanOfChannels(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(x.Dim(0), 1, x.Dim(2), x.Dim(3))
	cells, channels := x.Dim(2)*x.Dim(3), x.Dim(1)
	for b := range x.Dim(0) {
		from, to := x.Index(b).Data, out.Index(b).Data
		for i := range to {
			sum := float32(0)
			for c := range channels {
				sum += from[c*cells+i]
			}
			to[i] = sum / float32(channels)
		}
	}
	return out
}

// controlText is the text encoding that ControlNets read in place of the model's.
func controlText(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Control == nil && !r.Negative { // the negative side may be lent one
		return nil, nil
	}
	text, err := sampling.Value[*tensor.Tensor](c, sampling.KeyControlText)
	if err != nil || text == nil {
		return nil, err
	}
	if _, err := sampling.Value[*tensor.Tensor](c, sampling.KeyControlPooled); err != nil {
		return nil, err
	}
	return []sampling.Input{{Name: sampling.InputControlText, Value: text, Rule: sampling.ByTokens}}, nil
}

// residuals are the sum of the residuals of a call's ControlNets, or nil if none acts at the call's sigma.
func (m *Model) residuals(ctx context.Context, call family.Call) (*family.Residuals, error) {
	c, ok := call.Inputs.Control.(*Control)
	if !ok || c == nil {
		return nil, nil
	}
	steered, ok := m.net.(family.Steered)
	if !ok {
		return nil, fmt.Errorf("running the model with the ControlNet %s: %s models cannot be steered by one; remove the ControlNet, or load a model of its family", c.net.file.Path, m.family.Name())
	}
	return c.at(ctx, m, steered, call)
}

// at runs the networks that act at the sigma of a call; nil if none does. Upstream: ControlNet.get_control.
func (c *Control) at(ctx context.Context, m *Model, steered family.Steered, call family.Call) (*family.Residuals, error) {
	var sum *family.Residuals
	if c.Previous != nil {
		var err error
		if sum, err = c.Previous.at(ctx, m, steered, call); err != nil {
			return nil, err
		}
	}
	sigma := call.Inputs.Sigma
	if sigma > float32(m.sampling.PercentToSigma(c.Start)) || sigma < float32(m.sampling.PercentToSigma(c.End)) {
		return sum, nil
	}
	own, err := c.run(ctx, m, call)
	if err == nil {
		own, err = c.fitting(ctx, m, steered, call, own)
	}
	if err != nil {
		return nil, fmt.Errorf("steering the %s model %s by the ControlNet %s, which is for %s: %w; use a ControlNet for %s", m.family.Name(), m.file.Path, c.net.file.Path, c.net.net.Steers(), err, m.family.Name())
	}
	return own.Plus(sum), nil
}

// fitting checks residuals against the model. Of a network whose residuals act one by one those that do not fit are left out,
// which the client is told; beside patches that scale the latent, the model leaves them out.
func (c *Control) fitting(ctx context.Context, m *Model, steered family.Steered, call family.Call, own *family.Residuals) (*family.Residuals, error) {
	p, ok := c.net.net.(family.Partial)
	if !ok {
		return own, steered.CheckResiduals(own)
	}
	fit, left, all, err := p.Fitting(family.ControlCall{Call: call, Model: m.net}, own)
	if err != nil {
		return nil, err
	}
	if call.Patches.Resizes() {
		return own, nil
	}
	switch {
	case left == 0:
	case left < all:
		warning.Add(ctx, fmt.Sprintf("%d of %d features of the ControlNet %s, which is for %s, do not fit the %s model and are left out, as in ComfyUI", left, all, c.net.file.Path, c.net.net.Steers(), m.family.Name()))
	default:
		warning.Add(ctx, fmt.Sprintf("the ControlNet %s, which is for %s, has no effect on the %s model: none of its features fits", c.net.file.Path, c.net.net.Steers(), m.family.Name()))
	}
	return fit, nil
}

// run runs the network and scales its residuals.
func (c *Control) run(ctx context.Context, m *Model, call family.Call) (*family.Residuals, error) {
	r, err := c.raw(ctx, m, call)
	if err != nil {
		return nil, err
	}
	n := c.net
	if n.pooled {
		r = r.Pooled()
	}
	strength := float32(c.Strength)
	if s, ok := n.net.(family.Strengthened); ok {
		strength = s.Strength(strength)
	}
	if strength == 1 {
		return r, nil
	}
	return r.Scaled(strength), nil
}

// raw runs the network, or returns its previous result for the size if the residuals depend on nothing else.
func (c *Control) raw(ctx context.Context, m *Model, call family.Call) (*family.Residuals, error) {
	n, rows, entries := c.net, call.X.Dim(0), max(call.Inputs.Entries, 1)
	in := family.ControlCall{Call: call, Types: n.types, Model: m.net}
	files := []*file{n.file, n.base}
	if b, ok := n.net.(family.Borrower); ok && b.Borrows() {
		files = append(files, m.file)
		var err error
		if in.Base, err = m.loras.Whole(diffusionPart, m.net.Weights()); err != nil {
			return nil, err
		}
	}
	run := n.rt.runner(family.RoleControl, false, files...)
	if k, ok := n.net.(family.Constant); ok && k.Constant() {
		r, err := c.once(ctx, run, in)
		if err != nil {
			return nil, err
		}
		return r.Each(func(t *tensor.Tensor) *tensor.Tensor { return pick(t, rows, entries) }), nil
	}
	hint, err := c.hintFor(ctx, call.X)
	if err != nil {
		return nil, err
	}
	in.Hint = pick(hint, rows, entries)
	return n.net.Residuals(ctx, run, in)
}

// once runs a network whose residuals depend only on the images, with one row for each image.
func (c *Control) once(ctx context.Context, run family.Runner, in family.ControlCall) (*family.Residuals, error) {
	hint, err := c.hintFor(ctx, in.X)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.constant != nil && c.constantOf == hint {
		return c.constant, nil
	}
	in.Hint = hint
	r, err := c.net.net.Residuals(ctx, run, in)
	if err != nil {
		return nil, err
	}
	c.constant, c.constantOf = r, hint
	return r, nil
}

// pick returns the rows of x for a batch of the given number of conditioning entries. Upstream: broadcast_image_to.
func pick(x *tensor.Tensor, rows, entries int) *tensor.Tensor {
	have, each := x.Dim(0), max(rows/entries, 1)
	if have == rows && entries == 1 {
		return x
	}
	out := tensor.New(append([]int{rows}, x.Shape[1:]...)...)
	for i := range rows {
		copy(out.Index(i).Data, x.Index(i%each%have).Data)
	}
	return out
}

// hintFor returns the images in the size for a latent x [N,C,axes…], encoded where the network reads latents. Upstream:
// common_upscale in ControlNet.get_control.
func (c *Control) hintFor(ctx context.Context, x *tensor.Tensor) (*tensor.Tensor, error) {
	h := c.net.net.Hint()
	if len(x.Shape) < 4 {
		return nil, fmt.Errorf("the latent has shape %v, wanted images or videos", x.Shape)
	}
	height, width := x.Dim(-2)*h.Scale, x.Dim(-1)*h.Scale
	if h.Multiple > 1 {
		up := func(n int) int { return (n + h.Multiple - 1) / h.Multiple * h.Multiple }
		height, width = up(height), up(width)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.scaled != nil && c.scaled.Dim(-2) == height && c.scaled.Dim(-1) == width {
		return c.scaled, nil
	}
	side := 1
	if h.Latent != nil {
		side = c.VAE.Downscale()
	}
	method := h.Method
	if method == "" {
		method = "nearest-exact"
	}
	scaled, err := imaging.Upscale(c.hint, width*side, height*side, method, "center")
	if err != nil {
		return nil, fmt.Errorf("scaling the image: %w", err)
	}
	if h.Prepare != nil {
		scaled = scaled.Clone() // it may be the image itself
		h.Prepare(scaled.Data)
	}
	if h.Latent != nil {
		if scaled, err = c.encoded(ctx, scaled); err != nil {
			return nil, err
		}
	}
	c.scaled = scaled
	return scaled, nil
}

// encoded encodes images [B,C,H,W] one by one, which VAEs of videos would take for frames, as latents [B,C,h,w], and puts
// the mask after their channels.
func (c *Control) encoded(ctx context.Context, images *tensor.Tensor) (*tensor.Tensor, error) {
	h := c.net.net.Hint()
	var out *tensor.Tensor
	for b := range images.Dim(0) {
		z, err := c.VAE.Encode(ctx, interleaved(images.Slice(b, b+1)))
		if err != nil {
			return nil, fmt.Errorf("encoding the image: %w", err)
		}
		z = h.Latent.In(z)
		if out == nil {
			out = tensor.New(images.Dim(0), z.Dim(1), z.Dim(-2), z.Dim(-1))
		}
		copy(out.Index(b).Data, z.Data)
	}
	if !h.Mask {
		return out, nil
	}
	return withMask(out, c.Mask)
}

// withMask puts a mask [B,H,W], or ones, after the channels of latents [B,C,H,W].
func withMask(z, mask *tensor.Tensor) (*tensor.Tensor, error) {
	if mask == nil {
		mask = &tensor.Tensor{Shape: []int{1, 1, 1}, Data: []float32{1}}
	}
	planes, err := mask.Reshape(-1, 1, mask.Dim(-2), mask.Dim(-1))
	if err == nil {
		planes, err = imaging.Upscale(planes, z.Dim(-1), z.Dim(-2), "nearest-exact", "center")
	}
	if err != nil {
		return nil, fmt.Errorf("scaling the mask: %w", err)
	}
	out := tensor.New(z.Dim(0), z.Dim(1)+1, z.Dim(2), z.Dim(3))
	for b := range z.Dim(0) {
		row := out.Index(b).Data
		copy(row[copy(row, z.Index(b).Data):], planes.Index(b%planes.Dim(0)).Data)
	}
	return out, nil
}
