// Package tokenizer turns prompts into the token ids that text encoders read, with the weight of each token.
//
// A Model is a vocabulary: text to ids. A Tokenizer adds what surrounds it for one text encoder: the prompt-weight
// syntax, textual-inversion embeddings, start and end tokens, padding and the division into chunks. The CLIP vocabulary
// is here; the packages below read the others from files. The package knows no network, no file and no folder:
// embeddings reach it through a lookup function.
package tokenizer

import (
	"fmt"
	"regexp"
	"strings"

	"comfygo/engine/tensor"
)

// Model is a vocabulary. It may be used by several goroutines at once.
type Model interface {
	// Encode returns the token ids of text, without a start or end token of its own.
	Encode(text string) ([]int32, error)
}

// Decoder is implemented by vocabularies that turn ids back into text, special tokens left out.
type Decoder interface {
	Decode(ids []int32) (string, error)
}

// Token is one position of a chunk.
type Token struct {
	// ID is the token id; meaningless when Embedding is set.
	ID int32
	// Weight is the prompt weight; 1 for text outside parentheses, for special tokens and for padding.
	Weight float64
	// Embedding, when set, is the vector to use in place of the token's own.
	Embedding []float32
	// Kept reports that the hidden state at Embedding goes in front of the encoding, for models that read images so.
	Kept bool
	// Image, when set, is the image [1,height,width,3] whose vectors the network puts in the token's place.
	Image *tensor.Tensor
	// Frames reports that Image holds two frames of a video [2,height,width,3], which the network reads together.
	Frames bool
	// Audio, when set, holds the features [frames,values] of a sound, whose vectors the network puts in the token's place.
	Audio *tensor.Tensor
	// WordID numbers the part of the prompt that the token comes from, counted from 1; 0 for special tokens and padding.
	WordID int
}

// Tokens is a prompt as chunks.
type Tokens [][]Token

// EmbeddingLookup returns the vectors [n,width] (or one of [width]) of a textual-inversion embedding by name; false
// if no embedding has the name.
type EmbeddingLookup func(name string) (*tensor.Tensor, bool)

// Tokenizer lays out prompts for one text encoder. It may be used by several goroutines at once.
type Tokenizer struct {
	model Model
	opts  Options
}

// New returns a tokenizer of a vocabulary with the given rules.
func New(model Model, opts Options) *Tokenizer {
	return &Tokenizer{model: model, opts: opts.normalized()}
}

// Options returns the rules, for a tokenizer that differs in some of them.
func (t *Tokenizer) Options() Options { return t.opts }

// With returns a tokenizer of the same vocabulary with other rules.
func (t *Tokenizer) With(opts Options) *Tokenizer { return New(t.model, opts) }

// Tokenize returns the chunks of a prompt; there is at least one. Without a lookup, "embedding:name" is ordinary text.
// It fails when parentheses are nested more than 900 deep
// or when the vocabulary cannot encode the text. Upstream: sd1_clip.SDTokenizer.tokenize_with_weights.
func (t *Tokenizer) Tokenize(prompt string, lookup EmbeddingLookup) (Tokens, error) {
	prompt = strings.ToValidUTF8(prompt, "\uFFFD")
	if t.opts.Raw {
		ids, err := t.model.Encode(prompt)
		if err != nil {
			return nil, fmt.Errorf("tokenizing %.40q: %w", prompt, err)
		}
		return t.layOut([][]Token{asGroup(ids, 1)}), nil
	}
	segments := []Segment{{Text: showEscapes(hideEscapes(prompt)), Weight: 1}}
	if !t.opts.Unweighted {
		var err error
		if segments, err = ParseWeights(prompt); err != nil {
			return nil, err
		}
	}
	var groups [][]Token
	for _, s := range segments {
		for _, part := range splitEmbeddings(s.Text) {
			var err error
			if groups, err = t.appendPart(groups, part, s.Weight, lookup); err != nil {
				return nil, err
			}
		}
	}
	return t.layOut(groups), nil
}

