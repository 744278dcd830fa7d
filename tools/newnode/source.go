package main

import (
	"fmt"
	"slices"
	"strings"
)

// imports are the packages that the class needs.
func (s *skeleton) imports() []string {
	paths := map[string]string{"nodes": "comfygo/nodes", "engine": "comfygo/engine", "tensor": "comfygo/engine/tensor"}
	var out []string
	for name := range s.uses {
		out = append(out, paths[name])
	}
	slices.Sort(out)
	return out
}

// source is the class's Go source.
func (s *skeleton) source() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n// %s …\n%s\n", s.types.String(), s.ident, s.main)
	fmt.Fprintf(&b, "// Spec implements nodes.Node.\nfunc (*%s) Spec() nodes.Spec {\n\treturn %s\n}\n\n", s.ident, s.spec())
	for _, t := range s.list("output") {
		if t == "IMAGE" || t == "LATENT" || t == "MASK" {
			fmt.Fprintf(&b, "// Sizes implements nodes.Sizer.\nfunc (*%s) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }\n\n", s.ident)
			break
		}
	}
	fmt.Fprintf(&b, "// Run implements nodes.Node.\nfunc (n *%s) Run(*nodes.Context) (nodes.Result, error) {\n\treturn nodes.Unwritten(%q)\n}\n", s.ident, s.name)
	return b.String()
}

// spec writes the composite literal of Spec.
func (s *skeleton) spec() string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	first := fmt.Sprintf("Name: %q", s.name)
	if d := text(s.info, "display_name"); d != "" && (s.v3 || d != s.name) {
		first += fmt.Sprintf(", DisplayName: %q", d)
	}
	add("%s, Category: %q,", first, text(s.info, "category"))
	where := ""
	if m := text(s.info, "python_module"); m != "nodes" {
		where = fmt.Sprintf("Module: %q, ", m)
	}
	if s.v3 {
		where += "V3: true, "
	}
	if where != "" {
		add("%s", strings.TrimSpace(where))
	}
	if e := text(s.info, "essentials_category"); e != "" {
		add("EssentialsCategory: %q,", e)
	}
	add("%s", s.outputs())
	for _, flag := range []struct{ key, field string }{
		{"output_node", "OutputNode"},
		{"is_input_list", "InputIsList"},
		{"has_intermediate_output", "HasIntermediateOutput"},
		{"deprecated", "Deprecated"},
		{"experimental", "Experimental"},
		{"dev_only", "DevOnly"},
		{"api_node", "APINode"},
	} {
		if on, _ := s.info.Get(flag.key); on == true {
			add("%s: true,", flag.field)
		}
	}
	if h := s.hidden(); h != "" {
		add("Hidden: []string{%s},", h)
	}
	add("Uses: nodes.UsesNothing,")
	return "nodes.Spec{\n\t\t" + strings.Join(lines, "\n\t\t") + "\n\t}"
}

// hidden lists the hidden inputs of a v3 class beyond those that every output node gets.
func (s *skeleton) hidden() string {
	hidden := s.info.Object("input").Object("hidden")
	output, _ := s.info.Get("output_node")
	if !s.v3 || hidden == nil {
		return ""
	}
	var kinds []string
	for _, v := range hidden.All() {
		l, _ := v.([]any)
		if len(l) != 1 || output == true && (l[0] == "PROMPT" || l[0] == "EXTRA_PNGINFO") {
			continue
		}
		kinds = append(kinds, fmt.Sprintf("%q", l[0]))
	}
	return strings.Join(kinds, ", ")
}

// outputs writes the output slots.
func (s *skeleton) outputs() string {
	types, names, lists, matches := s.list("output"), s.list("output_name"), s.list("output_is_list"), s.list("output_matchtypes")
	if len(types) == 0 {
		return ""
	}
	plain := true
	parts, all := make([]string, len(types)), make([]string, len(types))
	for i, t := range types {
		part := fmt.Sprintf("Type: %q", t)
		if names[i] != t {
			part, plain = part+fmt.Sprintf(", Name: %q", names[i]), false
		}
		if lists[i] == nil {
			part, plain = part+", ListUnset: true", false
		}
		if lists[i] == true {
			part, plain = part+", List: true", false
		}
		if i < len(matches) && matches[i] != nil {
			part, plain = part+fmt.Sprintf(", Match: %q", matches[i]), false
		}
		parts[i], all[i] = "{"+part+"}", fmt.Sprintf("%q", t)
	}
	if plain {
		return "Outputs: nodes.Outputs(" + strings.Join(all, ", ") + "),"
	}
	return "Outputs: []nodes.Output{" + strings.Join(parts, ", ") + "},"
}

func (s *skeleton) list(key string) []any {
	v, _ := s.info.Get(key)
	l, _ := v.([]any)
	return l
}
