package hydit

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/sdxl"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(controlKind{}) }

// controlKind registers ControlNets of Hunyuan-DiT 1.2: the first half of the model's blocks, which read the latent of the hint in
// addition to the noisy one.
type controlKind struct{}

// Name implements family.Family.
func (controlKind) Name() string { return "ControlNet for Hunyuan-DiT" }

// Rank implements family.Family.
func (controlKind) Rank() int { return 45 }

// controlKey is a tensor that only ControlNets have.
const controlKey = "after_proj_list.0.bias"

// control is a ControlNet that was read from a file.
type control struct {
	config
	src         weights.Source
	activations family.Activations
}

// Read implements family.Control. Upstream: controlnet.py load_controlnet_hunyuandit.
func (controlKind) Read(src weights.Source) (family.ControlNetwork, error) {
	s := weights.NewScope(src)
	if !s.Has(controlKey) || !s.Has("mlp_t5.0.weight") {
		return nil, nil
	}
	c, err := read(s)
	if err != nil {
		return nil, err
	}
	if c.sized {
		return nil, errors.New("it reads the image's size, as ControlNets of versions before 1.2 do, which ComfyUI does not load either: take one of version 1.2")
	}
	return &control{config: c, src: src}, nil
}

// Hint implements family.ControlNetwork.
func (n *control) Hint() family.Hint {
	const rgb = 3
	return family.Hint{Channels: rgb, Scale: 1, Latent: &sdxl.Latent}
}

// Steers implements family.ControlNetwork.
func (n *control) Steers() string { return kind{}.Name() }

// Weights implements family.ControlNetwork.
func (n *control) Weights() weights.Source { return n.src }

// Residuals implements family.ControlNetwork.
func (n *control) Residuals(ctx context.Context, run family.Runner, c family.ControlCall) (*family.Residuals, error) {
	if m, ok := c.Model.(*model); c.Model != nil && (!ok || m.hidden != n.hidden) {
		return nil, errors.New("running the ControlNet: it is for a model of Hunyuan-DiT and of its own width")
	}
	in, err := n.values(c.Call, c.Text())
	if err != nil {
		return nil, fmt.Errorf("running the ControlNet: %w", err)
	}
	hint, err := tensor.WrapTo(c.Hint, side)
	if err != nil {
		return nil, err
	}
	if x := in[0].Tensor; !tensor.SameShape(hint, x) {
		return nil, fmt.Errorf("running the ControlNet: the hint's latent has shape %v, the noisy one %v", hint.Shape, x.Shape)
	}
	g := family.Graph{Part: "control", Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("hunyuan dit controlnet", n.src, func(b *nn.Builder, s *weights.Scope) { (&writer{b, n.config}).writeControl(s) })
	}}
	grid := dit.GridOf(c.X.Shape, side)
	sizes := map[string]int{"B": c.X.Dim(0), "h": grid.Height, "w": grid.Width, "T": c.Text().Dim(1), "S": c.Inputs.Get(inputWide).Dim(1)}
	if err := run.Check("running the ControlNet", n.activations.Of(g, sizes)); err != nil {
		return nil, err
	}
	var outputs []string
	for i := range n.blocks {
		outputs = append(outputs, residual(i))
	}
	out, err := run.Run(ctx, g, append(in, family.Floats("hint", hint)), outputs...)
	if err != nil {
		return nil, fmt.Errorf("running the ControlNet: %w", err)
	}
	r := &family.Residuals{}
	for _, name := range outputs {
		r.Output = append(r.Output, out[name])
	}
	return r, nil
}

// writeControl writes a ControlNet. Inputs are those of begin and hint [B,C,h·2,w·2]; outputs are the residuals of the skip connections, one
// per block. Upstream: hydit/controlnet.py HunYuanControlNet.
func (w *writer) writeControl(s *weights.Scope) {
	x, text, c, rope := w.begin(s)
	size := func(name string) onnx.Dim { return onnx.Sym(name).Times(onnx.D(side)) }
	hint := dit.Input(w.Builder, "hint", x.Dim(0), onnx.D(w.channels), size("h"), size("w"))
	hint = dit.PatchEmbed(w.Builder, s.At("x_embedder", "proj"), hint, w.hidden, side)
	x = w.Add(x, w.Linear(s.At("before_proj"), hint, w.hidden))
	for i := range w.blocks {
		x = w.block(s.At("blocks").Index(i), x, c, text, rope)
		dit.Output(w.Builder, residual(i), w.Linear(s.At("after_proj_list").Index(i), x, w.hidden))
	}
}
