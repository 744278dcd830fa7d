package sd3

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(controlKind{}) }

// controlKind registers ControlNets of Stable Diffusion 3 and 3.5: those in the layout of diffusers (InstantX, AliMama), whose
// blocks are the model's, and Stability's for 3.5 large (blur, canny, depth), whose blocks read only the image.
type controlKind struct{}

// Name implements family.Family.
func (controlKind) Name() string { return "ControlNet for Stable Diffusion 3" }

// Rank implements family.Family.
func (controlKind) Rank() int { return 40 }

// masked is the number of channels of a hint with a mask.
const masked = 17

// The numbers of Stability's ControlNets, which preprocess images in different ways.
const (
	typeCanny = 1
	typeDepth = 2
)

// ControlNet is a ControlNet that was read from a file.
type ControlNet struct {
	Config
	src weights.Source
	// Blocks are the blocks of the network; the model has Depth.
	Blocks, Depth int
	// Hints are the channels of the hint.
	Hints int
	// Alone reports that the blocks read only the image: Stability's networks.
	Alone bool
	// Twice reports that the pooled text encoding passes the model's embedding before the network's own, and that every block
	// reads the embedded image: networks of that kind do not borrow the embedding of the latent.
	Twice bool
	// Type is the number of one of Stability's networks, 0 for the others.
	Type int
}

var (
	_ family.ControlNetwork = (*ControlNet)(nil)
	_ family.Borrower       = (*ControlNet)(nil)
)

// Read implements family.Control. Upstream: controlnet.py load_controlnet_mmdit, load_controlnet_sd35.
func (controlKind) Read(src weights.Source) (family.ControlNetwork, error) {
	s := weights.NewScope(src)
	hint := s.Shape("pos_embed_input.proj.weight")
	if len(hint) != 4 || !s.Has("controlnet_blocks.0.weight") {
		return nil, nil
	}
	n := &ControlNet{Blocks: s.Count("transformer_blocks"), Hints: hint[1], Alone: s.Has("transformer_blocks.0.adaLN_modulation.1.bias")}
	if n.Alone {
		return n, n.readAlone(src)
	}
	if e := s.Shape("pos_embed.proj.weight"); len(e) != 4 || !s.Has("transformer_blocks.0.attn.add_q_proj.weight") {
		return nil, errors.New("it has no pos_embed.proj.weight or transformer_blocks.0.attn.add_q_proj.weight: it is damaged")
	} else {
		names := Names(n.Blocks, e[0])
		for i := range n.Blocks {
			names.Layer(controlBlock(i), controlBlock(i))
		}
		names.Layer("pos_embed_input.proj", "pos_embed_input.proj")
		n.src = names.View(src)
	}
	var err error
	n.Config, err = ReadConfig(weights.NewScope(n.src))
	n.Depth = n.Hidden / headWidth
	return n, err
}

func controlBlock(i int) string { return fmt.Sprintf("controlnet_blocks.%d", i) }

// basic are the layers outside the blocks, by the beginnings of their names.
var basic = strings.NewReplacer(
	"time_text_embed.timestep_embedder.linear_1.", "t_embedder.mlp.0.", "time_text_embed.timestep_embedder.linear_2.", "t_embedder.mlp.2.",
	"time_text_embed.text_embedder.linear_1.", "y_embedder.mlp.0.", "time_text_embed.text_embedder.linear_2.", "y_embedder.mlp.2.",
	"pos_embed.proj.", "x_embedder.proj.",
)

// readAlone reads one of Stability's networks.
func (n *ControlNet) readAlone(src weights.Source) error {
	n.src = dit.Rename(src, basic.Replace)
	s := weights.NewScope(n.src)
	y := s.Shape("y_embedder.mlp.0.weight")
	hint := s.Shape("pos_embed_input.proj.weight")
	if len(y) != 2 || y[0] < headWidth || y[0]%headWidth != 0 || hint[2] != hint[3] || hint[2] < 1 || hint[0] != y[0] {
		return fmt.Errorf("y_embedder.mlp.0.weight is %v and pos_embed_input.proj.weight %v, wanted heads of %d and square patches", y, hint, headWidth)
	}
	n.Config = Config{Hidden: y[0], Channels: Latent.Channels, Patch: hint[2], Vector: y[1]}
	n.Depth, n.Twice = y[0]/headWidth, y[0] == y[1]
	if e, ok := src.Lookup("control_type"); ok {
		v, err := weights.Float32s(e)
		if err != nil {
			return err
		}
		if len(v) == 1 {
			n.Type = int(v[0] + 0.5)
		}
	}
	return nil
}

