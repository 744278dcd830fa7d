// Package conditioning holds the nodes that make and change text encodings (upstream: nodes.py).
package conditioning

import (
	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CLIPTextEncode{})
	nodes.Register(&CLIPSetLastLayer{})
	nodes.Register(&CLIPTextEncodeControlnet{})
}

// errNoCLIP returns the error for a missing text encoder.
func errNoCLIP() error {
	return nodes.Errorf("RuntimeError", "encoding a prompt: there is no text encoder. A checkpoint without one was loaded; add a node that loads it from its own file")
}

// CLIPTextEncode encodes a prompt.
type CLIPTextEncode struct {
	Text string       `in:"text" multiline:"true" dynamicPrompts:"true" tooltip:"The prompt. (word:1.2) makes a word weigh more, embedding:name inserts an embedding."`
	CLIP *engine.CLIP `in:"clip" type:"CLIP" tooltip:"The text encoder that reads the prompt."`
}

// Spec implements nodes.Node.
func (*CLIPTextEncode) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncode", DisplayName: "CLIP Text Encode (Prompt)", Category: "model/conditioning",
		Description:   "Turns a prompt into the encoding that steers the diffusion model.",
		SearchAliases: []string{"text", "prompt", "text prompt", "positive prompt", "negative prompt", "encode text", "text encoder", "encode prompt"},
		Outputs:       []nodes.Output{{Type: "CONDITIONING", Tooltip: "The encoded prompt, for a sampler."}},
		Uses:          nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncode) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	c, err := n.CLIP.Encode(ctx, n.Text)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(c), nil
}

// CLIPSetLastLayer takes the encoding after an earlier layer ("clip skip").
type CLIPSetLastLayer struct {
	CLIP *engine.CLIP `in:"clip" type:"CLIP"`
	Stop int          `in:"stop_at_clip_layer" default:"-1" min:"-24" max:"-1" step:"1" advanced:"true"`
}

// Spec implements nodes.Node.
func (*CLIPSetLastLayer) Spec() nodes.Spec {
	return nodes.Spec{Name: "CLIPSetLastLayer", DisplayName: "CLIP Set Last Layer", Category: "model/conditioning", Outputs: nodes.Outputs("CLIP"), Uses: nodes.UsesDevice}
}

// Run implements nodes.Node.
func (n *CLIPSetLastLayer) Run(*nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	return nodes.Out(n.CLIP.WithLayer(n.Stop)), nil
}

// CLIPTextEncodeControlnet encodes a prompt that a ControlNet reads in place of the model's.
type CLIPTextEncodeControlnet struct {
	CLIP         *engine.CLIP        `in:"clip" type:"CLIP"`
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING"`
	Text         string              `in:"text" multiline:"true" dynamicPrompts:"true"`
}

// Spec implements nodes.Node.
func (*CLIPTextEncodeControlnet) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CLIPTextEncodeControlnet", DisplayName: "CLIP Text Encode (Controlnet)", Category: "model/conditioning",
		Module: "comfy_extras.nodes_cond", V3: true, Experimental: true, Outputs: nodes.Outputs("CONDITIONING"),
		Uses: nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *CLIPTextEncodeControlnet) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	c, err := n.CLIP.Encode(ctx, n.Text)
	if err != nil {
		return nodes.Result{}, err
	}
	if len(c) == 0 {
		return nodes.Result{}, nodes.Errorf("RuntimeError", "encoding a prompt: the text encoder gives nothing")
	}
	return nodes.Out(n.Conditioning.With(map[string]any{sampling.KeyControlText: c[0].Tokens, sampling.KeyControlPooled: c[0].Pooled})), nil
}
