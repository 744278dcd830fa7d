package tokenizer

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"strings"
	"sync"

	"comfygo/engine/tokenizer/bpe"
)

//go:embed data/merges.txt.gz
var mergesGz []byte

// Token ids of the CLIP vocabulary: 256 bytes, the same 256 at the end of a word, one per merge, start and end.
const (
	byteTokens  = 256
	mergeTokens = 48894
	firstMerge  = 2 * byteTokens

	// CLIPStart opens every chunk of a CLIP prompt.
	CLIPStart int32 = firstMerge + mergeTokens
	// CLIPEnd closes every chunk; CLIP's pooled output is read there.
	CLIPEnd = CLIPStart + 1
	// CLIPVocab is the number of CLIP's token ids.
	CLIPVocab = int(CLIPEnd) + 1
)

const wordEnd = "</w>"

// clip is the CLIP vocabulary in the form that merging needs.
type clip struct {
	// byteID gives the token of a byte inside a word; byteTokens more is the same byte at a word's end.
	byteID [256]int32
	merges bpe.Merges
}

// CLIP returns CLIP's lower-cased byte pair vocabulary, which ViT-L, OpenCLIP G and OpenCLIP H share. It is unpacked at
// the first use, so that a start-up that reads no prompt pays nothing.
func CLIP() Model { return clipModel{} }

type clipModel struct{}

// Encode implements Model.
func (clipModel) Encode(text string) ([]int32, error) {
	v, err := loadCLIP()
	if err != nil {
		return nil, err
	}
	return v.appendText(nil, text), nil
}

var loadCLIP = sync.OnceValues(func() (*clip, error) {
	names, pairs, err := readMerges()
	if err != nil {
		return nil, fmt.Errorf("reading the CLIP merge list: %w", err)
	}
	ids := make(map[string]int32, len(names))
	for id, name := range names {
		ids[name] = int32(id)
	}
	v := &clip{merges: bpe.New(len(pairs))}
	for i, r := range bpe.ByteRunes() {
		v.byteID[r.Value] = int32(i)
	}
	for rank, p := range pairs {
		left, ok1 := ids[p[0]]
		right, ok2 := ids[p[1]]
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("reading the CLIP merge list: merge %d joins unknown tokens", rank)
		}
		v.merges.Add(left, right, bpe.Merge{Rank: int32(rank), ID: firstMerge + int32(rank)})
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
	names = make([]string, 0, CLIPVocab)
	for _, r := range bpe.ByteRunes() {
		names = append(names, string(r.Rune))
	}
	for _, r := range bpe.ByteRunes() {
		names = append(names, string(r.Rune)+wordEnd)
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

// appendWord appends the tokens of one word to ids: its bytes, the last marked as a word's end, merged.
func (v *clip) appendWord(ids []int32, word string) []int32 {
	if word == "" {
		return ids
	}
	at := len(ids)
	for i := range len(word) {
		ids = append(ids, v.byteID[word[i]])
	}
	ids[len(ids)-1] += byteTokens
	return ids[:at+len(v.merges.Apply(ids[at:]))]
}
