package family

import (
	"context"

	"comfygo/engine/tokenizer"
)

// Generator is implemented by text encoders that can go on with a text: language models with an output layer.
type Generator interface {
	TextEncoder
	// CanGenerate is an error that says what a file lacks for it.
	CanGenerate() error
	// CacheBytes is the memory that the keys and values of so many tokens take.
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
	// Progress, when set, is told after each token how many there are; Cached what the keys and values take, in bytes, when
	// that grows.
	Progress func(done int)
	Cached   func(bytes int64)
}

// Chat is how a text encoder is prompted for generating text.
type Chat struct {
	// Write is the text that the model reads for a prompt. A prompt is Bare, Thinking or has Images only where the fields
	// below say that this has an effect.
	Write func(p Prompt) string
	// Bare, Thinking and Images say whether the prompt may go without its template, may have the model think first, and
	// may hold images.
	Bare, Thinking, Images bool
	// Video and Audio say whether the prompt may hold the frames of a video and sound.
	Video, Audio bool
	// Padded has prompts padded as for encoding; otherwise they are not.
	Padded bool
	// Stop, when set, are the tokens that end the text, in place of the model's own.
	Stop []int32
}

// RowGenerator is implemented by language models that go on with several prompts at once, such as those of a guidance.
type RowGenerator interface {
	TextEncoder
	// GenerateRows returns the tokens that follow the prompts, the same ones behind each. The prompts have one length.
	GenerateRows(ctx context.Context, run Runner, prompts [][]int32, o RowOptions) ([]int32, error)
}

// RowOptions are how prompts are gone on with.
type RowOptions struct {
	// Count is the number of tokens that are generated; From … To-1 are those that may be chosen.
	Count, From, To int
	// Padding is the token that hides itself where it stands before a prompt.
	Padding int32
	// Next chooses the token that follows from the logits of the tokens that may be chosen, one slice a prompt, which it may change.
	// vocabulary is the number of all tokens.
	Next func(logits [][]float32, vocabulary int) (int32, error)
	// Progress and Cached are as in GenerateOptions.
	Progress func(done int)
	Cached   func(bytes int64)
}
