package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"comfygo/internal/pyjson"
)

// skeleton is the source of one class.
type skeleton struct {
	name, ident string
	info        *pyjson.Object
	v3          bool
	main        string              // the struct of the class
	types       strings.Builder     // further struct types with their DynamicOptions, in the order of the source
	dynamics    map[string][]string // cases of DynamicOptions by struct
	uses        map[string]bool     // packages by name
}

// newSkeleton reads a class's description in /object_info.
func newSkeleton(name string, info *pyjson.Object) (*skeleton, error) {
	s := &skeleton{name: name, ident: identifier(name), info: info, v3: info.Has("price_badge"), dynamics: map[string][]string{}, uses: map[string]bool{"nodes": true}}
	fields, err := s.fields(s.ident, info.Object("input"), !s.v3)
	if err != nil {
		return nil, err
	}
	s.main = fields
	return s, nil
}

// identifier turns a name into an exported Go name.
func identifier(name string) string {
	var b strings.Builder
	up := true
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			up = true
			continue
		case up:
			r = unicode.ToUpper(r)
		}
		up = false
		b.WriteRune(r)
	}
	id := b.String()
	if id == "" || unicode.IsDigit(rune(id[0])) {
		id = "X" + id
	}
	return id
}

// fields writes a struct of the inputs. Hidden inputs of v3 classes are in Spec.
func (s *skeleton) fields(ident string, input *pyjson.Object, hidden bool) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "type %s struct {\n", ident)
	for category, inputs := range input.All() {
		if category == "hidden" && !hidden {
			continue
		}
		declared := inputs.(*pyjson.Object)
		keys := declared.Keys()
		for i := 0; i < len(keys); {
			name, n := array(declared, keys[i:])
			entry, _ := declared.Get(keys[i])
			i += n
			if category == "hidden" {
				fmt.Fprintf(&b, "\t%s any %s\n", identifier(name), tag("in", name, "hidden", pyjson.Str(entry)))
				continue
			}
			line, err := s.field(ident, name, entry.([]any), category == "optional", n)
			if err != nil {
				return "", fmt.Errorf("input %s: %w", name, err)
			}
			b.WriteString("\t" + line + "\n")
		}
	}
	b.WriteString("}\n")
	if cases := s.dynamics[ident]; len(cases) > 0 {
		fmt.Fprintf(&b, "\n// DynamicOptions implements nodes.Dynamic.\nfunc (*%s) DynamicOptions(input string) []nodes.Option {\n\tswitch input {\n\t%s\n\t}\n\treturn nil\n}\n",
			ident, strings.Join(cases, "\n\t"))
	}
	return b.String(), nil
}

// array returns how many of the first inputs are equal but for a number in their names that counts from 0, and the name of
// an array of them; for a single input its own name and 1.
func array(declared *pyjson.Object, keys []string) (name string, n int) {
	at := strings.IndexByte(keys[0], '0')
	if at < 0 {
		return keys[0], 1
	}
	before, after := keys[0][:at], keys[0][at+1:]
	first, _ := declared.Get(keys[0])
	for n < len(keys) && keys[n] == before+strconv.Itoa(n)+after {
		if entry, _ := declared.Get(keys[n]); pyjson.Str(entry) != pyjson.Str(first) {
			break
		}
		n++
	}
	if n < 2 {
		return keys[0], 1
	}
	return before + "#" + after, n
}

// field writes one input, or an array of n.
func (s *skeleton) field(owner, name string, entry []any, optional bool, n int) (string, error) {
	options := pyjson.NewObject()
	if len(entry) > 1 {
		options = entry[1].(*pyjson.Object)
	}
	pairs := []string{"in", name}
	goType := ""
	switch typ := entry[0].(type) {
	case []any: // a combo of a v1 class
		goType, pairs = "string", append(pairs, "options", choices(typ))
	case string:
		var more []string
		var err error
		if goType, more, err = s.typed(owner, name, typ, options); err != nil {
			return "", err
		}
		pairs = append(pairs, more...)
	default:
		return "", fmt.Errorf("a type that is a %s", pyjson.TypeName(entry[0]))
	}
	if optional {
		pairs = append(pairs, "optional", "true")
	}
	if !s.v3 && len(entry) > 1 && options.Len() == 0 {
		pairs = append(pairs, "opts", "{}")
	}
	widget, err := widgetTags(options, goType, entry[0])
	if err != nil {
		return "", err
	}
	if list, _ := s.info.Get("is_input_list"); list == true && goType != "nodes.Grown" && goType != "nodes.Choice" {
		goType = "[]" + goType
	}
	if n > 1 {
		goType = fmt.Sprintf("[%d]%s", n, goType)
	}
	return identifier(name) + " " + goType + " " + tag(append(pairs, widget...)...), nil
}

// linkTypes are the Go types of links; others are any.
var linkTypes = map[string]string{
	"IMAGE": "*tensor.Tensor", "MASK": "*tensor.Tensor", "LATENT": "engine.Latent", "CONDITIONING": "engine.Conditioning", "MODEL": "*engine.Model",
}

