package assets

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"comfygo/internal/pyjson"
)

// Limits of cursors, in characters.
const (
	maxCursor      = 8192
	maxCursorValue = 512
	maxCursorID    = 128
)

// cursorSorts are the orders in which pages can be turned with a cursor.
var cursorSorts = []string{"created_at", "updated_at", "name", "size"}

// cursor names the place after a reference. It is bound to the order: {"s": sort, "v": value, "id": id, "o": order}.
func (p Page) cursor(it Item) string {
	value := p.sortValue(it)
	if !slices.Contains(cursorSorts, p.Sort) || utf8.RuneCountInString(value) > maxCursorValue {
		return ""
	}
	text, err := pyjson.Marshal(pyjson.NewObject("s", p.Sort, "v", value, "id", it.ID, "o", p.order()))
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// position reads the page's cursor: the value after which the page starts, as the database stores it, and the id.
func (p Page) position() (value any, id string, err error) {
	if !slices.Contains(cursorSorts, p.Sort) {
		return nil, "", problem(InvalidCursor, "cursor pagination is not supported for sort=%s", pyjson.Repr(p.Sort))
	}
	sort, text, id, err := decodeCursor(*p.After, p.order())
	if err != nil {
		return nil, "", err
	}
	if sort != p.Sort {
		return nil, "", problem(InvalidCursor, "cursor sort field %s does not match request sort %s", pyjson.Repr(sort), pyjson.Repr(p.Sort))
	}
	switch p.Sort {
	case "name":
		return text, id, nil
	case "size":
		n, ok := pythonInt(text)
		if !ok {
			return nil, "", problem(InvalidCursor, "value is not a valid integer: invalid literal for int() with base 10: %s", pyjson.Repr(text))
		}
		return n, id, nil
	}
	micros, ok := pythonInt(text)
	if !ok {
		return nil, "", problem(InvalidCursor, "value is not a valid timestamp: %s", pyjson.Repr(text))
	}
	t := time.UnixMicro(micros).UTC()
	if t.Year() < 1 || t.Year() > 9999 {
		return nil, "", problem(InvalidCursor, "value is out of representable range: year %d is out of range", t.Year())
	}
	return t.Format(stampLayout), id, nil
}

func (s Stamp) micros() string {
	t, err := time.Parse(stampLayout, string(s))
	if err != nil {
		return "0"
	}
	return strconv.FormatInt(t.UnixMicro(), 10)
}

func decodeCursor(cursor, order string) (sort, value, id string, err error) {
	bad := func(format string, args ...any) (string, string, string, error) {
		return "", "", "", problem(InvalidCursor, format, args...)
	}
	if len(cursor) > maxCursor {
		return bad("cursor exceeds maximum length")
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(cursor, "="))
	if err != nil {
		return bad("encoding: %v", err)
	}
	v, err := pyjson.Unmarshal(raw)
	if err != nil {
		return bad("payload: %v", err)
	}
	o, ok := v.(*pyjson.Object)
	if !ok {
		return bad("payload: expected object")
	}
	field := func(key string) (string, bool) {
		v, _ := o.Get(key)
		s, ok := v.(string)
		return s, ok
	}
	sort, okSort := field("s")
	value, okValue := field("v")
	id, okID := field("id")
	have, okOrder := field("o")
	switch {
	case !okSort || !okValue || !okID:
		return bad("payload: missing or non-string s/v/id")
	case id == "":
		return bad("missing id")
	case utf8.RuneCountInString(id) > maxCursorID:
		return bad("id exceeds maximum length")
	case utf8.RuneCountInString(value) > maxCursorValue:
		return bad("value exceeds maximum length")
	case !slices.Contains(cursorSorts, sort):
		return bad("unsupported sort field %s", pyjson.Repr(sort))
	case !okOrder:
		return bad("missing or non-string o")
	case have != "asc" && have != "desc":
		return bad("unsupported order %s", pyjson.Repr(have))
	case have != order:
		return bad("cursor order %s does not match request order %s", pyjson.Repr(have), pyjson.Repr(order))
	}
	return sort, value, id, nil
}

// pythonInt reads a number as Python's int does, of 64 bits at most.
func pythonInt(text string) (int64, bool) {
	v, _ := pyjson.ParseInt(text)
	n, ok := v.(int64)
	return n, ok
}
