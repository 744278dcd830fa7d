package cascade

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(controlKind{}) }

// controlKind registers the ControlNets of stage C.
type controlKind struct{}

// Name implements family.Family.
func (controlKind) Name() string { return "Stable Cascade ControlNet" }

// Rank implements family.Family: upstream asks for them after T2I-Adapters.
func (controlKind) Rank() int { return 95 }

// controlBlocks are the residual blocks of stage C that the projections of a ControlNet add to, in order.
var controlBlocks = []int{0, 4, 8, 12, 51, 55, 59, 63}

// Read implements family.Control. Upstream: controlnet.py load_t2i_adapter, ldm/cascade/controlnet.py.
func (controlKind) Read(src weights.Source) (family.ControlNetwork, error) {
	s := weights.NewScope(src)
	n := &Control{src: src}
	first := "backbone.0.0.weight"
	if s.Has("backbone.10.blocks.0.weight") {
		n.Large, first = true, "backbone.0.weight"
	}
	if !s.Has(first) || !s.Has("projections.0.0.weight") {
		return nil, nil
	}
	in, last := s.Shape(first), s.Shape("projections.0.2.weight")
	if n.Projections = s.Count("projections"); len(in) != 4 || in[1] < 1 || len(last) != 4 || n.Projections > len(controlBlocks) {
		return nil, fmt.Errorf("its first kernel is %v, its last %v and it has %d projections, wanted at most %d", in, last, n.Projections, len(controlBlocks))
	}
	n.Channels, n.Width = in[1], last[0]
	return n, nil
}

// ControlConfig describes a ControlNet.
type ControlConfig struct {
	// Channels are the channels of the image, Width is the number of channels of the residuals. Large reports that the image is
	// a latent of the size of stage C's, for super-resolution.
	Channels, Width, Projections int
	Large                        bool
}

// Control is a ControlNet of stage C that was read from a file.
type Control struct {
	ControlConfig
	src weights.Source
}

var (
	_ family.ControlNetwork = (*Control)(nil)
	_ family.Constant       = (*Control)(nil)
	_ family.Steered        = (*Model)(nil)
)

// Hint implements family.ControlNetwork.
func (n *Control) Hint() family.Hint {
	const multiple = 8
	if n.Large {
		return family.Hint{Channels: n.Channels, Scale: 1, Multiple: multiple}
	}
	return family.Hint{Channels: n.Channels, Scale: 32, Multiple: multiple, Method: "bilinear"}
}

// Steers implements family.ControlNetwork.
func (*Control) Steers() string { return "Stable Cascade stage C" }

// Constant implements family.Constant.
func (*Control) Constant() bool { return true }

// Weights implements family.ControlNetwork.
func (n *Control) Weights() weights.Source { return n.src }

func controlInput(block int) string { return "control." + strconv.Itoa(block) }

// Residuals implements family.ControlNetwork: element i of Input is added to residual block i of stage C.
func (n *Control) Residuals(ctx context.Context, run family.Runner, c family.ControlCall) (*family.Residuals, error) {
	if _, ok := c.Model.(*Model); c.Model != nil && !ok {
		return nil, errors.New("running the ControlNet: the model is of another family")
	}
	h := c.Hint
	floats := 64 // a pixel, of the first stages
	if n.Large {
		floats = 1 << 15 // a cell
	}
	if err := run.Check("running the ControlNet", family.Product(h.Dim(0), h.Dim(2), h.Dim(3), 4, floats)); err != nil {
		return nil, err
	}
	var names []string
	for _, block := range controlBlocks[:n.Projections] {
		names = append(names, controlInput(block))
	}
	out, err := run.Run(ctx, family.Graph{Part: "control", Build: n.build}, []family.Value{family.Floats("x", h)}, names...)
	if err != nil {
		return nil, fmt.Errorf("running the ControlNet: %w", err)
	}
	input := make([]*tensor.Tensor, controlBlocks[n.Projections-1]+1)
	for i, block := range controlBlocks[:n.Projections] {
		input[block] = out[names[i]]
	}
	return &family.Residuals{Input: input}, nil
}

// build writes the network for an input x [B,C,h,w]: the features of EfficientNetV2-S, or of residual blocks over a latent, and
// two convolutions over the channels for each block of stage C.
func (n *Control) build(spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("cascade control", foldedNorms(n.src), func(b *nn.Builder, s *weights.Scope) {
		w := &layers{writer{Builder: b, batch: onnx.Sym("B")}}
		side := onnx.D(1)
		if !n.Large {
			side = onnx.D(8)
		}
		x := w.input("x", onnx.D(n.Channels), onnx.Sym("h").Times(side), onnx.Sym("w").Times(side))
		if n.Large {
			x = w.residuals(s.At("backbone"), x)
		} else {
			x = w.features(s.At("backbone"), x)
		}
		for i, block := range controlBlocks[:n.Projections] {
			p := s.At("projections").Index(i)
			y := w.plain(p.At("2"), w.LeakyRelu(w.plain(p.At("0"), x), leak))
			w.Output(controlInput(block), w.Cast(y, dtype.F32))
		}
	})
}

// leak is the slope of LeakyReLU below zero.
const leak = 0.2

// residuals are the convolutions and residual blocks over a latent.
func (w *layers) residuals(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const eps = 1e-5
	const layers = 12 // among them the activation, which has no weights
	for i := range layers {
		switch l := s.Index(i); {
		case l.Has("blocks.2.weight"):
			y := x
			for j := 0; j < 6; j += 3 {
				t := w.LayerNorm(l.At("blocks").Index(j), w.ToTokens(y), eps)
				y = w.plain(l.At("blocks").Index(j+2), w.Gelu(w.FromTokens(t, y), false))
			}
			x = w.Add(x, y)
		case l.Has("weight"):
			if x = w.plain(l, x); i == 0 {
				x = w.LeakyRelu(x, leak)
			}
		}
	}
	return x
}

// residualBlocks is the number of residual blocks of the network with their repetitions.
func (m *Model) residualBlocks() int {
	s, n := weights.NewScope(m.Source), 0
	for _, side := range []string{"down", "up"} {
		for i := range len(m.Widths) {
			blocks, own := s.At(side+"_blocks").Index(i), 0
			for j := range blocks.Count("") {
				if blocks.Index(j).Has("depthwise.weight") {
					own++
				}
			}
			n += own * (s.At(side+"_repeat_mappers").Index(i).Count("") + 1)
		}
	}
	return n
}

// CheckResiduals implements family.Steered.
func (m *Model) CheckResiduals(r *family.Residuals) error {
	if !m.Prior { // see Predict
		return nil
	}
	for _, i := range family.Places(r.Input, m.residualBlocks()) {
		if t := r.Input[i]; len(t.Shape) != 4 || !slices.Contains(m.Widths, t.Dim(1)) {
			return fmt.Errorf("it adds %v to a block, the model has %v channels", t.Shape, m.Widths)
		}
	}
	if r.Middle != nil || len(r.Output) > 0 {
		return errors.New("it adds to blocks that the model does not have")
	}
	return nil
}
