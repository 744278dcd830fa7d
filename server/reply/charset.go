package reply

import (
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"unicode/utf8"
)

// DecodedText is a text in the charset that its content type names, UTF-8 when it names none. It fails for bytes that are
// no text in it, and for charsets other than UTF-8, ASCII and Latin-1.
func DecodedText(data []byte, contentType string) (string, error) {
	charset := ""
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		charset = strings.NewReplacer("_", "-", " ", "-").Replace(strings.ToLower(params["charset"]))
	}
	switch charset {
	case "latin1", "latin-1", "iso-8859-1", "iso8859-1", "l1":
		var b strings.Builder
		for _, c := range data {
			b.WriteRune(rune(c))
		}
		return b.String(), nil
	case "ascii", "us-ascii":
		if slices.ContainsFunc(data, func(c byte) bool { return c >= utf8.RuneSelf }) {
			return "", errors.New("the text is not ASCII")
		}
		return string(data), nil
	case "", "utf8", "utf-8":
		if !utf8.Valid(data) {
			return "", errors.New("the text is not UTF-8")
		}
		return string(data), nil
	}
	return "", fmt.Errorf("the charset %q is unknown", charset)
}
