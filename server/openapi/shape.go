package openapi

import (
	"fmt"
	"strings"
)

// Shapes are written in a small language:
//
//	string integer number boolean object any binary   types; uuid and time are texts of those forms
//	Name                                              one of the named shapes
//	T?                                                T or null
//	[]T                                               a list; map T is an object of T's
//	a|b|c  in quotes: 'low|normal|high'               one of these texts
//	{name T; other T}                                 an object; name! must be there, ... at the end allows more fields
//
// objects without ... may have more fields all the same: clients must not break when there are new ones. closed{…} does
// not allow any.
func shape(text string) (map[string]any, error) {
	p := &parser{rest: text}
	s, err := p.shape()
	if err != nil {
		return nil, fmt.Errorf("reading the shape %q: %w", text, err)
	}
	if p.space(); p.rest != "" {
		return nil, fmt.Errorf("reading the shape %q: %q is left over", text, p.rest)
	}
	return s, nil
}

type parser struct{ rest string }

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \n\t") }

func (p *parser) take(prefix string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *parser) word() string {
	p.space()
	n := 0
	for n < len(p.rest) && !strings.ContainsRune(" \n\t;{}?!'[]", rune(p.rest[n])) {
		n++
	}
	w := p.rest[:n]
	p.rest = p.rest[n:]
	return w
}

func (p *parser) shape() (s map[string]any, err error) {
	switch {
	case p.take("[]"):
		items, err := p.shape()
		return map[string]any{"type": "array", "items": items}, err
	case p.take("closed{"):
		if s, err = p.object(); err == nil {
			s["additionalProperties"] = false
		}
	case p.take("{"):
		s, err = p.object()
	case p.take("'"):
		s, err = p.choice()
	default:
		s, err = p.named(p.word())
	}
	if err == nil && p.take("?") {
		s = orNull(s)
	}
	return s, err
}

func orNull(s map[string]any) map[string]any {
	if t, is := s["type"].(string); is && s["enum"] == nil {
		s["type"] = []any{t, "null"}
		return s
	}
	return map[string]any{"anyOf": []any{s, map[string]any{"type": "null"}}}
}

func (p *parser) choice() (map[string]any, error) {
	end := strings.IndexByte(p.rest, '\'')
	if end < 0 {
		return nil, fmt.Errorf("a quote is not closed")
	}
	var list []any
	for w := range strings.SplitSeq(p.rest[:end], "|") {
		list = append(list, w)
	}
	p.rest = p.rest[end+1:]
	return map[string]any{"type": "string", "enum": list}, nil
}

func (p *parser) named(word string) (map[string]any, error) {
	switch word {
	case "string", "integer", "number", "boolean", "object":
		return map[string]any{"type": word}, nil
	case "any":
		return map[string]any{}, nil
	case "binary":
		return map[string]any{"type": "string", "format": "binary"}, nil
	case "uuid":
		return map[string]any{"type": "string", "format": "uuid"}, nil
	case "time":
		return map[string]any{"type": "string", "format": "date-time"}, nil
	case "map":
		of, err := p.shape()
		return map[string]any{"type": "object", "additionalProperties": of}, err
	}
	if word == "" || word[0] < 'A' || word[0] > 'Z' {
		return nil, fmt.Errorf("%q is no type", word)
	}
	if _, there := named[word]; !there {
		return nil, fmt.Errorf("no shape is called %s", word)
	}
	return map[string]any{"$ref": "#/components/schemas/" + word}, nil
}

func (p *parser) object() (map[string]any, error) {
	fields, required := map[string]any{}, []any{}
	for !p.take("}") {
		name := p.word()
		if name == "" {
			return nil, fmt.Errorf("a field has no name before %q", p.rest)
		}
		if p.take("!") {
			required = append(required, name)
		}
		s, err := p.shape()
		if err != nil {
			return nil, err
		}
		fields[name] = s
		if !p.take(";") {
			if !p.take("}") {
				return nil, fmt.Errorf("a ; or } is missing before %q", p.rest)
			}
			break
		}
	}
	out := map[string]any{"type": "object", "properties": fields}
	if len(required) > 0 {
		out["required"] = required
	}
	return out, nil
}

// schemas are the named shapes as the document has them.
func schemas() (map[string]any, error) {
	out := map[string]any{}
	for name, text := range named {
		s, err := shape(text)
		if err != nil {
			return nil, fmt.Errorf("the shape %s: %w", name, err)
		}
		out[name] = s
	}
	return out, nil
}
