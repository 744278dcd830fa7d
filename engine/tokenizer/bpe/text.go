package bpe

import "unicode/utf8"

// AppendText appends bytes to text as UTF-8. Each longest beginning of a character that is not completed becomes one U+FFFD, as
// Python's errors="replace" and Unicode's recommendation have it.
func AppendText(text, bytes []byte) []byte {
	for len(bytes) > 0 {
		r, n := utf8.DecodeRune(bytes)
		if r == utf8.RuneError && n == 1 {
			n = broken(bytes)
		}
		text = utf8.AppendRune(text, r)
		bytes = bytes[n:]
	}
	return text
}

// broken is the length of the beginning of a character that bytes start with, at least 1.
func broken(bytes []byte) int {
	for n := min(3, len(bytes)); n > 1; n-- {
		if begins(bytes[:n]) {
			return n
		}
	}
	return 1
}

// begins reports whether two or three bytes begin a longer character.
func begins(b []byte) bool {
	var c [utf8.UTFMax]byte
	n := copy(c[:], b)
	// The bytes that follow are free except for the second one, which b holds.
	for ; n < utf8.UTFMax; n++ {
		c[n] = 0x80
		if r, size := utf8.DecodeRune(c[:n+1]); r != utf8.RuneError && size == n+1 {
			return true
		}
	}
	return false
}
