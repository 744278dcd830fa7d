package workflow

import "comfygo/internal/pyjson"

// Types of inputs that are handled apart.
const (
	anyType      = "*"
	typeCombo    = "COMBO"
	typeAutogrow = "COMFY_AUTOGROW_V3"
	typeMatch    = "COMFY_MATCHTYPE_V3"
	typeDynamic  = "COMFY_DYNAMICCOMBO_V3"
)

// spec is one input of a node definition.
type spec struct {
	name     string
	typ      string
	options  *pyjson.Object
	choices  []any // of a COMBO
	optional bool
}

// readSpecs reads a group of inputs in its order.
func readSpecs(group *pyjson.Object, optional bool) []spec {
	var out []spec
	if group == nil {
		return nil
	}
	for name, v := range group.All() {
		out = append(out, readSpec(name, v, optional))
	}
	return out
}

// readSpec reads one input: [type, options], where the type may be a list of choices.
func readSpec(name string, v any, optional bool) spec {
	s := spec{name: name, optional: optional, options: pyjson.NewObject()}
	parts := list(v)
	if o, ok := at(parts, 1).(*pyjson.Object); ok {
		s.options = o
	}
	switch t := at(parts, 0).(type) {
	case []any:
		s.typ, s.choices = typeCombo, t
	case string:
		s.typ = t
		if t == typeCombo {
			choices, _ := s.options.Get("options")
			s.choices = list(choices)
		}
	default:
		s.typ = "UNKNOWN"
	}
	return s
}

// widgetType returns the type of the widget that the input gets.
func (s *spec) widgetType() string {
	if t := s.options.String("widgetType"); t != "" {
		return t
	}
	return s.typ
}

// isWidget reports whether the input has a widget.
func (s *spec) isWidget() bool { return widgetTypes[s.widgetType()] && !s.on("forceInput") }

// on reports whether an option is set.
func (s *spec) on(option string) bool {
	v, _ := s.options.Get(option)
	return truthy(v)
}

// option returns an option, or the value for a missing one.
func (s *spec) option(name string, missing any) any {
	if v, ok := s.options.Get(name); ok && v != nil {
		return v
	}
	return missing
}

func (s *spec) number(name string, missing float64) float64 {
	if f, ok := float(s.option(name, nil)); ok {
		return f
	}
	return missing
}

// named is the spec under another name.
func (s spec) named(name string, optional bool) spec {
	s.name, s.optional = name, optional
	return s
}
