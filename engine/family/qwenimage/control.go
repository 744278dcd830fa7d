package qwenimage

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(controlKind{}) }

// controlKind registers ControlNets of Qwen-Image: those of InstantX (union, inpainting), which are the model's first blocks,
// and Fun ControlNets, which read the image in addition to the model's own embeddings.
type controlKind struct{}

// Name implements family.Family.
func (controlKind) Name() string { return "ControlNet for Qwen-Image" }

// Rank implements family.Family.
func (controlKind) Rank() int { return 50 }

const (
	// modelBlocks are the blocks of Qwen-Image, for which ControlNets of fewer make residuals.
	modelBlocks = 60
	// masked is the width of a token of a hint with a mask.
	masked = 68
)

// funPlaces are the blocks after which a Fun ControlNet adds.
var funPlaces = []int{0, 12, 24, 36, 48}

// ControlNet is a ControlNet that was read from a file.
type ControlNet struct {
	Config
	src weights.Source
	// Token is the width of a token of the hint.
	Token int
	// Fun reports that the network is a Fun ControlNet.
	Fun bool

	activations family.Activations
}

var (
	_ family.ControlNetwork = (*ControlNet)(nil)
	_ family.Borrower       = (*ControlNet)(nil)
	_ family.Strengthened   = (*ControlNet)(nil)
)

// Read implements family.Control. Upstream: controlnet.py load_controlnet_qwen_instantx, load_controlnet_qwen_fun.
func (controlKind) Read(src weights.Source) (family.ControlNetwork, error) {
	s := weights.NewScope(src)
	width := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	n := &ControlNet{src: src}
	switch {
	case s.Has("controlnet_blocks.0.weight") && s.Has("transformer_blocks.0.img_mlp.net.0.proj.weight") && s.Has("controlnet_x_embedder.weight"):
		var err error
		if n.Config, err = ReadConfig(s, side); err != nil {
			return nil, err
		}
		n.Token = width("controlnet_x_embedder.weight", 1)
	case s.Has("control_blocks.0.after_proj.weight") && s.Has("control_img_in.weight"):
		n.Fun, n.Token = true, width("control_img_in.weight", 1)
		n.Config = Config{Patch: 2, Channels: latents.Wan21.Channels, Dim: width("control_img_in.weight", 0), Layers: s.Count("control_blocks")}
		if d := width("control_blocks.0.attn.norm_q.weight", 0); d > 0 {
			n.Heads = n.Dim / d
		}
		if n.Heads < 1 || n.Layers > len(funPlaces) {
			return nil, fmt.Errorf("its shapes make no network: width %d, %d heads, %d blocks of at most %d", n.Dim, n.Heads, n.Layers, len(funPlaces))
		}
	default:
		return nil, nil
	}
	return n, nil
}

// Hint implements family.ControlNetwork.
func (n *ControlNet) Hint() family.Hint {
	const rgb = 3
	return family.Hint{Channels: rgb, Scale: 1, Latent: &latents.Wan21, Mask: n.Token == masked}
}

// Steers implements family.ControlNetwork.
func (*ControlNet) Steers() string { return "Qwen-Image" }

// Borrows implements family.Borrower.
func (n *ControlNet) Borrows() bool { return n.Fun }

// Strength implements family.Strengthened: strengths above one act less on Fun ControlNets. Upstream: QwenFunControlNet.
func (n *ControlNet) Strength(strength float32) float32 {
	if !n.Fun {
		return strength
	}
	return float32(math.Sqrt(max(float64(strength), 0)))
}

// Weights implements family.ControlNetwork.
func (n *ControlNet) Weights() weights.Source { return n.src }

// embeddings are the name prefixes of the tensors that a Fun ControlNet takes from the model.
var embeddings = []string{"img_in.", "txt_norm.", "txt_in.", "time_text_embed."}

// borrowed shows the network's tensors with the model's embeddings, and identifies the latter.
func (n *ControlNet) borrowed(base weights.Source) (weights.Source, string, error) {
	if base == nil {
		return nil, "", errors.New("running the ControlNet: it needs the model")
	}
	from := map[string]string{}
	id := ""
	for _, name := range base.Names() {
		for _, e := range embeddings {
			if strings.HasPrefix(name, e) {
				entry, _ := base.Lookup(name)
				from[name], id = name, id+entry.Key()
			}
		}
	}
	return dit.Overlay(n.src, base, from), id, nil
}

