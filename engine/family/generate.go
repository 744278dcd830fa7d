package family

import (
	"context"

	"comfygo/engine/tokenizer"
)

// Generator is implemented by text encoders that can continue with a text: language models with an output layer.
type Generator interface {
	TextEncoder
	// CanGenerate returns an error that states what the file lacks for it, or nil.
	CanGenerate() error
	// CacheBytes returns the memory of the keys and values of the given number of tokens.
	CacheBytes(tokens int) int64
	// Generate returns the tokens that follow a prompt of one chunk, up to and including one that ends the text.
	Generate(ctx context.Context, run Runner, tokens tokenizer.Tokens, o GenerateOptions) ([]int32, error)
	// Decode turns tokens into text, special ones left out.
	Decode(ids []int32) (string, error)
}

// GenerateOptions are how a text is gone on with.
type GenerateOptions struct {
	// MaxLength is the most tokens that are generated.
	MaxLength int
	// Stop, when set, are the tokens that end the text, in place of the model's own.
	Stop []int32
	// Next chooses the token that follows from the logits of all tokens, which it may change.
	Next func(logits []float32) (int32, error)
	// Count, when set, has tokens of the prompt count as generated before, for penalties on repetition. Models that upstream gives the
	// prompt to call it.
	Count func(ids []int32)
	// Progress, when set, is called after each token with the number of tokens; Cached is called with the size of the keys and
	// values in bytes when it grows.
	Progress func(done int)
	Cached   func(bytes int64)
}

// Chat is how a text encoder is prompted for generating text.
type Chat struct {
	// Write is the text that the model reads for a prompt. A prompt is Bare, Thinking or has Images only if the fields below
	// report that this has an effect.
	Write func(p Prompt) string
	// Bare, Thinking and Images report whether the prompt may omit its template, may ask the model to think first, and may
	// contain images.
	Bare, Thinking, Images bool
	// Video and Audio report whether the prompt may contain the frames of a video and audio.
	Video, Audio bool
	// Padded has prompts padded as for encoding; otherwise they are not.
	Padded bool
	// Stop, when set, are the tokens that end the text, in place of the model's own.
	Stop []int32
}

// RowGenerator is implemented by language models that continue with several prompts at once, such as those of a guidance.
type RowGenerator interface {
	TextEncoder
	// GenerateRows returns the tokens that follow the prompts, the same ones after each. The prompts have one length.
	GenerateRows(ctx context.Context, run Runner, prompts [][]int32, o RowOptions) ([]int32, error)
}

// RowOptions are how prompts are gone on with.
type RowOptions struct {
	// Count is the number of tokens that are generated; From … To-1 are those that may be chosen.
	Count, From, To int
	// Padding is the token that is hidden before a prompt.
	Padding int32
	// Next chooses the token that follows from the logits of the tokens that may be chosen, one slice a prompt, which it may change.
	// vocabulary is the number of all tokens.
	Next func(logits [][]float32, vocabulary int) (int32, error)
	// Progress and Cached are as in GenerateOptions.
	Progress func(done int)
	Cached   func(bytes int64)
}
