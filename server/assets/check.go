package assets

import (
	"fmt"
	"math"
	"math/big"
	"net/http"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/reply"
)

// checked reads the parameters of a request and collects their faults in pydantic's form.
type checked struct {
	values map[string][]string // query parameters
	body   *pyjson.Object
	errs   []any
}

const pydanticDocs = "https://errors.pydantic.dev/2.12/v/"

// wrong records an error; ctx may be nil.
func (f *checked) wrong(kind, msg string, input any, ctx *pyjson.Object, loc ...any) {
	if loc == nil {
		loc = []any{}
	}
	e := pyjson.NewObject("type", kind, "loc", loc, "msg", msg, "input", input)
	if ctx != nil {
		e.Set("ctx", ctx)
	}
	f.errs = append(f.errs, e.Set("url", pydanticDocs+kind))
}

// valueError is pydantic's form of an error of upstream's own checks.
func (f *checked) valueError(msg string, input any, loc ...any) {
	f.wrong("value_error", "Value error, "+msg, input, pyjson.NewObject("error", msg), loc...)
}

// checkQuery reads the query; with first only the first value of each name counts.
func checkQuery(c echo.Context, first bool) *checked {
	f := &checked{values: map[string][]string{}}
	for pair := range strings.SplitSeq(c.Request().URL.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		key = reply.UnquoteQuery(key)
		if pair == "" || first && len(f.values[key]) > 0 {
			continue
		}
		f.values[key] = append(f.values[key], reply.UnquoteQuery(value))
	}
	return f
}

// single returns a parameter's only value. Repeated, it is an error of the kind and text given.
func (f *checked) single(name, kind, msg string) (string, bool) {
	v := f.values[name]
	if len(v) > 1 {
		f.wrong(kind, msg, v, nil, name)
	}
	if len(v) != 1 {
		return "", false
	}
	return v[0], true
}

func (f *checked) text(name string) *string {
	v, ok := f.single(name, "string_type", "Input should be a valid string")
	if !ok {
		return nil
	}
	return &v
}

// tags reads a list: values separated by commas, repeated parameters one after the other.
func (f *checked) tags(name string) (list []string) {
	for _, v := range f.values[name] {
		for t := range strings.SplitSeq(v, ",") {
			if t = strings.TrimSpace(t); t != "" {
				list = append(list, t)
			}
		}
	}
	return list
}

var wholeNumber = regexp.MustCompile(`^[+-]?[0-9]+(_[0-9]+)*(\.0*)?$`)

// integer reads a whole number within bounds.
func (f *checked) integer(name string, otherwise, low, high int64) int64 {
	text, ok := f.single(name, "int_type", "Input should be a valid integer")
	if !ok {
		return otherwise
	}
	trimmed := strings.TrimSpace(text)
	digits, _, _ := strings.Cut(strings.ReplaceAll(strings.TrimPrefix(trimmed, "+"), "_", ""), ".")
	n, ok := new(big.Int).SetString(digits, 10)
	if !ok || !wholeNumber.MatchString(trimmed) {
		f.wrong("int_parsing", "Input should be a valid integer, unable to parse string as an integer", text, nil, name)
		return otherwise
	}
	if n.Cmp(big.NewInt(low)) < 0 {
		f.wrong("greater_than_equal", fmt.Sprintf("Input should be greater than or equal to %d", low), text, pyjson.NewObject("ge", low), name)
		return otherwise
	}
	if n.Cmp(big.NewInt(high)) > 0 {
		f.wrong("less_than_equal", fmt.Sprintf("Input should be less than or equal to %d", high), text, pyjson.NewObject("le", high), name)
		return otherwise
	}
	return n.Int64()
}

// choice reads one of some words.
func (f *checked) choice(name, otherwise string, words ...string) string {
	v := f.values[name]
	if len(v) == 0 {
		return otherwise
	}
	for _, w := range words {
		if len(v) == 1 && v[0] == w {
			return w
		}
	}
	var input any = v
	if len(v) == 1 {
		input = v[0]
	}
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = "'" + w + "'"
	}
	last := len(quoted) - 1
	expected := strings.Join(quoted[:last], ", ") + " or " + quoted[last]
	f.wrong("literal_error", "Input should be "+expected, input, pyjson.NewObject("expected", expected), name)
	return otherwise
}

