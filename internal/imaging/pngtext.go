package imaging

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Text is a text chunk of a PNG file.
type Text struct {
	// Key is 1 to 79 characters of Latin-1.
	Key string
	// Value is any text without zero bytes.
	Value string
}

// ValidKey reports whether a key can stand in a PNG text chunk.
func ValidKey(key string) bool {
	latin, ok := latin1(key)
	return ok && len(latin) >= 1 && len(latin) <= 79
}

// latin1 encodes s in Latin-1; false when a character has no place there or is zero.
func latin1(s string) ([]byte, bool) {
	if strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
		return nil, false
	}
	b, err := charmap.ISO8859_1.NewEncoder().Bytes([]byte(s))
	return b, err == nil
}

func fromLatin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

// Latin1 returns the key, a zero byte and the value in Latin-1.
func (t Text) Latin1() ([]byte, error) {
	key, ok := latin1(t.Key)
	value, clean := latin1(t.Value)
	if !ok || !clean {
		return nil, fmt.Errorf("writing png text %q: it cannot be written in latin-1", t.Key)
	}
	return append(append(key, 0), value...), nil
}

// chunk encodes t as Pillow's PngInfo.add_text does: tEXt when Latin-1 can hold the value, else uncompressed iTXt.
func (t Text) chunk() (kind string, data []byte, err error) {
	if !ValidKey(t.Key) {
		return "", nil, fmt.Errorf("writing png text: the key %q is not 1 to 79 characters of latin-1", t.Key)
	}
	key, _ := latin1(t.Key)
	if value, ok := latin1(t.Value); ok {
		return "tEXt", append(append(key, 0), value...), nil
	}
	if strings.ContainsRune(t.Value, 0) || !utf8.ValidString(t.Value) {
		return "", nil, fmt.Errorf("writing png text %q: the value is no clean text", t.Key)
	}
	return "iTXt", append(append(key, 0, 0, 0, 0, 0), t.Value...), nil
}

// maxTextTotal bounds what compressed text chunks of one file may unpack to.
const maxTextTotal = 64 << 20

// ReadText returns the text chunks of a PNG file (tEXt, zTXt, iTXt) in file order, without decoding the image. Broken
// text chunks are an error, as is a file that ends early.
func ReadText(r io.Reader) ([]Text, error) {
	var found []Text
	left := int64(maxTextTotal)
	isText := func(kind string) bool { return kind == "tEXt" || kind == "zTXt" || kind == "iTXt" }
	err := eachChunk(r, isText, func(kind string, data []byte) (bool, error) {
		if !isText(kind) {
			return true, nil
		}
		t, err := parseText(kind, data, left)
		if err != nil {
			return false, fmt.Errorf("reading png chunk %q: %w", kind, err)
		}
		if left -= int64(len(t.Value)); left < 0 {
			return false, errors.New("reading png: more text than is allowed")
		}
		found = append(found, t)
		return true, nil
	})
	return found, err
}

func parseText(kind string, data []byte, limit int64) (Text, error) {
	key, rest, ok := bytes.Cut(data, []byte{0})
	if !ok || len(key) == 0 || len(key) > 79 {
		return Text{}, errors.New("there is no key")
	}
	t := Text{Key: fromLatin1(key)}
	if kind == "tEXt" {
		t.Value = fromLatin1(rest)
		return t, nil
	}
	packed, international := true, kind == "iTXt"
	switch {
	case international && len(rest) < 2, !international && len(rest) < 1:
		return Text{}, errors.New("it is cut short")
	case international:
		packed = rest[0] != 0
		if packed && rest[1] != 0 {
			return Text{}, errors.New("unknown compression")
		}
		rest = rest[2:]
		for range 2 { // language and translated key
			if _, rest, ok = bytes.Cut(rest, []byte{0}); !ok {
				return Text{}, errors.New("it is cut short")
			}
		}
	case rest[0] != 0:
		return Text{}, errors.New("unknown compression")
	default:
		rest = rest[1:]
	}
	if packed {
		var err error
		if rest, err = unpack(rest, limit); err != nil {
			return Text{}, err
		}
	}
	if international {
		t.Value = strings.ToValidUTF8(string(rest), "\uFFFD")
	} else {
		t.Value = fromLatin1(rest)
	}
	return t, nil
}

func unpack(data []byte, limit int64) (out []byte, err error) {
	z, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	defer func() { err = errors.Join(err, z.Close()) }()
	if out, err = io.ReadAll(io.LimitReader(z, limit+1)); err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	if int64(len(out)) > limit {
		return nil, errors.New("unpacking: more text than is allowed")
	}
	return out, nil
}
