package textenc_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

func TestBeside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src, err := weights.Memory(filepath.Join(dir, "te.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if data, err := textenc.Beside(src, "the tokenizer", "a", "b"); data != nil || err != nil {
		t.Errorf("no file: %q, %v", data, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "b"), []byte("words"), 0o600); err != nil {
		t.Fatal(err)
	}
	if data, err := textenc.Beside(src, "the tokenizer", "a", "b"); string(data) != "words" || err != nil {
		t.Errorf("the second path: %q, %v", data, err)
	}
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "large"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "large"), 64<<20+1); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"a": "is not a file", "large": "at most"} {
		if _, err := textenc.Beside(src, "the tokenizer", path, "b"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", path, err, want)
		}
	}
}

type noWords struct{ tokenizer.Model }

// TestOnce: a loaded value is kept, an error is not.
func TestOnce(t *testing.T) {
	t.Parallel()
	calls, failure := 0, errors.New("missing")
	load := textenc.Once(func() (tokenizer.Model, error) {
		if calls++; calls == 1 {
			return nil, failure
		}
		return noWords{}, nil
	})
	for i, want := range []error{failure, nil, nil} {
		if _, err := load(); !errors.Is(err, want) {
			t.Errorf("call %d: %v, want %v", i, err, want)
		}
	}
	if calls != 2 {
		t.Errorf("loaded %d times, want 2", calls)
	}
}
