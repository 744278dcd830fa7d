package minimaxmusic

import (
	"context"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// The prompt of the language model and the seed of its generator.
var (
	PromptOf = prompt
	SeedOf   = seedOf
	// CheckWords and Specials are the check of the tokenizer, and the tokens that it looks for.
	CheckWords = checkWords
	Specials   = specials
)

// Write writes a song for tokens with a language model.
func Write(ctx context.Context, run family.Runner, e family.TextEncoder, ids []int64, s Song) (*tensor.Tensor, error) {
	return e.(*encoder).generate(ctx, run, ids, s, nil)
}
