package patch

import (
	"fmt"

	"comfygo/engine/nn"
	"comfygo/engine/onnx"
)

// Perturb replaces attention among the latent's positions by its values in the blocks of one point: what each position
// attends to is itself (Ahn et al. 2024, arXiv:2403.17377; upstream: nodes_pag.py).
type Perturb struct{ Block Point }

var _ WholeBlockPatch = Perturb{}

// Point implements GraphPatch.
func (Perturb) Point() Point { return SelfAttention }

// Digest implements GraphPatch.
func (p Perturb) Digest() string { return string(p.Block) }

// WholeBlock implements WholeBlockPatch.
func (Perturb) WholeBlock() {}

// Attend implements AttendPatch.
func (p Perturb) Attend(_ *nn.Builder, at Site, q, k, v *onnx.Value, attend func(q, k, v *onnx.Value) *onnx.Value) *onnx.Value {
	if at.Block == p.Block {
		return v
	}
	return attend(q, k, v)
}

// NormalizedGuidance guides the results of attention among the latent's positions away from those of the negative side, in
// the batches that hold both (Chen et al. 2025, arXiv:2505.21179; upstream: nodes_nag.py).
type NormalizedGuidance struct {
	// Scale is the guidance scale, Tau bounds the norm relative to the positive side, Alpha is the share of the guided result.
	Scale, Tau, Alpha float32
	// entries are the numbers of entries in the batch, of the positive and of the negative one; set by For.
	entries, positive, negative int
}

var (
	_ ProjectionPatch = NormalizedGuidance{}
	_ CallPatch       = NormalizedGuidance{}
)

// Point implements GraphPatch.
func (NormalizedGuidance) Point() Point { return SelfAttention }

// Digest implements GraphPatch.
func (n NormalizedGuidance) Digest() string { return fmt.Sprintf("%+v", n) }

// For implements CallPatch.
func (n NormalizedGuidance) For(c Call) GraphPatch {
	n.entries, n.positive, n.negative = len(c.Negative), -1, -1
	for i, negative := range c.Negative {
		switch {
		case negative && n.negative < 0:
			n.negative = i
		case !negative && n.positive < 0:
			n.positive = i
		}
	}
	if n.positive < 0 || n.negative < 0 {
		return nil
	}
	return n
}

// Entries implements BatchPatch.
func (n NormalizedGuidance) Entries() int { return n.entries }

// Project implements ProjectionPatch.
func (n NormalizedGuidance) Project(b *nn.Builder, p Projection, x *onnx.Value) *onnx.Value {
	if p != Output || n.entries == 0 {
		return x
	}
	rows, ok := x.Dim(0).Quotient(onnx.D(n.entries))
	if !ok {
		b.Fail("NormalizedGuidance", "%v rows of %d entries", x.Dim(0), n.entries)
	}
	parts := make([]*onnx.Value, n.entries)
	for i := range parts {
		parts[i] = b.SliceDims(x, 0, rows.Times(onnx.D(i)), rows.Times(onnx.D(i+1)))
	}
	positive := parts[n.positive]
	guided := b.Sub(b.Mul(positive, b.Const(n.Scale)), b.Mul(parts[n.negative], b.Const(n.Scale-1)))
	const least = 1e-6
	norm := func(v *onnx.Value) *onnx.Value {
		return b.Max(b.ReduceSum(b.Abs(v), true, -1), b.Const(least))
	}
	ratio := b.Div(norm(guided), norm(positive))
	bounded := b.Mul(guided, b.Div(b.Min(ratio, b.Const(n.Tau)), ratio))
	parts[n.positive] = b.Add(b.Mul(bounded, b.Const(n.Alpha)), b.Mul(positive, b.Const(1-n.Alpha)))
	return b.Concat(0, parts...)
}
