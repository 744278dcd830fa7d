package hf

import (
	"fmt"

	"comfygo/engine/tokenizer/bpe"
)

// Decode turns ids into text, special tokens left out. Bytes that are no UTF-8 become U+FFFD. It fails for vocabularies that
// are not byte-level ones, and for ids that it does not know.
func (p *Pipeline) Decode(ids []int32) (string, error) {
	m, ok := p.model.(*bpeModel)
	if !ok {
		return "", fmt.Errorf("decoding tokens: only byte-level vocabularies can be decoded")
	}
	m.once.Do(m.invert)
	var text []byte
	for _, id := range ids {
		token, added := p.added.byID[id]
		if added && token.Special {
			continue
		}
		if !added {
			if token.Content, ok = m.tokens[id]; !ok {
				return "", fmt.Errorf("decoding tokens: the vocabulary has no token %d", id)
			}
		}
		bytes, ok := spelled(token.Content)
		if !ok && !added {
			return "", fmt.Errorf("decoding tokens: token %d, %q, does not stand for bytes; only byte-level vocabularies can be decoded", id, token.Content)
		}
		text = append(text, bytes...)
	}
	return string(bpe.AppendText(nil, text)), nil
}

// spelled returns the bytes that the characters of a token stand for, its own when some stand for none.
func spelled(token string) (bytes []byte, ok bool) {
	for _, r := range token {
		b, ok := runeBytes[r]
		if !ok {
			return []byte(token), false
		}
		bytes = append(bytes, b)
	}
	return bytes, true
}

// runeBytes are the bytes that the characters of byte-level vocabularies stand for.
var runeBytes = func() map[rune]byte {
	out := make(map[rune]byte, 256)
	for _, b := range bpe.ByteRunes() {
		out[b.Rune] = b.Value
	}
	return out
}()

// invert fills tokens.
func (m *bpeModel) invert() {
	m.tokens = make(map[int32]string, len(m.vocab))
	for token, id := range m.vocab {
		m.tokens[id] = token
	}
}
