package flux

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(patchKind{}) }

// patchKind registers USO's projectors of style references for Flux.1.
type patchKind struct{}

// Name implements family.Family.
func (patchKind) Name() string { return "USO style projector for Flux.1" }

// Rank implements family.Family.
func (patchKind) Rank() int { return 30 }

// StylePatch converts the outputs of three layers of an image encoder to text tokens. Upstream: SigLIPMultiFeatProjModel.
type StylePatch struct {
	src weights.Source
	// Tokens and Width are those of the image encoder, Style is the number of tokens that each layer becomes, Hidden their
	// width.
	Tokens, Width, Style, Hidden int
}

// ReadPatch implements family.ModelPatch.
func (patchKind) ReadPatch(src weights.Source) (family.PatchNetwork, error) {
	const prefix = "feature_embedder."
	if _, ok := src.Lookup(prefix + "mid_layer_norm.bias"); !ok {
		return nil, nil
	}
	src = weights.Sub(src, prefix)
	s := weights.NewScope(src)
	tokens, out := s.Shape("high_embedding_linear.0.weight"), s.Shape("high_projection.weight")
	if len(tokens) != 2 || len(out) != 2 {
		return nil, fmt.Errorf("high_embedding_linear.0.weight is %v and high_projection.weight %v, wanted two dimensions", tokens, out)
	}
	return &StylePatch{src: src, Tokens: tokens[1], Style: tokens[0], Width: out[1], Hidden: out[0]}, nil
}

// Patches implements family.PatchNetwork.
func (*StylePatch) Patches() string { return "Flux.1" }

// Weights implements family.PatchNetwork.
func (p *StylePatch) Weights() weights.Source { return p.src }

// Fits implements family.PatchNetwork.
func (p *StylePatch) Fits(d family.Denoiser) error {
	m, ok := d.(*Model)
	switch {
	case !ok || m.Distilled > 0 || m.Shared:
		return errors.New("the model is of another family")
	case m.Hidden != p.Hidden:
		return fmt.Errorf("its tokens have width %d, and those of the model %d", p.Hidden, m.Hidden)
	}
	return nil
}

// layers of the image encoder, from the end, that become the low and the middle tokens; the high ones come from the last but
// one.
const (
	layerLow    = 20
	layerMiddle = 11
)

// Input implements family.PatchNetwork: the tokens [B,3·Style,Hidden].
func (p *StylePatch) Input(ctx context.Context, run family.Runner, c family.PatchCall) (*tensor.Tensor, error) {
	v := c.Vision
	if v == nil || v.All == nil || v.Penultimate == nil || v.All.Dim(1) < layerLow {
		return nil, errors.New("it needs the hidden states of all layers of an image encoder: connect one made by CLIP Vision Encode with SigLIP")
	}
	if v.All.Dim(2) != p.Tokens || v.All.Dim(3) != p.Width {
		return nil, fmt.Errorf("the image encoder gives %d tokens of width %d, and it reads %d of %d: use the encoder that it was made for", v.All.Dim(2), v.All.Dim(3), p.Tokens, p.Width)
	}
	of := func(back int) *tensor.Tensor {
		out := tensor.New(v.All.Dim(0), p.Tokens, p.Width)
		for b := range v.All.Dim(0) {
			copy(out.Index(b).Data, v.All.Index(b).Index(v.All.Dim(1)-back).Data)
		}
		return out
	}
	g := family.Graph{Part: "control", Build: func(s family.Spec) (*onnx.Graph, error) { return s.Build("uso", p.src, p.write) }}
	out, err := run.Run(ctx, g, []family.Value{family.Floats("high", v.Penultimate), family.Floats("mid", of(layerMiddle)), family.Floats("low", of(layerLow))}, "tokens")
	if err != nil {
		return nil, err
	}
	return out["tokens"], nil
}

// write writes the graph: high, mid and low [B,Tokens,Width] to tokens.
func (p *StylePatch) write(b *nn.Builder, s *weights.Scope) {
	var parts []*onnx.Value
	for _, level := range []string{"high", "mid", "low"} {
		x := b.Transpose(dit.Input(b, level, symB, onnx.D(p.Tokens), onnx.D(p.Width)), 0, 2, 1)
		x = b.Transpose(b.SiLU(b.Linear(s.At(level+"_embedding_linear", "0"), x, p.Style)), 0, 2, 1)
		parts = append(parts, b.Linear(s.At(level+"_projection"), b.LayerNorm(s.At(level+"_layer_norm"), x, 1e-5), p.Hidden))
	}
	dit.Output(b, "tokens", b.Concat(1, parts...))
}

// attach adds the tokens of model patches before those of the text, which are at the origin, too.
func (m *Model) attach(p *prepared, c family.Call, pos *positions) error {
	for k, a := range c.Attached {
		if _, ok := a.Net.(*StylePatch); !ok {
			return fmt.Errorf("%T is no patch of it", a.Net)
		}
		rows := tensor.New(c.X.Dim(0), a.Input.Dim(1), a.Input.Dim(2))
		for i := range rows.Dim(0) {
			copy(rows.Index(i).Data, a.Input.Index(i%a.Input.Dim(0)).Data)
		}
		p.v.Styles = append(p.v.Styles, rows.Dim(1))
		p.in = append(p.in, family.Floats(dit.AttachedName(k), rows))
		pos.list = append(pos.list, make([]float64, rows.Dim(1)*len(m.Axes))...)
	}
	return nil
}
