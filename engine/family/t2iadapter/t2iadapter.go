// Package t2iadapter is the family of T2I-Adapters (Mou et al. 2023, arXiv:2302.08453) for Stable Diffusion 1.x and XL: small
// networks that compute residuals for a U-Net's input blocks from an image alone, once per run.
package t2iadapter

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/unet"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "T2I-Adapter" }

// Rank implements family.Family: all other families are tried before, as in upstream.
func (kind) Rank() int { return 90 }

// Config describes an adapter.
type Config struct {
	// Channels are the channels of the image, Unshuffle is the side of the blocks of pixels that become channels.
	Channels, Unshuffle int
	// Widths are the channels of each level.
	Widths []int
	// Light reports that levels narrow their channels inside; Blocks is the number of residual blocks of a level.
	Light  bool
	Blocks int
	// Kernel is the side of the residual blocks' second kernel, Strided reports that levels are halved by a convolution.
	Kernel  int
	Strided bool
	// XL reports that the adapter is for Stable Diffusion XL, whose U-Net has one level fewer.
	XL bool
}

// fullBlocks are the residual blocks in a level of a full adapter.
const fullBlocks = 2

// Read implements family.Control. Upstream: controlnet.py load_t2i_adapter.
func (kind) Read(src weights.Source) (family.ControlNetwork, error) {
	src = plain(src)
	s := weights.NewScope(src)
	c := Config{Unshuffle: 8, Kernel: 3}
	var in []int
	switch {
	case s.Has("body.0.in_conv.weight") && s.Has("body.0.out_conv.weight"):
		in = s.Shape("body.0.in_conv.weight")
		c.Light, c.Blocks = true, s.Count("body.0.body")
		for i := range s.Count("body") {
			c.Widths = append(c.Widths, first(s.Shape(fmt.Sprintf("body.%d.out_conv.weight", i))))
		}
	case s.Has("conv_in.weight") && s.Has("body.0.block2.weight"):
		in = s.Shape("conv_in.weight")
		kernel := s.Shape("body.0.block2.weight")
		if len(in) != 4 || len(kernel) != 4 {
			return nil, fmt.Errorf("conv_in.weight is %v and body.0.block2.weight %v, wanted four dimensions", in, kernel)
		}
		c.Widths, c.Blocks, c.Kernel = []int{in[0], 2 * in[0], 4 * in[0], 4 * in[0]}, fullBlocks, kernel[2]
		for i := range s.Count("body") {
			c.Strided = c.Strided || s.Has(fmt.Sprintf("body.%d.down_opt.op.weight", i))
		}
		if in[1] == 256 || in[1] == 768 {
			c.XL, c.Unshuffle = true, 16
		}
	default:
		return nil, nil
	}
	const levels = 4
	if len(in) != 4 || len(c.Widths) != levels || in[1]%(c.Unshuffle*c.Unshuffle) != 0 || in[1] == 0 {
		return nil, fmt.Errorf("its first kernel is %v and it has %d levels, wanted blocks of %d pixels and %d levels", in, len(c.Widths), c.Unshuffle*c.Unshuffle, levels)
	}
	c.Channels = in[1] / (c.Unshuffle * c.Unshuffle)
	return &Network{Config: c, src: src}, nil
}

func first(shape []int) int {
	if len(shape) == 0 {
		return 0
	}
	return shape[0]
}

// plain shows an adapter without the prefix "adapter.", and in its own layout where it is in that of diffusers.
func plain(src weights.Source) weights.Source {
	const prefix = "adapter."
	inside := weights.Sub(src, prefix)
	if len(inside.Names()) == 0 {
		return src
	}
	if _, ok := inside.Lookup("body.0.resnets.0.block1.weight"); !ok {
		return inside
	}
	_, light := inside.Lookup("body.0.out_conv.weight")
	return layout.Renamed(inside, func(n string) string {
		rest, ok := strings.CutPrefix(n, "body.")
		level, rest, dot := strings.Cut(rest, ".")
		i, err := strconv.Atoi(level)
		if !ok || !dot || err != nil {
			return n
		}
		block, part := 0, rest
		inner, resnet := strings.CutPrefix(rest, "resnets.")
		if resnet {
			var number string
			number, part, _ = strings.Cut(inner, ".")
			if block, err = strconv.Atoi(number); err != nil {
				return n
			}
		}
		switch {
		case light && resnet:
			return fmt.Sprintf("body.%d.body.%d.%s", i, block, part)
		case light:
			return n
		}
		return fmt.Sprintf("body.%d.%s", i*fullBlocks+block, part)
	})
}

