package all_test

import (
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

// TestSearchAliases checks upstream's search aliases. The recording omits them; these are of classes whose lists once lacked some.
func TestSearchAliases(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"LoadImage":               {"load image", "open image", "import image", "image input", "upload image", "read image", "image loader"},
		"ImageScale":              {"resize", "resize image", "scale image", "image resize", "zoom", "zoom in", "change size"},
		"ImageUpscaleWithModel":   {"upscale", "upscaler", "upsc", "enlarge image", "super resolution", "hires", "superres", "increase resolution"},
		"ControlNetLoader":        {"controlnet", "control net", "cn", "load controlnet", "controlnet loader"},
		"ControlNetApplyAdvanced": {"controlnet", "apply controlnet", "use controlnet", "control net"},
	} {
		class, ok := nodes.Default().Get(name)
		if !ok || !slices.Equal(class.SearchAliases, want) {
			t.Errorf("%s is found by %q, want %q", name, class.SearchAliases, want)
		}
	}
}
