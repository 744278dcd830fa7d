package conformance

import (
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"sync"

	"comfygo/internal/pyjson"
)

// maxDifferences bounds the number of reported differences of one case.
const maxDifferences = 12

// alwaysUnordered are the keys of lists in the order of a set.
var alwaysUnordered = []string{"errors", "dependent_outputs", "executed", "current_outputs", "cycle_nodes_set"}

// rules define how two values are compared; the patterns are globs on dotted paths.
type rules struct{ unordered, subset, ignore []string }

func readRules(o *pyjson.Object) rules {
	list := func(key string) []string { v, _ := o.Get(key); return texts(v) }
	return rules{unordered: list("unordered"), subset: list("subset"), ignore: list("ignore")}
}

var globs sync.Map // pattern to *regexp.Regexp

func matches(path string, patterns []string) bool {
	if path == "" {
		path = "."
	}
	return slices.ContainsFunc(patterns, func(p string) bool {
		re, ok := globs.Load(p)
		if !ok {
			text := strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(p))
			re, _ = globs.LoadOrStore(p, regexp.MustCompile("(?s)^"+text+"$"))
		}
		return re.(*regexp.Regexp).MatchString(path) //nolint:errcheck // nothing else is stored
	})
}

// comparison collects the differences between a recorded value and one of the program.
type comparison struct {
	rules
	found []string
}

func (c *comparison) differ(path, format string, args ...any) {
	if path == "" {
		path = "."
	}
	c.found = append(c.found, path+": "+fmt.Sprintf(format, args...))
}

// same reports whether two values are equal under the rules.
func (r rules) same(want, got any, path string) bool {
	c := &comparison{rules: r}
	c.values(want, got, path, "")
	return len(c.found) == 0
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (c *comparison) values(want, got any, path, key string) {
	if len(c.found) > maxDifferences || matches(path, c.ignore) {
		return
	}
	if text, ok := want.(string); ok && isToken(text) {
		if !tokenFits(text, got) {
			c.differ(path, "%s does not fit %s", short(got), text)
		}
		return
	}
	switch w := want.(type) {
	case *pyjson.Object:
		c.objects(w, got, path)
	case []any:
		c.lists(w, got, path, key)
	case string:
		g, ok := got.(string)
		if !ok || w != g && (key != "details" || !sameLines(w, g)) && !fitsPartly(w, g) {
			c.differ(path, "%s, want %s", short(got), short(want))
		}
	default:
		if !sameScalar(want, got) {
			c.differ(path, "%s, want %s", short(got), short(want))
		}
	}
}

func (c *comparison) objects(want *pyjson.Object, got any, path string) {
	g, ok := got.(*pyjson.Object)
	if !ok {
		c.differ(path, "want an object, have %s", short(got))
		return
	}
	for k, v := range want.All() {
		p := join(path, k)
		have, given := g.Get(k)
		text, _ := v.(string)
		switch {
		case given:
			c.values(v, have, p, k)
		case !matches(p, c.ignore) && !strings.HasPrefix(text, "<<opt:"):
			c.differ(p, "missing")
		}
	}
	if matches(path, c.subset) {
		return
	}
	for k, v := range g.All() {
		if p := join(path, k); !want.Has(k) && !matches(p, c.ignore) {
			c.differ(p, "unexpected: %s", short(v))
		}
	}
}

func (c *comparison) lists(want []any, got any, path, key string) {
	g, ok := got.([]any)
	if !ok {
		c.differ(path, "want a list, have %s", short(got))
		return
	}
	subset := matches(path, c.subset)
	if subset || matches(path, c.unordered) || slices.Contains(alwaysUnordered, key) {
		c.sets(want, slices.Clone(g), path, subset)
		return
	}
	if len(want) != len(g) {
		c.differ(path, "%d elements, want %d: %s, want %s", len(g), len(want), short(got), short(want))
		return
	}
	for i := range want {
		c.values(want[i], g[i], join(path, fmt.Sprint(i)), "")
	}
}

func (c *comparison) sets(want, rest []any, path string, subset bool) {
	c.pairs(want, rest, path, path+".#", subset)
}

// messages compares messages in any order.
func (c *comparison) messages(want, rest []any) { c.pairs(want, rest, "", "", false) }

// pairs looks for a partner for each wanted element; inner is the path of an element.
func (c *comparison) pairs(want, rest []any, path, inner string, subset bool) {
	for _, w := range want {
		i := slices.IndexFunc(rest, func(g any) bool { return c.same(w, g, inner) })
		if i < 0 {
			c.differ(path, "no element fits %s", short(w))
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) > 0 && !subset {
		c.differ(path, "too much: %s", short(rest))
	}
}

func sameScalar(want, got any) bool {
	_, wantBool := want.(bool)
	_, gotBool := got.(bool)
	if want == nil || got == nil || wantBool || gotBool {
		return want == got
	}
	a, okA := float(want)
	b, okB := float(got)
	return okA && okB && (a == b || math.Abs(a-b) <= 1e-9*math.Max(1, math.Abs(a)))
}

func float(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, true
	}
	return 0, false
}

func sameLines(a, b string) bool {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	slices.Sort(x)
	slices.Sort(y)
	return len(x) > 1 && slices.Equal(x, y)
}

func short(v any) string {
	text := pyjson.Repr(v)
	if len(text) > 160 {
		return strings.ToValidUTF8(text[:160], "") + "…"
	}
	return text
}
