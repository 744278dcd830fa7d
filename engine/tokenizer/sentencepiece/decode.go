package sentencepiece

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	escapedSpace = "▁"
	// unknownText is the text of the decoded unknown piece.
	unknownText = " ⁇ "
)

// Decode turns ids into text, control pieces left out. Each byte that is not valid UTF-8 becomes U+FFFD. It fails for ids that the model
// does not have.
func (p *Processor) Decode(ids []int32) (string, error) {
	var text, bytes []byte
	n, trimmed := p.file.normalizer, false
	for _, id := range ids {
		if id < 0 || int(id) >= len(p.file.pieces) {
			return "", fmt.Errorf("decoding tokens: the SentencePiece model has no piece %d", id)
		}
		piece := p.file.pieces[id]
		if piece.kind == bytePiece {
			var b byte
			if _, err := fmt.Sscanf(piece.text, "<0x%02X>", &b); err != nil {
				return "", fmt.Errorf("decoding tokens: piece %d: %w", id, err)
			}
			bytes = append(bytes, b)
			continue
		}
		text, bytes = appendText(text, bytes), bytes[:0]
		switch s := piece.text; piece.kind {
		case normalPiece, userPiece, unusedPiece:
			if len(text) == 0 && !trimmed && (n.dummyPrefix || n.removeSpaces) {
				s, trimmed = strings.CutPrefix(s, escapedSpace)
				trimmed = trimmed && !n.removeSpaces
			}
			text = append(text, strings.ReplaceAll(s, escapedSpace, " ")...)
		case unknownPiece:
			text = append(text, unknownText...)
		}
	}
	return string(appendText(text, bytes)), nil
}

// appendText appends bytes to text as UTF-8.
func appendText(text, bytes []byte) []byte {
	for len(bytes) > 0 {
		r, n := utf8.DecodeRune(bytes)
		text = utf8.AppendRune(text, r)
		bytes = bytes[n:]
	}
	return text
}
