package dataset_test

import (
	"bytes"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	_ "comfygo/nodes/dataset"
	"comfygo/tests/nodecalls"
)

// TestCalls compares with upstream's results. All but lossy files are equal: 8-bit
// arithmetic, single float operations, and NumPy's generator.
func TestCalls(t *testing.T) {
	t.Parallel()
	f, err := folders.New(folders.Config{Base: t.TempDir(), Input: filepath.Join("testdata", "input")})
	if err != nil {
		t.Fatal(err)
	}
	nodecalls.Run(t, "calls.json.gz", nodecalls.Options{Folders: f})
}

// TestSaved compares files and what is read back with upstream's.
func TestSaved(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_saved.json.gz", nodecalls.Options{})
}

// TestSave writes images and captions, again in both modes, and reads them back.
func TestSave(t *testing.T) {
	t.Parallel()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	image := func(v float32) *tensor.Tensor {
		return &tensor.Tensor{Shape: []int{1, 1, 2, 3}, Data: []float32{v, 0, 1, 2, -1, 0.5}}
	}
	save := func(class, mode, folder, prefix string, v float32) error {
		values := pyjson.NewObject("images", []any{image(v), image(1)}, "folder_name", []any{folder}, "filename_prefix", []any{prefix}, "mode", []any{mode})
		if class == "SaveImageTextDataSetToFolder" {
			values.Set("texts", []any{"one ä"})
		}
		_, err := nodecalls.CallIn(t, f, class, values)
		return err
	}
	for _, s := range []struct{ class, mode string }{
		{"SaveImageDataSetToFolder", "overwrite"},
		{"SaveImageTextDataSetToFolder", "overwrite"},
		{"SaveImageDataSetToFolder", "increment"},
		{"SaveImageTextDataSetToFolder", "increment"},
	} {
		if err := save(s.class, s.mode, "set/one", "image", 0.2); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(f.Output(), "set", "one"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	want := []string{
		"image_00000.png", "image_00000.txt", "image_00001.png", "image_00002_00000.png", "image_00003_00001.png",
		"image_00004_00000.png", "image_00004_00000.txt", "image_00005_00001.png",
	}
	if !slices.Equal(names, want) {
		t.Errorf("the folder has %q, want %q", names, want)
	}
	data, err := os.ReadFile(filepath.Join(f.Output(), "set", "one", "image_00000.png"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if r, g, b, _ := img.At(1, 0).RGBA(); r>>8 != 255 || g>>8 != 0 || b>>8 != 127 {
		t.Errorf("the second pixel is %d %d %d", r>>8, g>>8, b>>8)
	}
	for _, bad := range [][2]string{{"../outside", "image"}, {"set", "../../image"}, {"/etc", "image"}, {"set", "missing/image"}} {
		if err := save("SaveImageDataSetToFolder", "overwrite", bad[0], bad[1], 0); err == nil {
			t.Errorf("saving under %q in %q went through", bad[1], bad[0])
		}
	}
}

// TestBadInputs: the errors of inputs that no link should deliver.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	huge := &tensor.Tensor{Shape: []int{1, 1, 1 << 20, 3}, Data: make([]float32, 3<<20)}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"ResizeImagesByShorterEdge", pyjson.NewObject("images", huge, "shorter_edge", 8192), "allocating"},
		{"ResizeImagesByShorterEdge", pyjson.NewObject("images", nil, "shorter_edge", 8), "not an image"},
		{"CenterCropImages", pyjson.NewObject("images", tensor.New(0, 2, 2, 3)), "not an image"},
		{"NormalizeImages", pyjson.NewObject("images", tensor.New(2, 2)), "not an image"},
		{"ShuffleDataset", pyjson.NewObject("images", []any{nil}, "seed", []any{1}), "not an image"},
		{"ImageGrid", pyjson.NewObject("images", []any{tensor.New(1, 2, 2, 3)}, "columns", []any{1, 2}), "want one value"},
		{"ImageGrid", pyjson.NewObject("images", []any{tensor.New(1, 2, 2, 3)}, "columns", []any{1 << 30}), "allocating"},
		{"AddTextPrefix", pyjson.NewObject("texts", strings.Repeat("x", 200<<20), "prefix", strings.Repeat("x", 100<<20)), "making a text"},
		{"ReplaceText", pyjson.NewObject("texts", strings.Repeat("x", 1<<20), "find", "x", "replace", strings.Repeat("y", 1<<10)), "making a text"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
}

// TestFolderChoices lists the folders below the input folder, and a fingerprint changes with a file.
func TestFolderChoices(t *testing.T) {
	t.Parallel()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(f.Input(), "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	class, _ := nodes.Default().Get("LoadImageDataSetFromFolder")
	in, _ := class.Input("folder")
	if got := in.Choices(nodes.Env{Folders: f}); !slices.Equal(got, []any{"a", "a/b"}) {
		t.Errorf("the choices are %q", got)
	}
	node, err := class.Bind(pyjson.NewObject("folder", "a"), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := nodes.TestContext(t.Context(), nodes.Services{Folders: f})
	state := func() string {
		v, err := node.(nodes.Fingerprinter).Fingerprint(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return pyjson.Repr(v)
	}
	before := state()
	if err := os.WriteFile(filepath.Join(f.Input(), "a", "b", "x.png"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if state() == before {
		t.Error("a new file does not change the fingerprint")
	}
}
