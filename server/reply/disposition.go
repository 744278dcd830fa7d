package reply

import "strings"

// Filename is the parameter of Content-Disposition that names a file. Quotes and backslashes are escaped, so that no name ends
// the parameter and begins another one, and control characters are left out.
func Filename(name string) string {
	var b strings.Builder
	b.WriteString(`filename="`)
	for _, r := range name {
		switch {
		case r < ' ' || r == 0x7f:
			continue
		case r == '"' || r == '\\':
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}