// boolean reads yes or no.
func (f *checked) boolean(name string, otherwise bool) bool {
	v := f.values[name]
	if len(v) == 0 {
		return otherwise
	}
	switch strings.ToLower(v[0]) {
	case "true", "t", "1", "yes", "y", "on":
		return true
	case "false", "f", "0", "no", "n", "off":
		return false
	}
	f.wrong("bool_parsing", "Input should be a valid boolean, unable to interpret input", v[0], nil, name)
	return otherwise
}

// object reads a JSON object; repeated parameters do not count.
func (f *checked) object(name string) *pyjson.Object {
	v := f.values[name]
	if len(v) != 1 || strings.TrimSpace(v[0]) == "" {
		return nil
	}
	value, err := pyjson.Unmarshal([]byte(v[0]))
	if err != nil {
		f.valueError(name+" must be JSON: "+pythonJSONError(v[0], err), v[0], name)
		return nil
	}
	o, ok := value.(*pyjson.Object)
	if !ok {
		f.valueError(name+" must be a JSON object", v[0], name)
	}
	return o
}

var byteOffset = regexp.MustCompile(`at byte ([0-9]+)$`)

// pythonJSONError reports where a text is not valid JSON with the messages of Python, which clients know.
func pythonJSONError(text string, err error) string {
	at := 0
	if m := byteOffset.FindStringSubmatch(err.Error()); m != nil {
		_, _ = fmt.Sscan(m[1], &at) // digits, by the expression
	}
	before := text[:min(at, len(text))]
	line := before[strings.LastIndexByte(before, '\n')+1:]
	return fmt.Sprintf("Expecting value: line %d column %d (char %d)", strings.Count(before, "\n")+1,
		utf8.RuneCountInString(line)+1, utf8.RuneCountInString(before))
}

// maxAssetBody bounds the JSON bodies of the asset API in bytes.
const maxAssetBody = 4 << 20

// checkBody reads a JSON body. It is false when the request has been answered.
func (s *Service) checkBody(c echo.Context, model string) (f *checked, ok bool, err error) {
	data, err := s.Reply.ReadBody(c)
	if err != nil {
		return nil, false, err
	}
	if len(data) > maxAssetBody {
		return nil, false, &reply.Raised{Status: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("Maximum request body size %d exceeded.", maxAssetBody)}
	}
	v, err := pyjson.Unmarshal(data)
	if err != nil {
		return nil, false, s.assetError(c, http.StatusBadRequest, "INVALID_JSON", "Request body must be valid JSON.", nil)
	}
	f = &checked{}
	if f.body, ok = v.(*pyjson.Object); !ok {
		f.wrong("model_type", "Input should be a valid dictionary or instance of "+model, v, pyjson.NewObject("class_name", model))
		f.body = pyjson.NewObject()
	}
	return f, true, nil
}

// bodyText reads a text of the body, or returns nil if it is absent or null.
func (f *checked) bodyText(name string) *string {
	v, _ := f.body.Get(name)
	if v == nil {
		return nil
	}
	text, ok := v.(string)
	if !ok {
		f.wrong("string_type", "Input should be a valid string", v, nil, name)
		return nil
	}
	return &text
}

// bodyObject reads an object of the body, or returns nil if it is absent, or null where that is allowed.
func (f *checked) bodyObject(name string, orNull bool) *pyjson.Object {
	v, given := f.body.Get(name)
	o, ok := v.(*pyjson.Object)
	if !ok && given && (v != nil || !orNull) {
		f.wrong("dict_type", "Input should be a valid dictionary", v, nil, name)
	}
	return o
}

// bodyTags reads the tags of POST and DELETE …/tags: a list of at least one text.
func (f *checked) bodyTags() (tags []string) {
	v, given := f.body.Get("tags")
	list, ok := v.([]any)
	switch {
	case !given:
		f.wrong("missing", "Field required", f.body, nil, "tags")
	case !ok:
		f.wrong("list_type", "Input should be a valid list", v, nil, "tags")
	case len(list) == 0:
		f.wrong("too_short", "List should have at least 1 item after validation, not 0", list,
			pyjson.NewObject("field_type", "List", "min_length", 1, "actual_length", 0), "tags")
	}
	for i, t := range list {
		text, ok := t.(string)
		if !ok {
			f.wrong("string_type", "Input should be a valid string", t, nil, "tags", i)
		}
		tags = append(tags, text)
	}
	return tags
}

// invalid answers with the faults.
func (s *Service) invalid(c echo.Context, f *checked, code, message string) error {
	return s.assetError(c, http.StatusBadRequest, code, message, pyjson.NewObject("errors", f.errs))
}

// noLimit is the bound of numbers without a limit.
const noLimit = math.MaxInt64
