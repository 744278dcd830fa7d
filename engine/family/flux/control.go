package flux

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(controlKind{}) }

// controlKind registers ControlNets of Flux.1: those of InstantX, Shakker and AliMama in the layout of diffusers, which read
// latents, and those of XLabs and MistoLine, which read images.
type controlKind struct{}

// Name implements family.Family.
func (controlKind) Name() string { return "ControlNet for Flux.1" }

// Rank implements family.Family.
func (controlKind) Rank() int { return 20 }

// The blocks of Flux.1, for which ControlNets of fewer make residuals.
const (
	modelDouble = 19
	modelSingle = 38
)

// ControlConfig describes a ControlNet.
type ControlConfig struct {
	Config
	// Depth and Singles count the blocks of each kind.
	Depth, Singles int
	// Latent is the number of channels of the hint's latent, a mask among them; 0 for a network that reads the image.
	Latent int
	// Misto reports that the network is of MistoLine's kind.
	Misto bool
	// Modes is the number of kinds of hints that a union network knows.
	Modes int
}

// masked is the number of channels of a hint with a mask.
const masked = 17

// Read implements family.Control. Upstream: controlnet.py load_controlnet_flux_instantx, load_controlnet_flux_xlabs_mistoline.
func (controlKind) Read(src weights.Source) (family.ControlNetwork, error) {
	s := weights.NewScope(src)
	c := ControlConfig{Misto: s.Has("controlnet_blocks.0.linear.weight")}
	switch {
	case c.Misto, s.Has("controlnet_blocks.0.weight") && s.Has("double_blocks.0.img_attn.norm.key_norm.scale"):
		src = dit.Rename(dit.Rename(src, dit.NormWeights), mistoNames)
	case s.Has("controlnet_blocks.0.weight") && s.Has("controlnet_x_embedder.weight") && s.Has("transformer_blocks.0.attn.add_q_proj.weight"):
		e := s.Shape("x_embedder.weight")
		if len(e) != 2 || s.Has("transformer_blocks.0.img_mlp.net.0.proj.weight") {
			return nil, nil
		}
		src = controlNames(s.Count("transformer_blocks"), s.Count("single_transformer_blocks"), e[0]).View(src)
	default:
		return nil, nil
	}
	s = weights.NewScope(src)
	trunk, err := ReadTrunk(s, 2, 16, 56, 56)
	if err != nil {
		return nil, err
	}
	c.Config, c.Depth, c.Singles = trunk, s.Count("double_blocks"), s.Count("single_blocks")
	embed := s.Shape("pos_embed_input.weight")
	if len(embed) != 2 || embed[1]%(c.Patch*c.Patch) != 0 || c.Depth == 0 {
		return nil, fmt.Errorf("pos_embed_input.weight is %v and it has %d double blocks: wanted two dimensions, patches and blocks", embed, c.Depth)
	}
	if !s.HasAny("input_hint_block") && !s.HasAny("input_cond_block") {
		c.Latent = embed[1] / (c.Patch * c.Patch)
	}
	if m := s.Shape("controlnet_mode_embedder.weight"); len(m) == 2 {
		c.Modes = m[0]
	}
	return &ControlNet{ControlConfig: c, src: src}, nil
}

// mistoNames calls the layers after single blocks as other ControlNets do.
func mistoNames(n string) string {
	const theirs, ours = "single_controlnet_blocks.", "controlnet_single_blocks."
	if len(n) > len(theirs) && n[:len(theirs)] == theirs {
		return ours + n[len(theirs):]
	}
	return n
}

// controlNames are names with the layers that ControlNets have beside.
func controlNames(depth, single, hidden int) *dit.Names {
	n := names(depth, single, hidden)
	for i := range depth {
		l := fmt.Sprintf("controlnet_blocks.%d", i)
		n.Layer(l, l)
	}
	for i := range single {
		l := fmt.Sprintf("controlnet_single_blocks.%d", i)
		n.Layer(l, l)
	}
	n.Layer("controlnet_mode_embedder", "controlnet_mode_embedder")
	return n
}

// ControlNet is a ControlNet that was read from a file.
type ControlNet struct {
	ControlConfig
	src weights.Source
}

var (
	_ family.ControlNetwork = (*ControlNet)(nil)
	_ family.Types          = (*ControlNet)(nil)
)

