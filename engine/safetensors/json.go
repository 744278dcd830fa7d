package safetensors

import (
	"encoding/json"
	"fmt"
	"math"
)

// maxDepth bounds nested values that are skipped, so that a hostile header cannot exhaust the stack.
const maxDepth = 32

// parser reads the small part of JSON that headers need, strictly. encoding/json would not do: it accepts
// members that occur twice and takes ten times as long.
type parser struct {
	b []byte
	i int
}

func (p *parser) errorf(format string, args ...any) error {
	return fmt.Errorf("%s at byte %d of the header", fmt.Sprintf(format, args...), p.i)
}

func (p *parser) space() {
	for p.i < len(p.b) {
		switch p.b[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// next skips white space and returns the byte there without consuming it; 0 at the end.
func (p *parser) next() byte {
	p.space()
	if p.i < len(p.b) {
		return p.b[p.i]
	}
	return 0
}

func (p *parser) expect(c byte) error {
	if got := p.next(); got != c || p.i >= len(p.b) {
		if p.i >= len(p.b) {
			return p.errorf("unexpected end, wanted %q", c)
		}
		return p.errorf("found %q, wanted %q", got, c)
	}
	p.i++
	return nil
}

// object reads an object; member is called with each key, positioned on the value, and consumes the value.
func (p *parser) object(member func(key string) error) error {
	return p.list('{', '}', func() error {
		key, err := p.str()
		if err != nil {
			return err
		}
		if err := p.expect(':'); err != nil {
			return err
		}
		return member(key)
	})
}

// array reads an array; element consumes one element.
func (p *parser) array(element func() error) error { return p.list('[', ']', element) }

func (p *parser) list(open, shut byte, item func() error) error {
	if err := p.expect(open); err != nil {
		return err
	}
	if p.next() == shut {
		p.i++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if p.next() == ',' {
			p.i++
			continue
		}
		return p.expect(shut)
	}
}

// str reads a string. Strings with escapes, which are rare, are left to encoding/json.
func (p *parser) str() (string, error) {
	if err := p.expect('"'); err != nil {
		return "", err
	}
	start, escaped := p.i, false
	for ; p.i < len(p.b); p.i++ {
		switch c := p.b[p.i]; {
		case c == '"':
			raw := p.b[start:p.i]
			p.i++
			if !escaped {
				return string(raw), nil
			}
			var s string
			if err := json.Unmarshal(p.b[start-1:p.i], &s); err != nil {
				return "", p.errorf("bad string")
			}
			return s, nil
		case c == '\\':
			escaped = true
			p.i++
		case c < 0x20:
			return "", p.errorf("control character in a string")
		}
	}
	return "", p.errorf("string does not end")
}

// uint reads an integer from 0 to 2^63-1 without sign, fraction or exponent.
func (p *parser) uint() (uint64, error) {
	c := p.next()
	if c == '-' {
		return 0, p.errorf("negative number")
	}
	if c < '0' || c > '9' {
		return 0, p.errorf("not a number")
	}
	start := p.i
	var n uint64
	for ; p.i < len(p.b) && p.b[p.i] >= '0' && p.b[p.i] <= '9'; p.i++ {
		d := uint64(p.b[p.i] - '0')
		if n > (math.MaxInt64-d)/10 {
			return 0, p.errorf("number is too large")
		}
		n = n*10 + d
	}
	if c == '0' && p.i-start > 1 {
		return 0, p.errorf("number with a leading zero")
	}
	if p.i < len(p.b) {
		switch p.b[p.i] {
		case '.', 'e', 'E':
			return 0, p.errorf("number is not an integer")
		}
	}
	return n, nil
}

// skip reads any value and drops it.
func (p *parser) skip(depth int) error {
	if depth > maxDepth {
		return p.errorf("values nested more than %d deep", maxDepth)
	}
	switch c := p.next(); c {
	case '{':
		return p.object(func(string) error { return p.skip(depth + 1) })
	case '[':
		return p.array(func() error { return p.skip(depth + 1) })
	case '"':
		_, err := p.str()
		return err
	default:
		start := p.i
		for p.i < len(p.b) && isScalar(p.b[p.i]) {
			p.i++
		}
		if !json.Valid(p.b[start:p.i]) {
			return p.errorf("bad value")
		}
		return nil
	}
}

func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}
