package cli

import (
	"encoding/json"
	"math"
	"reflect"
	"slices"

	ucli "github.com/urfave/cli/v2"
)

// ChangedValues is the namespace of a command line without what equals the defaults, in the form of
// the record: JSON values, lists of choices sorted, log targets as pairs.
func ChangedValues(words []string) map[string]any {
	r, err := read(words, upstream, own)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	ns, plain := newNamespace(upstream), newNamespace(upstream)
	app := &ucli.App{Flags: flags(ns, r, upstream), HideHelp: true, Action: func(*ucli.Context) error { return ns.relate() }}
	if err := app.Run(plainWords(program, r, nil)); err != nil {
		return map[string]any{"error": err.Error()}
	}
	changed := map[string]any{}
	for dest, v := range ns {
		if !reflect.DeepEqual(v, plain[dest]) {
			changed[dest] = recorded(v)
		}
	}
	return changed
}

// MainIn is Main with variables of the environment.
var MainIn = mainIn

func recorded(v any) any {
	switch v := v.(type) {
	case []LogTarget:
		var pairs []any
		for _, t := range v {
			var file any
			if t.File != "" {
				file = t.File
			}
			pairs = append(pairs, []any{t.Level, file})
		}
		return pairs
	case []string:
		if len(v) > 0 && slices.Contains([]string{"fp16_accumulation", "fp8_matrix_mult", "cublas_ops", "autotune"}, v[0]) {
			v = slices.Sorted(slices.Values(v))
		}
		return viaJSON(v)
	case float64:
		if math.IsInf(v, 1) {
			return "inf"
		}
	}
	return viaJSON(v)
}

func viaJSON(v any) any {
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		return err.Error()
	}
	return out
}