// unshifted is the latent format of hints of networks in the layout of diffusers.
var unshifted = func() sampling.LatentFormat {
	f := Latent
	f.Shift = 0
	return f
}()

// Hint implements family.ControlNetwork.
func (n *ControlNet) Hint() family.Hint {
	const rgb = 3
	if !n.Alone {
		return family.Hint{Channels: rgb, Scale: 1, Latent: &unshifted, Mask: n.Hints == masked}
	}
	h := family.Hint{Channels: rgb, Scale: 1, Latent: &Latent}
	switch n.Type {
	case typeCanny:
		h.Prepare = each(func(v float32) float32 { return v*255*0.5 + 0.5 })
	case typeDepth:
		h.Prepare = each(func(v float32) float32 { return 1 - v })
	}
	return h
}

func each(f func(float32) float32) func([]float32) {
	return func(pixels []float32) {
		for i, v := range pixels {
			pixels[i] = f(v)
		}
	}
}

// Steers implements family.ControlNetwork.
func (n *ControlNet) Steers() string {
	const large = 38
	if n.Depth == large {
		return "Stable Diffusion 3.5 large"
	}
	return "Stable Diffusion 3"
}

// Borrows implements family.Borrower.
func (n *ControlNet) Borrows() bool { return n.Alone }

// Weights implements family.ControlNetwork.
func (n *ControlNet) Weights() weights.Source { return n.src }

// borrowed shows the network's tensors together with those borrowed from the model, and identifies the latter.
func (n *ControlNet) borrowed(base weights.Source) (weights.Source, string, error) {
	layer, to := "x_embedder.proj.", "x_embedder.proj."
	if n.Twice {
		layer, to = "y_embedder.", "orig_y_embedder."
	}
	if base == nil {
		return nil, "", errors.New("running the ControlNet: it needs the model")
	}
	from := map[string]string{}
	id := ""
	for _, name := range base.Names() {
		if rest, ok := strings.CutPrefix(name, layer); ok {
			from[to+rest] = name
			if e, ok := base.Lookup(name); ok {
				id += e.Key()
			}
		}
	}
	if len(from) == 0 {
		return nil, "", fmt.Errorf("running the ControlNet: the model has no %s, which the network takes from it", layer)
	}
	return dit.Overlay(n.src, base, from), id, nil
}

// Residuals implements family.ControlNetwork.
func (n *ControlNet) Residuals(ctx context.Context, run family.Runner, c family.ControlCall) (*family.Residuals, error) {
	m, ok := c.Model.(*Model)
	text, y := c.Text(), c.Inputs.Get(inputVector)
	if c.Model != nil && !ok || len(c.X.Shape) != 4 || c.X.Dim(1) != n.Channels || text == nil || n.Context > 0 && text.Dim(-1) != n.Context || n.Vector > 0 && y == nil {
		return nil, fmt.Errorf("running the ControlNet: it is for a model of another family (%d latent channels)", n.Channels)
	}
	if m != nil && m.Hidden != n.Hidden {
		return nil, fmt.Errorf("running the ControlNet: it is for a model of width %d, and this one has %d", n.Hidden, m.Hidden)
	}
	rows := c.X.Dim(0)
	if len(c.T) != rows || len(y.Shape) != 2 || y.Dim(0) != rows || !n.Twice && y.Dim(1) != n.Vector {
		return nil, fmt.Errorf("running the ControlNet: %d timesteps and a pooled text encoding of shape %v for %d rows, wanted %d values", len(c.T), y.Shape, rows, n.Vector)
	}
	x, err := tensor.WrapTo(c.X, n.Patch)
	if err != nil {
		return nil, err
	}
	hint, err := tensor.WrapTo(c.Hint, n.Patch)
	if err != nil {
		return nil, err
	}
	src, borrowed := n.src, ""
	if n.Alone {
		if src, borrowed, err = n.borrowed(c.Base); err != nil {
			return nil, err
		}
	}
	in := []family.Value{family.Floats("x", x), family.Floats("hint", hint), family.Vector("timesteps", c.T), family.Floats("y", y)}
	if !n.Alone {
		if err := dit.CheckText(text, rows, n.Context); err != nil {
			return nil, err
		}
		in[3] = family.Floats("y", tensor.New(y.Shape...)) // the networks were trained without it
		in = append(in, family.Floats("context", text))
	}
	grid := dit.GridOf(c.X.Shape, n.Patch)
	if !n.Twice {
		pos, err := n.Positions(src, grid)
		if err != nil {
			return nil, err
		}
		in = append(in, family.Floats("pos", pos))
	}
	const floats = 16
	if err := run.Check("running the ControlNet", family.Product(rows, grid.Tokens()+text.Dim(1), n.Hidden, 4, floats+n.Blocks)); err != nil {
		return nil, err
	}
	var outputs []string
	for i := range n.Blocks {
		outputs = append(outputs, Residual(i))
	}
	g := family.Graph{Part: "control", Variant: family.Digest(borrowed, y.Dim(1)), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("sd3 controlnet", src, func(b *nn.Builder, s *weights.Scope) { n.write(b, s, y.Dim(1)) })
	}}
	out, err := run.Run(ctx, g, in, outputs...)
	if err != nil {
		return nil, fmt.Errorf("running the ControlNet: %w", err)
	}
	var own []*tensor.Tensor
	for i := range n.Blocks {
		own = append(own, out[Residual(i)])
	}
	return &family.Residuals{Output: n.spread(own)}, nil
}

