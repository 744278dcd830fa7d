// Package patches holds the nodes that patch the graph of a diffusion model (upstream: comfy_extras/nodes_attention_multiply.py
// and others).
//
// A patch is a value of engine/patch that a model carries; nothing is built before the model runs.
package patches

import (
	"fmt"

	"comfygo/engine"
	"comfygo/engine/patch"
	"comfygo/nodes"
)

var errNoModel = nodes.Errorf("RuntimeError", "patching a model: there is no diffusion model")

func init() {
	nodes.Register(&UNetSelfAttentionMultiply{})
	nodes.Register(&UNetCrossAttentionMultiply{})
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
	m, ok := m.WithPatch(patch.AttentionScale{At: at, Factors: map[patch.Projection]float32{
		patch.Query: float32(q), patch.Key: float32(k), patch.Value: float32(v), patch.Output: float32(out),
	}})
	if !ok {
		ctx.Warn(fmt.Sprintf("the attention factors have no effect: %s models have no such layers", m.Family()))
	}
	return nodes.Out(m), nil
}
