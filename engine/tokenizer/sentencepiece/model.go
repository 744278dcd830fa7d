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

// unknownPenalty is what an unknown character costs beyond the least likely piece.
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
