package pystr

import (
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"comfygo/internal/pyjson"
)

// spec is a parsed format spec: [[fill]align][sign][z][#][0][width][grouping][.precision][type].
type spec struct {
	fill, align, sign rune
	z, alternate      bool
	width, precision  int // precision is negative if it is not given
	grouping          rune
	kind              rune // 0 if it is not given
}

// formatted is Python's format(v, text).
func (f *Formatter) formatted(v any, text string) (string, error) {
	if text == "" {
		return f.Str(v), nil
	}
	switch n := v.(type) {
	case string:
		s, err := parseSpec(text, '<')
		if err != nil {
			return "", err
		}
		return s.text(n)
	case bool, int64, *big.Int:
		s, err := parseSpec(text, '>')
		if err != nil {
			return "", err
		}
		whole, _ := integer(n)
		return s.integer(whole, pyjson.TypeName(v))
	case float64:
		s, err := parseSpec(text, '>')
		if err != nil {
			return "", err
		}
		return s.float(n, "float")
	}
	return "", raise("TypeError", "unsupported format string passed to %s.__format__", pyjson.TypeName(v))
}

// integer returns a whole number as a big one.
func integer(v any) (*big.Int, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return big.NewInt(1), true
		}
		return new(big.Int), true
	case int64:
		return big.NewInt(v), true
	case *big.Int:
		return v, true
	}
	return nil, false
}

func isAlign(r rune) bool { return r == '<' || r == '>' || r == '=' || r == '^' }

func parseSpec(text string, align rune) (spec, error) {
	s := spec{fill: ' ', align: align, precision: -1}
	r := []rune(text)
	at := 0
	peek := func(i int) rune {
		if at+i < len(r) {
			return r[at+i]
		}
		return 0
	}
	aligned, filled := false, false
	if len(r) >= 2 && isAlign(r[1]) {
		s.fill, s.align, aligned, filled, at = r[0], r[1], true, true, 2
	} else if isAlign(peek(0)) {
		s.align, aligned, at = r[0], true, 1
	}
	if c := peek(0); c == '+' || c == '-' || c == ' ' {
		s.sign = c
		at++
	}
	if peek(0) == 'z' {
		s.z = true
		at++
	}
	if peek(0) == '#' {
		s.alternate = true
		at++
	}
	if !filled && peek(0) == '0' {
		s.fill = '0'
		if !aligned && align == '>' {
			s.align = '='
		}
		at++
	}
	number := func() (int, bool, error) {
		from := at
		for peek(0) >= '0' && peek(0) <= '9' {
			at++
		}
		if at == from {
			return 0, false, nil
		}
		n, err := strconv.ParseInt(string(r[from:at]), 10, 64)
		if err != nil {
			return 0, false, raise("ValueError", "Too many decimal digits in format string")
		}
		return int(n), true, nil
	}
	var err error
	if s.width, _, err = number(); err != nil {
		return s, err
	}
	if c := peek(0); c == ',' || c == '_' {
		s.grouping = c
		at++
		if d := peek(0); d == ',' || d == '_' {
			if d == c {
				return s, raise("ValueError", "Cannot specify '%c' with '%c'.", c, c)
			}
			return s, raise("ValueError", "Cannot specify both ',' and '_'.")
		}
	}
	if peek(0) == '.' {
		at++
		n, ok, err := number()
		if err != nil {
			return s, err
		}
		if !ok {
			return s, raise("ValueError", "Format specifier missing precision")
		}
		s.precision = n
	}
	if len(r)-at > 1 {
		return s, raise("ValueError", "Invalid format specifier")
	}
	s.kind = peek(0)
	return s, s.limits()
}

// limits refuses sizes that would exhaust the memory.
func (s spec) limits() error {
	if err := CheckSize(s.width); err != nil {
		return err
	}
	if s.precision > math.MaxInt32 {
		return raise("ValueError", "precision too big")
	}
	return CheckSize(s.precision)
}

