package all_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	_ "comfygo/nodes/all"
	"comfygo/tests/objectinfo"
)

// recordedEnv has the folders of the recording: no files, and the subfolder of the input folder that ComfyUI makes for 3D models.
func recordedEnv(t *testing.T) nodes.Env {
	t.Helper()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(f.Input(), "3d"), 0o700); err != nil {
		t.Fatal(err)
	}
	return nodes.Env{Folders: f}
}

// TestEveryClassAnswersAsRecorded compares each registered class with what upstream's /object_info says of it.
func TestEveryClassAnswersAsRecorded(t *testing.T) {
	t.Parallel()
	want := objectinfo.Recorded(t)
	env := recordedEnv(t)
	count := 0
	nodes.Default().Walk(func(c *nodes.Class) bool {
		if c.Category == "conformance" || c.Module == "custom_nodes.testing-pack" || c.Module == "custom_nodes.single_file" {
			return true // the test program's own
		}
		if c.Module == "custom_nodes.websocket_image_save" || c.Module == "custom_nodes.ComfyUI-GGUF" {
			return true // a custom node of upstream's repository, which the recording left out, and a well-known pack
		}
		count++
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			w := want.Object(c.Name)
			if w == nil {
				t.Fatal("upstream has no such class")
			}
			text, err := pyjson.Marshal(c.Info(env))
			if err != nil {
				t.Fatal(err)
			}
			differences, err := objectinfo.Differences(text, w)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range differences {
				t.Error(d)
			}
		})
		return true
	})
	if count == 0 {
		t.Error("no class is registered")
	}
}

// TestSearchAliases compares the words by which each class is found with upstream's, which testdata/search_aliases.json lists for the classes
// that have any.
func TestSearchAliases(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "search_aliases.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]string
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	upstream := objectinfo.Recorded(t)
	checked := 0
	nodes.Default().Walk(func(c *nodes.Class) bool {
		if !upstream.Has(c.Name) {
			return true // of the test program, or of a pack
		}
		if checked++; !slices.Equal(c.SearchAliases, want[c.Name]) {
			t.Errorf("%s is found by %q, want %q", c.Name, c.SearchAliases, want[c.Name])
		}
		return true
	})
	for name := range want {
		if !upstream.Has(name) {
			t.Errorf("%s has aliases, but is no class of upstream", name)
		}
	}
	if checked < 500 || len(want) < 100 {
		t.Errorf("%d classes are compared, %d have aliases", checked, len(want))
	}
}
