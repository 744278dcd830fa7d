package models

import (
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
)

// CLIPTextConfig describes a CLIP text model (upstream: clip_model.py CLIPTextModel).
type CLIPTextConfig struct {
	Width, Layers, Heads, MLP int
	// Positions is the number of tokens in a chunk.
	Positions int
	// Vocab is the number of rows of the token table.
	Vocab int
	// QuickGelu selects x·sigmoid(1.702x); otherwise the MLP uses the exact GELU.
	QuickGelu bool
	// Start, End and Pad are the special tokens.
	Start, End, Pad int
	// Projected says that the pooled output goes through text_projection.
	Projected bool
}

// readCLIPText reads the config off the weights below s ("text_model." and, optionally, "text_projection.weight").
func readCLIPText(s *weights.Scope) (CLIPTextConfig, error) {
	table := s.Shape("text_model.embeddings.token_embedding.weight")
	pos := s.Shape("text_model.embeddings.position_embedding.weight")
	fc := s.Shape("text_model.encoder.layers.0.mlp.fc1.weight")
	if len(table) != 2 || len(pos) != 2 || len(fc) != 2 {
		return CLIPTextConfig{}, fmt.Errorf("reading the text encoder's shape: token_embedding %v, position_embedding %v, mlp.fc1 %v, wanted two dimensions each", table, pos, fc)
	}
	return CLIPTextConfig{
		Width: table[1], Vocab: table[0], Positions: pos[0], MLP: fc[0],
		Layers: s.Count("text_model.encoder.layers"), Heads: max((table[1]+63)/64, 1), QuickGelu: true,
		Start: 49406, End: 49407, Pad: 49407, Projected: s.Has("text_projection.weight"),
	}, nil
}

// CLIPTextGraph writes the encoder: input "embeds" [B,T,width] float32, the token embeddings before positions are added;
// outputs "last" [B,T,width], the final layer's normalised states, and "hidden" [B,T,width], the states after layer
// (0 for the first), normalised too when finalNorm is set. layer -1 leaves "hidden" out.
func CLIPTextGraph(s *weights.Scope, cfg CLIPTextConfig, t nn.Target, layer int, finalNorm bool) (*onnx.Graph, error) {
	g, err := onnx.Build("clip text", func(g *onnx.Graph) error {
		c := &clipText{Builder: &nn.Builder{Graph: g, Target: t}, cfg: cfg}
		c.write(s.At("text_model"), layer, finalNorm)
		return nil
	})
	if kerr := s.Err(); kerr != nil {
		return nil, kerr
	}
	return g, err
}

type clipText struct {
	*nn.Builder
	cfg CLIPTextConfig
}

func (c *clipText) write(s *weights.Scope, layer int, finalNorm bool) {
	x := c.Input("embeds", dtype.F32, onnx.Sym("B"), onnx.D(c.cfg.Positions), onnx.D(c.cfg.Width))
	pos := c.Table(s.Weight("embeddings.position_embedding.weight", c.cfg.Positions, c.cfg.Width))
	h := c.Add(c.Cast(x, c.Target.Compute), pos)
	norm := func(v *onnx.Value) *onnx.Value { return c.LayerNorm(s.At("final_layer_norm"), v, 1e-5) }
	var hidden *onnx.Value
	for i := range c.cfg.Layers {
		h = c.layer(s.At("encoder", "layers").Index(i), h)
		if i == layer {
			hidden = h
		}
	}
	c.Output("last", c.Cast(norm(h), dtype.F32))
	if hidden == nil {
		return
	}
	if finalNorm {
		hidden = norm(hidden)
	}
	c.Output("hidden", c.Cast(hidden, dtype.F32))
}

func (c *clipText) layer(s *weights.Scope, x *onnx.Value) *onnx.Value {
	w := c.cfg.Width
	n := c.LayerNorm(s.At("layer_norm1"), x, 1e-5)
	a := s.At("self_attn")
	q, k, v := c.Linear(a.At("q_proj"), n, w), c.Linear(a.At("k_proj"), n, w), c.Linear(a.At("v_proj"), n, w)
	x = c.Add(x, c.Linear(a.At("out_proj"), c.CausalAttention(q, k, v, c.cfg.Heads), w))
	n = c.LayerNorm(s.At("layer_norm2"), x, 1e-5)
	m := c.Linear(s.At("mlp", "fc1"), n, c.cfg.MLP)
	if c.cfg.QuickGelu {
		m = c.QuickGelu(m, 1.702)
	} else {
		m = c.Gelu(m, false)
	}
	return c.Add(x, c.Linear(s.At("mlp", "fc2"), m, w))
}
