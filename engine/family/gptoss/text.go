package gptoss

import (
	"context"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// Loader is the type of the text encoder in the CLIP loaders.
const Loader = "lens"

// The chat in which a prompt stands, the number of its tokens before the prompt, and that of tokens in all.
const (
	before = "<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\nCurrent date: 2026-05-23\n\nReasoning: medium\n\n" +
		"# Valid channels: analysis, commentary, final. Channel must be included for every message.<|end|><|start|>developer<|message|># Instructions\n\n" +
		"Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the objects and background.\n\n<|end|><|start|>user<|message|>"
	behind = "<|end|><|start|>assistant<|channel|>analysis<|message|>Need to generate one image according to the description.<|end|><|start|>assistant<|channel|>final<|message|>"

	tokensBefore = 97
	mostTokens   = 512
)

// Upstream: text_encoders/gpt_oss.py LensGptOssTokenizer, LensGptOssClipModel.
func init() {
	family.Register(family.Single{
		Label: "Lens", Order: 165, Loader: Loader,
		Encoder: family.SchemeEncoder{
			Key: Key, Plain: true, Options: family.EncodeOptions{ReturnMask: true}, Compose: compose, Run: run,
		},
		Finish: func(e family.Encoding, _ map[string]family.Encoding) (family.Encoding, error) {
			if n := e.Hidden.Dim(1); n > tokensBefore {
				return e.Cut(tokensBefore, n), nil
			}
			return e, nil
		},
	})
}

// compose lays a prompt out in the chat; an empty prompt has only the padding token.
func compose(tok family.Tokenizer, p family.Prompt, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	if strings.TrimSpace(p.Text) == "" {
		return tokenizer.Tokens{{{ID: special.Pad, Weight: 1}}}, nil
	}
	out, err := tok(before+p.Text+behind, o)
	for i, row := range out {
		out[i] = row[:min(len(row), mostTokens)]
	}
	return out, err
}

// run encodes a prompt. An empty prompt, which has no tokens upstream, is encoded as one hidden token.
func run(ctx context.Context, c family.SchemeCall) (family.Encoding, error) {
	tokens := c.Tokens[Key]
	if e, ok := c.Net.(*Encoder); ok && len(tokens) == 1 && len(tokens[0]) == 1 && tokens[0][0].ID == special.Pad {
		return family.Encoding{Hidden: tensor.New(1, 1, len(e.Selected)*e.Config.Width), Mask: tensor.New(1, 1), Tokens: tokens}, nil
	}
	return c.Net.Encode(ctx, c.Runner, tokens, family.EncodeOptions{ReturnMask: true})
}
