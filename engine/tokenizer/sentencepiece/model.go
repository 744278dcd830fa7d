// Package sentencepiece reads SentencePiece models (unigram and BPE) and encodes text as the sentencepiece library does.
package sentencepiece

import (
	"fmt"
	"math"

	"comfygo/engine/tokenizer/charsmap"
	"comfygo/engine/tokenizer/unigram"
)

// Processor encodes text with one model. It may be used by several goroutines at once.
type Processor struct {
	file    modelFile
	rules   *charsmap.Map // nil: identity
	lookup  map[string]int32
	special map[string]int32 // pieces that text never becomes: control, unknown and byte pieces
	user    *unigram.Prefixes
	unknown int32
	bytes   [256]int32
	model   unigram.Model // unigram models only
}

// Parse reads a serialized model: the content of a .model file or of a spiece_model tensor.
func Parse(data []byte) (*Processor, error) {
	f, err := readModel(data)
	if err != nil {
		return nil, fmt.Errorf("reading a SentencePiece model: %w", err)
	}
	return build(f)
}

// Parts are a model given piece by piece, as GGUF files hold it.
type Parts struct {
	Pieces []string
	Scores []float32
	// Kinds are the kinds of the pieces by the numbers of sentencepiece's format, which GGUF has, too.
	Kinds []int
	// Unigram is for unigram models; others are BPE with bytes to fall back on.
	Unigram bool
	// Charsmap, when set, are the rules by which characters are replaced.
	Charsmap []byte
	// DummyPrefix adds a space before the text, RemoveSpaces removes redundant spaces.
	DummyPrefix, RemoveSpaces bool
}

// New returns a model made from its parts.
func New(parts Parts) (*Processor, error) {
	if len(parts.Scores) != len(parts.Pieces) || len(parts.Kinds) != len(parts.Pieces) {
		return nil, fmt.Errorf("reading a SentencePiece model: %d pieces, %d scores and %d kinds", len(parts.Pieces), len(parts.Scores), len(parts.Kinds))
	}
	f := modelFile{
		trainer:    trainerSpec{model: bpeModel, byteFallback: !parts.Unigram},
		normalizer: normalizerSpec{charsmap: parts.Charsmap, dummyPrefix: parts.DummyPrefix, removeSpaces: parts.RemoveSpaces, escapeSpace: true},
	}
	if parts.Unigram {
		f.trainer.model = unigramModel
	}
	for i, text := range parts.Pieces {
		if parts.Kinds[i] < 0 || math.IsNaN(float64(parts.Scores[i])) {
			return nil, fmt.Errorf("reading a SentencePiece model: piece %d has the kind %d and the score %v", i, parts.Kinds[i], parts.Scores[i])
		}
		f.pieces = append(f.pieces, piece{text: text, score: parts.Scores[i], kind: pieceKind(parts.Kinds[i])})
	}
	return build(f)
}

// build returns a model made from a file's content.
func build(f modelFile) (*Processor, error) {
	var err error
	p := &Processor{file: f, unknown: -1, lookup: make(map[string]int32, len(f.pieces)), special: map[string]int32{}}
	if err := p.index(); err != nil {
		return nil, fmt.Errorf("reading a SentencePiece model: %w", err)
	}
	if len(f.normalizer.charsmap) > 0 {
		if p.rules, err = charsmap.Parse(f.normalizer.charsmap); err != nil {
			return nil, fmt.Errorf("reading a SentencePiece model: %w", err)
		}
	}
	if f.trainer.model == unigramModel {
		p.buildUnigram()
	}
	return p, nil
}

// Size returns the number of pieces; every id is below it.
func (p *Processor) Size() int { return len(p.file.pieces) }

// ID returns the id of a piece.
func (p *Processor) ID(piece string) (int32, bool) {
	if id, ok := p.special[piece]; ok {
		return id, true
	}
	id, ok := p.lookup[piece]
	return id, ok
}

// index fills the piece tables.
func (p *Processor) index() error {
	if t := p.file.trainer.model; t != unigramModel && t != bpeModel {
		return fmt.Errorf("model type %d; unigram (1) and BPE (2) are supported", t)
	}
	bytesFound := 0
	for i, piece := range p.file.pieces {
		id := int32(i)
		table := p.lookup
		switch piece.kind {
		case normalPiece, userPiece, unusedPiece:
		case unknownPiece:
			if p.unknown >= 0 {
				return fmt.Errorf("pieces %d and %d are both the unknown piece", p.unknown, i)
			}
			p.unknown, table = id, p.special
		case bytePiece:
			var b byte
			if _, err := fmt.Sscanf(piece.text, "<0x%02X>", &b); err != nil || fmt.Sprintf("<0x%02X>", b) != piece.text {
				return fmt.Errorf("piece %d, %q, is no byte", i, piece.text)
			}
			p.bytes[b], table = id, p.special
			bytesFound++
		default:
			table = p.special
		}
		if _, twice := table[piece.text]; twice || piece.text == "" {
			return fmt.Errorf("piece %d, %q, is empty or defined twice", i, piece.text)
		}
		table[piece.text] = id
	}
	if p.unknown < 0 {
		return fmt.Errorf("none of %d pieces is the unknown piece", len(p.file.pieces))
	}
	if p.file.trainer.byteFallback && bytesFound != 256 {
		return fmt.Errorf("byte fallback with %d of 256 byte pieces", bytesFound)
	}
	p.user = unigram.NewPrefixes(p.texts(), func(i int) bool { return p.file.pieces[i].kind != userPiece })
	return nil
}

func (p *Processor) texts() []string {
	out := make([]string, len(p.file.pieces))
	for i, piece := range p.file.pieces {
		out[i] = piece.text
	}
	return out
}

// unknownPenalty is the cost of an unknown character beyond the least likely piece.
const unknownPenalty = 10

// smallestFloat is C's FLT_MIN, which the greatest score starts from.
const smallestFloat = 0x1p-126

func (p *Processor) buildUnigram() {
	least, greatest := float32(math.MaxFloat32), float32(smallestFloat)
	for _, piece := range p.file.pieces {
		if piece.kind == normalPiece {
			least, greatest = min(least, piece.score), max(greatest, piece.score)
		}
	}
	scores := make([]float64, len(p.file.pieces))
	for i, piece := range p.file.pieces {
		scores[i] = float64(piece.score)
		if piece.kind == userPiece { // a bonus, so that user-defined pieces are always chosen
			scores[i] = float64(float32(len(piece.text))*greatest) - 0.1
		}
	}
	p.model = unigram.Model{
		Pieces: unigram.NewPrefixes(p.texts(), func(i int) bool {
			kind := p.file.pieces[i].kind
			return kind != normalPiece && kind != userPiece
		}),
		Scores: scores, Unknown: p.unknown, UnknownScore: float64(least - unknownPenalty), Single: true,
	}
}

// Parts returns the pieces and rules of the model; New makes one that encodes alike.
func (p *Processor) Parts() Parts {
	n := p.file.normalizer
	out := Parts{Unigram: p.file.trainer.model == unigramModel, Charsmap: n.charsmap, DummyPrefix: n.dummyPrefix, RemoveSpaces: n.removeSpaces}
	for _, piece := range p.file.pieces {
		out.Pieces, out.Scores, out.Kinds = append(out.Pieces, piece.text), append(out.Scores, piece.score), append(out.Kinds, int(piece.kind))
	}
	return out
}
