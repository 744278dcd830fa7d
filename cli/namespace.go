package cli

import (
	"fmt"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// namespace holds the value of every flag by its dest, as upstream's parser leaves them.
type namespace map[string]any

// ofCommand is the prefix of the dest of a server flag when a command has a flag with the same name.
const ofCommand = "of command: "

// newNamespace is the namespace of an empty command line.
func newNamespace(tiers ...[]*spec) namespace {
	ns, own := namespace{}, map[string]bool{}
	for _, tier := range tiers {
		for _, s := range tier {
			if own[s.dest()] {
				ns[ofCommand+s.dest()] = true
				continue
			}
			own[s.dest()] = true
			switch {
			case s.kind == kindSwitch:
				ns[s.dest()] = false
			case s.def != nil:
				ns[s.dest()] = s.def
			}
		}
	}
	return ns
}

// value is how urfave/cli writes one flag into the namespace.
type value struct {
	ns    namespace
	spec  *spec
	given bool // the default has been replaced; a list is appended to
}

// Set stores one word, in the plain form that the reader has made of it.
func (v *value) Set(word string) error {
	converted, err := v.spec.convert(word)
	if err != nil {
		return err
	}
	dest := v.spec.dest()
	switch c := converted.(type) {
	case float64:
		v.store(dest, c, func(old any) any { list, _ := old.([]float64); return append(list, c) })
	case LogTarget:
		v.store(dest, c, func(old any) any { list, _ := old.([]LogTarget); return append(list, c) })
	case string:
		v.store(dest, c, func(old any) any { list, _ := old.([]string); return append(list, c) })
	default:
		v.ns[dest] = c
	}
	v.given = true
	return nil
}

func (v *value) store(dest string, single any, grow func(old any) any) {
	switch {
	case !v.spec.list() && v.spec.kind != kindVerbose:
		v.ns[dest] = single
	case v.given:
		v.ns[dest] = grow(v.ns[dest])
	default:
		v.ns[dest] = grow(nil)
	}
}

// String returns the current value; urfave/cli shows it as the default.
func (v *value) String() string {
	if v == nil || v.spec == nil {
		return ""
	}
	if now, ok := v.ns[v.spec.dest()]; ok {
		return fmt.Sprint(now)
	}
	return ""
}

// IsBoolFlag reports to the flag package that a switch has no value.
func (v *value) IsBoolFlag() bool { return v.spec != nil && v.spec.kind == kindSwitch }

// flags makes urfave/cli's flags for those of the table that were given; they write into ns. The others are
// left out, because the time it takes grows with the square of their number.
func flags(ns namespace, r reading, specs []*spec) []ucli.Flag {
	var out []ucli.Flag
	for _, s := range specs {
		if !r.given(s) {
			continue
		}
		out = append(out, &ucli.GenericFlag{
			Name:     strings.TrimPrefix(s.name, "--"),
			Category: s.section,
			Usage:    s.help,
			Value:    &value{ns: ns, spec: s},
		})
	}
	return out
}

// plainWords is the reading as the plain command line that urfave/cli parses: every value of every
// flag as --flag=value, the flags before the command they are not of.
func plainWords(program string, r reading, cmd *command) []string {
	words := []string{program}
	var own []string
	for _, s := range r.settings {
		to := &words
		if cmd != nil && cmd.has(s.spec) {
			to = &own
		}
		if s.spec.kind == kindSwitch {
			*to = append(*to, s.spec.name)
		}
		for _, v := range s.values {
			*to = append(*to, s.spec.name+"="+v)
		}
	}
	if cmd == nil {
		return words
	}
	words = append(append(words, cmd.name), own...)
	if len(r.words) > 0 {
		words = append(append(words, "--"), r.words...)
	}
	return words
}

func (c *command) has(s *spec) bool {
	for _, f := range c.flags {
		if f == s {
			return true
		}
	}
	return false
}

// Typed readers; the table decides the types, so a missing value is the zero value.

func (ns namespace) on(dest string) bool          { b, _ := ns[dest].(bool); return b }
func (ns namespace) text(dest string) string      { s, _ := ns[dest].(string); return s }
func (ns namespace) number(dest string) int       { n, _ := ns[dest].(int); return n }
func (ns namespace) real(dest string) float64     { f, _ := ns[dest].(float64); return f }
func (ns namespace) texts(dest string) []string   { l, _ := ns[dest].([]string); return l }
func (ns namespace) reals(dest string) []float64  { l, _ := ns[dest].([]float64); return l }
func (ns namespace) logs(dest string) []LogTarget { l, _ := ns[dest].([]LogTarget); return l }

func (ns namespace) numberIfGiven(dest string) *int {
	if n, ok := ns[dest].(int); ok {
		return &n
	}
	return nil
}

func (ns namespace) realIfGiven(dest string) *float64 {
	if f, ok := ns[dest].(float64); ok {
		return &f
	}
	return nil
}

// firstOn is the text that belongs to the first switch that is on, or empty.
func (ns namespace) firstOn(pairs ...string) string {
	for i := 0; i+1 < len(pairs); i += 2 {
		if ns.on(pairs[i]) {
			return pairs[i+1]
		}
	}
	return ""
}