// typed returns the Go type of an input and the tags that shape it.
func (s *skeleton) typed(owner, name, typ string, options *pyjson.Object) (string, []string, error) {
	switch typ {
	case "INT":
		if limit, ok := options.Get("max"); ok {
			if _, small := limit.(int64); !small {
				return "uint64", nil, nil
			}
		}
		return "int", nil, nil
	case "FLOAT":
		return "float64", nil, nil
	case "STRING":
		return "string", nil, nil
	case "BOOLEAN":
		return "bool", nil, nil
	case "COMBO":
		list, _ := options.Get("options")
		l, ok := list.([]any)
		if !ok {
			return "string", []string{"type", "COMBO"}, nil
		}
		return "string", []string{"options", choices(l)}, nil
	case "COMFY_AUTOGROW_V3":
		pairs, err := autogrow(options.Object("template"))
		return "nodes.Grown", pairs, err
	case "COMFY_DYNAMICCOMBO_V3":
		return "nodes.Choice", nil, s.dynamic(owner, name, options)
	case "COMFY_MATCHTYPE_V3":
		return "any", matchTags(options.Object("template")), nil
	}
	goType := linkTypes[typ]
	if goType == "" {
		return "any", []string{"type", typ}, nil
	}
	if pkg, _, ok := strings.Cut(strings.TrimPrefix(goType, "*"), "."); ok {
		s.uses[pkg] = true
	}
	return goType, []string{"type", typ}, nil
}

func matchTags(template *pyjson.Object) []string {
	pairs := []string{"match", text(template, "template_id")}
	if allowed := text(template, "allowed_types"); allowed != "*" {
		pairs = append(pairs, "allowed", allowed)
	}
	return pairs
}

// autogrow returns the tags of a repeated input.
func autogrow(template *pyjson.Object) ([]string, error) {
	input := template.Object("input").Object("required")
	if input == nil || input.Len() != 1 {
		return nil, fmt.Errorf("an autogrow template without its one required input")
	}
	item := input.Keys()[0]
	v, _ := input.Get(item)
	entry := v.([]any)
	pairs := []string{"autogrow", item, "item", entry[0].(string)}
	options := entry[1].(*pyjson.Object).Clone()
	if t := options.Object("template"); t != nil {
		pairs = append(pairs, matchTags(t)...)
		options.Delete("template")
	}
	if prefix := text(template, "prefix"); prefix != "" {
		pairs = append(pairs, "prefix", prefix)
	} else if names, ok := template.Get("names"); ok {
		pairs = append(pairs, "names", choices(names.([]any)))
	}
	for _, bound := range [][2]string{{"min", "least"}, {"max", "most"}} {
		if n, ok := template.Get(bound[0]); ok {
			pairs = append(pairs, bound[1], pyjson.Str(n))
		}
	}
	if options.Len() > 0 {
		b, err := pyjson.Marshal(options)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, "itemopts", string(b))
	}
	return pairs, nil
}

// dynamic writes the structs of a dynamic combo's options.
func (s *skeleton) dynamic(owner, name string, options *pyjson.Object) error {
	v, _ := options.Get("options")
	list, _ := v.([]any)
	var b strings.Builder
	fmt.Fprintf(&b, "case %q:\n\t\treturn []nodes.Option{", name)
	for i, o := range list {
		opt := o.(*pyjson.Object)
		inputs := opt.Object("inputs")
		if inputs == nil || len(keysOf(inputs)) == 0 {
			fmt.Fprintf(&b, "{Key: %q}, ", text(opt, "key"))
			continue
		}
		ident := owner + identifier(name) + strconv.Itoa(i)
		fields, err := s.fields(ident, inputs, false)
		if err != nil {
			return err
		}
		fmt.Fprintf(&s.types, "// %s are the inputs of %s for %q.\n%s\n", ident, name, text(opt, "key"), fields)
		fmt.Fprintf(&b, "{Key: %q, Inputs: &%s{}}, ", text(opt, "key"), ident)
	}
	s.dynamics[owner] = append(s.dynamics[owner], b.String()+"}")
	return nil
}

func keysOf(input *pyjson.Object) []string {
	var keys []string
	for _, v := range input.All() {
		keys = append(keys, v.(*pyjson.Object).Keys()...)
	}
	return keys
}

// choices joins a combo's values; what is not a text, or begins with =, becomes a literal.
func choices(list []any) string {
	parts := make([]string, len(list))
	for i, v := range list {
		s, isText := v.(string)
		if !isText || strings.HasPrefix(s, "=") {
			b, err := pyjson.Marshal(v)
			if err != nil {
				b = []byte(pyjson.Str(v))
			}
			s = "=" + string(b)
		}
		parts[i] = s
	}
	return strings.Join(parts, "|")
}

// plainTags are widget options with tags of plain text without quotes; see the documentation of package nodes.
var plainTags = []string{"tooltip", "display", "display_name", "placeholder", "label_on", "label_off", "image_folder", "widgetType", "component"}

// widgetTags turns widget options into tags, in order.
func widgetTags(options *pyjson.Object, goType string, typ any) ([]string, error) {
	var pairs []string
	for key, v := range options.All() {
		_, combo := typ.([]any)
		switch {
		case key == "options" || key == "template" && goType != "any" || key == "template" && typ == "COMFY_MATCHTYPE_V3":
			continue
		case key == "multiselect" && v == false, key == "multiline" && v == false && typ == "STRING":
			continue // package nodes writes these for v3 classes
		}
		s, isText := v.(string)
		bare := slices.Contains(plainTags, key) || key == "default" && (combo || typ == "COMBO" || typ == "STRING" || typ == "COLOR")
		if !bare || !isText {
			b, err := pyjson.Marshal(v)
			if err != nil {
				return nil, err
			}
			if s = string(b); bare {
				s = "=" + s
			}
		} else if strings.HasPrefix(s, "=") {
			s = "=" + strconv.Quote(s)
		}
		pairs = append(pairs, key, s)
	}
	return pairs, nil
}

// tag writes a struct tag of keys and values, in a raw string where it can.
func tag(pairs ...string) string {
	parts := make([]string, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, pairs[i]+":"+strconv.Quote(pairs[i+1]))
	}
	all := strings.Join(parts, " ")
	if strings.Contains(all, "`") {
		return strconv.Quote(all)
	}
	return "`" + all + "`"
}
