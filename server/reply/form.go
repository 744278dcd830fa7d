package reply

import "strings"

// Bounds of a form: the number of its parts, and the bytes of a field without a file name.
const (
	MaxParts     = 64
	MaxFieldSize = 1 << 20
)

// Unescaped takes the backslashes out of a header's quoted texts that are before neither a quote nor another one; the
// standard library would keep them.
func Unescaped(header string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(header); i++ {
		c := header[i]
		switch {
		case c == '"':
			quoted = !quoted
		case c == '\\' && quoted && i+1 < len(header):
			i++
			if next := header[i]; next != '"' && next != '\\' {
				c = next
				break
			}
			b.WriteByte(c)
			c = header[i]
		}
		b.WriteByte(c)
	}
	return b.String()
}
