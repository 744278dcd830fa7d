package nodes

import (
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"comfygo/internal/pyjson"
)

// fieldSet is a struct's inputs.
type fieldSet struct {
	typ    reflect.Type
	inputs []*Input
}

// hiddenKind returns the kind of a hidden input; hidden:"true" is a widget option: an ordinary input that is not shown.
func hiddenKind(tag string) string {
	if tag == "true" {
		return ""
	}
	return tag
}

func (f *fieldSet) dynamic() bool {
	return slices.ContainsFunc(f.inputs, func(in *Input) bool { return in.grow != nil || in.choice != nil })
}

// textTags are options with text values; see the package's documentation.
var textTags = []string{"tooltip", "display", "display_name", "placeholder", "label_on", "label_off", "image_folder", "widgetType", "component"}

// shapeTags are not widget options.
var shapeTags = []string{"in", "type", "optional", "hidden", "options", "files", "folder", "choices", "opts", "autogrow", "item", "prefix", "names", "least", "most", "itemopts", "match", "allowed"}

// v3Order is the order in which upstream's v3 schema writes options.
var v3Order = []string{
	"display_name", "tooltip", "hidden", "lazy", "rawLink", "advanced", "default", "socketless", "widgetType", "forceInput", "label_on", "label_off", "min", "max", "step", "round",
	"multiline", "placeholder", "dynamicPrompts", "multiselect", "options", "control_after_generate", "display", "gradient_stops", "image_upload", "audio_upload",
	"video_upload", "file_upload", "image_folder", "remote", "template",
}

type tagPair struct{ key, value string }

// splitTag returns the pairs of a struct tag in order.
func splitTag(tag reflect.StructTag) ([]tagPair, error) {
	var pairs []tagPair
	s := strings.TrimSpace(string(tag))
	for s != "" {
		colon := strings.IndexByte(s, ':')
		if colon <= 0 || colon+1 >= len(s) || s[colon+1] != '"' {
			return nil, fmt.Errorf("reading tag %q: want key:\"value\"", s)
		}
		quoted, err := strconv.QuotedPrefix(s[colon+1:])
		if err != nil {
			return nil, fmt.Errorf("reading tag %q: %w", s, err)
		}
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, fmt.Errorf("reading tag %q: %w", s, err)
		}
		pairs = append(pairs, tagPair{strings.TrimSpace(s[:colon]), value})
		s = strings.TrimSpace(s[colon+1+len(quoted):])
	}
	return pairs, nil
}

// readFields reads the tagged fields of a struct; owner answers for choices and dynamic options.
func readFields(typ reflect.Type, owner any, v3 bool) (*fieldSet, error) {
	f := &fieldSet{typ: typ}
	for i := range typ.NumField() {
		field := typ.Field(i)
		if field.Anonymous && field.Type.Kind() == reflect.Struct {
			sub, err := readFields(field.Type, owner, v3)
			if err != nil {
				return nil, err
			}
			for _, in := range sub.inputs {
				in.path = append([]int{i}, in.path...)
				f.inputs = append(f.inputs, in)
			}
			continue
		}
		if _, tagged := field.Tag.Lookup("in"); !tagged {
			continue
		}
		for k, name := range InputNames(field) {
			in, err := readField(field, name, owner, v3)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", field.Name, err)
			}
			in.path, in.element = []int{i}, k
			for _, other := range f.inputs {
				if other.Name == in.Name {
					return nil, fmt.Errorf("field %s: two inputs are called %s", field.Name, in.Name)
				}
			}
			f.inputs = append(f.inputs, in)
		}
	}
	return f, nil
}

// InputNames returns the names of the inputs that a field with the tag in declares: one, or for an array one for each
// element, with its number from 0 on in place of the # in the tag.
func InputNames(field reflect.StructField) []string {
	name := field.Tag.Get("in")
	if field.Type.Kind() != reflect.Array {
		return []string{name}
	}
	names := make([]string, field.Type.Len())
	for i := range names {
		names[i] = strings.Replace(name, "#", strconv.Itoa(i), 1)
	}
	return names
}

// readField reads the input name of a field, or of an element of it if the field is an array.
func readField(field reflect.StructField, name string, owner any, v3 bool) (*Input, error) {
	if !field.IsExported() {
		return nil, fmt.Errorf("an input's field must be exported")
	}
	pairs, err := splitTag(field.Tag)
	if err != nil {
		return nil, err
	}
	tag := map[string]string{}
	for _, p := range pairs {
		tag[p.key] = p.value
	}
	t := field.Type
	if t.Kind() == reflect.Array {
		t = t.Elem()
	}
	in := &Input{Name: name, Optional: tag["optional"] == "true", Hidden: hiddenKind(tag["hidden"]), files: tag["files"], folder: tag["folder"], opts: tag["opts"] == "{}"}
	if err := in.readShape(t, tag, owner, v3); err != nil {
		return nil, err
	}
	if in.options, err = in.readOptions(pairs); err != nil {
		return nil, err
	}
	return in, in.finish(v3)
}

