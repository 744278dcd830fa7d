package executor_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"comfygo/internal/pyjson"
)

// unorderedKeys hold lists that come from Python sets.
var unorderedKeys = []string{"errors", "dependent_outputs", "executed", "current_outputs", "nodes"}

// differ compares a value with a recorded one that may hold tokens; "" means equal.
func differ(path string, want, got any, unordered bool) string {
	if s, ok := want.(string); ok && strings.HasPrefix(s, "<<") && strings.HasSuffix(s, ">>") {
		return differToken(path, s, got)
	}
	switch w := want.(type) {
	case *pyjson.Object:
		g, ok := got.(*pyjson.Object)
		if !ok {
			return fmt.Sprintf("%s: want an object, have %s", path, show(got))
		}
		return differObject(path, w, g)
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return fmt.Sprintf("%s: want %s, have %s", path, show(want), show(got))
		}
		if unordered {
			w, g = sorted(w), sorted(g)
		}
		for i := range w {
			if d := differ(fmt.Sprintf("%s[%d]", path, i), w[i], g[i], false); d != "" {
				return d
			}
		}
		return ""
	case string:
		if g, ok := got.(string); ok && strings.HasSuffix(path, ".details") {
			a, b := strings.Split(w, "\n"), strings.Split(g, "\n")
			slices.Sort(a)
			slices.Sort(b)
			want, got = strings.Join(a, "\n"), strings.Join(b, "\n")
		}
	}
	if a, b := pyjson.Repr(number(want)), pyjson.Repr(number(got)); a != b {
		return fmt.Sprintf("%s: want %s, have %s", path, a, b)
	}
	return ""
}

func differObject(path string, want, got *pyjson.Object) string {
	for k, v := range want.All() {
		g, ok := got.Get(k)
		if !ok {
			return fmt.Sprintf("%s: %s is missing", path, k)
		}
		if d := differ(path+"."+k, v, g, slices.Contains(unorderedKeys, k)); d != "" {
			return d
		}
	}
	for _, k := range got.Keys() {
		if !want.Has(k) {
			v, _ := got.Get(k)
			return fmt.Sprintf("%s: %s = %s is too much", path, k, show(v))
		}
	}
	return ""
}

// number makes whole floats and integers alike.
func number(v any) any {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v
}

func sorted(l []any) []any {
	l = slices.Clone(l)
	slices.SortFunc(l, func(a, b any) int { return strings.Compare(show(a), show(b)) })
	return l
}

func show(v any) string {
	b, err := pyjson.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func differToken(path, token string, got any) string {
	inner := strings.TrimSuffix(strings.TrimPrefix(token, "<<"), ">>")
	ok := false
	switch {
	case inner == "any":
		ok = true
	case inner == "ms" || inner == "int":
		_, ok = got.(int64)
	case inner == "num":
		_, isInt := got.(int64)
		_, isFloat := got.(float64)
		ok = isInt || isFloat
	case inner == "str" || inner == "uuid":
		_, ok = got.(string)
	case inner == "inf" || inner == "nan":
		_, ok = got.(float64)
	case inner == "traceback":
		_, ok = got.([]any)
	case strings.HasPrefix(inner, "re:"):
		s, isText := got.(string)
		ok = isText && regexp.MustCompile(strings.TrimPrefix(inner, "re:")).MatchString(s)
	}
	if ok {
		return ""
	}
	return fmt.Sprintf("%s: %s does not fit %s", path, show(got), token)
}

// reread turns a value into what a client reads.
func reread(v any) (any, error) {
	b, err := pyjson.Marshal(v)
	if err != nil {
		return nil, err
	}
	return pyjson.Unmarshal(b)
}
