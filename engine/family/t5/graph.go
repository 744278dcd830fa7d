package t5

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The inputs and outputs of the graph.
const (
	inEmbeds  = "embeds"
	inBuckets = "buckets"
	inMask    = "mask"
	outLast   = "last"
	outHidden = "hidden"
)

// variant distinguishes the graphs of one encoder.
type variant struct {
	// layer is the layer whose states are the output "hidden", 0 for the first; -1 leaves the output out.
	layer int
	// norm applies the final norm to them.
	norm bool
	// masked hides tokens by the input "mask".
	masked bool
}

func (e *Encoder) graph(v variant) family.Graph {
	return family.Graph{
		Part: "clip " + e.Config.Key, Variant: family.Digest(v.layer, v.norm, v.masked), Streamed: true, Wide: true,
		Build: func(s family.Spec) (*onnx.Graph, error) {
			return s.Build("t5", e.src, func(b *nn.Builder, s *weights.Scope) {
				(&writer{Builder: b, Config: e.Config}).write(s.At("encoder"), v)
			})
		},
	}
}

type writer struct {
	*nn.Builder
	Config
	buckets *onnx.Value // int64 [T,T]
	mask    *onnx.Value // [B,1,1,T], 0 or far below; nil for none
}

// write writes the encoder: inputs "embeds" [B,T,width] and, when tokens are hidden, "mask" [B,T] of zeros and ones, float32
// both, and "buckets" [T,T] int64; outputs "last" and "hidden" [B,T,width] (upstream: t5.py T5Stack).
func (w *writer) write(s *weights.Scope, v variant) {
	b, t := onnx.Sym("B"), onnx.Sym("T")
	h := w.Cast(w.Input(inEmbeds, dtype.F32, b, t, onnx.D(w.Width)), w.Target.Compute)
	w.buckets = w.Input(inBuckets, dtype.I64, t, t)
	if v.masked {
		m := w.Input(inMask, dtype.F32, b, t)
		w.mask = w.Unsqueeze(w.Cast(w.Mul(w.Sub(m, w.Scalar(dtype.F32, 1)), w.Scalar(dtype.F32, w.far())), w.Target.Compute), 1, 2)
	}
	norm := func(x *onnx.Value) *onnx.Value { return w.RMSNorm(s.At("final_layer_norm"), x, epsilon) }
	var bias, hidden *onnx.Value
	for i := range w.Layers {
		layer := s.At("block").Index(i).At("layer")
		if i == 0 || w.EachLayer {
			bias = w.bias(layer.At("0", "SelfAttention", "relative_attention_bias"))
		}
		h = w.attend(layer.At("0"), h, bias)
		h = w.mlp(layer.At("1"), h)
		if i == v.layer {
			hidden = h
		}
	}
	w.Output(outLast, w.Cast(norm(h), dtype.F32))
	if hidden == nil {
		return
	}
	if v.norm {
		hidden = norm(hidden)
	}
	w.Output(outHidden, w.Cast(hidden, dtype.F32))
}

const epsilon = 1e-6

// far is what hides a token: large against any product, and within the range of the compute type.
func (w *writer) far() float32 {
	if w.Target.Compute == dtype.F16 {
		return 6e4
	}
	return 1e30
}

// bias is the bias of attention, [1,heads,T,T], or [B,heads,T,T] with a mask.
func (w *writer) bias(s *weights.Scope) *onnx.Value {
	table := w.Table(s.Weight("weight", positionBuckets, w.Heads))
	x := w.Unsqueeze(w.Transpose(w.Gather(table, w.buckets), 2, 0, 1), 0)
	if w.mask != nil {
		x = w.Add(x, w.mask)
	}
	return x
}

func (w *writer) attend(s *weights.Scope, x, bias *onnx.Value) *onnx.Value {
	n := w.RMSNorm(s.At("layer_norm"), x, epsilon)
	a := s.At("SelfAttention")
	q, k, v := w.Linear(a.At("q"), n, w.Inner), w.Linear(a.At("k"), n, w.Inner), w.Linear(a.At("v"), n, w.Inner)
	y := w.Attend(q, k, v, onnx.Attention{Heads: w.Heads, Scale: 1, Bias: bias})
	return w.Add(x, w.Linear(a.At("o"), y, w.Width))
}

func (w *writer) mlp(s *weights.Scope, x *onnx.Value) *onnx.Value {
	n := w.RMSNorm(s.At("layer_norm"), x, epsilon)
	m := s.At("DenseReluDense")
	var h *onnx.Value
	if w.Config.Gated {
		h = w.Mul(w.Gelu(w.Linear(m.At("wi_0"), n, w.MLP), true), w.Linear(m.At("wi_1"), n, w.MLP))
	} else {
		h = w.Relu(w.Linear(m.At("wi"), n, w.MLP))
	}
	return w.Add(x, w.Linear(m.At("wo"), h, w.Width))
}