// readShape decides the input's type and where its choices come from.
func (in *Input) readShape(t reflect.Type, tag map[string]string, owner any, v3 bool) (err error) {
	in.Type = tag["type"]
	if list, ok := tag["options"]; ok {
		if in.list, err = splitChoices(list); err != nil {
			return err
		}
	}
	if _, ok := tag["choices"]; ok {
		if in.chooser, ok = owner.(Chooser); !ok {
			return fmt.Errorf("the tag choices needs the method Choices")
		}
	}
	switch {
	case in.Hidden != "":
		in.Type = in.Hidden
	case t == reflect.TypeFor[Grown]():
		in.Type = typeAutogrow
		in.grow, err = readTemplate(tag, v3)
	case t == reflect.TypeFor[Choice]():
		in.Type = typeDynamicCombo
		in.choice, err = readChoice(in.Name, owner, v3)
	case in.hasChoices() || in.Type == typeCombo:
		in.combo = true
		if in.Type == "" && v3 {
			in.Type = typeCombo
		}
	case tag["match"] != "":
		in.Type = typeMatch
	case in.Type == "":
		in.Type, err = typeOf(t)
	}
	return err
}

func typeOf(t reflect.Type) (string, error) {
	if t == reflect.TypeFor[*big.Int]() {
		return "INT", nil
	}
	if k := t.Kind(); k == reflect.Slice || k == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "INT", nil
	case reflect.Float32, reflect.Float64:
		return "FLOAT", nil
	case reflect.String:
		return "STRING", nil
	case reflect.Bool:
		return "BOOLEAN", nil
	case reflect.Interface:
		return typeAny, nil
	}
	return "", fmt.Errorf("the tag type is missing: nothing follows from %s", t)
}

func splitChoices(list string) ([]any, error) {
	out := []any{}
	if list == "" {
		return out, nil
	}
	for _, text := range strings.Split(list, "|") {
		v, err := literalOrText(text)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// literalOrText reads a JSON literal after "=", else takes the text.
func literalOrText(text string) (any, error) {
	rest, literal := strings.CutPrefix(text, "=")
	if !literal {
		return text, nil
	}
	v, err := pyjson.Unmarshal([]byte(rest))
	if err != nil {
		return nil, fmt.Errorf("reading literal %q: %w", rest, err)
	}
	return v, nil
}

func (in *Input) readOptions(pairs []tagPair) (*pyjson.Object, error) {
	options := pyjson.NewObject()
	for _, p := range pairs {
		if slices.Contains(shapeTags, p.key) && (p.key != "hidden" || hiddenKind(p.value) != "") {
			if p.key == "match" {
				options.Set("template", pyjson.NewObject("template_id", p.value, "allowed_types", allowed(pairs)))
			}
			continue
		}
		text := slices.Contains(textTags, p.key) || p.key == "default" && in.textDefault()
		raw := p.value
		if !text {
			raw = "=" + raw
		}
		v, err := literalOrText(raw)
		if err != nil {
			return nil, fmt.Errorf("tag %s: %w", p.key, err)
		}
		options.Set(p.key, v)
	}
	return options, nil
}

func allowed(pairs []tagPair) string {
	for _, p := range pairs {
		if p.key == "allowed" {
			return p.value
		}
	}
	return typeAny
}

// textDefault reports whether a default is text without quotes.
func (in *Input) textDefault() bool {
	return in.combo || in.Type == "STRING" || in.Type == "COLOR"
}

// finish copies what execution needs out of the options and adds what the v3 schema always writes.
func (in *Input) finish(v3 bool) error {
	if v3 {
		in.sortOptions()
	}
	in.Default, _ = in.options.Get("default")
	in.Min, _ = in.options.Get("min")
	in.Max, _ = in.options.Get("max")
	in.Lazy = truth(in.options, "lazy")
	in.RawLink = truth(in.options, "rawLink")
	in.Multi = truth(in.options, "multiselect")
	for name, bound := range map[string]any{"min": in.Min, "max": in.Max} {
		if bound == nil {
			continue
		}
		if _, ok := Number(bound); !ok {
			return fmt.Errorf("%s is no number", name)
		}
	}
	return nil
}

func truth(o *pyjson.Object, key string) bool {
	v, _ := o.Get(key)
	return v == true
}

func (in *Input) sortOptions() {
	if in.combo && !in.options.Has("multiselect") && in.hasChoices() {
		in.options.Set("multiselect", false)
	}
	if in.Type == "STRING" && !in.options.Has("multiline") {
		in.options.Set("multiline", false)
	}
	keys := slices.Clone(in.options.Keys())
	slices.SortStableFunc(keys, func(a, b string) int { return slices.Index(v3Order, a) - slices.Index(v3Order, b) })
	sorted := pyjson.NewObject()
	for _, k := range keys {
		v, _ := in.options.Get(k)
		sorted.Set(k, v)
	}
	in.options = sorted
}

// Number returns a JSON number as an exact rational for comparing; ok is false for anything else, NaN included.
func Number(v any) (*big.Rat, bool) {
	switch v := v.(type) {
	case int64:
		return new(big.Rat).SetInt64(v), true
	case *big.Int:
		return new(big.Rat).SetInt(v), true
	case float64:
		r := new(big.Rat).SetFloat64(v)
		return r, r != nil
	case bool:
		if v {
			return big.NewRat(1, 1), true
		}
		return new(big.Rat), true
	}
	return nil, false
}
