package pyjson

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// ParseInt reads Python's int(text): spaces around, a sign and single underscores between digits are allowed, and digits
// of every script.
func ParseInt(text string) (any, bool) {
	s := asciiDigits(strings.TrimSpace(text))
	digits := strings.TrimLeft(s, "+-")
	if digits == "" || len(s)-len(digits) > 1 || !cleanDigits(digits) {
		return nil, false
	}
	s = strings.ReplaceAll(s, "_", "")
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	n, ok := new(big.Int).SetString(strings.TrimPrefix(s, "+"), 10)
	return n, ok
}

// ParseFloat reads Python's float(text): as ParseInt, and inf and nan in their spellings. Numbers that are too large are
// infinite.
func ParseFloat(text string) (float64, bool) {
	s := asciiDigits(strings.TrimSpace(text))
	for i := range len(s) {
		switch c := s[i]; {
		case c == '_' && (i == 0 || i == len(s)-1 || !isDigit(s[i-1]) || !isDigit(s[i+1])):
			return 0, false
		case strings.IndexByte("xXpP", c) >= 0: // Go reads hexadecimal floats, Python does not
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(s, "_", ""), 64)
	return f, err == nil || math.IsInf(f, 0)
}

// asciiDigits replaces the decimal digits of other scripts.
func asciiDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= unicode.MaxASCII || !unicode.Is(unicode.Nd, r) {
			return r
		}
		for _, t := range unicode.Nd.R16 {
			if r >= rune(t.Lo) && r <= rune(t.Hi) {
				return '0' + (r-rune(t.Lo))%10 // ranges begin with a zero
			}
		}
		for _, t := range unicode.Nd.R32 {
			if r >= rune(t.Lo) && r <= rune(t.Hi) {
				return '0' + (r-rune(t.Lo))%10
			}
		}
		return r
	}, s)
}

func cleanDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] == '_' {
			if i == 0 || i == len(s)-1 || s[i-1] == '_' {
				return false
			}
			continue
		}
		if !isDigit(s[i]) {
			return false
		}
	}
	return true
}
