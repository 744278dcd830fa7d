// Package conditioning holds the nodes that make and change text encodings (upstream: nodes.py).
package conditioning

import (
	"comfygo/engine"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&CLIPTextEncode{})
	nodes.Register(&CLIPSetLastLayer{})
}

// errNoCLIP is what a missing text encoder is reported as.
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
	return nodes.Spec{Name: "CLIPSetLastLayer", DisplayName: "CLIP Set Last Layer", Category: "model/conditioning", Outputs: nodes.Outputs("CLIP")}
}

// Run implements nodes.Node.
func (n *CLIPSetLastLayer) Run(*nodes.Context) (nodes.Result, error) {
	if n.CLIP == nil {
		return nodes.Result{}, errNoCLIP()
	}
	return nodes.Out(n.CLIP.WithLayer(n.Stop)), nil
}
