package family

import (
	"context"
	"fmt"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// Scheme defines how text encoders make the conditioning of a model family: the meaning of a CLIP loader's type.
type Scheme interface {
	Family
	// Type is the scheme's name in the CLIP loaders ("stable_diffusion", "sdxl").
	Type() string
	// Encoders lists the keys of the encoders that the scheme takes, in order; Missing ones that may be absent are filled
	// by Join as upstream does.
	Encoders() []SchemeEncoder
	// Join combines the encodings of the scheme's encoders, by key, into one. An absent optional encoder has no entry.
	Join(parts map[string]Encoding) (Encoding, error)
}

// Standalone is implemented by schemes that replace the scheme of a loader type that takes other encoders.
type Standalone interface {
	Scheme
	// Standalone reports whether the scheme replaces the one of a loader's type.
	Standalone(kind string) bool
}

// SchemeEncoder is one encoder of a scheme.
type SchemeEncoder struct {
	// Key is the encoder's key.
	Key string
	// Optional reports that the scheme works without the encoder.
	Optional bool
	// Options are how this scheme has the encoder encode.
	Options EncodeOptions
	// Text, when set, is the text that the encoder reads for a prompt, such as a chat template around it, or false if the
	// encoder is left out for this prompt.
	Text func(p Prompt) (string, bool)
	// Layout, when set, changes the encoder's own rules of laying prompts out.
	Layout func(o *tokenizer.Options)
	// Compose, when set, lays a prompt out by several calls of the encoder's tokenizer.
	Compose func(tok Tokenizer, p Prompt, o TokenizeOptions) (tokenizer.Tokens, error)
	// Arrange, when set, changes the tokens.
	Arrange func(t tokenizer.Tokens, p Prompt) tokenizer.Tokens
	// Plain reports that "embedding:name" is text.
	Plain bool
	// Chat, when set, is how the encoder is prompted for generating text; Text is taken otherwise.
	Chat *Chat
	// Follows reports that the encoder is a Follower.
	Follows bool
	// Alone, when set, is the tokenizer of an entry without a network: Join gets its tokens, and no file holds it.
	Alone Tokenizer
	// Beside, when set, is Alone for a vocabulary that lies beside the file of the scheme's first encoder.
	Beside func(src weights.Source) Tokenizer
	// Of, when set, is the key of the encoder whose network and tokenizer the entry uses, too.
	Of string
	// Run, when set, takes the place of the network's Encode.
	Run func(ctx context.Context, c SchemeCall) (Encoding, error)
}

// SchemeCall is what an entry of a scheme computes with.
type SchemeCall struct {
	Net    TextEncoder
	Runner Runner
	// Prompt is the tokenized prompt, with an empty text if that is unknown; Tokens are those of all entries by key.
	Prompt Prompt
	Tokens map[string]tokenizer.Tokens
	// Cached is called with the bytes of memory that the call keeps until it ends.
	Cached func(bytes int64)
}

// Network is the key of the encoder that the entry uses, "" for none.
func (e SchemeEncoder) Network() string {
	switch {
	case e.Alone != nil || e.Beside != nil:
		return ""
	case e.Of != "":
		return e.Of
	}
	return e.Key
}

// Prompt is the input of text encoders.
type Prompt struct {
	Text string
	// Template, when set, replaces the scheme's own; "{}" in it is the place of the text.
	Template string
	// Images are the images that the prompt refers to, [1,height,width,3] each, for encoders with a vision tower.
	Images []*tensor.Tensor
	// Frames are the frames of a video, one per second, and Sound is its audio. Models that read them turn Sound into Features, and set
	// Primed when an answer without thinking begins with an empty thought: see Preparer.
	Frames   []*tensor.Tensor
	Sound    *Sound
	Features *tensor.Tensor
	Primed   bool
	// Vectors are image embeddings [images,tokens,width] for encoders that read them in place of image tokens, of which
	// every Interleave-th is kept in front of the encoding.
	Vectors    *tensor.Tensor
	Interleave int
	// Layout, when set, changes the rules of the encoder of a key, after the scheme's.
	Layout func(key string, o *tokenizer.Options)
	// Extra is what node classes of a family add to the text; its scheme knows the type.
	Extra any
	// Generate reports that text is to be generated, Bare without the template around the prompt, Thinking with the model's
	// thoughts first.
	Generate, Bare, Thinking bool
}

// Sound is a waveform [1,channels,samples], full scale at -1 and 1, and its sample rate in Hz.
type Sound struct {
	Waveform *tensor.Tensor
	Rate     int
}

// Preparer is implemented by text encoders that change what a prompt shows, such as the size of images, before it is laid out.
type Preparer interface {
	TextEncoder
	// Prepare changes a prompt, which owns its lists.
	Prepare(ctx context.Context, p *Prompt) error
}

// Tokenize returns the tokens of a prompt for the encoder of the scheme with the tokenizer tok, or no tokens if the scheme
// skips the encoder for this prompt.
func (e SchemeEncoder) Tokenize(tok Tokenizer, p Prompt, o TokenizeOptions) (tokenizer.Tokens, error) {
	text := p.Text
	switch {
	case p.Generate && e.Chat != nil:
		text = e.Chat.Write(p)
	case e.Text != nil:
		var ok bool
		if text, ok = e.Text(p); !ok {
			return nil, nil
		}
	}
	if e.Plain {
		o.Embedding = nil
	}
	if e.Alone != nil {
		tok = e.Alone
	}
	o.Layout = func(rules *tokenizer.Options) {
		if e.Layout != nil {
			e.Layout(rules)
		}
		if p.Generate && (e.Chat == nil || !e.Chat.Padded) {
			rules.MinLength = 1
		}
		if p.Layout != nil {
			p.Layout(e.Key, rules)
		}
	}
	if e.Compose == nil {
		e.Compose = func(tok Tokenizer, p Prompt, o TokenizeOptions) (tokenizer.Tokens, error) { return tok(p.Text, o) }
	}
	p.Text = text
	t, err := e.Compose(tok, p, o)
	if err == nil && e.Arrange != nil {
		t = e.Arrange(t, p)
	}
	return t, err
}

// Single is the scheme of families that read one text encoder alone.
type Single struct {
	// Label and Order are the scheme's name and rank, Loader its name in the CLIP loaders.
	Label  string
	Order  int
	Loader string
	// Encoder is the encoder and how it encodes; Beside are entries without a network.
	Encoder SchemeEncoder
	Beside  []SchemeEncoder
	// Finish, when set, changes the encoding; parts holds the tokens of the entries without a network, too.
	Finish func(e Encoding, parts map[string]Encoding) (Encoding, error)
	// Only, when set, lists the loader types that the scheme serves besides its own; Not lists those that it does not serve.
	Only, Not []string
}

var _ Standalone = Single{}

// Standalone implements Standalone: upstream takes a lone text encoder for nearly every type.
func (s Single) Standalone(kind string) bool {
	if s.Only != nil {
		return slices.Contains(s.Only, kind)
	}
	return !slices.Contains(s.Not, kind)
}

// Name implements Family.
func (s Single) Name() string { return s.Label }

// Rank implements Family.
func (s Single) Rank() int { return s.Order }

// Type implements Scheme.
func (s Single) Type() string { return s.Loader }

// Encoders implements Scheme.
func (s Single) Encoders() []SchemeEncoder {
	s.Encoder.Optional = false
	return append([]SchemeEncoder{s.Encoder}, s.Beside...)
}

// Join implements Scheme.
func (s Single) Join(parts map[string]Encoding) (Encoding, error) {
	e, ok := parts[s.Encoder.Key]
	if !ok {
		return e, fmt.Errorf("encoding the prompt: %s needs the text encoder %s", s.Label, s.Encoder.Key)
	}
	if s.Finish != nil {
		return s.Finish(e, parts)
	}
	return e, nil
}

// MinLength has prompts padded to n tokens at least: a Layout for SchemeEncoder.
func MinLength(n int) func(o *tokenizer.Options) {
	return func(o *tokenizer.Options) { o.MinLength = n }
}
