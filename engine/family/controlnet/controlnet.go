// Package controlnet is the family of ControlNets of Stable Diffusion (Zhang et al. 2023, arXiv:2302.05543): the input half
// of a U-Net, which reads an image in addition to the latent and returns residuals for the output half.
package controlnet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/unet"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "ControlNet for Stable Diffusion 1.x, 2.x and XL" }
func (kind) Rank() int    { return 10 }

// Config describes a ControlNet.
type Config struct {
	// UNet is the half's shape; it has no OutChannels.
	UNet unet.Config
	// HintChannels are the channels of the image.
	HintChannels int
	// Blocks is the number of outputs besides the middle block's.
	Blocks int
	// Types is the number of hint types of a union network, 0 for a network of one type.
	Types int
}

// hintScale is the number of image pixels per latent cell.
const hintScale = 8

// prefixes are the places where a ControlNet's keys begin.
var prefixes = []string{"control_model.", ""}

// Read implements family.Control: a ControlNet in its own layout or in that of diffusers.
func (kind) Read(src weights.Source) (family.ControlNetwork, error) {
	for _, p := range prefixes {
		view := layout.ControlNet(weights.Sub(src, p))
		if _, ok := view.Lookup("zero_convs.0.0.weight"); !ok {
			continue
		}
		cfg, err := read(weights.NewScope(view))
		if err != nil {
			return nil, err
		}
		_, difference := src.Lookup("difference")
		return &Network{Config: cfg, src: view, difference: difference && p != ""}, nil
	}
	return nil, nil
}

// The text widths that identify the families.
const (
	text1  = 768
	text2  = 1024
	textXL = 2048
)

// vectorXL is the width of the vector that SDXL reads.
const vectorXL = 2816

func read(s *weights.Scope) (Config, error) {
	half, err := unet.ReadHalf(s)
	if err != nil {
		return Config{}, err
	}
	switch {
	case half.ContextDim == text1 && half.ModelChannels == 320 && half.AdmChannels == 0:
		half.Heads = 8
	case half.ContextDim == textXL && half.AdmChannels > 0, half.ContextDim == text2:
		half.HeadChannels = 64
	case half.ContextDim == 0 && half.AdmChannels == vectorXL: // diffusers' small one, which does not attend
		half.ContextDim, half.HeadChannels = textXL, 64
	default:
		return Config{}, fmt.Errorf("it (width %d, text width %d) is for no known family", half.ModelChannels, half.ContextDim)
	}
	hint := s.Shape("input_hint_block.0.weight")
	if len(hint) != 4 {
		return Config{}, fmt.Errorf("input_hint_block.0.weight is %v, wanted four dimensions", hint)
	}
	c := Config{UNet: half, HintChannels: hint[1], Blocks: s.Count("input_blocks")}
	if s.Has("control_add_embedding.linear_1.bias") {
		table := s.Shape("task_embedding")
		if len(table) != 2 || table[0] == 0 {
			return Config{}, fmt.Errorf("task_embedding is %v, wanted a vector for each type of hint", table)
		}
		c.Types = table[0]
	}
	return c, nil
}

// Network is a ControlNet that was read from a file.
type Network struct {
	Config
	src weights.Source
	// difference reports that the weights are differences to those of a diffusion model.
	difference bool
	// variant identifies weights that do not follow from the file alone.
	variant string
}

var (
	_ family.ControlNetwork = (*Network)(nil)
	_ family.Types          = (*Network)(nil)
	_ family.Difference     = (*Network)(nil)
	_ family.Partial        = (*Network)(nil)
)

// Hint implements family.ControlNetwork.
func (n *Network) Hint() family.Hint { return family.Hint{Channels: n.HintChannels, Scale: hintScale} }

// Steers implements family.ControlNetwork.
func (n *Network) Steers() string {
	switch n.UNet.ContextDim {
	case text1:
		return "Stable Diffusion 1.x"
	case text2:
		return "Stable Diffusion 2.x"
	}
	return "Stable Diffusion XL"
}

// Types implements family.Types.
func (n *Network) Types() int { return n.Config.Types }

// Difference implements family.Difference.
func (n *Network) Difference() bool { return n.difference }

