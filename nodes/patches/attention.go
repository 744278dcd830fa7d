// Package patches holds the nodes that patch the graph of a diffusion model (upstream: comfy_extras/nodes_attention_multiply.py
// and others).
//
// A patch is a value of engine/patch that a model carries; nothing is built before the model runs.
package patches

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/nodes"
)

var errNoModel = nodes.Errorf("RuntimeError", "patching a model: there is no diffusion model")

func init() {
	nodes.Register(&UNetSelfAttentionMultiply{})
	nodes.Register(&UNetCrossAttentionMultiply{})
	nodes.Register(&UNetTemporalAttentionMultiply{})
	nodes.Register(&CLIPAttentionMultiply{})
}

// UNetSelfAttentionMultiply multiplies the projections of attention among the latent's positions.
type UNetSelfAttentionMultiply struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Q     float64       `in:"q" default:"1.0" min:"0.0" max:"10.0" step:"0.01" advanced:"true"`
	K     float64       `in:"k" default:"1.0" min:"0.0" max:"10.0" step:"0.01" advanced:"true"`
	V     float64       `in:"v" default:"1.0" min:"0.0" max:"10.0" step:"0.01" advanced:"true"`
	Out   float64       `in:"out" default:"1.0" min:"0.0" max:"10.0" step:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*UNetSelfAttentionMultiply) Spec() nodes.Spec {
	return attentionSpec("UNetSelfAttentionMultiply")
}

// Run implements nodes.Node.
func (n *UNetSelfAttentionMultiply) Run(ctx *nodes.Context) (nodes.Result, error) {
	return scaleAttention(ctx, n.Model, "attn1", n.Q, n.K, n.V, n.Out)
}

// UNetCrossAttentionMultiply multiplies the projections of attention to the text.
type UNetCrossAttentionMultiply struct {
	Model *engine.Model `in:"model" type:"MODEL"`
	Q     float64       `in:"q" default:"1.0" min:"0.0" max:"10.0" step:"0.01" advanced:"true"`
	K     float64       `in:"k" default:"1.0" min:"0.0" max:"10.0" step:"0.01" advanced:"true"`
	V     float64       `in:"v" default:"1.0" min:"0.0" max:"10.0" step:"0.01" advanced:"true"`
	Out   float64       `in:"out" default:"1.0" min:"0.0" max:"10.0" step:"0.01" advanced:"true"`
}

// Spec implements nodes.Node.
func (*UNetCrossAttentionMultiply) Spec() nodes.Spec {
	return attentionSpec("UNetCrossAttentionMultiply")
}

// Run implements nodes.Node.
func (n *UNetCrossAttentionMultiply) Run(ctx *nodes.Context) (nodes.Result, error) {
	return scaleAttention(ctx, n.Model, "attn2", n.Q, n.K, n.V, n.Out)
}

func attentionSpec(name string) nodes.Spec {
	return nodes.Spec{
		Name: name, Category: "experimental/attention_experiments", Module: "comfy_extras.nodes_attention_multiply", V3: true, Experimental: true,
		Outputs: nodes.Outputs("MODEL"), Uses: nodes.UsesNothing,
	}
}

// scaleAttention multiplies the weights of the projections of attention layers called attn, those along the time axis included. Weights
// that LoRA files change later are not multiplied.
func scaleAttention(ctx *nodes.Context, m *engine.Model, attn string, q, k, v, out float64) (nodes.Result, error) {
	if m == nil {
		return nodes.Result{}, errNoModel
	}
	factors := map[string]float64{attn + ".to_q": q, attn + ".to_k": k, attn + ".to_v": v, attn + ".to_out.0": out}
	layers := false
	m, _ = m.Scaled(func(name string) float64 {
		layer := strings.TrimSuffix(strings.TrimSuffix(name, ".weight"), ".bias")
		for end, f := range factors {
			if strings.HasSuffix(layer, end) {
				layers = true
				return f
			}
		}
		return 1
	})
	if !layers {
		ctx.Warn(fmt.Sprintf("the attention factors have no effect: %s models have no such layers", m.Family()))
	}
	return nodes.Out(m), nil
}

// The kinds of attention layers whose results UNetTemporalAttentionMultiply multiplies.
const (
	selfStructural  = "self-attention"
	selfTemporal    = "self-attention along time"
	crossStructural = "cross-attention"
	crossTemporal   = "cross-attention along time"
)

// resultOf is the kind of attention layer whose result a weight computes, "" for other weights.
func resultOf(name string) string {
	layer := strings.TrimSuffix(strings.TrimSuffix(name, ".weight"), ".bias")
	kinds := [2]string{selfStructural, selfTemporal}
	switch {
	case strings.HasSuffix(layer, "attn2.to_out.0"):
		kinds = [2]string{crossStructural, crossTemporal}
	case !strings.HasSuffix(layer, "attn1.to_out.0"):
		return ""
	}
	if strings.Contains(name, ".time_stack.") {
		return kinds[1]
	}
	return kinds[0]
}

// UNetTemporalAttentionMultiply multiplies the results of attention, apart for the layers along the time axis.
type UNetTemporalAttentionMultiply struct {
	Model           *engine.Model `in:"model" type:"MODEL"`
	SelfStructural  float64       `in:"self_structural" advanced:"true" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on attention among the positions of a frame."`
	SelfTemporal    float64       `in:"self_temporal" advanced:"true" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on attention among frames."`
	CrossStructural float64       `in:"cross_structural" advanced:"true" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on attention of positions to the conditioning."`
	CrossTemporal   float64       `in:"cross_temporal" advanced:"true" default:"1.0" min:"0.0" max:"10.0" step:"0.01" tooltip:"Factor on attention of frames to the conditioning."`
}

