// Package tokenizer turns prompts into the token numbers that text models read, with the weight of each token.
//
// It holds the CLIP byte-pair vocabulary, the prompt-weight syntax and the rules that lay tokens out in chunks. It knows
// no model, no file and no folder: embeddings reach it through a lookup function.
package tokenizer

import (
	"regexp"
	"strings"

	"comfygo/engine/tensor"
)

// Token is one place of a chunk.
type Token struct {
	// ID is the token number, below VocabSize; meaningless when Embedding is set.
	ID int
	// Weight is the prompt weight; 1 for text outside parentheses, for marks and for padding.
	Weight float64
	// Embedding, when set, is the vector to use in place of the token's own.
	Embedding []float32
	// WordID numbers the stretch of prompt the token comes from, counted from 1; 0 for marks and padding.
	WordID int
}

// Tokens is a prompt as chunks of equal length.
type Tokens [][]Token

// EmbeddingLookup returns the vectors [n,width] (or one of [width]) of a textual-inversion embedding by name; false
// when there is none.
type EmbeddingLookup func(name string) (*tensor.Tensor, bool)

// Options are the layout rules of a text model.
type Options struct {
	// MaxLength is the length of a chunk with both marks; 77 for CLIP.
	MaxLength int
	// PadToken fills the chunk behind the end mark: the end mark itself for CLIP-L, 0 for CLIP-G and CLIP-H.
	PadToken int
	// Unweighted reads parentheses as text.
	Unweighted bool
	// Missing, when set, is told the name of each embedding that the lookup does not know.
	Missing func(name string)
}

// Tokenizer lays out prompts for one text model. It may be used by several goroutines at once.
type Tokenizer struct {
	opts Options
}

// New returns a tokenizer with the given rules. A MaxLength below 3 counts as 77: a chunk must hold a token
// between its marks.
func New(opts Options) *Tokenizer {
	if opts.MaxLength < 3 {
		opts.MaxLength = 77
	}
	return &Tokenizer{opts: opts}
}

// NewCLIPL returns the tokenizer of CLIP ViT-L, the text model of Stable Diffusion 1.x.
func NewCLIPL() *Tokenizer { return New(Options{PadToken: EndToken}) }

// Tokenize returns the chunks of a prompt; there is at least one. Without a lookup, "embedding:name" is ordinary text.
// It fails when parentheses are nested absurdly deep. Upstream: sd1_clip.SDTokenizer.tokenize_with_weights.
func (t *Tokenizer) Tokenize(prompt string, lookup EmbeddingLookup) (Tokens, error) {
	prompt = strings.ToValidUTF8(prompt, "\uFFFD")
	segments := []Segment{{Text: prompt, Weight: 1}}
	if !t.opts.Unweighted {
		var err error
		if segments, err = ParseWeights(prompt); err != nil {
			return nil, err
		}
	}
	v, err := loadVocab()
	if err != nil {
		return nil, err
	}
	var groups [][]Token
	for _, s := range segments {
		for _, part := range splitEmbeddings(s.Text) {
			groups = t.appendPart(groups, v, part, s.Weight, lookup)
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
func (t *Tokenizer) appendPart(groups [][]Token, v *vocab, part string, weight float64, lookup EmbeddingLookup) [][]Token {
	if strings.HasPrefix(part, embeddingMark) && lookup != nil {
		rows, rest := t.findEmbedding(strings.Trim(part[len(embeddingMark):], "\n"), lookup)
		if rows != nil {
			groups = append(groups, embeddingGroup(rows, weight))
		}
		if rest == "" {
			return groups
		}
		part = rest
	}
	ids := v.appendText(nil, part)
	group := make([]Token, len(ids))
	for i, id := range ids {
		group[i] = Token{ID: id, Weight: weight}
	}
	return append(groups, group)
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

// findEmbedding looks up the embedding that text names and returns its vectors, nil when there is none, with the text
// left over. The name ends at white space, "<" or "["; a name that is not known is tried again without the commas
// around it. Upstream: SDTokenizer._try_get_embedding.
func (t *Tokenizer) findEmbedding(text string, lookup EmbeddingLookup) (rows *tensor.Tensor, rest string) {
	words := strings.FieldsFunc(text, pythonSpace)
	if len(words) == 0 { // the original fails here; an embedding without a name is no reason to lose the prompt
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