// spread repeats residuals for the blocks of the model. Upstream leaves the model's last block without one where the blocks
// are the model's.
func (n *ControlNet) spread(own []*tensor.Tensor) []*tensor.Tensor {
	if n.Alone {
		return dit.Spread(own, (n.Depth+n.Blocks-1)/n.Blocks*n.Blocks, false)
	}
	var out []*tensor.Tensor
	for i, t := range own {
		count := n.Depth / n.Blocks
		if i == n.Blocks-1 {
			count--
		}
		for range count {
			out = append(out, t)
		}
	}
	return out
}

// write writes the graph. Inputs are those of Write and hint [B,C,h·p,w·p], without context where the blocks read only the
// image; vector is the width of y. Outputs are the residuals added after the blocks. Upstream: cldm/mmdit.py,
// cldm/dit_embedder.py.
func (n *ControlNet) write(b *nn.Builder, s *weights.Scope, vector int) {
	w := &writer{Builder: b, Config: n.Config, s: s}
	latent, tokens := dit.LatentInput(b, n.Channels, n.Patch)
	x := dit.PatchEmbed(b, s.At("x_embedder", "proj"), latent, n.Hidden, n.Patch)
	if !n.Twice {
		x = b.Add(x, dit.Input(b, "pos", onnx.D(1), tokens, onnx.D(n.Hidden)))
	}
	rows, p := onnx.Sym("B"), onnx.D(n.Patch)
	hint := dit.Input(b, "hint", rows, onnx.D(n.Hints), onnx.Sym("h").Times(p), onnx.Sym("w").Times(p))
	x = b.Add(x, dit.PatchEmbed(b, s.At("pos_embed_input", "proj"), hint, n.Hidden, n.Patch))
	w.vec = dit.TimeMLP(b, s.At("t_embedder"), b.Input("timesteps", dtype.F32, rows), 1, n.Hidden, "mlp.0", "mlp.2")
	y := dit.Input(b, "y", rows, onnx.D(vector))
	if n.Twice {
		y = dit.MLP(b, s.At("orig_y_embedder"), y, n.Hidden, n.Hidden, "mlp.0", "mlp.2")
	}
	w.vec = b.SiLU(b.Add(w.vec, dit.MLP(b, s.At("y_embedder"), y, n.Hidden, n.Hidden, "mlp.0", "mlp.2")))
	var context *onnx.Value
	if !n.Alone {
		context = b.Linear(s.At("context_embedder"), dit.Input(b, "context", rows, onnx.Sym("T"), onnx.D(n.Context)), n.Hidden)
	}
	for i := range n.Blocks {
		var y *onnx.Value
		if n.Alone {
			y = w.alone(s.At("transformer_blocks").Index(i), x)
		} else {
			context, y = w.block(s.At("joint_blocks").Index(i), context, x)
		}
		if !n.Twice {
			x = y
		}
		dit.Output(b, Residual(i), b.Linear(s.At(controlBlock(i)), y, n.Hidden))
	}
}

// alone writes a block that reads only the image.
func (w *writer) alone(s *weights.Scope, x *onnx.Value) *onnx.Value {
	m := w.modulation(s, 6)
	y := w.JointAttention(w.attention(), nil, w.stream(s.At("attn"), w.Modulate(x, m[0], m[1], epsilon)))[0]
	x = w.Gated(x, w.Linear(s.At("attn", "proj"), y, w.Hidden), m[2])
	return w.feedForward(s, x, m[3:6])
}
