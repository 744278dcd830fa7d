package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"comfygo/internal/apiclient"
)

// class holds the fields of a class in /object_info that the tool reads.
type class struct {
	Name  string `json:"name"`
	Input struct {
		Required map[string]json.RawMessage `json:"required"`
		Optional map[string]json.RawMessage `json:"optional"`
	} `json:"input"`
	Output     []any  `json:"output"`
	OutputNode bool   `json:"output_node"`
	Module     string `json:"python_module"`

	raw json.RawMessage
}

// pack returns the folder of custom_nodes that a class comes from, or "" for one of ComfyUI's own.
func (c *class) pack() string {
	name, ok := strings.CutPrefix(c.Module, "custom_nodes.")
	if !ok {
		return ""
	}
	return name
}

func classes(ctx context.Context, c *apiclient.Client) (map[string]*class, error) {
	var raw map[string]json.RawMessage
	if err := c.Get(ctx, "/object_info", &raw); err != nil {
		return nil, err
	}
	out := map[string]*class{}
	for name, data := range raw {
		one := &class{raw: data}
		if err := json.Unmarshal(data, one); err != nil {
			// Packs write odd descriptions; what is not in the usual form takes part in the counts only.
			one = &class{raw: data, Module: moduleIn(data)}
		}
		one.Name = name
		out[name] = one
	}
	return out, nil
}

func moduleIn(data json.RawMessage) string {
	var o struct {
		Module string `json:"python_module"`
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return ""
	}
	return o.Module
}

// input is one input's type and options.
type input struct {
	name    string
	typ     string
	choices []any
	options map[string]any
}

func inputOf(name string, raw json.RawMessage) (input, error) {
	in := input{name: name, options: map[string]any{}}
	var list []any
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 {
		return in, fmt.Errorf("input %s has a form that is not known", name)
	}
	if len(list) > 1 {
		if o, ok := list[1].(map[string]any); ok {
			in.options = o
		}
	}
	switch t := list[0].(type) {
	case string:
		in.typ = t
	case []any:
		in.typ, in.choices = "COMBO", t
	default:
		return in, fmt.Errorf("input %s has a type that is not known", name)
	}
	if in.typ == "COMBO" && in.choices == nil {
		in.choices, _ = in.options["options"].([]any)
	}
	return in, nil
}

func inputsOf(group map[string]json.RawMessage) ([]input, error) {
	var out []input
	for name, raw := range group {
		in, err := inputOf(name, raw)
		if err != nil {
			return nil, err
		}
		out = append(out, in)
	}
	slices.SortFunc(out, func(a, b input) int { return strings.Compare(a.name, b.name) })
	return out, nil
}

// size matches inputs whose defaults would make large images.
var size = regexp.MustCompile(`(?i)(width|height|resolution|size|length)`)

// constant is the value of an input that is a widget; ok is false for one that takes a link.
func (in input) constant() (v any, ok bool, err error) {
	def, given := in.options["default"]
	if in.options["forceInput"] == true || in.options["rawLink"] == true {
		return nil, false, nil
	}
	switch in.typ {
	case "COMBO":
		if len(in.choices) == 0 {
			return nil, true, fmt.Errorf("input %s has no choices", in.name)
		}
		if given && slices.ContainsFunc(in.choices, func(c any) bool { return fmt.Sprint(c) == fmt.Sprint(def) }) {
			return def, true, nil
		}
		if o, isObject := in.choices[0].(map[string]any); isObject && o["content"] != nil {
			return o["content"], true, nil
		}
		return in.choices[0], true, nil
	case "INT", "FLOAT":
		n, _ := def.(float64)
		least, bounded := in.options["min"].(float64)
		if !given {
			n = 1
		}
		if bounded && n < least {
			n = least
		}
		if n > 128 && size.MatchString(in.name) {
			n = max(64, least)
		}
		if most, ok := in.options["max"].(float64); ok && n > most {
			n = most
		}
		if in.typ == "INT" {
			return int64(n), true, nil
		}
		return n, true, nil
	case "STRING":
		if !given {
			return "", true, nil
		}
		return def, true, nil
	case "BOOLEAN":
		return def == true, true, nil
	}
	return nil, false, nil
}
