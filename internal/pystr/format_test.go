package pystr_test

import (
	"strings"
	"testing"

	"comfygo/internal/pystr"
)

// TestFormatBounds refuses widths and texts that would exhaust the memory.
func TestFormatBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	f := pystr.Formatter{Value: func(name string) (any, bool) { return long, name == "a" }}
	for _, format := range []string{"{a:999999999}", "{a:.999999999}", strings.Repeat("{a}", 300)} {
		if _, err := f.Format(format); err == nil || !strings.Contains(err.Error(), "making a text") {
			t.Errorf("%.20q: %v", format, err)
		}
	}
}

// FuzzFormat: no format string may panic.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{"{a!r:>10} {b:+,.2f}", "{c[0][x].real:{b}}", "{{}}{a[}]}", "{b:012,.3%}"} {
		f.Add(s)
	}
	values := map[string]any{"a": "text", "b": 1234.5, "c": []any{int64(1), "x"}}
	f.Fuzz(func(t *testing.T, s string) {
		f := pystr.Formatter{Value: func(name string) (any, bool) {
			v, ok := values[name]
			return v, ok
		}}
		if text, err := f.Format(s); err == nil && len(text) > pystr.Longest {
			t.Errorf("%q gives %d bytes", s, len(text))
		}
	})
}