// Network is an adapter that was read from a file.
type Network struct {
	Config
	src weights.Source
}

var (
	_ family.ControlNetwork = (*Network)(nil)
	_ family.Constant       = (*Network)(nil)
	_ family.Partial        = (*Network)(nil)
)

// pixels is the number of image pixels per latent cell.
const pixels = 8

// Hint implements family.ControlNetwork.
func (n *Network) Hint() family.Hint {
	return family.Hint{Channels: n.Channels, Scale: pixels, Multiple: n.Unshuffle}
}

// Steers implements family.ControlNetwork.
func (n *Network) Steers() string {
	if n.XL {
		return "Stable Diffusion XL"
	}
	return "Stable Diffusion 1.x"
}

// Constant implements family.Constant.
func (*Network) Constant() bool { return true }

// Weights implements family.ControlNetwork.
func (n *Network) Weights() weights.Source { return n.src }

// Fitting implements family.Partial: a feature acts where the U-Net has its channels and its size. Upstream: apply_control in
// openaimodel.py.
func (n *Network) Fitting(c family.ControlCall, r *family.Residuals) (fit *family.Residuals, left, all int, err error) {
	m, ok := c.Model.(*unet.Model)
	if !ok || len(c.X.Shape) != 4 {
		return nil, 0, 0, errors.New("running the T2I-Adapter: the model is of another family")
	}
	fit, left = m.Fitting(c.X, r)
	return fit, left, len(n.Widths), nil
}

// Residuals implements family.ControlNetwork.
func (n *Network) Residuals(ctx context.Context, run family.Runner, c family.ControlCall) (*family.Residuals, error) {
	x := unshuffled(c.Hint, n.Unshuffle)
	const floats = 6 // tensors of the first level that live at a time
	if err := run.Check("running the T2I-Adapter", family.Product(x.Dim(0), x.Dim(2), x.Dim(3), 4, x.Dim(1)+floats*n.Widths[0])); err != nil {
		return nil, err
	}
	h, w := x.Dim(2), x.Dim(3)
	g := family.Graph{Part: "control", Variant: family.Digest(h, w), Build: func(s family.Spec) (*onnx.Graph, error) {
		return n.build(s, h, w)
	}}
	var names []string
	for i := range n.Widths {
		names = append(names, feature(i))
	}
	out, err := run.Run(ctx, g, []family.Value{family.Floats("x", x)}, names...)
	if err != nil {
		return nil, fmt.Errorf("running the T2I-Adapter: %w", err)
	}
	if n.XL {
		input := make([]*tensor.Tensor, 9)
		input[3], input[5], input[8] = out[feature(0)], out[feature(1)], out[feature(2)]
		return &family.Residuals{Input: input, Middle: out[feature(3)]}, nil
	}
	const blocks = 3 // input blocks of a level, of which the last gets the feature
	input := make([]*tensor.Tensor, blocks*len(n.Widths))
	for i := range n.Widths {
		input[blocks*i+blocks-1] = out[feature(i)]
	}
	return &family.Residuals{Input: input}, nil
}

// unshuffled moves the pixels of blocks of side u to channels: [N,C,H,W] becomes [N,C·u·u,H/u,W/u]. Upstream:
// torch.nn.PixelUnshuffle.
func unshuffled(x *tensor.Tensor, u int) *tensor.Tensor {
	h, w := x.Dim(2)/u, x.Dim(3)/u
	out := tensor.New(x.Dim(0), x.Dim(1)*u*u, h, w)
	at := 0
	for b := range x.Dim(0) {
		for c := range x.Dim(1) {
			plane := x.Index(b).Index(c).Data
			for dy := range u {
				for dx := range u {
					for i := range h {
						for k := range w {
							out.Data[at] = plane[(i*u+dy)*x.Dim(3)+k*u+dx]
							at++
						}
					}
				}
			}
		}
	}
	return out
}