// Hint implements family.ControlNetwork.
func (n *ControlNet) Hint() family.Hint {
	const rgb, side = 3, 8
	if n.Latent == 0 {
		return family.Hint{Channels: rgb, Scale: side}
	}
	return family.Hint{Channels: rgb, Scale: 1, Latent: &latents.Flux, Mask: n.Latent == masked}
}

// Steers implements family.ControlNetwork.
func (*ControlNet) Steers() string { return "Flux.1" }

// Types implements family.Types.
func (n *ControlNet) Types() int { return n.Modes }

// Weights implements family.ControlNetwork.
func (n *ControlNet) Weights() weights.Source { return n.src }

// Residuals implements family.ControlNetwork.
func (n *ControlNet) Residuals(ctx context.Context, run family.Runner, c family.ControlCall) (*family.Residuals, error) {
	text := c.Text()
	_, ok := c.Model.(*Model)
	if c.Model != nil && !ok || len(c.X.Shape) != 4 || c.X.Dim(1) != n.Channels || text == nil || text.Dim(-1) != n.Context {
		return nil, fmt.Errorf("running the ControlNet: it is for a model of another family (%d latent channels, text width %d)", n.Channels, n.Context)
	}
	if err := dit.CheckText(text, c.X.Dim(0), n.Context); err != nil {
		return nil, err
	}
	x, grid, err := dit.Patchify(c.X, n.Patch, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	hint := c.Hint
	if n.Latent > 0 {
		if hint, _, err = dit.Patchify(hint, n.Patch, tensor.ChannelsFirst); err != nil {
			return nil, err
		}
	} else if grid.H%n.Patch != 0 || grid.W%n.Patch != 0 {
		return nil, errors.New("running the ControlNet: networks that read the image itself take sizes that 16 divides: change the size of the image")
	}
	told := n.Modes > 0 && len(c.Types) > 0
	tokens := text.Dim(1)
	in := []family.Value{family.Floats("x", x), family.Floats("hint", hint), family.Floats("context", text)}
	if told {
		tokens++
		in = append(in, family.Ints("kind", []int64{int64(c.Types[0])}, 1))
	}
	p := &prepared{in: in}
	if err := n.vectors(p, c.Call); err != nil {
		return nil, err
	}
	pos := positions{Config: n.Config, rotary: dit.Unscaled}
	pos.text(tokens)
	pos.image(grid, 0, 0, 0)
	p.in = append(p.in, dit.Angles(pos.list, n.Theta, n.Axes...)...)
	if err := run.Check("running the ControlNet", n.memory(c.X.Dim(0), tokens+grid.Tokens())); err != nil {
		return nil, err
	}
	var outputs []string
	for i := range n.Depth {
		outputs = append(outputs, ResidualDouble(i))
	}
	for i := range n.Singles {
		outputs = append(outputs, ResidualSingle(i))
	}
	g := family.Graph{Part: "control", Variant: family.Digest(told, p.v.Guided), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("flux controlnet", n.src, func(b *nn.Builder, s *weights.Scope) { writeControl(b, s, n.ControlConfig, p.v, told) })
	}}
	out, err := run.Run(ctx, g, p.in, outputs...)
	if err != nil {
		return nil, fmt.Errorf("running the ControlNet: %w", err)
	}
	var double, single []*tensor.Tensor
	for i := range n.Depth {
		double = append(double, out[ResidualDouble(i)])
	}
	for i := range n.Singles {
		single = append(single, out[ResidualSingle(i)])
	}
	around := n.Latent == 0
	return &family.Residuals{Input: dit.Spread(double, modelDouble, around), Output: dit.Spread(single, modelSingle, around)}, nil
}

// vectors adds the timesteps, the guidance and the pooled text encoding, as of a diffusion model of this config. A guidance
// that the diffusion model does not read is the usual one.
func (n *ControlNet) vectors(p *prepared, c family.Call) error {
	if n.Guidance && c.Inputs.Get(InputGuidance) == nil {
		plain := tensor.New(c.X.Dim(0))
		for i := range plain.Data {
			plain.Data[i] = dit.PlainGuidance
		}
		c.Inputs.List = append(c.Inputs.List[:len(c.Inputs.List):len(c.Inputs.List)], sampling.Input{Name: InputGuidance, Value: plain})
	}
	return (&Model{Config: n.Config}).vectors(p, c)
}

