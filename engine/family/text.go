package family

import (
	"context"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// Text is a family of text encoder networks.
type Text interface {
	Family
	// Read reads a text encoder. src shows its tensors without the prefix of a checkpoint, in any of the layouts in which
	// such files are distributed. It returns nil if the file holds none of this family.
	Read(src weights.Source) (TextEncoder, error)
}

// Prefixed is implemented by families of text encoders whose files have their own prefixes.
type Prefixed interface {
	Text
	// Prefixes lists the prefixes under which a file keeps the encoder that is loaded from it, beside the usual ones: none,
	// "text_encoder.", "text_encoders." and "transformer.".
	Prefixes() []string
}

// textPrefixes are the prefixes of the text encoders of all families.
func (r *Registry) textPrefixes() []string {
	out := slices.Clone(textPrefixes)
	for _, t := range r.Text() {
		p, ok := t.(Prefixed)
		if !ok {
			continue
		}
		for _, prefix := range p.Prefixes() {
			if !slices.Contains(out, prefix) {
				out = append(out, prefix)
			}
		}
	}
	return out
}

// TextEncoder is a text encoder network that was read from a file.
type TextEncoder interface {
	// Key names the encoder among several that act together, as embedding files and token lists do: "clip_l", "clip_g".
	Key() string
	// Width is the width of token vectors, and so of embeddings.
	Width() int
	// Tokenize lays a prompt out for the network.
	Tokenize(prompt string, o TokenizeOptions) (tokenizer.Tokens, error)
	// Encode encodes the chunks of a prompt with their weights.
	Encode(ctx context.Context, run Runner, tokens tokenizer.Tokens, o EncodeOptions) (Encoding, error)
	// Weights is the source of the network's tensors, without prefix and in the layout that its graph reads.
	Weights() weights.Source
}

// Follower is implemented by networks that read no prompt and continue with what the other encoders of a scheme make of one, such
// as a projection of their states; see SchemeEncoder.Follows.
type Follower interface {
	TextEncoder
	// Follow changes the encoding that the scheme joined. It may write to it.
	Follow(ctx context.Context, run Runner, e Encoding) (Encoding, error)
}

// TokenizeOptions are what surrounds a prompt.
type TokenizeOptions struct {
	// Embedding finds the vectors of an embedding by name, or nil.
	Embedding tokenizer.EmbeddingLookup
	// Missing, when set, is called with the name of each embedding that cannot be used.
	Missing func(name string)
	// Layout, when set, changes the encoder's own rules of laying prompts out.
	Layout func(o *tokenizer.Options)
}

// Apply applies the options to the rules of an encoder.
func (o TokenizeOptions) Apply(rules tokenizer.Options) tokenizer.Options {
	rules.Missing = o.Missing
	if o.Layout != nil {
		o.Layout(&rules)
	}
	return rules
}

// Lay lays a prompt out with the vocabulary that words returns, by an encoder's rules and the options.
func (o TokenizeOptions) Lay(words func() (tokenizer.Model, error), rules tokenizer.Options, prompt string) (tokenizer.Tokens, error) {
	m, err := words()
	if err != nil {
		return nil, err
	}
	return tokenizer.New(m, o.Apply(rules)).Tokenize(prompt, o.Embedding)
}

// Vocabulary is implemented by families whose encoders' tokenizers are known without a file.
type Vocabulary interface {
	Text
	// Tokenizer returns the tokenizer of the encoder of a key, or nil if the family has none without a file.
	Tokenizer(key string) Tokenizer
}

// Tokenizer lays a prompt out, as TextEncoder.Tokenize does.
type Tokenizer func(prompt string, o TokenizeOptions) (tokenizer.Tokens, error)

// EncodeOptions change how a prompt is encoded.
type EncodeOptions struct {
	// Layer is the layer whose hidden states are the encoding, counted from the end (-1 is the last); 0 is the default of
	// the encoder in its scheme.
	Layer int
	// Chosen is the layer that a user chose in place of Layer; 0 for none. An encoder without such a layer keeps Layer.
	Chosen int
	// RawHidden leaves the final layer norm off the hidden states of a chosen layer.
	RawHidden bool
	// Projected applies the file's text projection to the pooled output.
	Projected bool
	// Layers, when set, are the layers whose inputs are the encoding, [1,layers,tokens,width]: 0 is the token embeddings,
	// the number of layers is the final output. AllLayers takes all of them. Chosen has no effect then.
	Layers    []int
	AllLayers bool
	// Masked hides padding from the network's attention, ReturnMask returns which tokens are not padding, ZeroMasked sets the
	// hidden states of padding to zero.
	Masked, ReturnMask, ZeroMasked bool
	// Special, when set, are the special tokens in place of the encoder's own.
	Special *textenc.Empty
	// Unended leaves the end token out of the empty prompt, from which weights are measured.
	Unended bool
}

// Encode encodes tokens by an encoder's network of a width, whose special tokens are given.
func (o EncodeOptions) Encode(ctx context.Context, n textenc.Network, tokens tokenizer.Tokens, special textenc.Empty, width int) (Encoding, error) {
	if o.Special != nil {
		special = *o.Special
	}
	r, err := textenc.Encode(ctx, n, tokens, textenc.Settings{Empty: special, Width: width, ZeroMasked: o.ZeroMasked, Unended: o.Unended})
	if err != nil {
		return Encoding{}, err
	}
	out := Encoding{Hidden: r.Hidden, Pooled: r.Pooled}
	if o.ReturnMask {
		out.Mask = r.Mask
	}
	return out, nil
}

// Encoding is what one text encoder makes of a prompt.
type Encoding struct {
	// Hidden is [1,tokens,width], Pooled [1,width'] or nil.
	Hidden, Pooled *tensor.Tensor
	// Mask, when set, is the attention mask [1,tokens] that goes with Hidden.
	Mask *tensor.Tensor
	// Tokens are the encoded tokens.
	Tokens tokenizer.Tokens
	// Extra holds further outputs by the key under which a conditioning entry carries them.
	Extra map[string]any
}
