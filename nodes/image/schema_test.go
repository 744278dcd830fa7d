package image_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	_ "comfygo/nodes/image"
	_ "comfygo/nodes/latent"
	_ "comfygo/nodes/mask"
	"comfygo/tests/golden"

	"github.com/google/go-cmp/cmp"
)

// TestSchemasAreUpstreams compares every class of these families with what the real server answers to /object_info,
// sentences left out.
func TestSchemasAreUpstreams(t *testing.T) {
	t.Parallel()
	recorded := recordedClasses(t)
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	nodes.Default().Walk(func(c *nodes.Class) bool {
		want, ok := recorded[c.Name]
		if c.Name == "SaveImageWebsocket" {
			return true // comes with upstream as a custom node; the record was made without those
		}
		if !ok {
			t.Errorf("%s: upstream has no such class", c.Name)
			return true
		}
		text, err := pyjson.Marshal(c.Info(nodes.Env{Folders: f}))
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, withoutSentences(got)); diff != "" {
			t.Errorf("%s (-upstream +ours):\n%s", c.Name, diff)
		}
		n++
		return true
	})
	if n < 25 {
		t.Errorf("only %d classes were compared", n)
	}
}

func recordedClasses(t *testing.T) map[string]any {
	t.Helper()
	root, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(root, "tests/testdata/conformance/object_info_nodesc.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string]any
	if err := json.Unmarshal(data, &recorded); err != nil {
		t.Fatal(err)
	}
	return recorded
}

// withoutSentences removes what the recording left out.
func withoutSentences(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range []string{"description", "tooltip", "output_tooltips", "search_aliases", "placeholder"} {
			delete(v, key)
		}
		for _, x := range v {
			withoutSentences(x)
		}
	case []any:
		for _, x := range v {
			withoutSentences(x)
		}
	}
	return v
}
