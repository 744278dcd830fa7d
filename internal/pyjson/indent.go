package pyjson

import (
	"bytes"
	"strings"
)

// Indent writes a value as json.dumps does with an indent and ensure_ascii=False.
func Indent(v any, spaces int) ([]byte, error) { return indented(v, spaces, appendPlain) }

// IndentASCII writes a value as json.dumps does with an indent.
func IndentASCII(v any, spaces int) ([]byte, error) { return indented(v, spaces, AppendString) }

func indented(v any, spaces int, text func(b []byte, s string) []byte) ([]byte, error) {
	compact, err := Marshal(v)
	if err != nil {
		return nil, err
	}
	decoded, err := Unmarshal(compact)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	in := indenter{&b, text, strings.Repeat(" ", spaces)}
	err = in.write(decoded, "\n")
	return b.Bytes(), err
}

// indenter writes values, strings by text, each level step further to the right.
type indenter struct {
	*bytes.Buffer
	text func(b []byte, s string) []byte
	step string
}

// write writes a value; line is the line break with the spaces before the value.
func (b indenter) write(v any, line string) error {
	switch v := v.(type) {
	case *Object:
		if v.Len() == 0 {
			b.WriteString("{}")
			return nil
		}
		b.WriteByte('{')
		for i, k := range v.Keys() {
			b.separate(i, line+b.step)
			b.Write(b.text(nil, k))
			b.WriteString(": ")
			e, _ := v.Get(k)
			if err := b.write(e, line+b.step); err != nil {
				return err
			}
		}
		b.WriteString(line + "}")
	case []any:
		if len(v) == 0 {
			b.WriteString("[]")
			return nil
		}
		b.WriteByte('[')
		for i, e := range v {
			b.separate(i, line+b.step)
			if err := b.write(e, line+b.step); err != nil {
				return err
			}
		}
		b.WriteString(line + "]")
	case string:
		b.Write(b.text(nil, v))
	default:
		text, err := Marshal(v)
		if err != nil {
			return err
		}
		b.Write(text)
	}
	return nil
}

func (b indenter) separate(i int, line string) {
	if i > 0 {
		b.WriteByte(',')
	}
	b.WriteString(line)
}

// appendPlain writes a JSON string without escaping non-ASCII characters.
func appendPlain(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		if at := strings.IndexByte("\"\\\n\r\t\b\f", c); at >= 0 {
			b = append(b, '\\', `"\nrtbf`[at])
		} else if c < 0x20 {
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		} else {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// Plain writes a value on one line as json.dumps does with ensure_ascii=False.
func Plain(v any) ([]byte, error) {
	compact, err := Marshal(v)
	if err != nil {
		return nil, err
	}
	decoded, err := Unmarshal(compact)
	if err != nil {
		return nil, err
	}
	return appendLine(nil, decoded)
}

func appendLine(b []byte, v any) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case *Object:
		b = append(b, '{')
		for i, k := range v.Keys() {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(append(b, appendPlain(nil, k)...), ": "...)
			e, _ := v.Get(k)
			if b, err = appendLine(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ", "...)
			}
			if b, err = appendLine(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case string:
		return append(b, appendPlain(nil, v)...), nil
	}
	return Append(b, v)
}
