package bpe

// ByteRune is a byte with the printable character that represents it in byte-level vocabularies.
type ByteRune struct {
	Value byte
	Rune  rune
}

// ByteRunes lists the 256 bytes in vocabulary order (GPT-2's table): printable Latin-1 represents itself and comes first,
// the others are numbered from U+0100.
func ByteRunes() []ByteRune {
	printable := func(b int) bool { return b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae }
	out := make([]ByteRune, 0, 256)
	for b := range 256 {
		if printable(b) {
			out = append(out, ByteRune{byte(b), rune(b)})
		}
	}
	next := rune(256)
	for b := range 256 {
		if !printable(b) {
			out = append(out, ByteRune{byte(b), next})
			next++
		}
	}
	return out
}
