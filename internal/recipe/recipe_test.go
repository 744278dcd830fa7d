package recipe_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/internal/recipe"
	"comfygo/tests/golden"
)

// TestSums makes the checkpoints of small manifests in memory: between them they hold every kind and element type of the
// recipe. The SHA-256 were computed by an independent implementation.
func TestSums(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"dtype-test", "emb-test", "flux-q-fp8-meta", "flux-q-int8"} {
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

// TestHoles makes a file in which zeros are left unwritten, in the middle and at the end: it equals the file with written
// zeros.
func TestHoles(t *testing.T) {
	t.Parallel()
	const middle, last = `["b",[2],"F16","a",1,0],`, `["d",[1000,50],"F8_E4M3",`
	bytes := func(n int) string { return `"b",0,"` + base64.StdEncoding.EncodeToString(make([]byte, n)) + `"]` }
	var files [2][]byte
	for i, rows := range []string{
		`["a",[300,3],"F32","c",0,0],` + middle + `["e",[0],"F16","c",0,0],` + last + `"c",0,0]`,
		`["a",[300,3],"F32",` + bytes(3600) + "," + middle + `["e",[0],"F16",` + bytes(0) + "," + last + bytes(50000),
	} {
		m, err := recipe.Parse([]byte(`{"name":"x","salt":"s","folder":"vae","tensors":[` + rows + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if m.SHA256, err = m.Sum(t.Context()); err != nil {
			t.Fatal(err)
		}
		path, err := m.Make(t.Context(), t.TempDir()) // fails when the digests differ
		if err != nil {
			t.Fatal(err)
		}
		if files[i], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(files[i]); hex.EncodeToString(sum[:]) != m.SHA256 {
			t.Errorf("file %d is not what its digest says", i)
		}
	}
	if len(files[0]) == 0 || !slices.Equal(files[0], files[1]) {
		t.Errorf("files of %d and %d bytes differ", len(files[0]), len(files[1]))
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
		"float integers":   `{"name":"x","folder":"vae","tensors":[["a",[1],"F16","i",0,4]]}`,
		"half an integer":  `{"name":"x","folder":"vae","tensors":[["a",[1],"U8","i",0,1.5]]}`,
		"raw size":         `{"name":"x","folder":"vae","tensors":[["a",[3],"U8","b",0,"AQI="]]}`,
		"not JSON":         `{`,
	} {
		if _, err := recipe.Parse([]byte(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
