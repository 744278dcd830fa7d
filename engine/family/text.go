package family

import (
	"context"

	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// Text is a family of text encoder networks.
type Text interface {
	Family
	// Read reads a text encoder. src shows its tensors without the prefix of a checkpoint, in any of the layouts in which
	// such files are distributed. It returns nil for a file that holds none of this family.
	Read(src weights.Source) (TextEncoder, error)
}

// TextEncoder is a text encoder network that was read from a file.
type TextEncoder interface {
	// Key names the encoder among several that act together, as embedding files and token lists do: "clip_l", "clip_g".
	Key() string
	// Width is that of the vectors that stand for tokens, and so of embeddings.
	Width() int
	// Tokenize lays a prompt out for the network.
	Tokenize(prompt string, o TokenizeOptions) (tokenizer.Tokens, error)
	// Encode encodes the chunks of a prompt with their weights.
	Encode(ctx context.Context, run Runner, tokens tokenizer.Tokens, o EncodeOptions) (Encoding, error)
	// Weights is the source of the network's tensors, without prefix and in the layout that its graph reads.
	Weights() weights.Source
}

// TokenizeOptions are what surrounds a prompt.
type TokenizeOptions struct {
	// Embedding finds the vectors of an embedding by name, nil where there are none.
	Embedding tokenizer.EmbeddingLookup
	// Missing, when set, is told the name of each embedding that cannot be used.
	Missing func(name string)
}

// EncodeOptions change how a prompt is encoded.
type EncodeOptions struct {
	// Layer is the layer whose hidden states are the encoding, counted from the end (-1 is the last); 0 is the default of
	// the encoder in its scheme.
	Layer int
	// Chosen is the layer that a user chose in place of Layer; 0 for none. An encoder without such a layer keeps Layer.
	Chosen int
	// RawHidden leaves the final layer norm off the hidden states of a chosen layer.
	RawHidden bool
	// Projected has the pooled output go through the file's text projection.
	Projected bool
}

// Encoding is what one text encoder makes of a prompt.
type Encoding struct {
	// Hidden is [1,tokens,width], Pooled [1,width'] or nil.
	Hidden, Pooled *tensor.Tensor
	// Mask, when set, is the attention mask [1,tokens] that goes with Hidden.
	Mask *tensor.Tensor
	// Extra holds further outputs by the key under which a conditioning entry carries them.
	Extra map[string]any
}

// Scheme is how one or several text encoders make the conditioning of a model family: the meaning of a CLIP loader's type.
type Scheme interface {
	Family
	// Type is the scheme's name in the CLIP loaders ("stable_diffusion", "sdxl").
	Type() string
	// Encoders lists the keys of the encoders that the scheme takes, in order; Missing ones that may be absent are filled
	// by Join as upstream does.
	Encoders() []SchemeEncoder
	// Join makes one encoding of those of the scheme's encoders, by key. An absent optional encoder has no entry.
	Join(parts map[string]Encoding) (Encoding, error)
}

// Standalone is implemented by schemes that stand in for loader types whose own scheme takes other encoders.
type Standalone interface {
	Scheme
	// Standalone reports whether the scheme stands in for a loader's type.
	Standalone(kind string) bool
}

// SchemeEncoder is one encoder of a scheme.
type SchemeEncoder struct {
	// Key is the encoder's key.
	Key string
	// Optional says that the scheme works without the encoder.
	Optional bool
	// Options are how this scheme has the encoder encode.
	Options EncodeOptions
}
