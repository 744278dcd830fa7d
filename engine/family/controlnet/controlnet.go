// Package controlnet is the family of ControlNets of Stable Diffusion (Zhang et al. 2023, arXiv:2302.05543): the input half
// of a U-Net, which sees an image beside the latent and gives what is added to the output half.
package controlnet

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/unet"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
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
	// HintChannels are those of the image.
	HintChannels int
	// Blocks is the number of outputs besides the middle block's.
	Blocks int
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
		return &Network{Config: cfg, src: view}, nil
	}
	return nil, nil
}

func read(s *weights.Scope) (Config, error) {
	half, err := unet.ReadHalf(s)
	if err != nil {
		return Config{}, err
	}
	switch {
	case half.ContextDim == 768 && half.ModelChannels == 320 && half.AdmChannels == 0:
		half.Heads = 8
	case half.ContextDim == 2048 && half.AdmChannels > 0:
		half.HeadChannels = 64
	case half.ContextDim == 1024:
		half.HeadChannels = 64
	default:
		return Config{}, fmt.Errorf("it (width %d, text width %d) is for no known family", half.ModelChannels, half.ContextDim)
	}
	hint := s.Shape("input_hint_block.0.weight")
	if len(hint) != 4 {
		return Config{}, fmt.Errorf("input_hint_block.0.weight is %v, wanted four dimensions", hint)
	}
	return Config{UNet: half, HintChannels: hint[1], Blocks: s.Count("input_blocks")}, nil
}

// Network is a ControlNet that was read from a file.
type Network struct {
	Config
	src weights.Source
}

var _ family.ControlNetwork = (*Network)(nil)

// Hint implements family.ControlNetwork.
func (n *Network) Hint() family.Hint { return family.Hint{Channels: n.HintChannels, Scale: hintScale} }

// Weights implements family.ControlNetwork.
func (n *Network) Weights() weights.Source { return n.src }

// Graph is the network's graph.
func (n *Network) Graph() family.Graph {
	return family.Graph{Part: "control", Build: func(s family.Spec) (*onnx.Graph, error) { return Graph(n.src, n.Config, s) }}
}

// Residuals implements family.ControlNetwork.
func (n *Network) Residuals(ctx context.Context, run family.Runner, c family.Call, hint *tensor.Tensor) (*family.Residuals, error) {
	text := c.Inputs.Get(sampling.InputContext)
	if c.X.Dim(1) != n.UNet.InChannels || text == nil || text.Dim(2) != n.UNet.ContextDim || n.UNet.AdmChannels > 0 != (c.Inputs.Get(unet.InputVector) != nil) {
		return nil, fmt.Errorf("running a ControlNet: it is for a model of another family (%d latent channels, text width %d)", n.UNet.InChannels, n.UNet.ContextDim)
	}
	if err := n.UNet.CheckInputs("running a ControlNet", c.X.Dim(0), c); err != nil {
		return nil, err
	}
	names := make([]string, 0, n.Blocks+1)
	for i := range n.Blocks {
		names = append(names, unet.Residual(i))
	}
	out, err := run.Run(ctx, n.Graph(), append(n.UNet.Values(c.X, c), family.Floats("hint", hint)), append(names, unet.ResidualMiddle)...)
	if err != nil {
		return nil, fmt.Errorf("running a ControlNet: %w", err)
	}
	r := &family.Residuals{Middle: out[unet.ResidualMiddle]}
	for _, name := range names {
		r.Blocks = append(r.Blocks, out[name])
	}
	return r, nil
}