func (s spec) unknown(typ string) error {
	return raise("ValueError", "Unknown format code '%c' for object of type '%s'", s.kind, typ)
}

// text formats a string.
func (s spec) text(v string) (string, error) {
	switch {
	case s.kind != 0 && s.kind != 's':
		return "", s.unknown("str")
	case s.sign != 0:
		return "", raise("ValueError", "Sign not allowed in string format specifier")
	case s.z:
		return "", raise("ValueError", "Negative zero coercion (z) not allowed in string format specifier")
	case s.alternate:
		return "", raise("ValueError", "Alternate form (#) not allowed in string format specifier")
	case s.align == '=':
		return "", raise("ValueError", "'=' alignment not allowed in string format specifier")
	case s.grouping != 0:
		return "", raise("ValueError", "Cannot specify '%c' with 's'.", s.grouping)
	}
	if r := []rune(v); s.precision >= 0 && len(r) > s.precision {
		v = string(r[:s.precision])
	}
	return s.padded("", v), nil
}

// padded pads a sign and a body to the width.
func (s spec) padded(sign, body string) string {
	gap := s.width - utf8.RuneCountInString(sign) - utf8.RuneCountInString(body)
	if gap <= 0 {
		return sign + body
	}
	fill := func(n int) string { return strings.Repeat(string(s.fill), n) }
	switch s.align {
	case '<':
		return sign + body + fill(gap)
	case '^':
		return fill(gap/2) + sign + body + fill(gap-gap/2)
	case '=':
		return sign + fill(gap) + body
	}
	return fill(gap) + sign + body
}

var bases = map[rune]struct {
	base   int
	prefix string
}{'b': {2, "0b"}, 'o': {8, "0o"}, 'x': {16, "0x"}, 'X': {16, "0X"}}

// integer formats a whole number.
func (s spec) integer(v *big.Int, typ string) (string, error) {
	switch s.kind {
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		n, _ := new(big.Float).SetInt(v).Float64()
		if math.IsInf(n, 0) {
			return "", raise("OverflowError", "int too large to convert to float")
		}
		return s.float(n, typ)
	case 'c':
		return s.char(v)
	}
	switch {
	case s.precision >= 0:
		return "", raise("ValueError", "Precision not allowed in integer format specifier")
	case s.z:
		return "", raise("ValueError", "Negative zero coercion (z) not allowed in format specifier with integer presentation type")
	}
	base, prefix, every := 10, "", 3
	switch s.kind {
	case 0, 'd', 'n':
		if s.kind == 'n' && s.grouping != 0 {
			return "", raise("ValueError", "Cannot specify '%c' with 'n'.", s.grouping)
		}
	case 'b', 'o', 'x', 'X':
		b := bases[s.kind]
		base, every = b.base, 4
		if s.grouping == ',' {
			return "", raise("ValueError", "Cannot specify ',' with '%c'.", s.kind)
		}
		if s.alternate {
			prefix = b.prefix
		}
	default:
		return "", s.unknown(typ)
	}
	digits := new(big.Int).Abs(v).Text(base)
	if s.kind == 'X' {
		digits = strings.ToUpper(digits)
	}
	sign := s.signOf(v.Sign() < 0) + prefix
	return s.padded(sign, s.grouped(digits, "", every, len(sign))), nil
}

func (s spec) char(v *big.Int) (string, error) {
	switch {
	case s.precision >= 0:
		return "", raise("ValueError", "Precision not allowed in integer format specifier")
	case s.sign != 0:
		return "", raise("ValueError", "Sign not allowed with integer format specifier 'c'")
	case s.alternate:
		return "", raise("ValueError", "Alternate form (#) not allowed with integer format specifier 'c'")
	case s.grouping != 0:
		return "", raise("ValueError", "Cannot specify '%c' with 'c'.", s.grouping)
	case v.Sign() < 0 || !v.IsInt64() || v.Int64() > utf8.MaxRune:
		return "", raise("OverflowError", "%%c arg not in range(0x110000)")
	}
	return s.padded("", string(rune(v.Int64()))), nil
}

