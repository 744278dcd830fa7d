// Package objectinfo compares what node classes say of themselves with ComfyUI's recorded /object_info.
//
// The recording has no descriptions, tooltips, search aliases or placeholders: those are not compared.
package objectinfo

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/internal/pyjson"
	"comfygo/tests/golden"
)

// Recorded returns the recorded classes by name, in upstream's order.
func Recorded(tb testing.TB) *pyjson.Object {
	tb.Helper()
	root, err := golden.Root()
	if err != nil {
		tb.Fatal(err)
	}
	packed, err := os.ReadFile(filepath.Join(root, "nodes", "all", "testdata", "object_info.json.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		tb.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		tb.Fatal(err)
	}
	o, err := pyjson.UnmarshalObject(data)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

// texts are the keys that the recording leaves out.
var texts = []string{"description", "tooltip", "output_tooltips", "search_aliases", "placeholder"}

// withoutTexts removes them everywhere.
func withoutTexts(v any) any {
	switch v := v.(type) {
	case *pyjson.Object:
		o := pyjson.NewObject()
		for k, e := range v.All() {
			if !slices.Contains(texts, k) {
				o.Set(k, withoutTexts(e))
			}
		}
		return o
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = withoutTexts(e)
		}
		return l
	}
	return v
}

// canonical writes a value with the inputs in their order and everything else sorted: the order of widget options is not compared.
func canonical(v any, inputs bool) string {
	switch v := v.(type) {
	case *pyjson.Object:
		keys := slices.Clone(v.Keys())
		if !inputs {
			slices.Sort(keys)
		}
		s := "{"
		for _, k := range keys {
			e, _ := v.Get(k)
			s += k + ":" + canonical(e, k == "required" || k == "optional") + ","
		}
		return s + "}"
	case []any:
		s := "["
		for _, e := range v {
			s += canonical(e, false) + ","
		}
		return s + "]"
	}
	return pyjson.Repr(v)
}

// Differences compares a class's info, as JSON, with the recorded one and returns what differs, one text a key.
func Differences(info []byte, want *pyjson.Object) ([]string, error) {
	read, err := pyjson.UnmarshalObject(info)
	if err != nil {
		return nil, err
	}
	got := withoutTexts(read).(*pyjson.Object)
	var out []string
	for k, v := range want.All() {
		g, ok := got.Get(k)
		if a, b := canonical(v, false), canonical(g, false); !ok || a != b {
			out = append(out, fmt.Sprintf("%s:\nwant %s\nhave %s", k, a, b))
		}
	}
	for _, k := range got.Keys() {
		if !want.Has(k) {
			out = append(out, fmt.Sprintf("%s is not in the recording", k))
		}
	}
	return out, nil
}
