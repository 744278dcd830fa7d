package patch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
)

// Point is a named place of a network's graph where graph patches act. Families whose networks have such places apply the
// patches there and say which points they have.
type Point string

// The points.
const (
	// InputBlock, MiddleBlock and OutputBlock are behind the blocks of a U-Net.
	InputBlock  Point = "input block"
	MiddleBlock Point = "middle block"
	OutputBlock Point = "output block"
	// SelfAttention and CrossAttention are the projections of attention among the latent's positions and to the text.
	SelfAttention  Point = "attention 1"
	CrossAttention Point = "attention 2"
)

// GraphPatch is a change of a network's graph at one point: a value that is not changed after it was made. It implements
// BlockPatch or AttentionPatch, as its point asks.
type GraphPatch interface {
	// Point is where the patch acts.
	Point() Point
	// Digest identifies the change: equal digests give equal graphs.
	Digest() string
}

// BlockPatch changes the output of a block.
type BlockPatch interface {
	GraphPatch
	// Block returns the output h [B,C,H,W] of a block changed; skip is the input block's output that an output block is
	// joined with next, nil elsewhere, and may be changed, too. model is the width of the network's first level.
	Block(b *nn.Builder, h, skip *onnx.Value, model int) (newH, newSkip *onnx.Value)
}

// Projection names a linear layer of attention.
type Projection string

// The projections.
const (
	Query  Projection = "q"
	Key    Projection = "k"
	Value  Projection = "v"
	Output Projection = "out"
)

// AttentionPatch changes the projections of attention.
type AttentionPatch interface {
	GraphPatch
	// Project returns the result x [B,T,C] of a projection changed.
	Project(b *nn.Builder, p Projection, x *onnx.Value) *onnx.Value
}

// GraphPatches are patches in the order in which they act.
type GraphPatches []GraphPatch

// With returns the patches with one more.
func (g GraphPatches) With(p GraphPatch) GraphPatches { return append(g[:len(g):len(g)], p) }

// Digest identifies the patches and their order; it is empty for none.
func (g GraphPatches) Digest() string {
	if len(g) == 0 {
		return ""
	}
	h := sha256.New()
	for _, p := range g {
		fmt.Fprintf(h, "%q %q %T", p.Point(), p.Digest(), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Without lists the patches whose point is not among those given: a network with these points alone leaves them out.
func (g GraphPatches) Without(points []Point) GraphPatches {
	var out GraphPatches
	for _, p := range g {
		if !slices.Contains(points, p.Point()) {
			out = append(out, p)
		}
	}
	return out
}

// Project has the patches at a point change a projection's result.
func (g GraphPatches) Project(b *nn.Builder, at Point, p Projection, x *onnx.Value) *onnx.Value {
	for _, patch := range g {
		if a, ok := patch.(AttentionPatch); ok && patch.Point() == at {
			x = a.Project(b, p, x)
		}
	}
	return x
}

// Block has the patches at a point change a block's output.
func (g GraphPatches) Block(b *nn.Builder, at Point, h, skip *onnx.Value, model int) (newH, newSkip *onnx.Value) {
	for _, patch := range g {
		if p, ok := patch.(BlockPatch); ok && patch.Point() == at {
			h, skip = p.Block(b, h, skip, model)
		}
	}
	return h, skip
}

// AttentionScale multiplies the results of attention's projections. Upstream: nodes_attention_multiply.py.
type AttentionScale struct {
	// At is SelfAttention or CrossAttention.
	At Point
	// Factors has a factor for each projection; a missing one is 1.
	Factors map[Projection]float32
}

var _ AttentionPatch = AttentionScale{}

// Point implements GraphPatch.
func (a AttentionScale) Point() Point { return a.At }

// Digest implements GraphPatch.
func (a AttentionScale) Digest() string {
	return fmt.Sprint(a.factor(Query), a.factor(Key), a.factor(Value), a.factor(Output))
}

func (a AttentionScale) factor(p Projection) float32 {
	if f, ok := a.Factors[p]; ok {
		return f
	}
	return 1
}

// Project implements AttentionPatch.
func (a AttentionScale) Project(b *nn.Builder, p Projection, x *onnx.Value) *onnx.Value {
	if f := a.factor(p); f != 1 {
		return b.Mul(x, b.Const(f))
	}
	return x
}
