package pyjson

import (
	"bytes"
	"strings"
)

// Indent writes a value as json.dumps does with an indent and ensure_ascii=False.
func Indent(v any, spaces int) ([]byte, error) {
	compact, err := Marshal(v)
	if err != nil {
		return nil, err
	}
	decoded, err := Unmarshal(compact)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = indent(&b, decoded, strings.Repeat(" ", spaces), "\n")
	return b.Bytes(), err
}

func indent(b *bytes.Buffer, v any, step, line string) error {
	switch v := v.(type) {
	case *Object:
		if v.Len() == 0 {
			b.WriteString("{}")
			return nil
		}
		b.WriteByte('{')
		for i, k := range v.Keys() {
			separate(b, i, line+step)
			b.Write(appendPlain(nil, k))
			b.WriteString(": ")
			e, _ := v.Get(k)
			if err := indent(b, e, step, line+step); err != nil {
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
			separate(b, i, line+step)
			if err := indent(b, e, step, line+step); err != nil {
				return err
			}
		}
		b.WriteString(line + "]")
	case string:
		b.Write(appendPlain(nil, v))
	default:
		text, err := Marshal(v)
		if err != nil {
			return err
		}
		b.Write(text)
	}
	return nil
}

func separate(b *bytes.Buffer, i int, line string) {
	if i > 0 {
		b.WriteByte(',')
	}
	b.WriteString(line)
}

// appendPlain writes a JSON string that keeps what is beyond ASCII.
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
