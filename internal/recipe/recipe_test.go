package recipe_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"comfygo/internal/recipe"
	"comfygo/tests/golden"
)

// TestSums makes the checkpoints of the small manifests in memory: every kind and element type of the recipe is in
// dtype-test. The SHA-256 were computed by an independent implementation.
func TestSums(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dtype-test", "emb-test"} {
		m, err := recipe.Load(golden.Path(t, "models/"+name+".json.gz"))
		if err != nil {
			t.Fatal(err)
		}
		sum, err := m.Sum(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if sum != m.SHA256 {
			t.Errorf("%s: sha256 %s, want %s", name, sum, m.SHA256)
		}
	}
}

func TestMakeRefusesWrongSum(t *testing.T) {
	t.Parallel()
	m, err := recipe.Load(golden.Path(t, "models/emb-test.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path, err := m.Make(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Size() != m.Bytes {
		t.Fatalf("checkpoint is %v, want %d bytes (%v)", st, m.Bytes, err)
	}
	m.Salt += "x"
	m.Name = "other"
	if path, err := m.Make(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "sha256") {
		t.Fatalf("a checkpoint of the wrong content was made: %s, %v", path, err)
	}
	left, err := os.ReadDir(dir + "/" + m.Folder)
	if err != nil || len(left) != 1 {
		t.Errorf("files left behind: %v, %v", left, err)
	}
}

func TestMakeStops(t *testing.T) {
	t.Parallel()
	m, err := recipe.Load(golden.Path(t, "models/sd15-small.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Make(ctx, t.TempDir()); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled run returned %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no name":          `{"folder":"vae","tensors":[]}`,
		"path in name":     `{"name":"../x","folder":"vae","tensors":[]}`,
		"short row":        `{"name":"x","folder":"vae","tensors":[["a",[1],"F16","u",0]]}`,
		"unknown type":     `{"name":"x","folder":"vae","tensors":[["a",[1],"F17","u",0,1]]}`,
		"unknown kind":     `{"name":"x","folder":"vae","tensors":[["a",[1],"F16","z",0,1]]}`,
		"negative size":    `{"name":"x","folder":"vae","tensors":[["a",[-1],"F16","u",0,1]]}`,
		"uniform integers": `{"name":"x","folder":"vae","tensors":[["a",[1],"I64","u",0,1]]}`,
		"raw size":         `{"name":"x","folder":"vae","tensors":[["a",[3],"U8","b",0,"AQI="]]}`,
		"not JSON":         `{`,
	} {
		if _, err := recipe.Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
