package anima

import (
	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/family/t5"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// loader is the type of the family's text encoder.
const loader = "anima"

// The keys of the T5 tokens and of their weights in a conditioning entry, [tokens] each.
const (
	KeyTokens  = "t5xxl_ids"
	KeyWeights = "t5xxl_weights"
)

// Upstream: text_encoders/anima.py, which is taken for a file of Qwen 3 0.6B whatever a loader's type. The model looks the
// tokens of T5 up by itself.
func init() {
	family.Register(family.Single{
		Label: "Anima", Order: 93, Loader: loader, Finish: join,
		Encoder: family.SchemeEncoder{Key: lm.KeyQwen3XS, Options: lm.Masked(0), Arrange: unweighted},
		Beside:  []family.SchemeEncoder{{Key: t5.KeyXXL, Alone: t5.Tokenize, Layout: family.MinLength(1)}},
	})
}

// unweighted sets all weights to 1.
func unweighted(t tokenizer.Tokens, _ family.Prompt) tokenizer.Tokens {
	for _, row := range t {
		for i := range row {
			row[i].Weight = 1
		}
	}
	return t
}

func join(e family.Encoding, parts map[string]family.Encoding) (family.Encoding, error) {
	row := parts[t5.KeyXXL].Tokens[0]
	ids, weights := tensor.New(len(row)), tensor.New(len(row))
	for i, t := range row {
		ids.Data[i], weights.Data[i] = float32(t.ID), float32(t.Weight)
	}
	e.Extra = map[string]any{KeyTokens: ids, KeyWeights: weights}
	return e, nil
}