func (s spec) signOf(negative bool) string {
	switch {
	case negative:
		return "-"
	case s.sign == '+' || s.sign == ' ':
		return string(s.sign)
	}
	return ""
}

// grouped puts separators between digits, rest stands behind them; zeros that fill a number up to the width are digits as well.
func (s spec) grouped(digits, rest string, every, signLen int) string {
	if s.grouping == 0 {
		return digits + rest
	}
	join := func(d string) string {
		first := len(d) % every
		var parts []string
		if first > 0 {
			parts = append(parts, d[:first])
		}
		for i := first; i < len(d); i += every {
			parts = append(parts, d[i:i+every])
		}
		return strings.Join(parts, string(s.grouping))
	}
	out := join(digits)
	if s.fill == '0' && s.align == '=' {
		want := s.width - signLen - len(rest)
		if missing := want - len(out); missing > 0 {
			n := len(digits)
			for l := len(out); l < want; n++ {
				l++
				if n%every == 0 {
					l++
				}
			}
			out = join(strings.Repeat("0", n-len(digits)) + digits)
		}
	}
	return out + rest
}

// float formats a float.
func (s spec) float(v float64, typ string) (string, error) {
	kind, precision := s.kind, s.precision
	percent := ""
	switch kind {
	case 0:
	case 'n':
		if s.grouping != 0 {
			return "", raise("ValueError", "Cannot specify '%c' with 'n'.", s.grouping)
		}
		kind = 'g'
	case '%':
		v, kind, percent = v*100, 'f', "%"
	case 'e', 'E', 'f', 'F', 'g', 'G':
	default:
		return "", s.unknown(typ)
	}
	if precision < 0 && kind != 0 {
		precision = 6
	}
	negative := math.Signbit(v)
	if math.IsNaN(v) {
		negative = false
	}
	text := s.floatText(math.Abs(v), kind, precision)
	if s.z && negative && strings.Trim(strings.SplitN(strings.ToLower(text), "e", 2)[0], "0.") == "" {
		negative = false
	}
	if kind == 'E' || kind == 'F' || kind == 'G' {
		text = strings.ToUpper(text)
	}
	digits := text
	if end := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' }); end >= 0 {
		digits = text[:end]
	}
	rest := text[len(digits):] + percent
	sign := s.signOf(negative)
	return s.padded(sign, s.grouped(digits, rest, 3, len(sign))), nil
}

// floatText writes a number that is not negative.
func (s spec) floatText(v float64, kind rune, precision int) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return "inf"
	}
	var text string
	switch kind {
	case 'f', 'F':
		text = strconv.FormatFloat(v, 'f', precision, 64)
	case 'e', 'E':
		text = strconv.FormatFloat(v, 'e', precision, 64)
	case 'g', 'G':
		text = s.general(v, precision, false)
	default:
		if precision < 0 {
			text = pyjson.Repr(v)
		} else {
			text = s.general(v, precision, true)
		}
	}
	if s.alternate && !strings.Contains(text, ".") {
		mantissa, exponent, ok := strings.Cut(text, "e")
		text = mantissa + "."
		if ok {
			text += "e" + exponent
		}
	}
	return text
}

// general is the type g: fixed or with an exponent by the size of the number. The form without a type always has a digit behind the point.
func (s spec) general(v float64, precision int, bare bool) string {
	precision = max(precision, 1)
	scientific := strconv.FormatFloat(v, 'e', precision-1, 64)
	mantissa, exponent, _ := strings.Cut(scientific, "e")
	x, _ := strconv.Atoi(exponent)
	limit := precision
	if bare { // repr's rule: one digit less
		limit = precision - 1
	}
	if x < -4 || x >= max(limit, 0) && (x >= precision || bare) {
		if !s.alternate && strings.Contains(mantissa, ".") {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return mantissa + "e" + exponent
	}
	text := strconv.FormatFloat(v, 'f', max(precision-1-x, 0), 64)
	if !s.alternate && strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if bare && !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}
