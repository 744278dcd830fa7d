package text_test

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/text"
)

func TestTextEqualsUpstream(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/strings.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var calls []struct {
		Class  string         `json:"class"`
		Inputs map[string]any `json:"inputs"`
		Value  any            `json:"value"`
	}
	if err := json.NewDecoder(z).Decode(&calls); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range calls {
		seen[c.Class] = true
		class, ok := nodes.Default().Get(c.Class)
		if !ok {
			t.Fatalf("there is no class %s", c.Class)
		}
		values := pyjson.NewObject()
		for name, v := range c.Inputs {
			if n, ok := v.(float64); ok {
				v = int(n)
			}
			values.Set(name, v)
		}
		node, err := class.Bind(values, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := node.Run(nodes.TestContext(t.Context(), nodes.Services{}))
		if err != nil {
			t.Fatal(err)
		}
		got := r.Values[0]
		if n, ok := got.(int); ok {
			got = float64(n)
		}
		if got != c.Value {
			t.Errorf("%s of %q gives %q, want %q", c.Class, c.Inputs, got, c.Value)
		}
	}
	if len(seen) != 8 {
		t.Errorf("the goldens run %d classes", len(seen))
	}
}

// FuzzCases writes any text in all cases: none may fail.
func FuzzCases(f *testing.F) {
	for _, s := range []string{"", "aΣ", "\xff\xce", "ŉ İ", "ǆ\u0301Σ."} {
		f.Add(s)
	}
	class, _ := nodes.Default().Get("CaseConverter")
	f.Fuzz(func(t *testing.T, s string) {
		for _, mode := range []string{"UPPERCASE", "lowercase", "Capitalize", "Title Case"} {
			node, err := class.Bind(pyjson.NewObject("string", s, "mode", mode), nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := node.Run(nodes.TestContext(t.Context(), nodes.Services{})); err != nil {
				t.Errorf("%s of %q: %v", mode, s, err)
			}
		}
	})
}

// TestTextsThatGrow refuses texts that would fill the memory.
func TestTextsThatGrow(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1<<20)
	for name, n := range map[string]interface {
		Run(*nodes.Context) (nodes.Result, error)
	}{
		"concatenated": &text.StringConcatenate{A: strings.Repeat(long, 128), B: strings.Repeat(long, 128), Delimiter: ","},
		"replaced":     &text.StringReplace{String: long, Find: "x", Replace: long},
	} {
		if _, err := n.Run(nil); err == nil || !strings.Contains(err.Error(), "making a text") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// shortMemory grants the given number of bytes in all.
type shortMemory struct{ left, held int64 }

func (m *shortMemory) Reserve(_ context.Context, what string, bytes int64) (func(), error) {
	if bytes > m.left-m.held {
		return nil, fmt.Errorf("allocating %s: it needs %d bytes, %d are free", what, bytes, m.left-m.held)
	}
	m.held += bytes
	return func() { m.held -= bytes }, nil
}

// TestTextsAreCharged runs the nodes that make texts with room for all but one byte of what they take.
func TestTextsAreCharged(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	for name, c := range map[string]struct {
		node nodes.Node
		need int64
	}{
		"concatenated": {&text.StringConcatenate{A: long, B: long, Delimiter: ","}, 2001},
		"replaced":     {&text.StringReplace{String: long, Find: "x", Replace: "yz"}, 2000},
		"upper case":   {&text.CaseConverter{String: long, Mode: "UPPERCASE"}, 4000},
		"contains":     {&text.StringContains{String: long, Substring: "x"}, 4004},
		"compares":     {&text.StringCompare{A: long, B: long, Mode: "Equal"}, 8000},
	} {
		for short := range int64(2) {
			m := &shortMemory{left: c.need - short}
			ctx := nodes.TestContext(t.Context(), nodes.Services{Memory: m})
			_, err := c.node.Run(ctx)
			if (err != nil) != (short == 1) {
				t.Errorf("%s with %d bytes: %v", name, m.left, err)
			}
			if ctx.Release(); m.held != 0 {
				t.Errorf("%s: %d bytes are still reserved", name, m.held)
			}
		}
	}
}
