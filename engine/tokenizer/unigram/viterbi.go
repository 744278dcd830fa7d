package unigram

import (
	"slices"
	"unicode/utf8"
)

// Model is a unigram language model.
type Model struct {
	// Pieces finds the pieces of a text.
	Pieces *Prefixes
	// Scores are the pieces' log probabilities, by id.
	Scores []float64
	// Unknown is the id of the unknown piece and UnknownScore the score of a character that is not a piece.
	Unknown      int32
	UnknownScore float64
	// Single rounds the score of each path to float32, as SentencePiece does; the tokenizers library keeps float64.
	Single bool
}

// Segment is a piece of a text: text[Start:End].
type Segment struct {
	Start, End int
	ID         int32
}

// node is the best path that ends at a position.
type node struct {
	id    int32
	start int
	score float64
}

// Segment divides text into the pieces whose scores have the greatest sum. A character that is not a piece becomes an
// unknown segment.
func (m *Model) Segment(text string) []Segment {
	if text == "" {
		return nil
	}
	best := make([]node, len(text)+1)
	for i := range best {
		best[i].start = -1
	}
	for start := 0; start < len(text); {
		_, char := utf8.DecodeRuneInString(text[start:])
		known := false
		base := best[start].score
		m.Pieces.Each(text[start:], func(n int, id int32) bool {
			m.reach(&best[start+n], start, id, m.Scores[id]+base)
			known = known || n == char
			return true
		})
		if !known {
			m.reach(&best[start+char], start, m.Unknown, m.UnknownScore+base)
		}
		start += char
	}
	var out []Segment
	for end := len(text); end > 0; end = best[end].start {
		out = append(out, Segment{Start: best[end].start, End: end, ID: best[end].id})
	}
	slices.Reverse(out)
	return out
}

// reach offers a path to n and keeps it if it is better than the one that n has.
func (m *Model) reach(n *node, start int, id int32, score float64) {
	if m.Single {
		score = float64(float32(score))
	}
	if n.start >= 0 && score <= n.score {
		return
	}
	*n = node{id: id, start: start, score: score}
}
