// Package ovis is the text encoding of Ovis-Image: Qwen 3 2B alone, with zero padding.
package ovis

import (
	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/tokenizer"
)

const (
	template = "<|im_start|>user\nDescribe the image by detailing the color, quantity, text, shape, size, texture, spatial relationships of the objects and background: {}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
	tokens   = 284
	// lastWord is the token " background", which the template ends with before the prompt.
	lastWord int32 = 4004
)

// Upstream: text_encoders/ovis.py, which is taken for a file of this encoder whatever a loader's type.
func init() {
	o := family.EncodeOptions{RawHidden: true, Masked: true, ZeroMasked: true}
	family.Register(family.Single{
		Label: "Ovis-Image", Order: 92, Loader: "ovis", Finish: cut,
		Encoder: family.SchemeEncoder{
			Key: lm.KeyQwen3S, Plain: true, Options: o, Text: family.Template(template),
			Layout: func(o *tokenizer.Options) { o.Unweighted, o.MinLength = true, tokens },
		},
	})
}

// cut leaves the template's words out.
func cut(e family.Encoding, _ map[string]family.Encoding) (family.Encoding, error) {
	row, length := e.Tokens[0], e.Hidden.Dim(1)
	end := -1
	for i, t := range row {
		if t.ID == lastWord {
			end = i
			break
		}
	}
	if end+1 < length && row[end+1].ID == lm.TokenColon {
		end++
	}
	if end < 0 {
		end = length - 1
	}
	return e.Cut(end, length), nil
}
