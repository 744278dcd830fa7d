// Package patches holds the nodes that patch the graph of a diffusion model (upstream: comfy_extras/nodes_attention_multiply.py
// and others).
//
// A patch is a value of engine/patch that a model carries; nothing is built before the model runs.
package patches

import (
	"fmt"
	"strings"

	"comfygo/engine"
	"comfygo/engine/patch"
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
	return scaleAttention(ctx, n.Model, patch.SelfAttention, n.Q, n.K, n.V, n.Out)
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
	return scaleAttention(ctx, n.Model, patch.CrossAttention, n.Q, n.K, n.V, n.Out)
}

func attentionSpec(name string) nodes.Spec {
	return nodes.Spec{
		Name: name, Category: "experimental/attention_experiments", Module: "comfy_extras.nodes_attention_multiply", V3: true, Experimental: true,
		Outputs: nodes.Outputs("MODEL"), Uses: nodes.UsesNothing,
	}
}

func scaleAttention(ctx *nodes.Context, m *engine.Model, at patch.Point, q, k, v, out float64) (nodes.Result, error) {
	if m == nil {
		return nodes.Result{}, errNoModel
	}
	factors := map[patch.Projection]float32{patch.Query: float32(q), patch.Key: float32(k), patch.Value: float32(v), patch.Output: float32(out)}
	m, ok := m.WithPatch(patch.AttentionScale{At: at, Factors: factors})
	if !ok {
		ctx.Warn(fmt.Sprintf("the attention factors have no effect: %s models have no such layers", m.Family()))
	}
	m, _ = m.WithPatch(patch.AttentionScale{At: alongTime[at], Factors: factors}) // of video models
	return nodes.Out(m), nil
}

// alongTime are the layers along the time axis that are scaled with those of frames.
var alongTime = map[patch.Point]patch.Point{patch.SelfAttention: patch.TemporalSelfAttention, patch.CrossAttention: patch.TemporalCrossAttention}

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
	m := n.Model
	for _, c := range []struct {
		at     patch.Point
		factor float64
	}{
		{patch.SelfAttention, n.SelfStructural},
		{patch.TemporalSelfAttention, n.SelfTemporal},
		{patch.CrossAttention, n.CrossStructural},
		{patch.TemporalCrossAttention, n.CrossTemporal},
	} {
		if c.factor == 1 {
			continue
		}
		with, ok := m.WithPatch(patch.AttentionScale{At: c.at, Factors: map[patch.Projection]float32{patch.Output: float32(c.factor)}})
		if !ok {
			ctx.Warn(fmt.Sprintf("a factor on %s has no effect: %s models have no such layers", c.at, m.Family()))
		}
		m = with
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
