package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The special tokens that a prompt may spell out.
const (
	startText = "<|startoftext|>"
	endText   = "<|endoftext|>"
)

// contractions are the English endings that become words of their own, tried in this order.
var contractions = []string{"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}

// appendText appends the tokens of plain text, without the start and end of a chunk: what the CLIP tokenizer of the
// transformers library (5.x, tokenizers backend) gives for it. The end token is searched for in the original text, the start
// token in the cleaned text, so "<|ENDOFTEXT|>" is plain text and "<|STARTOFTEXT|>" is the token.
func (v *clip) appendText(ids []int32, text string) []int32 {
	for i, raw := range strings.Split(text, endText) {
		if i > 0 {
			ids = append(ids, CLIPEnd)
		}
		for j, part := range strings.Split(clean(raw), startText) {
			if j > 0 {
				ids = append(ids, CLIPStart)
			}
			ids = v.appendWords(ids, part)
		}
	}
	return ids
}

// clean composes characters (NFC), collapses white space to one space and lowers the case.
func clean(text string) string {
	var b strings.Builder
	blank := false
	for _, r := range norm.NFC.String(text) {
		if unicode.IsSpace(r) {
			blank = true
			continue
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		if r == 'İ' { // the one letter whose lower case is two characters
			b.WriteString("i̇")
			continue
		}
		b.WriteRune(unicode.ToLower(r))
	}
	if blank {
		b.WriteByte(' ')
	}
	return b.String()
}

// appendWords appends the tokens of cleaned text, word by word.
func (v *clip) appendWords(ids []int32, text string) []int32 {
	for len(text) > 0 {
		if strings.HasPrefix(text, endText) { // lowered from another spelling: an ordinary word in three pieces
			ids = v.appendWord(ids, "<|")
			ids = v.appendWord(ids, "endoftext")
			ids = v.appendWord(ids, "|>")
			text = text[len(endText):]
			continue
		}
		n, isWord := nextWord(text)
		if isWord {
			ids = v.appendWord(ids, text[:n])
		}
		text = text[n:]
	}
	return ids
}

// nextWord returns the length of the piece that text begins with, and whether it is a word rather than white space. A
// word is a contraction, a run of letters, one digit, or a run of anything else.
func nextWord(text string) (n int, isWord bool) {
	for _, c := range contractions {
		if strings.HasPrefix(text, c) {
			return len(c), true
		}
	}
	first, size := utf8.DecodeRuneInString(text)
	kind := kindOf(first)
	if kind == space || kind == digit {
		return size, kind == digit
	}
	for n = size; n < len(text); n += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[n:])
		if kindOf(r) != kind {
			break
		}
	}
	return n, true
}

type kind int

const (
	other kind = iota
	space
	letter
	digit
)

func kindOf(r rune) kind {
	switch {
	case unicode.IsSpace(r):
		return space
	case unicode.IsLetter(r):
		return letter
	case unicode.IsNumber(r):
		return digit
	}
	return other
}
