package embedding_test

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/embedding"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
)

// entry is a tensor whose elements are first, first+1 and so on.
func entry(name string, first float32, shape ...int) weights.Entry {
	e := weights.Entry{Name: name, DType: dtype.F32, TypeName: "F32", Shape: shape}
	for i := range e.Count() {
		e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(first+float32(i)))
	}
	return e
}

func number(name string) weights.Entry {
	return weights.Entry{Name: name, DType: dtype.I64, TypeName: "I64", Shape: []int{1}, Data: make([]byte, 8)}
}

// TestRead reads an encoder "clip_l" of width 2 out of every layout.
func TestRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		entries []weights.Entry
		shape   []int
		want    []float32
		err     string
	}{
		"alone":                      {[]weights.Entry{entry("emb_params", 1, 2, 2)}, []int{2, 2}, []float32{1, 2, 3, 4}, ""},
		"one vector":                 {[]weights.Entry{entry("<cat>", 1, 2)}, []int{1, 2}, []float32{1, 2}, ""},
		"three dimensions":           {[]weights.Entry{entry("x", 1, 1, 2, 2)}, []int{2, 2}, []float32{1, 2, 3, 4}, ""},
		"string_to_param":            {[]weights.Entry{entry("other", 9, 2, 2), number("string_to_token.*"), entry("string_to_param.*", 1, 1, 2)}, []int{1, 2}, []float32{1, 2}, ""},
		"token number first":         {[]weights.Entry{number("string_to_token.*"), entry("x", 1, 1, 2)}, []int{1, 2}, []float32{1, 2}, ""},
		"list":                       {[]weights.Entry{entry("[0].<a>", 1, 2), entry("[1].<b>", 7, 1, 3), entry("[2].<c>", 5, 1, 2)}, []int{2, 2}, []float32{1, 2, 5, 6}, ""},
		"list of another width":      {[]weights.Entry{entry("[0].<a>", 1, 3)}, nil, nil, "no vectors for clip_l of width 2"},
		"for two encoders":           {[]weights.Entry{entry("clip_g", 1, 1, 3), entry("clip_l", 7, 1, 2)}, []int{1, 2}, []float32{7, 8}, ""},
		"bundle":                     {[]weights.Entry{entry("lora.alpha", 1, 1), entry("bundle_emb.a.string_to_param.*", 1, 1, 2), entry("bundle_emb.b.string_to_param.*", 5, 1, 2)}, []int{2, 2}, []float32{1, 2, 5, 6}, ""},
		"bundle for two encoders":    {[]weights.Entry{entry("bundle_emb.a.clip_g", 1, 1, 3), entry("bundle_emb.a.clip_l", 7, 1, 2)}, []int{1, 2}, []float32{7, 8}, ""},
		"bundle of different widths": {[]weights.Entry{entry("bundle_emb.a.clip_l", 1, 1, 3), entry("bundle_emb.b.clip_l", 7, 1, 2)}, nil, nil, "wide"},
		"another width":              {[]weights.Entry{entry("emb_params", 1, 1, 3)}, []int{1, 3}, []float32{1, 2, 3}, ""},
		"nothing":                    {[]weights.Entry{number("step")}, nil, nil, "no vectors"},
		"too many":                   {[]weights.Entry{entry("x", 0, 1<<14+1, 1)}, nil, nil, "over the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, err := weights.Memory("a.pt", c.entries...)
			if err != nil {
				t.Fatal(err)
			}
			got, err := embedding.Read(src, "clip_l", 2)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), "a.pt") {
					t.Errorf("error %v, want the file and %q", err, c.err)
				}
				return
			}
			if err != nil || !slices.Equal(got.Shape, c.shape) || !slices.Equal(got.Data, c.want) {
				t.Errorf("%v (%v), want %v %v", got, err, c.shape, c.want)
			}
		})
	}
}

// TestLookup compares the warnings with the omitted embeddings.
func TestLookup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.pt")
	if err := os.WriteFile(broken, []byte("no weights, only text"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	l := &embedding.Lookup{
		Context: warning.With(t.Context(), func(text string) { got = append(got, text) }), Key: "clip_l", Width: 2,
		File: func(name string) (string, bool) { return broken, name == "broken" },
	}
	for _, name := range []string{"absent", "broken"} {
		if _, ok := l.Find(name); ok {
			t.Errorf("%s was found", name)
		}
		l.Missing(name)
	}
	if len(got) != 2 || !strings.Contains(strings.Join(got, "\n"), `"absent"`) || !strings.Contains(strings.Join(got, "\n"), "broken.pt") || strings.Contains(strings.Join(got, "\n"), dir) {
		t.Errorf("warnings %q", got)
	}
	if warning.Add(context.Background(), "x") {
		t.Error("a warning without a receiver was received")
	}
}
