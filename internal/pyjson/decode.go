package pyjson

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of untrusted JSON; Python's own limit is its recursion limit.
const maxDepth = 990

// Unmarshal reads one JSON text. It accepts what Python's json.loads accepts, NaN, Infinity and -Infinity included.
func Unmarshal(data []byte) (any, error) {
	d := decoder{s: string(data)}
	d.s = strings.TrimPrefix(d.s, "\ufeff")
	d.space()
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	d.space()
	if d.i != len(d.s) {
		return nil, d.fail("extra data")
	}
	return v, nil
}

// UnmarshalObject reads a JSON text that must be an object.
func UnmarshalObject(data []byte) (*Object, error) {
	v, err := Unmarshal(data)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*Object)
	if !ok {
		return nil, fmt.Errorf("reading json: want an object, have %s", TypeName(v))
	}
	return o, nil
}

type decoder struct {
	s string
	i int
}

func (d *decoder) fail(what string) error {
	return fmt.Errorf("reading json: %s at byte %d", what, d.i)
}

func (d *decoder) space() {
	for d.i < len(d.s) {
		switch d.s[d.i] {
		case ' ', '\t', '\n', '\r':
			d.i++
		default:
			return
		}
	}
}

func (d *decoder) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, d.fail("nested too deeply")
	}
	if d.i >= len(d.s) {
		return nil, d.fail("unexpected end")
	}
	switch c := d.s[d.i]; {
	case c == '{':
		return d.object(depth)
	case c == '[':
		return d.list(depth)
	case c == '"':
		return d.str()
	case c == '-' || c >= '0' && c <= '9':
		if strings.HasPrefix(d.s[d.i:], "-Infinity") {
			d.i += len("-Infinity")
			return math.Inf(-1), nil
		}
		return d.number()
	}
	return d.word()
}

func (d *decoder) word() (any, error) {
	rest := d.s[d.i:]
	for _, w := range []struct {
		text string
		v    any
	}{{"true", true}, {"false", false}, {"null", nil}, {"NaN", math.NaN()}, {"Infinity", math.Inf(1)}} {
		if strings.HasPrefix(rest, w.text) {
			d.i += len(w.text)
			return w.v, nil
		}
	}
	return nil, d.fail("expecting a value")
}

func (d *decoder) object(depth int) (any, error) {
	o := &Object{}
	d.i++
	d.space()
	if d.i < len(d.s) && d.s[d.i] == '}' {
		d.i++
		return o, nil
	}
	for {
		d.space()
		if d.i >= len(d.s) || d.s[d.i] != '"' {
			return nil, d.fail("expecting a property name in double quotes")
		}
		key, err := d.str()
		if err != nil {
			return nil, err
		}
		d.space()
		if d.i >= len(d.s) || d.s[d.i] != ':' {
			return nil, d.fail("expecting ':'")
		}
		d.i++
		d.space()
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		o.Set(key, v)
		done, err := d.next('}')
		if done || err != nil {
			return o, err
		}
	}
}

func (d *decoder) list(depth int) (any, error) {
	l := []any{}
	d.i++
	d.space()
	if d.i < len(d.s) && d.s[d.i] == ']' {
		d.i++
		return l, nil
	}
	for {
		d.space()
		v, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		l = append(l, v)
		done, err := d.next(']')
		if done || err != nil {
			return l, err
		}
	}
}

// next passes a comma or the closing bracket; done reports that it was the bracket.
func (d *decoder) next(end byte) (done bool, err error) {
	d.space()
	if d.i >= len(d.s) {
		return false, d.fail("unexpected end")
	}
	c := d.s[d.i]
	if c != ',' && c != end {
		return false, d.fail("expecting ',' delimiter")
	}
	d.i++
	return c == end, nil
}

func (d *decoder) number() (any, error) {
	start := d.i
	if d.s[d.i] == '-' {
		d.i++
	}
	digits := d.digits()
	if digits == 0 || digits > 1 && d.s[d.i-digits] == '0' {
		d.i = start
		return nil, d.fail("bad number")
	}
	isFloat := false
	if d.i+1 < len(d.s) && d.s[d.i] == '.' && isDigit(d.s[d.i+1]) {
		isFloat = true
		d.i++
		d.digits()
	}
	if d.i < len(d.s) && (d.s[d.i] == 'e' || d.s[d.i] == 'E') {
		mark := d.i
		d.i++
		if d.i < len(d.s) && (d.s[d.i] == '+' || d.s[d.i] == '-') {
			d.i++
		}
		if d.digits() == 0 {
			d.i = mark
		} else {
			isFloat = true
		}
	}
	text := d.s[start:d.i]
	if isFloat {
		f, err := strconv.ParseFloat(text, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, d.fail("bad number")
		}
		return f, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, nil
	}
	if len(text) > 4300 { // Python's own limit for converting text to int
		return nil, d.fail("number with too many digits")
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil, d.fail("bad number")
	}
	return n, nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (d *decoder) digits() int {
	start := d.i
	for d.i < len(d.s) && isDigit(d.s[d.i]) {
		d.i++
	}
	return d.i - start
}

func (d *decoder) str() (string, error) {
	d.i++
	start := d.i
	for d.i < len(d.s) {
		switch c := d.s[d.i]; {
		case c == '"':
			s := d.s[start:d.i]
			d.i++
			return validUTF8(s), nil
		case c == '\\':
			return d.escaped(start)
		case c < 0x20:
			return "", d.fail("control character in a string")
		}
		d.i++
	}
	return "", d.fail("unterminated string")
}

func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

// escaped decodes the rest of a string that contains a backslash.
func (d *decoder) escaped(start int) (string, error) {
	var b strings.Builder
	b.WriteString(d.s[start:d.i])
	for d.i < len(d.s) {
		c := d.s[d.i]
		switch {
		case c == '"':
			d.i++
			return validUTF8(b.String()), nil
		case c < 0x20:
			return "", d.fail("control character in a string")
		case c != '\\':
			b.WriteByte(c)
			d.i++
			continue
		}
		if err := d.escape(&b); err != nil {
			return "", err
		}
	}
	return "", d.fail("unterminated string")
}

func (d *decoder) escape(b *strings.Builder) error {
	if d.i+1 >= len(d.s) {
		return d.fail("unterminated string")
	}
	c := d.s[d.i+1]
	if c == 'u' {
		return d.unicode(b)
	}
	i := strings.IndexByte(`"\/bfnrt`, c)
	if i < 0 {
		return d.fail("invalid escape")
	}
	b.WriteByte("\"\\/\b\f\n\r\t"[i])
	d.i += 2
	return nil
}

func (d *decoder) unicode(b *strings.Builder) error {
	r, err := d.hex4(d.i + 2)
	if err != nil {
		return err
	}
	d.i += 6
	if utf16.IsSurrogate(r) && strings.HasPrefix(d.s[d.i:], `\u`) {
		low, err := d.hex4(d.i + 2)
		if err != nil {
			return err
		}
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			d.i += 6
			b.WriteRune(both)
			return nil
		}
	}
	b.WriteRune(r)
	return nil
}

func (d *decoder) hex4(at int) (rune, error) {
	if at+4 > len(d.s) {
		return 0, d.fail("invalid \\u escape")
	}
	n, err := strconv.ParseUint(d.s[at:at+4], 16, 32)
	if err != nil {
		return 0, d.fail("invalid \\u escape")
	}
	return rune(n), nil
}