const embeddingMark = "embedding:"

// splitEmbeddings cuts text before each "embedding:" that follows white space.
func splitEmbeddings(text string) []string {
	var out []string
	start := 0
	for i := 0; ; {
		at := strings.Index(text[i:], embeddingMark)
		if at < 0 {
			break
		}
		at += i
		before := []rune(text[max(0, at-4):at])
		if len(before) > 0 && pythonSpace(before[len(before)-1]) && at > start {
			out = append(out, text[start:at])
			start = at
		}
		i = at + len(embeddingMark)
	}
	if start < len(text) {
		out = append(out, text[start:])
	}
	return out
}

// appendPart appends the groups of one part: the vectors of an embedding it begins with, then the tokens of its text.
func (t *Tokenizer) appendPart(groups [][]Token, part string, weight float64, lookup EmbeddingLookup) ([][]Token, error) {
	if strings.HasPrefix(part, embeddingMark) && lookup != nil {
		rows, rest := t.findEmbedding(strings.Trim(part[len(embeddingMark):], "\n"), lookup)
		if rows != nil {
			groups = append(groups, embeddingGroup(rows, weight))
		}
		if rest == "" {
			return groups, nil
		}
		part = rest
	}
	ids, err := t.model.Encode(part)
	if err != nil {
		return nil, fmt.Errorf("tokenizing %.40q: %w", part, err)
	}
	return append(groups, asGroup(ids, weight)), nil
}

func asGroup(ids []int32, weight float64) []Token {
	group := make([]Token, len(ids))
	for i, id := range ids {
		group[i] = Token{ID: id, Weight: weight}
	}
	return group
}

func embeddingGroup(rows *tensor.Tensor, weight float64) []Token {
	if len(rows.Shape) == 1 {
		return []Token{{Weight: weight, Embedding: rows.Data}}
	}
	group := make([]Token, rows.Dim(0))
	for i := range group {
		group[i] = Token{Weight: weight, Embedding: rows.Index(i).Data}
	}
	return group
}

var embeddingStop = regexp.MustCompile(`[<\[]`)

// findEmbedding looks up the embedding that text names and returns its vectors, or nil, with the text
// left over. The name ends at white space, "<" or "["; a name that is not known is tried again without the commas
// around it. Upstream: SDTokenizer._try_get_embedding.
func (t *Tokenizer) findEmbedding(text string, lookup EmbeddingLookup) (rows *tensor.Tensor, rest string) {
	words := strings.FieldsFunc(text, pythonSpace)
	if len(words) == 0 { // the original fails here; an embedding without a name should not fail the prompt
		t.missing("")
		return nil, ""
	}
	name, rest := words[0], strings.Join(words[1:], " ")
	if cut := embeddingStop.FindStringIndex(name); cut != nil {
		tail := name[cut[0]:]
		if rest != "" {
			tail += " " + rest
		}
		name, rest = name[:cut[0]], tail
	}
	if rows, ok := find(lookup, name); ok {
		return rows, rest
	}
	if bare := strings.Trim(name, ","); len(bare) < len(name) {
		// As many characters as the bare name has are dropped from the front, even when the commas stood there.
		rest = string([]rune(name)[len([]rune(bare)):]) + " " + rest
		if rows, ok := find(lookup, bare); ok {
			return rows, rest
		}
	}
	t.missing(name)
	return nil, rest
}

func find(lookup EmbeddingLookup, name string) (*tensor.Tensor, bool) {
	if name == "" {
		return nil, false
	}
	rows, ok := lookup(name)
	if !ok || rows == nil || len(rows.Shape) == 0 || rows.Len() == 0 {
		return nil, false
	}
	return rows, true
}

func (t *Tokenizer) missing(name string) {
	if t.opts.Missing != nil {
		t.opts.Missing(name)
	}
}