// Spec implements nodes.Node.
func (*UNetTemporalAttentionMultiply) Spec() nodes.Spec {
	return attentionSpec("UNetTemporalAttentionMultiply")
}

// Run implements nodes.Node.
func (n *UNetTemporalAttentionMultiply) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Model == nil {
		return nodes.Result{}, errNoModel
	}
	factors := map[string]float64{
		selfStructural: n.SelfStructural, selfTemporal: n.SelfTemporal, crossStructural: n.CrossStructural, crossTemporal: n.CrossTemporal,
	}
	found := map[string]bool{}
	m, _ := n.Model.Scaled(func(name string) float64 {
		kind := resultOf(name)
		found[kind] = true
		if kind == "" {
			return 1
		}
		return factors[kind]
	})
	for _, kind := range slices.Sorted(maps.Keys(factors)) {
		if factors[kind] != 1 && !found[kind] {
			ctx.Warn(fmt.Sprintf("a factor on %s has no effect: %s models have no such layers", kind, m.Family()))
		}
	}
	return nodes.Out(m), nil
}

// CLIPAttentionMultiply multiplies the projections of attention in text encoders.
type CLIPAttentionMultiply struct {
	CLIP *engine.CLIP `in:"clip" type:"CLIP"`
	Q    float64      `in:"q" advanced:"true" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	K    float64      `in:"k" advanced:"true" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	V    float64      `in:"v" advanced:"true" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
	Out  float64      `in:"out" advanced:"true" default:"1.0" min:"0.0" max:"10.0" step:"0.01"`
}

// Spec implements nodes.Node.
func (*CLIPAttentionMultiply) Spec() nodes.Spec {
	s := attentionSpec("CLIPAttentionMultiply")
	s.Outputs, s.SearchAliases = nodes.Outputs("CLIP"), []string{"clip attention scale", "text encoder attention"}
	return s
}

// Run implements nodes.Node.
func (n *CLIPAttentionMultiply) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, nodes.Errorf("AttributeError", "multiplying attention: there are no text encoders")
	}
	factors := map[string]float64{"q_proj": n.Q, "k_proj": n.K, "v_proj": n.V, "out_proj": n.Out}
	c, found := n.CLIP.Scaled(func(name string) float64 {
		for projection, f := range factors {
			if strings.HasSuffix(name, "self_attn."+projection+".weight") || strings.HasSuffix(name, "self_attn."+projection+".bias") {
				return f
			}
		}
		return 1
	})
	if !found && (n.Q != 1 || n.K != 1 || n.V != 1 || n.Out != 1) {
		ctx.Warn("the attention factors have no effect: the text encoders have no such layers")
	}
	return nodes.Out(c), nil
}