// Added implements family.Difference. Weights that the model lacks are unchanged, as in upstream.
func (n *Network) Added(base weights.Source) (family.ControlNetwork, error) {
	var patches []patch.Patch
	for _, name := range n.src.Names() {
		own, ok := n.src.Lookup(name)
		other, both := base.Lookup(name)
		if !ok || !both {
			continue
		}
		if !slices.Equal(own.Shape, other.Shape) {
			return nil, fmt.Errorf("%s is %v, and %v in the model: the ControlNet is for %s", name, own.Shape, other.Shape, n.Steers())
		}
		patches = append(patches, patch.Patch{Target: patch.Target{Key: name}, Adapter: &patch.Diff{Delta: other}})
	}
	if len(patches) == 0 {
		return nil, fmt.Errorf("the model has none of its weights: the ControlNet is for %s", n.Steers())
	}
	src, err := patch.Stack{}.With(patch.NewFile(n.src.Path(), patches), 1).Whole("", n.src)
	if err != nil {
		return nil, err
	}
	return &Network{Config: n.Config, src: src, variant: digest(src)}, nil
}

// digest identifies the tensors of a source, computed ones too.
func digest(src weights.Source) string {
	h := sha256.New()
	for _, name := range src.Names() {
		if e, ok := src.Lookup(name); ok {
			fmt.Fprintf(h, "%s\x00%s\x00", name, e.Key())
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:20])
}

// Weights implements family.ControlNetwork.
func (n *Network) Weights() weights.Source { return n.src }

// Residuals implements family.ControlNetwork.
func (n *Network) Residuals(ctx context.Context, run family.Runner, c family.ControlCall) (*family.Residuals, error) {
	text := c.Text()
	if len(c.X.Shape) != 4 || c.X.Dim(1) != n.UNet.InChannels || text == nil || text.Dim(-1) != n.UNet.ContextDim || n.UNet.AdmChannels > 0 != (c.Inputs.Get(unet.InputVector) != nil) {
		return nil, fmt.Errorf("running the ControlNet: it is for a model of another family (%d latent channels, text width %d)", n.UNet.InChannels, n.UNet.ContextDim)
	}
	call := c.Call
	call.Inputs.List = append([]sampling.Input{{Name: sampling.InputContext, Value: text}}, call.Inputs.List...) // the first of a name counts
	if err := n.UNet.CheckInputs("running the ControlNet", c.X.Dim(0), call); err != nil {
		return nil, err
	}
	if err := run.Check("running the ControlNet", n.Memory(c.X.Shape)); err != nil {
		return nil, err
	}
	in := append(n.UNet.Values(c.X, call), family.Floats("hint", c.Hint))
	told := n.Config.Types > 0 && len(c.Types) > 0
	if n.Config.Types > 0 {
		in = append(in, typeValues(n.Config.Types, c.Types)...)
	}
	names := make([]string, 0, n.Blocks+1)
	for i := range n.Blocks {
		names = append(names, unet.Residual(i))
	}
	g := family.Graph{Part: "control", Variant: family.Digest(n.variant, told), Build: func(s family.Spec) (*onnx.Graph, error) {
		return Graph(n.src, n.Config, told, s)
	}}
	out, err := run.Run(ctx, g, in, append(names, unet.ResidualMiddle)...)
	if err != nil {
		return nil, fmt.Errorf("running the ControlNet: %w", err)
	}
	r := &family.Residuals{Middle: out[unet.ResidualMiddle]}
	for _, name := range names {
		r.Output = append(r.Output, out[name])
	}
	if m, ok := c.Model.(*unet.Model); ok {
		r.Output = m.AtSkips(r.Output)
	}
	return r, nil
}

// Fitting implements family.Partial: an output acts where the U-Net's skip connection has its channels and its size. Upstream:
// apply_control in openaimodel.py.
func (n *Network) Fitting(c family.ControlCall, r *family.Residuals) (fit *family.Residuals, left, all int, err error) {
	m, ok := c.Model.(*unet.Model)
	if !ok || len(c.X.Shape) != 4 {
		return nil, 0, 0, errors.New("running the ControlNet: the model is of another family")
	}
	fit, _ = m.Fitting(c.X, r)
	all = n.Blocks + 1
	left = all - len(family.Places(fit.Output, len(fit.Output)))
	if fit.Middle != nil {
		left--
	}
	return fit, left, all, nil
}

// Memory estimates the bytes of activations for latents [N,C,H,W]: those of the input half of a U-Net, of which the hint's
// first layers, 16 channels at the size of the image, are the larger part for small widths.
func (n *Network) Memory(shape []int) int64 {
	const floats, hint = 24, 3 * 16 * hintScale * hintScale
	cells := family.Product(shape[0], shape[2], shape[3], 4)
	return cells * int64(floats*n.UNet.ModelChannels+hint)
}