// memory estimates the bytes of activations for the given number of tokens a row, the outputs among them.
func (n *ControlNet) memory(rows, tokens int) int64 {
	const floats = 16
	return family.Product(rows, tokens, n.Hidden, 4, floats+n.Depth+n.Singles)
}

// writeControl writes the graph of a ControlNet. Inputs are those of Write, and hint: tokens [B,I,channels·p·p] of a latent,
// or an image [B,3,16h,16w] in 0…1; if told is set, kind, the number of the hint type, int64 [1]. The outputs are the
// residuals added after the double and the single blocks. Upstream: ldm/flux/controlnet.py ControlNetFlux.
func writeControl(b *nn.Builder, s *weights.Scope, c ControlConfig, v Variant, told bool) {
	w := &writer{Builder: b, Config: c.Config, v: v, s: s}
	tokens, hint := w.hint(c)
	img := dit.Input(b, "x", symB, tokens, onnx.D(c.Tokens(c.In)))
	txt := dit.Input(b, "context", symB, symT, onnx.D(c.Context))
	from := symT
	if told {
		from = symT.Plus(onnx.D(1))
	}
	w.rope = dit.RotaryInputs(b, from.Plus(tokens), c.Hidden/c.Heads)
	img = b.Add(b.Linear(s.At("img_in"), img, c.Hidden), b.Linear(s.At("pos_embed_input"), hint, c.Hidden))
	w.vectors()
	txt = b.Linear(s.At("txt_in"), txt, c.Hidden)
	if told {
		kind := b.Input("kind", dtype.I64, onnx.D(1))
		mode := b.Gather(b.Table(s.At("controlnet_mode_embedder").Weight("weight", c.Modes, c.Hidden)), kind)
		txt = b.Concat(1, b.Expand(b.Unsqueeze(mode, 0), symB, onnx.D(1), onnx.D(c.Hidden)), txt)
	}
	out := func(name string, s *weights.Scope, x *onnx.Value) {
		if c.Misto {
			x = b.SiLU(b.Linear(s.At("linear"), x, c.Hidden))
		} else {
			x = b.Linear(s, x, c.Hidden)
		}
		dit.Output(b, name, x)
	}
	for i := range c.Depth {
		l := s.At("double_blocks").Index(i)
		img, txt = w.Double(b, l, img, txt, w.mods(l.At("img_mod"), 2, tokens, false), w.mods(l.At("txt_mod"), 2, tokens, false), w.rope, nil)
		out(ResidualDouble(i), s.At("controlnet_blocks").Index(i), img)
	}
	if c.Singles == 0 {
		return
	}
	x := b.Concat(1, txt, img)
	for i := range c.Singles {
		l := s.At("single_blocks").Index(i)
		x = w.Single(b, l, x, w.mods(l.At("modulation"), 1, tokens, false)[0], w.rope, nil)
		out(ResidualSingle(i), s.At("controlnet_single_blocks").Index(i), b.SliceDims(x, 1, from, from.Plus(tokens)))
	}
}

// hint declares the hint and returns the number of tokens and the hint as tokens.
func (w *writer) hint(c ControlConfig) (tokens onnx.Dim, hint *onnx.Value) {
	if c.Latent > 0 {
		return symI, dit.Input(w.Builder, "hint", symB, symI, onnx.D(c.Tokens(c.Latent)))
	}
	const rgb, side = 3, 16 // pixels of a token
	h, wide, p := onnx.Sym("h"), onnx.Sym("w"), onnx.D(c.Patch)
	x := dit.Input(w.Builder, "hint", symB, onnx.D(rgb), h.Times(onnx.D(side)), wide.Times(onnx.D(side)))
	x = w.Sub(w.Mul(x, w.Const(2)), w.Const(1))
	if c.Misto {
		x = dit.HintConvolutions(w.Builder, w.s.At("input_cond_block", "encoder"), x, 3, 5, 7)
	} else {
		x = dit.HintConvolutions(w.Builder, w.s.At("input_hint_block"), x, 2, 4, 6)
	}
	channels := x.Dim(1)
	x = w.Reshape(x, symB, channels, h, p, wide, p)
	x = w.Transpose(x, 0, 2, 4, 1, 3, 5)
	return h.Times(wide), w.Reshape(x, symB, h.Times(wide), channels.Times(p).Times(p))
}