// Residuals implements family.ControlNetwork.
func (n *ControlNet) Residuals(ctx context.Context, run family.Runner, c family.ControlCall) (*family.Residuals, error) {
	text := c.Text()
	m, ok := c.Model.(*Model)
	if text == nil || c.Model != nil && (!ok || m.Dim != n.Dim || m.Text != text.Dim(-1)) || len(c.X.Shape) != 5 || c.X.Dim(1) != n.Channels || n.Text > 0 && text.Dim(-1) != n.Text {
		return nil, fmt.Errorf("running the ControlNet: it is for a model of another family (%d latent channels, width %d)", n.Channels, n.Dim)
	}
	if len(c.T) != c.X.Dim(0) || text.Dim(0) != c.X.Dim(0) {
		return nil, fmt.Errorf("running the ControlNet: %d timesteps and a text encoding of shape %v for %d rows", len(c.T), text.Shape, c.X.Dim(0))
	}
	if c.X.Dim(2) != 1 {
		return nil, fmt.Errorf("running the ControlNet: it steers single images, and the latent has %d layers", c.X.Dim(2))
	}
	src, borrowed := n.src, ""
	if n.Fun {
		var err error
		if src, borrowed, err = n.borrowed(c.Base); err != nil {
			return nil, err
		}
	}
	cfg := n.Config
	cfg.Text = text.Dim(2)
	x, _, err := dit.PatchifyFrames(c.X, n.Patch, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	hint, err := n.hintTokens(c.Hint)
	if err != nil {
		return nil, err
	}
	if hint.Dim(1) != x.Dim(1) {
		return nil, fmt.Errorf("running the ControlNet: its hint has %d tokens, and the image %d", hint.Dim(1), x.Dim(1))
	}
	at := &Model{Config: cfg}
	places := at.imagePlaces(at.textPlaces(c.X.Shape, text.Dim(1)), c.X.Shape, 0, 0, 0)
	const theta = 10000
	in := []family.Value{family.Floats("x", x), family.Floats("hint", hint), family.Floats("context", text), family.Vector("timesteps", c.T)}
	in = append(in, dit.Angles(places, theta, cfg.axes()...)...)
	var outputs []string
	for i := range n.Layers {
		outputs = append(outputs, residual(i))
	}
	g := family.Graph{Part: "control", Variant: family.Digest(borrowed, cfg.Text), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("qwen image controlnet", src, func(b *nn.Builder, s *weights.Scope) { network{b, cfg}.writeControl(s, n.Token, n.Fun) })
	}}
	need := n.activations.Of(g, map[string]int{"B": c.X.Dim(0), "X": x.Dim(1), "T": text.Dim(1)})
	if err := run.Check("running the ControlNet", need); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, g, in, outputs...)
	if err != nil {
		return nil, fmt.Errorf("running the ControlNet: %w", err)
	}
	var own []*tensor.Tensor
	for i := range n.Layers {
		own = append(own, out[residual(i)])
	}
	if !n.Fun {
		return &family.Residuals{Input: dit.Spread(own, modelBlocks, false)}, nil
	}
	r := &family.Residuals{Input: make([]*tensor.Tensor, modelBlocks)}
	for i, t := range own {
		r.Input[funPlaces[i]] = t
	}
	return r, nil
}

// hintTokens cuts a latent [N,C,h,w] into tokens as wide as the network reads, padded with zeros: Fun ControlNets read a
// mask and a second latent, which is for inpainting.
func (n *ControlNet) hintTokens(hint *tensor.Tensor) (*tensor.Tensor, error) {
	x := hint
	if n.Fun {
		x = tensor.New(hint.Dim(0), hint.Dim(1), hint.Dim(2)+hint.Dim(2)%n.Patch, hint.Dim(3)+hint.Dim(3)%n.Patch)
		for i := range hint.Dim(0) * hint.Dim(1) * hint.Dim(2) {
			plane, row := i/hint.Dim(2), i%hint.Dim(2)
			copy(x.Data[(plane*x.Dim(2)+row)*x.Dim(3):], hint.Data[i*hint.Dim(3):][:hint.Dim(3)])
		}
	}
	tokens, _, err := dit.Patchify(x, n.Patch, tensor.ChannelsFirst)
	if err != nil || tokens.Dim(2) == n.Token {
		return tokens, err
	}
	if !n.Fun {
		return nil, fmt.Errorf("running the ControlNet: its hint has tokens of width %d, wanted %d", tokens.Dim(2), n.Token)
	}
	out := tensor.New(tokens.Dim(0), tokens.Dim(1), n.Token)
	have := tokens.Dim(2)
	for i := range tokens.Dim(0) * tokens.Dim(1) {
		copy(out.Data[i*n.Token:(i+1)*n.Token], tokens.Data[i*have:(i+1)*have])
	}
	return out, nil
}

