package pyre_test

import (
	"strings"
	"testing"
	"time"

	"comfygo/internal/pyre"
)

// TestSlowPatterns ends patterns that backtrack without end.
func TestSlowPatterns(t *testing.T) {
	t.Parallel()
	p, err := pyre.Compile(`(a|aa)+$`, pyre.Flags{})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, ok, err := p.Within(100*time.Millisecond).Search(t.Context(), strings.Repeat("a", 60)+"b")
	if ok || err == nil || time.Since(start) > 10*time.Second {
		t.Errorf("found %v, error %v after %v", ok, err, time.Since(start))
	}
}

// TestErrors: what Python refuses is refused.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"(", ")", "[", "*a", "a**", `\`, `\q`, "(?<=a*)b", "(?P<a>x)(?P<a>y)", `(?P=n)`, `\2(a)`, "(?P<1>a)", "x{3,1}", "(?z)", "a(?i)", "(?(2)a|b)", strings.Repeat("(", 300) + strings.Repeat(")", 300),
	} {
		if _, err := pyre.Compile(pattern, pyre.Flags{}); err == nil {
			t.Errorf("%.40q is accepted", pattern)
		}
	}
}

// FuzzCompile: no pattern or replacement may panic; matching ends.
func FuzzCompile(f *testing.F) {
	for _, s := range []string{`(?P<x>a|b)+?[^\W\d]{2,}(?(x)c|d)`, `\b(?<!x)(?i:é)\1`, `[]a-z\]]++`, "(?x) a # c\n b"} {
		f.Add(s, `\g<x>\1`, "aab é bcd")
	}
	f.Fuzz(func(t *testing.T, pattern, template, text string) {
		if len(pattern) > 60 || len(text) > 60 || len(template) > 60 {
			return
		}
		p, err := pyre.Compile(pattern, pyre.Flags{Multiline: true})
		if err != nil {
			return
		}
		out, err := p.Sub(t.Context(), template, text, 0)
		if err != nil && out != "" {
			t.Errorf("%q: an error with a text", pattern)
		}
	})
}
