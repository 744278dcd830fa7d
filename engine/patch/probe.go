package patch

import (
	"math"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
)

// Probe adds an output with the attention that each of the latent's positions gets in the first layer of the middle block:
// the sum over the positions that attend, as the mean of the heads.
type Probe struct{ Seen *Attended }

// Attended is what a Probe has seen last on the negative side: one row for each latent, [rows,positions].
type Attended struct {
	mu   sync.Mutex
	last *tensor.Tensor
}

// Map returns the last attention map, or nil.
func (a *Attended) Map() *tensor.Tensor {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last
}

var (
	_ ExactPatch  = Probe{}
	_ OutputPatch = Probe{}
)

const probed = "attention map"

// Point implements GraphPatch.
func (Probe) Point() Point { return SelfAttention }

// Digest implements GraphPatch.
func (Probe) Digest() string { return "" }

// Outputs implements OutputPatch.
func (Probe) Outputs() []string { return []string{probed} }

// Take implements OutputPatch: it keeps the rows of the first entry on the negative side.
func (p Probe) Take(outputs map[string]*tensor.Tensor, negative []bool) {
	rows := outputs[probed].Dim(0) / max(len(negative), 1)
	for i, is := range negative {
		if is {
			p.Seen.mu.Lock()
			p.Seen.last = outputs[probed].Slice(i*rows, (i+1)*rows)
			p.Seen.mu.Unlock()
			return
		}
	}
}

// Takes implements ExactPatch.
func (Probe) Takes(at Site) bool { return at.Block == MiddleBlock && at.Layer == 0 }

// Attend implements AttendPatch.
func (p Probe) Attend(b *nn.Builder, at Site, q, k, v *onnx.Value, attend func(q, k, v *onnx.Value) *onnx.Value) *onnx.Value {
	if !p.Takes(at) {
		return attend(q, k, v)
	}
	width := q.Dim(-1).N / at.Heads
	heads := func(x *onnx.Value) *onnx.Value {
		return b.Transpose(b.Reshape(b.Cast(x, dtype.F32), x.Dim(0), x.Dim(1), onnx.D(at.Heads), onnx.D(width)), 0, 2, 1, 3)
	}
	scores := b.MatMul(heads(q), b.Transpose(heads(k), 0, 1, 3, 2))
	shares := b.Softmax(b.Mul(scores, b.Scalar(dtype.F32, float32(1/math.Sqrt(float64(width))))), -1)
	b.Output(probed, b.ReduceSum(b.ReduceMean(shares, false, 1), false, 1))
	return attend(q, k, v)
}
