package gligen

import (
	"fmt"
	"slices"
	"sync"

	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

type box = family.Box

// placement is a network with its boxes.
type placement struct {
	net   *Network
	id    string
	boxes []box
}

var _ family.Placement = (*placement)(nil)

// Fits implements family.Placement.
func (p *placement) Fits(widths []int) error {
	own := make([]int, len(p.net.modules))
	for i, m := range p.net.modules {
		own[i] = m.width
	}
	if !slices.Equal(own, widths) {
		return fmt.Errorf("placing texts by GLIGEN: %s is for another model: its %d blocks have the widths %v, the model's %d have %v; use a GLIGEN file for this family, or load the model that it is for",
			p.net.src.Path(), len(own), own, len(widths), widths)
	}
	return nil
}

// Input implements family.Placement.
func (p *placement) Input(shape []int) sampling.Input {
	height, width := shape[len(shape)-2], shape[len(shape)-1]
	r := &rule{Rule: sampling.ByRows, placed: p, whole: tensor.New(1, 1, height, width), made: map[[2]int]*tensor.Tensor{}}
	return sampling.Input{Name: r.Patch().Input().Name, Value: r.tokens(height, width), Rule: r}
}

// rule measures the boxes relative to the entry's part of the latent.
type rule struct {
	sampling.Rule
	placed *placement
	whole  *tensor.Tensor

	mu   sync.Mutex
	made map[[2]int]*tensor.Tensor
}

var _ family.Patcher = (*rule)(nil)

// Fits implements sampling.Rule: as in upstream, an entry with boxes runs in a call of its own. It counts for patches that draw
// numbers in each call, and for those that compare the entries of one.
func (*rule) Fits(_, _ *tensor.Tensor) bool { return false }

// Patch implements family.Patcher.
func (r *rule) Patch() patch.MiddlePatch { return gates{r.placed.net, r.placed.id} }

// Rows implements sampling.Rule.
func (r *rule) Rows(_ *tensor.Tensor, n int, cut func(*tensor.Tensor) *tensor.Tensor) *tensor.Tensor {
	part := cut(r.whole)
	return r.Rule.Rows(r.tokens(part.Dim(-2), part.Dim(-1)), n, cut)
}

func (r *rule) tokens(height, width int) *tensor.Tensor {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [2]int{height, width}
	if r.made[key] == nil {
		r.made[key] = r.placed.net.positions.tokens(r.placed.boxes, height, width)
	}
	return r.made[key]
}

// gates adds the network's modules to a U-Net.
type gates struct {
	net *Network
	id  string
}

var _ patch.MiddlePatch = gates{}

// Point implements patch.GraphPatch.
func (gates) Point() patch.Point { return patch.SelfAttention }

// Digest implements patch.GraphPatch.
func (g gates) Digest() string { return g.id }

// Input implements patch.MiddlePatch.
func (g gates) Input() patch.TokenInput {
	return patch.TokenInput{Name: "boxes " + family.Digest(g.id), Count: mostBoxes, Width: g.net.modules[0].text}
}

// Between implements patch.MiddlePatch (upstream: gligen.py GatedSelfAttentionDense).
func (g gates) Between(b *nn.Builder, at patch.Site, x, tokens *onnx.Value) *onnx.Value {
	if at.Transformer >= len(g.net.modules) {
		b.Fail("GLIGEN", "transformer %d of %d", at.Transformer, len(g.net.modules))
	}
	m := g.net.modules[at.Transformer]
	return m.write(b, weights.NewScope(g.net.src).At(m.prefix[:len(m.prefix)-1]), x, tokens)
}

func (m module) write(b *nn.Builder, s *weights.Scope, x, tokens *onnx.Value) *onnx.Value {
	positions := x.Dim(1)
	boxes := b.Linear(s.At("linear"), tokens, m.width)
	n := b.LayerNorm(s.At("norm1"), b.Concat(1, x, boxes), 1e-5)
	attn := s.At("attn")
	y := b.Attention(b.Linear(attn.At("to_q"), n, m.width), b.Linear(attn.At("to_k"), n, m.width), b.Linear(attn.At("to_v"), n, m.width), nil, m.heads)
	y = b.SliceDims(b.Linear(attn.At("to_out", "0"), y, m.width), 1, onnx.D(0), positions)
	x = b.Add(x, b.Mul(y, b.Const(m.attention)))
	ff := s.At("ff", "net")
	inner := 8 * m.width
	if sh := ff.Shape("0.proj.weight"); len(sh) == 2 {
		inner = sh[0]
	}
	y = b.LinearGated(ff.At("0", "proj"), b.LayerNorm(s.At("norm2"), x, 1e-5), inner/2)
	x = b.Add(x, b.Mul(b.Linear(ff.At("2"), y, m.width), b.Const(m.dense)))
	if err := s.Err(); err != nil {
		b.Fail("GLIGEN", "%v", err)
	}
	return x
}
