package clip

import (
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// The outputs of the graph.
const (
	outLast   = "last"
	outHidden = "hidden"
)

// variant distinguishes the graphs of one text encoder.
type variant struct {
	// layer is the layer whose states are the output "hidden", 0 for the first; -1 leaves the output out.
	layer int
	// norm applies the final layer norm to them.
	norm bool
	// masked hides padding from attention: the graph has the input "unseen", 1 for each pair of a token and one hidden from it,
	// [B,1,T,T].
	masked bool
}

// digest is the variant as a key.
func (v variant) digest() string {
	if v.masked {
		return family.Digest(v.layer, v.norm, v.masked)
	}
	return family.Digest(v.layer, v.norm)
}

// Graph writes the encoder: input "embeds" [B,T,width] float32, the token embeddings before positions are added; outputs
// "last" [B,T,width], the final layer's normalised states, and "hidden" [B,T,width] (upstream: clip_model.py CLIPTextModel).
func graph(src weights.Source, cfg Config, v variant, spec family.Spec) (*onnx.Graph, error) {
	return spec.Build("clip text", src, func(b *nn.Builder, s *weights.Scope) {
		w := &writer{Builder: b, cfg: cfg}
		w.write(s.At("text_model"), v)
	})
}

type writer struct {
	*nn.Builder
	cfg Config
	// bias, when set, hides tokens from others.
	bias *onnx.Value
}

func (c *writer) write(s *weights.Scope, v variant) {
	x := c.Input("embeds", dtype.F32, onnx.Sym("B"), onnx.D(c.cfg.Positions), onnx.D(c.cfg.Width))
	pos := c.Table(s.Weight("embeddings.position_embedding.weight", c.cfg.Positions, c.cfg.Width))
	h := c.Add(c.Cast(x, c.Target.Compute), pos)
	if v.masked {
		const least = -65504 // the least number of float16
		n := onnx.D(c.cfg.Positions)
		pairs := c.Input("unseen", dtype.F32, onnx.Sym("B"), onnx.D(1), n, n)
		c.bias = c.Cast(c.Mul(pairs, c.Scalar(dtype.F32, least)), c.Target.Compute)
	}
	norm := func(v *onnx.Value) *onnx.Value { return c.LayerNorm(s.At("final_layer_norm"), v, 1e-5) }
	var hidden *onnx.Value
	for i := range c.cfg.Layers {
		h = c.layer(s.At("encoder", "layers").Index(i), h)
		if i == v.layer {
			hidden = h
		}
	}
	c.Output(outLast, c.Cast(norm(h), dtype.F32))
	if hidden == nil {
		return
	}
	if v.norm {
		hidden = norm(hidden)
	}
	c.Output(outHidden, c.Cast(hidden, dtype.F32))
}

func (c *writer) layer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	w := c.cfg.Width
	n := c.LayerNorm(s.At("layer_norm1"), x, 1e-5)
	a := s.At("self_attn")
	q, k, v := c.Linear(a.At("q_proj"), n, w), c.Linear(a.At("k_proj"), n, w), c.Linear(a.At("v_proj"), n, w)
	x = c.Add(x, c.Linear(a.At("out_proj"), c.attention(q, k, v), w))
	n = c.LayerNorm(s.At("layer_norm2"), x, 1e-5)
	m := c.Linear(s.At("mlp", "fc1"), n, c.cfg.MLP)
	if c.cfg.QuickGelu {
		m = c.QuickGelu(m, 1.702)
	} else {
		m = c.Gelu(m, false)
	}
	return c.Add(x, c.Linear(s.At("mlp", "fc2"), m, w))
}

// attention is causal attention, or that to the tokens which the input "unseen" leaves.
func (c *writer) attention(q, k, v *onnx.Value) *onnx.Value {
	if c.bias != nil {
		return c.Attention(q, k, v, c.bias, c.cfg.Heads)
	}
	return c.CausalAttention(q, k, v, c.cfg.Heads)
}
