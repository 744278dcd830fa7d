// Package style is the family of style models: Flux Redux, and the style adapter of T2I-Adapter (Mou et al. 2023,
// arXiv:2302.08453).
package style

import (
	"context"
	"fmt"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() {
	family.Register(kind{"Flux Redux", 10, readRedux})
	family.Register(kind{"T2I style adapter", 20, readAdapter})
}

// kind registers one of the families.
type kind struct {
	name string
	rank int
	read func(s *weights.Scope) (*network, error)
}

func (k kind) Name() string { return k.name }
func (k kind) Rank() int    { return k.rank }

// Read implements family.Style.
func (k kind) Read(src weights.Source) (family.StyleNetwork, error) {
	src = fused{src}
	n, err := k.read(weights.NewScope(src))
	if n == nil || err != nil {
		return nil, err
	}
	n.src, n.name = src, k.name
	return n, nil
}

// network is a style model: write writes it for hidden states x [B,positions,image].
type network struct {
	name        string
	src         weights.Source
	image, text int
	write       func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value
	// tokens is the number of output tokens; 0 means one per position.
	tokens int
}

var _ family.StyleNetwork = (*network)(nil)

// Widths implements family.StyleNetwork.
func (n *network) Widths() (image, text int) { return n.image, n.text }

// Weights implements family.StyleNetwork.
func (n *network) Weights() weights.Source { return n.src }

// Graph is the network's graph: input "x" [B,positions,image], output "out" [B,tokens,text], float32.
func (n *network) Graph() family.Graph {
	return family.Graph{Part: "style", Streamed: true, Build: func(spec family.Spec) (*onnx.Graph, error) {
		return spec.Build("style", n.src, func(b *nn.Builder, s *weights.Scope) {
			x := b.Input("x", dtype.F32, onnx.Sym("B"), onnx.Sym("T"), onnx.D(n.image))
			b.Output("out", b.Cast(n.write(b, s, b.Cast(x, b.Target.Compute)), dtype.F32))
		})
	}}
}

// Tokens implements family.StyleNetwork.
func (n *network) Tokens(ctx context.Context, run family.Runner, hidden *tensor.Tensor) (*tensor.Tensor, error) {
	if hidden == nil || len(hidden.Shape) != 3 || hidden.Dim(2) != n.image || hidden.Len() == 0 {
		var shape []int
		if hidden != nil {
			shape = hidden.Shape
		}
		return nil, fmt.Errorf("running a style model (%s): the image encoder's states have shape %v, it reads a width of %d: they come from another image encoder",
			n.name, shape, n.image)
	}
	positions := hidden.Dim(1) + n.tokens
	if err := run.Check("running a style model", family.Product(hidden.Dim(0), positions, max(n.image, 3*n.text), 4, 4)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, n.Graph(), []family.Value{family.Floats("x", hidden)}, "out")
	if err != nil {
		return nil, fmt.Errorf("running a style model (%s): %w", n.name, err)
	}
	return out["out"], nil
}

// readRedux reads two linear layers with SiLU in between (upstream: ldm/flux/redux.py).
func readRedux(s *weights.Scope) (*network, error) {
	if !s.Has("redux_down.weight") {
		return nil, nil
	}
	up, down := s.Weight("redux_up.weight", -1, -1), s.Weight("redux_down.weight", -1, -1)
	s.Weight("redux_up.bias", -1)
	s.Weight("redux_down.bias", -1)
	if err := s.Err(); err != nil {
		return nil, err
	}
	hidden, text := up.Entry.Shape[0], down.Entry.Shape[0]
	return &network{image: up.Entry.Shape[1], text: text, write: func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		return b.Linear(s.At("redux_down"), b.SiLU(b.Linear(s.At("redux_up"), x, hidden)), text)
	}}, nil
}

// adapterHeads is the number of heads of the style adapter's attention.
const adapterHeads = 8

// readAdapter reads a transformer over the positions of the image and the tokens of the style (upstream:
// t2i_adapter/adapter.py StyleAdapter).
func readAdapter(s *weights.Scope) (*network, error) {
	if !s.Has("style_embedding") {
		return nil, nil
	}
	embedding, proj := s.Weight("style_embedding", 1, -1, -1), s.Weight("proj", -1, -1)
	if err := s.Err(); err != nil {
		return nil, err
	}
	tokens, width, text := embedding.Entry.Shape[1], embedding.Entry.Shape[2], proj.Entry.Shape[1]
	if width%adapterHeads != 0 || proj.Entry.Shape[0] != width {
		return nil, fmt.Errorf("style_embedding is %v and proj %v: the widths do not fit", embedding.Entry.Shape, proj.Entry.Shape)
	}
	return &network{image: width, text: text, tokens: tokens, write: func(b *nn.Builder, s *weights.Scope, x *onnx.Value) *onnx.Value {
		const eps = 1e-5
		batch, positions := x.Dim(0), x.Dim(1)
		style := b.Expand(b.Table(s.Weight("style_embedding", 1, tokens, width)), batch, onnx.D(tokens), onnx.D(width))
		x = b.LayerNorm(s.At("ln_pre"), b.Concat(1, x, style), eps)
		for i := range s.Count("transformer_layes") {
			x = adapterBlock(b, s.At("transformer_layes").Index(i), x, width, eps)
		}
		x = b.LayerNorm(s.At("ln_post"), b.SliceDims(x, 1, positions, positions.Plus(onnx.D(tokens))), eps)
		return b.MatMul(x, b.Table(s.Weight("proj", width, text)))
	}}, nil
}

func adapterBlock(b *nn.Builder, s *weights.Scope, x *onnx.Value, width int, eps float32) *onnx.Value {
	n := b.LayerNorm(s.At("ln_1"), x, eps)
	var projected [3]*onnx.Value // queries, keys and values are rows of one weight
	for i := range projected {
		projected[i] = b.LinearRows(s.At("attn", "in_proj"), n, len(projected)*width, i*width, width)
	}
	y := b.Attention(projected[0], projected[1], projected[2], nil, adapterHeads)
	x = b.LinearAdd(s.At("attn", "out_proj"), y, x, width)
	n = b.LayerNorm(s.At("ln_2"), x, eps)
	n = b.QuickGelu(b.Linear(s.At("mlp", "c_fc"), n, 4*width), quick)
	return b.LinearAdd(s.At("mlp", "c_proj"), n, x, width)
}

// quick is the factor in the sigmoid of QuickGELU.
const quick = 1.702

// fused shows torch's fused projections of attention as layers of their own.
type fused struct{ weights.Source }

const own, torchs = ".in_proj.", ".in_proj_"

// Names implements weights.Source.
func (f fused) Names() []string {
	names := f.Source.Names()
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.Replace(n, torchs, own, 1)
	}
	return out
}

// Lookup implements weights.Source.
func (f fused) Lookup(name string) (weights.Entry, bool) {
	return f.Source.Lookup(strings.Replace(name, own, torchs, 1))
}
