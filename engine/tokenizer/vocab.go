package tokenizer

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"
)

//go:embed data/merges.txt.gz
var mergesGz []byte

// Token numbers of the CLIP vocabulary: 256 bytes, the same 256 at the end of a word, one per merge, two marks.
const (
	byteTokens  = 256
	mergeTokens = 48894
	firstMerge  = 2 * byteTokens

	// StartToken opens every chunk.
	StartToken = firstMerge + mergeTokens
	// EndToken closes every chunk; the text model reads its pooled output there.
	EndToken = StartToken + 1
	// VocabSize is the number of tokens; every id is below it.
	VocabSize = EndToken + 1
)

const wordEnd = "</w>"

// vocab is the CLIP vocabulary in the form that merging needs.
type vocab struct {
	// byteID gives the token of a byte inside a word; byteTokens more is the same byte at a word's end.
	byteID [256]uint16
	// merge maps a pair of neighbouring tokens (left<<16 | right) to the merge's rank. The merged token is
	// firstMerge + rank, so the lowest rank is also the lowest resulting token.
	merge map[uint32]uint16
}

// loadVocab unpacks the vocabulary at its first use, so that a start-up that reads no prompt pays nothing.
var loadVocab = sync.OnceValues(func() (*vocab, error) {
	names, pairs, err := readMerges()
	if err != nil {
		return nil, fmt.Errorf("reading the CLIP merge list: %w", err)
	}
	ids := make(map[string]uint16, len(names))
	for id, name := range names {
		ids[name] = uint16(id)
	}
	v := &vocab{merge: make(map[uint32]uint16, len(pairs))}
	for i, r := range byteRunes() {
		v.byteID[r.value] = uint16(i)
	}
	for rank, p := range pairs {
		left, ok1 := ids[p[0]]
		right, ok2 := ids[p[1]]
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("reading the CLIP merge list: merge %d joins unknown tokens", rank)
		}
		v.merge[uint32(left)<<16|uint32(right)] = uint16(rank)
	}
	return v, nil
})

// readMerges returns the name of every token, ordered by id, and the pairs of the merge list, best first.
func readMerges() (names []string, pairs [][2]string, err error) {
	zr, err := gzip.NewReader(bytes.NewReader(mergesGz))
	if err != nil {
		return nil, nil, err
	}
	text, err := io.ReadAll(zr)
	if err != nil {
		return nil, nil, err
	}
	names = make([]string, 0, VocabSize)
	for _, r := range byteRunes() {
		names = append(names, string(r.shown))
	}
	for _, r := range byteRunes() {
		names = append(names, string(r.shown)+wordEnd)
	}
	pairs = make([][2]string, 0, mergeTokens)
	for line := range strings.SplitSeq(string(text), "\n") {
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.HasPrefix(line, "#version") {
			continue
		}
		names = append(names, left+right)
		pairs = append(pairs, [2]string{left, right})
	}
	if len(pairs) != mergeTokens {
		return nil, nil, fmt.Errorf("%d merges found, %d wanted", len(pairs), mergeTokens)
	}
	return append(names, startText, endText), pairs, nil
}

type byteRune struct {
	value byte
	shown rune
}

// byteRunes lists the 256 bytes in vocabulary order with the printable character that stands for each in the merge
// list: printable Latin-1 stands for itself and comes first, the others are numbered from U+0100 (GPT-2's table).
func byteRunes() []byteRune {
	printable := func(b int) bool { return b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae }
	out := make([]byteRune, 0, byteTokens)
	for b := range byteTokens {
		if printable(b) {
			out = append(out, byteRune{byte(b), rune(b)})
		}
	}
	next := rune(byteTokens)
	for b := range byteTokens {
		if !printable(b) {
			out = append(out, byteRune{byte(b), next})
			next++
		}
	}
	return out
}