// residual names the input of a ControlNet's residual of the image tokens after a block [B,X,C].
func residual(i int) string { return fmt.Sprintf("control.%d", i) }

// writeControl writes the graph of a ControlNet. Inputs are those of write and hint [B,X,token]; outputs are the residuals
// added after the blocks. Upstream: ldm/qwen_image/controlnet.py.
func (n network) writeControl(s *weights.Scope, token int, fun bool) {
	rows, images, texts := onnx.Sym("B"), onnx.Sym("X"), onnx.Sym("T")
	x := dit.Input(n.Builder, "x", rows, images, onnx.D(n.c.Channels*n.c.Patch*n.c.Patch))
	hint := dit.Input(n.Builder, "hint", rows, images, onnx.D(token))
	context := dit.Input(n.Builder, "context", rows, texts, onnx.D(n.c.Text))
	times := n.Input("timesteps", dtype.F32, rows)
	c := conditions{time: n.SiLU(n.time(s, times)), behind: images, rope: dit.RotaryInputs(n.Builder, texts.Plus(images), n.c.head())}
	img := n.Linear(s.At("img_in"), x, n.c.Dim)
	txt := n.Linear(s.At("txt_in"), n.RMSNorm(s.At("txt_norm"), context, eps), n.c.Dim)
	blocks, behind := "transformer_blocks", func(i int) *weights.Scope { return s.At("controlnet_blocks").Index(i) }
	if fun {
		blocks, behind = "control_blocks", func(i int) *weights.Scope { return s.At("control_blocks").Index(i).At("after_proj") }
		own := n.Linear(s.At("control_img_in"), hint, n.c.Dim)
		img = n.Add(n.Linear(s.At("control_blocks.0.before_proj"), own, n.c.Dim), img)
	} else {
		img = n.Add(img, n.Linear(s.At("controlnet_x_embedder"), hint, n.c.Dim))
	}
	for i := range n.c.Layers {
		img, txt = n.block(s.At(blocks).Index(i), img, txt, c)
		dit.Output(n.Builder, residual(i), n.Linear(behind(i), img, n.c.Dim))
	}
}

// CheckResiduals implements family.Steered.
func (m *Model) CheckResiduals(r *family.Residuals) error {
	switch {
	case r.Middle != nil:
		return dit.ErrOfUNet
	case len(r.Output) > 0:
		return errors.New("the ControlNet is for transformers of another kind")
	}
	return dit.CheckWidth(m.Dim, r.Input)
}

// steer adds the residuals of ControlNets to a call.
func (p *prepared) steer(r *family.Residuals, blocks, tokens int) error {
	if r == nil {
		return nil
	}
	p.v.Controls = family.Places(r.Input, blocks)
	for _, i := range p.v.Controls {
		if got := r.Input[i].Dim(1); got != tokens {
			return fmt.Errorf("running the model with a ControlNet: it adds to %d tokens, and the image has %d", got, tokens)
		}
		p.in = append(p.in, family.Floats(residual(i), r.Input[i]))
	}
	return nil
}

// steered adds a residual to the first tokens of img, those of the image.
func (n network) steered(img *onnx.Value, i int) *onnx.Value {
	r := dit.Input(n.Builder, residual(i), onnx.Sym("B"), onnx.Sym("X"), onnx.D(n.c.Dim))
	return dit.OnFirst(n.Builder, img, onnx.D(0), onnx.Sym("X"), func(x *onnx.Value) *onnx.Value { return n.Add(x, r) })
}
