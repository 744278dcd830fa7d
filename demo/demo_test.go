package demo_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/demo"
)

func TestUnpack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, err := demo.Unpack(dir)
	if err != nil {
		t.Fatal(err)
	}
	check := func() {
		t.Helper()
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(data); !strings.HasPrefix(hex.EncodeToString(sum[:]), demo.Version) {
			t.Errorf("unpacked file has another hash than %s", demo.Version)
		}
	}
	check()
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := demo.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
		t.Errorf("a whole file was written again (%v)", err)
	}
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.Unpack(dir); err != nil {
		t.Fatal(err)
	}
	check()
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files beside each other, want 1 (%v)", len(left), err)
	}
}

func TestUnpackWithoutPlace(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := demo.Unpack(file); err == nil {
		t.Error("no error where the cache folder is a file")
	}
}

func TestWorkflowNamesTheCheckpoint(t *testing.T) {
	t.Parallel()
	var nodes map[string]struct {
		Class  string         `json:"class_type"`
		Inputs map[string]any `json:"inputs"`
	}
	if err := json.Unmarshal(demo.Workflow, &nodes); err != nil {
		t.Fatal(err)
	}
	if got := nodes["4"].Inputs["ckpt_name"]; got != demo.Checkpoint {
		t.Errorf("the workflow loads %v", got)
	}
}
