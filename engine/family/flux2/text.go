// Package flux2 is the family of Flux.2, dev and Klein. Its text encoding is three layers of a language model side by side, of
// Mistral Small for dev and of Qwen 3 for Klein.
package flux2

import (
	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/tokenizer"
)

const (
	system   = "You are an AI that reasons about image descriptions. You give structured responses focusing on object relationships, object\nattribution and actions without speculation."
	mistral  = "[SYSTEM_PROMPT]" + system + "[/SYSTEM_PROMPT][INST]{}[/INST]"
	qwen     = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
	kleinPad = 512
)

// Upstream: text_encoders/flux.py Flux2TEModel.
func init() {
	join := func(e family.Encoding, _ map[string]family.Encoding) (family.Encoding, error) {
		return e.LayersAsWidth(), nil
	}
	options := func(layers ...int) family.EncodeOptions {
		o := lm.Masked(0)
		o.Layers = layers
		return o
	}
	family.Register(family.Single{
		Label: "Flux.2", Order: 80, Loader: "flux2", Finish: join,
		Encoder: family.SchemeEncoder{Key: lm.KeyMistral, Options: options(10, 20, 30), Layout: lm.Unweighted, Text: family.Template(mistral)},
	})
	klein := func(order int, key string, only, not []string) {
		family.Register(family.Single{
			Label: "Flux.2 Klein", Order: order, Loader: "flux2", Finish: join, Only: only, Not: not,
			Encoder: family.SchemeEncoder{
				Key: key, Options: options(9, 18, 27), Text: family.Template(qwen),
				Layout: func(o *tokenizer.Options) { o.Unweighted, o.MinLength = true, kleinPad },
			},
		})
	}
	klein(81, lm.KeyQwen3M, []string{"flux"}, nil)
	klein(82, lm.KeyQwen3L, nil, []string{"ideogram4"})
	klein(83, lm.KeyQwen3VLM, []string{"flux"}, nil)
	klein(84, lm.KeyQwen3VLL, []string{"flux"}, nil)
}
