package hf

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// apply is BERT's normalization: control characters removed, white space made spaces, Chinese characters set apart,
// accents removed, lower case.
func (s bertSpec) apply(text string) string {
	if s.CleanText {
		text = cleanText(text)
	}
	if s.Chinese {
		text = spaceChinese(text)
	}
	strip := s.Lower
	if s.StripAccents != nil {
		strip = *s.StripAccents
	}
	if strip {
		text = without(norm.NFD.String(text), unicode.Mn)
	}
	if s.Lower {
		text = lower(text)
	}
	return text
}

func cleanText(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case r == 0 || r == unicode.ReplacementChar || unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co):
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, text)
}

// chinese are the blocks of CJK ideographs that BERT sets apart.
var chinese = &unicode.RangeTable{
	R16: []unicode.Range16{{Lo: 0x3400, Hi: 0x4dbf, Stride: 1}, {Lo: 0x4e00, Hi: 0x9fff, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1}},
	R32: []unicode.Range32{
		{Lo: 0x20000, Hi: 0x2a6df, Stride: 1},
		{Lo: 0x2a700, Hi: 0x2b81f, Stride: 1},
		{Lo: 0x2b920, Hi: 0x2ceaf, Stride: 1},
		{Lo: 0x2f800, Hi: 0x2fa1f, Stride: 1},
	},
}

func spaceChinese(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.Is(chinese, r) {
			b.WriteByte(' ')
			b.WriteRune(r)
			b.WriteByte(' ')
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
