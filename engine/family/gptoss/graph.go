package gptoss

import (
	"math"
	"slices"
	"strconv"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The inputs and the output of the graph.
const (
	inEmbeds  = "embeds"
	inHidden  = "hidden"
	inNear    = "near"
	inCos     = "cos"
	inSin     = "sin"
	outStates = "states"
)

const (
	epsilon = 1e-5
	// alpha is the slope of the gate's sigmoid, limit bounds gate and value.
	alpha = 1.702
	limit = 7
)

// writer writes one graph.
type writer struct {
	*nn.Builder
	Config
	rope *nn.Rotary
	bias [2]*onnx.Value
}

// write writes the network: inputs embeds [B,T,width], hidden and near [B,1,T,T], which mark with 1 the keys that a query does not attend
// to in layers of either kind, and cosines and sines [1,T,D/2]; output states [B,T,selected·width]. Upstream: GptOssModel.
func (w *writer) write(s *weights.Scope) {
	rows, t, one := onnx.Sym("B"), onnx.Sym("T"), onnx.D(1)
	x := dit.Input(w.Builder, inEmbeds, rows, t, onnx.D(w.Width))
	w.rope = &nn.Rotary{Cos: dit.Input(w.Builder, inCos, one, t, onnx.D(w.HeadDim/2)), Sin: dit.Input(w.Builder, inSin, one, t, onnx.D(w.HeadDim/2))}
	for i, name := range []string{inHidden, inNear} {
		w.bias[i] = w.Expand(w.Mul(dit.Input(w.Builder, name, rows, one, t, t), w.Const(w.far())), rows, onnx.D(w.Heads), t, t)
	}
	s.Ignore("norm")
	var states []*onnx.Value
	for i := range slices.Max(w.Selected) + 1 {
		x = w.layer(s.At("layers").Index(i), x, (i+1)%2)
		if slices.Contains(w.Selected, i) {
			states = append(states, x)
		}
	}
	dit.Output(w.Builder, outStates, w.Concat(2, states...))
}

// far is what hides a key.
func (w *writer) far() float32 {
	if w.Target.Compute == dtype.F16 {
		return -math.MaxUint16 / 2
	}
	return -math.MaxFloat32 / 2
}

// layer is a decoder layer; near is 1 for one that attends to a window of tokens.
func (w *writer) layer(s *weights.Scope, x *onnx.Value, near int) *onnx.Value {
	x = w.Add(x, w.attend(s.At("self_attn"), w.RMSNorm(s.At("input_layernorm"), x, epsilon), near))
	return w.Add(x, w.mixture(s.At("mlp"), w.RMSNorm(s.At("post_attention_layernorm"), x, epsilon)))
}

// attend is attention in which each head has a sink: one more key that takes its part of the attention and gives nothing. Upstream:
// _attention_with_sinks.
func (w *writer) attend(s *weights.Scope, x *onnx.Value, near int) *onnx.Value {
	rows, t, one := x.Dim(0), x.Dim(1), onnx.D(1)
	keys := w.KVHeads * w.HeadDim
	q := w.Rotate(w.Linear(s.At("q_proj"), x, w.Heads*w.HeadDim), w.rope, w.Heads)
	k := w.Rotate(w.Linear(s.At("k_proj"), x, keys), w.rope, w.KVHeads)
	v := w.Linear(s.At("v_proj"), x, keys)
	zero := w.Expand(w.Unsqueeze(w.Const(0), 0, 1, 2), rows, one, onnx.D(keys))
	w.At(s.Prefix())
	sinks := s.Weight("sinks", w.Heads)
	if e, err := sinks.Entry.Reshape(1, w.Heads, 1, 1); err == nil {
		sinks = &weights.Ref{Name: sinks.Name, Entry: e}
	}
	sink := w.Expand(w.Table(sinks), rows, onnx.D(w.Heads), t, one)
	y := w.Attend(q, w.Concat(1, k, zero), w.Concat(1, v, zero), onnx.Attention{
		Heads: w.Heads, KVHeads: w.KVHeads, Scale: float32(1 / math.Sqrt(float64(w.HeadDim))), Bias: w.Concat(3, w.bias[near], sink),
	})
	return w.Linear(s.At("o_proj"), y, w.Width)
}

// mixture is the sum of the experts that a token is routed to, each times its score. Where scores are equal, the expert that comes first
// counts as greater. Upstream: GptOssMLP.
func (w *writer) mixture(s *weights.Scope, x *onnx.Value) *onnx.Value {
	best, experts := w.TopK(w.Linear(s.At("router"), x, w.Experts), -1, w.Active)
	return w.Routed(x, experts, w.Softmax(best, -1), w.Experts, func(i int, x *onnx.Value) *onnx.Value {
		return w.expert(s.At("experts", strconv.Itoa(i)), x)
	})
}

// expert is the gated feed-forward layer of one expert for tokens [rows,width], with interleaved gates and values. Upstream: GptOssExperts.
func (w *writer) expert(s *weights.Scope, x *onnx.Value) *onnx.Value {
	h := w.Reshape(w.Linear(s.At("gate_up_proj"), x, 2*w.Inner), x.Dim(0), onnx.D(w.Inner), onnx.D(2))
	parts := w.Split(h, -1, 1, 1)
	gate, up := w.Squeeze(parts[0], 2), w.Squeeze(parts[1], 2)
	gate = w.QuickGelu(w.Min(gate, w.Const(limit)), alpha)
	return w.Linear(s.At("down_proj"), w.Mul(gate, w.Add(w.Clip(up, -limit, limit), w.Const(1))), w.Width)
}

// angles are cosines and sines [tokens,D/2] of positions, whose slow frequencies are interpolated (YaRN), in float32 as upstream computes
// them: _yarn_inv_freq, _build_freqs_cis.
func angles(tokens, head int) (cos, sin []float32) {
	const (
		base, factor, trained = 150000.0, 32.0, 4096.0
		fast, slow            = 32.0, 1.0
	)
	dim := float64(head)
	at := func(turns float64) float64 { return dim * math.Log(trained/(turns*2*math.Pi)) / (2 * math.Log(base)) }
	low, high := max(at(fast), 0), min(at(slow), dim-1)
	if low == high {
		high += 0.001
	}
	scale := float32(0.1*math.Log(factor) + 1)
	frequencies := make([]float32, head/2)
	for i := range frequencies {
		period := float32(math.Pow(base, float64(float32(2*i)/float32(head))))
		ramp := min(max((float32(i)-float32(low))/float32(high-low), 0), 1)
		frequencies[i] = 1/(factor*period)*ramp + 1/period*(1-ramp)
	}
	for p := range tokens {
		for _, f := range frequencies {
			angle := float64(f * float32(p))
			cos, sin = append(cos, float32(math.Cos(angle))*scale), append(sin, float32(math.Sin(angle))*scale)
		}
	}
	return cos, sin
}
