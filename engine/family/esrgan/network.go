package esrgan

import (
	"context"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

func (kind) Name() string { return "ESRGAN" }
func (kind) Rank() int    { return 10 }

// Read implements family.Upscaler.
func (kind) Read(src weights.Source) (family.UpscaleNetwork, error) {
	for _, p := range upscalerPrefixes {
		view := weights.Sub(src, p)
		s := weights.NewScope(view)
		cfg, err := readESRGAN(s)
		if cfg == nil && err == nil {
			cfg, err = readCompact(s)
		}
		if err != nil {
			return nil, err
		}
		if cfg != nil {
			return &Network{Config: *cfg, src: view}, nil
		}
	}
	return nil, nil
}

// Network is an upscale model that was read from a file.
type Network struct {
	Config
	src weights.Source
}

var _ family.UpscaleNetwork = (*Network)(nil)

// Channels implements family.UpscaleNetwork.
func (n *Network) Channels() (in, out int) { return n.In, n.Out }

// Scale implements family.UpscaleNetwork.
func (n *Network) Scale() int { return n.Config.Scale }

// Weights implements family.UpscaleNetwork.
func (n *Network) Weights() weights.Source { return n.src }

// Memory implements family.UpscaleNetwork: five sets of features at the small size, and four at the large.
func (n *Network) Memory(h, w int) int64 {
	small := family.Product(h, w, n.Features, 4, 5) / int64(n.Unshuffle*n.Unshuffle)
	return small + family.Product(h, w, n.Config.Scale, n.Config.Scale, n.Features, 4, 4)/int64(n.Shuffle*n.Shuffle)
}

// Graph is the network's graph.
func (n *Network) Graph() family.Graph {
	return family.Graph{Part: "upscaler", Build: func(s family.Spec) (*onnx.Graph, error) {
		return Graph(n.src, n.Config, s)
	}}
}

// Upscale implements family.UpscaleNetwork. Like the reference, it mirrors the edges of tiles whose sides the network's
// squares of pixels do not divide, and bounds the result to 0…1.
func (n *Network) Upscale(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	h, w := x.Dim(2), x.Dim(3)
	in := x
	if n.ESRGAN() {
		multiple := 1
		if n.Unshuffle > 1 {
			multiple = 4
		}
		const smallest = 2
		in = unshuffled(mirrored(x, roundedUp(max(h, smallest), multiple), roundedUp(max(w, smallest), multiple)), n.Unshuffle)
	}
	out, err := run.Run(ctx, n.Graph(), []family.Value{family.Floats("pixels", in)}, "out")
	if err != nil {
		return nil, err
	}
	y := shuffled(out["out"], n.Shuffle)
	if !n.ESRGAN() { // the compact network adds to the image itself
		addNearest(y, x, n.Config.Scale)
	}
	for i, v := range y.Data {
		y.Data[i] = min(max(v, 0), 1)
	}
	return cut(y, 0, 0, h*n.Config.Scale, w*n.Config.Scale), nil
}
