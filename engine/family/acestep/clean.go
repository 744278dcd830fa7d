package acestep

import (
	"context"
	"errors"
	"math/big"
	"strconv"
	"strings"
	"time"

	"comfygo/internal/pyre"
	"comfygo/internal/pystr"
)

// clean writes a line of lyrics as the model was trained with: in small letters, and in English with numbers, abbreviations and signs as
// words. Upstream: ace_text_cleaners.py multilingual_cleaners.
func clean(text, language string) string {
	text = strings.ReplaceAll(text, `"`, "")
	if language == "tr" {
		text = strings.NewReplacer("İ", "i", "Ö", "ö", "Ü", "ü").Replace(text)
	}
	text = pystr.Lower(text)
	if language == "en" {
		if numbers, err := numbersInWords(text); err == nil { // if a number has no words, all stay digits, as in upstream
			text = numbers
		}
		for _, a := range abbreviations {
			text = replaced(a.pattern, text, a.word)
		}
		for _, s := range signs {
			text = strings.ReplaceAll(strings.ReplaceAll(text, s[0], s[1]), "  ", " ")
		}
		text = pystr.Strip(text)
	}
	return collapsed(text)
}

// collapsed has one space in place of each run of white space.
func collapsed(text string) string {
	var out strings.Builder
	space := false
	for _, r := range text {
		if is := pystr.IsSpace(r); !is {
			out.WriteRune(r)
			space = false
		} else if !space {
			out.WriteByte(' ')
			space = true
		}
	}
	return out.String()
}

// patience bounds a search; lines of lyrics are short.
const patience = 2 * time.Second

func pattern(text string) *pyre.Pattern {
	p, err := pyre.Compile(text, pyre.Flags{IgnoreCase: true})
	if err != nil {
		panic(err) // a mistake in the program
	}
	return p.Within(patience)
}

type abbreviation struct {
	pattern *pyre.Pattern
	word    string
}

var abbreviations = func() []abbreviation {
	var out []abbreviation
	for _, a := range [][2]string{
		{"mrs", "misess"},
		{"mr", "mister"},
		{"dr", "doctor"},
		{"st", "saint"},
		{"co", "company"},
		{"jr", "junior"},
		{"maj", "major"},
		{"gen", "general"},
		{"drs", "doctors"},
		{"rev", "reverend"},
		{"lt", "lieutenant"},
		{"hon", "honorable"},
		{"sgt", "sergeant"},
		{"capt", "captain"},
		{"esq", "esquire"},
		{"ltd", "limited"},
		{"col", "colonel"},
		{"ft", "fort"},
	} {
		out = append(out, abbreviation{pattern(`\b` + a[0] + `\.`), a[1]})
	}
	return out
}()

var signs = [][2]string{
	{"&", " and "}, {"@", " at "}, {"%", " percent "}, {"#", " hash "}, {"$", " dollar "}, {"£", " pound "}, {"°", " degree "},
}

// replaced is text with matches replaced, or as it was when the search takes too long.
func replaced(p *pyre.Pattern, text, with string) string {
	out, err := p.SubFunc(context.Background(), text, func(pyre.Match) (string, error) { return with, nil })
	if err != nil {
		return text
	}
	return out
}

// The forms of numbers. Amounts of money lose their currency.
var (
	withCommas = pattern(`\b\d{1,3}(,\d{3})*(\.\d+)?\b`)
	money      = []*pyre.Pattern{
		pattern(`((£[0-9\.\,]*[0-9]+)|([0-9\.\,]*[0-9]+£))`), pattern(`((\$[0-9\.\,]*[0-9]+)|([0-9\.\,]*[0-9]+\$))`), pattern(`(([0-9\.\,]*[0-9]+€)|((€[0-9\.\,]*[0-9]+)))`),
	}
	fraction = pattern(`([0-9]+[.,][0-9]+)`)
	ordinal  = pattern(`([0-9]+)(st|nd|rd|th)`)
	whole    = pattern(`[0-9]+`)
)

// numbersInWords writes English numbers as words.
func numbersInWords(text string) (string, error) {
	sub := func(p *pyre.Pattern, group int, f func(text string) (string, error)) error {
		out, err := p.SubFunc(context.Background(), text, func(m pyre.Match) (string, error) {
			found, _ := m.Group(group)
			return f(found)
		})
		if err == nil {
			text = out
		}
		return err
	}
	if err := sub(withCommas, 0, func(s string) (string, error) { return strings.ReplaceAll(s, ",", ""), nil }); err != nil {
		return "", err
	}
	for _, p := range money {
		if sub(p, 0, amount) != nil { // an amount that is not a number leaves this currency and the next ones
			break
		}
	}
	if err := sub(fraction, 1, func(s string) (string, error) { return decimal(strings.ReplaceAll(s, ",", ".")) }); err != nil {
		return "", err
	}
	if err := sub(ordinal, 1, integer); err != nil {
		return "", err
	}
	return text, sub(whole, 0, integer)
}

// amount is an amount of money in words.
func amount(text string) (string, error) {
	digits := strings.Map(func(r rune) rune {
		if r == '.' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, strings.ReplaceAll(text, ",", "."))
	return decimal(digits)
}

var errNoWords = errors.New("the number has no words")

// decimal is a number with decimals in words; numbers that are written with an exponent have none.
func decimal(text string) (string, error) {
	v, err := strconv.ParseFloat(text, 64)
	const most, least = 1e16, 1e-4
	switch {
	case err != nil:
		return "", err
	case v == 0:
		return "zero", nil
	case v >= most || v < least:
		return "", errNoWords
	}
	before, after, _ := strings.Cut(strconv.FormatFloat(v, 'f', -1, 64), ".")
	if after == "" {
		after = "0"
	}
	n, _ := new(big.Int).SetString(before, 10)
	words := make([]string, len(after))
	for i, d := range after {
		if words[i] = "zero"; d != '0' {
			words[i] = small[d-'0']
		}
	}
	return inWords(n) + " point " + strings.Join(words, " "), nil
}

// integer is a whole number in words. Figures beyond what Python reads have none.
func integer(text string) (string, error) {
	const most = 4300
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || len(text) > most {
		return "", errNoWords
	}
	if n.Sign() == 0 {
		return "zero", nil
	}
	return inWords(n), nil
}

var (
	small = []string{
		"", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
		"eighteen", "nineteen",
	}
	tens   = []string{"", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"}
	scales = []struct {
		size int64
		word string
	}{{1_000_000_000, " billion"}, {1_000_000, " million"}, {1000, " thousand"}, {100, " hundred"}}
)

// inWords is a number from 0 on, which is the empty text.
func inWords(n *big.Int) string {
	for _, s := range scales {
		if size := big.NewInt(s.size); n.Cmp(size) >= 0 {
			count, rest := new(big.Int).QuoRem(n, size, new(big.Int))
			return joined(inWords(count)+s.word, inWords(rest))
		}
	}
	v := int(n.Int64())
	if v < len(small) {
		return small[v]
	}
	return joined(tens[v/10], small[v%10])
}

func joined(a, b string) string {
	if b == "" {
		return a
	}
	return a + " " + b
}
