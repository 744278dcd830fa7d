package dataset_test

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
	"comfygo/nodes/dataset"
	"comfygo/tests/nodecalls"
)

// datasetFolders has a datasets folder with one dataset of ComfyUI's, by the name project/run1.
func datasetFolders(t *testing.T) *folders.Folders {
	t.Helper()
	base := t.TempDir()
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("testdata/shard_0000.pkl")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "datasets", "project", "run1")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"shard_0000.pkl": data, "metadata.json": []byte("{}")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TestLoadTrainingDataset reads what ComfyUI wrote.
func TestLoadTrainingDataset(t *testing.T) {
	t.Parallel()
	f := datasetFolders(t)
	if got := (&dataset.LoadTrainingDataset{}).Choices(nodes.Env{Folders: f}, ""); !slices.Equal(got, []any{"project/run1"}) {
		t.Errorf("choices %v", got)
	}
	r, err := nodecalls.CallIn(t, f, "LoadTrainingDataset", pyjson.NewObject("folder_name", "project/run1"))
	if err != nil {
		t.Fatal(err)
	}
	latents, conditioning := r.Values[0].([]engine.Latent), r.Values[1].([]engine.Conditioning)
	if len(latents) != 2 || len(conditioning) != 2 {
		t.Fatalf("%d latents, %d conditionings", len(latents), len(conditioning))
	}
	second := latents[1]
	if !slices.Equal(second.Samples.Shape, []int{1, 4, 2, 3}) || second.Samples.Data[1] != 2 || !slices.Equal(second.BatchIndex, []int{3}) || second.NoiseMask == nil {
		t.Errorf("the second latent is %+v", second)
	}
	c := conditioning[0][0]
	area, _ := c.Values["area"].(sampling.Area)
	if c.Tokens.Data[7] != 0.875 || c.Pooled.Data[3] != 3 || !slices.Equal(area.Size, []float64{8, 8}) || !slices.Equal(area.Offset, []float64{0, 4}) || c.Values["strength"] != 0.5 {
		t.Errorf("the first conditioning is %+v", c)
	}
	if c := conditioning[1][0]; c.Pooled != nil || c.Values["guidance"] != 3.5 || c.Values["list"].([]any)[0].(*tensor.Tensor).Data[1] != 1 {
		t.Errorf("the second conditioning is %+v", c)
	}
}

// TestSaveTrainingDataset writes in shards and reads them again.
func TestSaveTrainingDataset(t *testing.T) {
	t.Parallel()
	f := datasetFolders(t)
	var latents, conditioning []any
	for i := range 5 {
		z := tensor.New(1, 2, 2, 2)
		z.Data[0] = float32(i)
		latents = append(latents, engine.Latent{Samples: z, DownscaleRatio: 8, Type: "audio"})
		tokens := tensor.New(1, 1, 2)
		tokens.Data[1] = float32(math.Inf(1))
		conditioning = append(conditioning, engine.Conditioning{{Tokens: tokens, Pooled: z, Values: map[string]any{
			"area": sampling.Area{Size: []float64{0.5, 0.25}, Offset: []float64{0, 0.5}, Percent: true}, "big": int64(1) << 40, "low": int64(-3), "text": "ä", "set": true, "rows": []int{1}, "more": pyjson.NewObject("k", z),
		}}})
	}
	values := pyjson.NewObject("latents", latents, "conditioning", conditioning, "folder_name", []any{"new/a"}, "shard_size", []any{2})
	if _, err := nodecalls.CallIn(t, f, "SaveTrainingDataset", values); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(f.Roots("datasets")[0], "new", "a")
	metadata, err := os.ReadFile(filepath.Join(dir, "metadata.json"))
	if err != nil || !bytes.Equal(metadata, []byte("{\n  \"num_samples\": 5,\n  \"num_shards\": 3,\n  \"shard_size\": 2\n}")) {
		t.Errorf("metadata %q, %v", metadata, err)
	}
	r, err := nodecalls.CallIn(t, f, "LoadTrainingDataset", pyjson.NewObject("folder_name", "new/a"))
	if err != nil {
		t.Fatal(err)
	}
	got, texts := r.Values[0].([]engine.Latent), r.Values[1].([]engine.Conditioning)
	if len(got) != 5 || got[4].Samples.Data[0] != 4 || got[4].DownscaleRatio != 8 || got[4].Type != "audio" {
		t.Errorf("latents %+v", got)
	}
	c := texts[3][0].Values
	if area := c["area"].(sampling.Area); !area.Percent || area.Size[1] != 0.25 || c["big"] != int64(1)<<40 || c["low"] != int64(-3) || c["text"] != "ä" || c["set"] != true {
		t.Errorf("values %v", c)
	}
}

// TestBadTrainingDataset: names outside, other lengths, values without a form in Python, files that would run something.
func TestBadTrainingDataset(t *testing.T) {
	t.Parallel()
	f := datasetFolders(t)
	z := tensor.New(1, 1, 1, 1)
	one := []any{engine.Latent{Samples: z}}
	text := []any{engine.Conditioning{{Tokens: z}}}
	odd := []any{engine.Conditioning{{Tokens: z, Values: map[string]any{"control": t}}}}
	dir := filepath.Join(f.Roots("datasets")[0], "bad")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile("testdata/shard_0000.pkl")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"cut": good[:len(good)/2], "text": []byte("x"), "named": bytes.ReplaceAll(good, []byte("collections\nOrderedDict"), []byte("posix\nsystem_of_things_"))} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "shard_0000.pkl"), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"SaveTrainingDataset", pyjson.NewObject("latents", one, "conditioning", text, "folder_name", []any{"../out"}), "outside"},
		{"SaveTrainingDataset", pyjson.NewObject("latents", one, "conditioning", text, "folder_name", []any{"."}), "below"},
		{"SaveTrainingDataset", pyjson.NewObject("latents", one, "conditioning", []any{}), "1 latents with 0"},
		{"SaveTrainingDataset", pyjson.NewObject("latents", one, "conditioning", odd, "folder_name", []any{"odd"}), "control"},
		{"SaveTrainingDataset", pyjson.NewObject("latents", []any{engine.Latent{}}, "conditioning", text, "folder_name", []any{"odd"}), "samples"},
		{"SaveTrainingDataset", pyjson.NewObject("latents", one, "conditioning", text, "shard_size", []any{0}), "shard_size"},
		{"LoadTrainingDataset", pyjson.NewObject("folder_name", "none"), "no folder"},
		{"LoadTrainingDataset", pyjson.NewObject("folder_name", "project"), "no shard"},
		{"LoadTrainingDataset", pyjson.NewObject("folder_name", "bad/cut"), "zip"},
		{"LoadTrainingDataset", pyjson.NewObject("folder_name", "bad/text"), "no file of torch.save"},
		{"LoadTrainingDataset", pyjson.NewObject("folder_name", "bad/named"), "refusing"},
		{"MakeTrainingDataset", pyjson.NewObject("images", []any{z}), "VAE"},
	} {
		_, err := nodecalls.CallIn(t, f, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
	if _, err := os.Stat(filepath.Join(f.Roots("datasets")[0], "odd")); err == nil {
		t.Error("a dataset that cannot be saved left a folder")
	}
}

// noMemory refuses everything.
type noMemory struct{}

func (noMemory) Reserve(_ context.Context, what string, _ int64) (func(), error) {
	return nil, fmt.Errorf("no memory for %s", what)
}

// TestDatasetMemory: tensors are taken from the budget.
func TestDatasetMemory(t *testing.T) {
	t.Parallel()
	n := &dataset.LoadTrainingDataset{FolderName: "project/run1"}
	services := nodes.Services{Folders: datasetFolders(t), Memory: noMemory{}}
	_, err := n.Run(nodes.NewContext(t.Context(), nodes.Call{ID: "1", Services: services, Inputs: pyjson.NewObject()}))
	if err == nil || !strings.Contains(err.Error(), "no memory for a tensor") {
		t.Errorf("%v", err)
	}
}

// endless is a video whose header reports more frames than there are.
type endless struct{ *videofile.Made }

func (endless) FrameCount(context.Context, videofile.Env) (int, error) { return math.MaxInt32, nil }

// TestSampleEndless: random frames are not drawn from what a header makes up.
func TestSampleEndless(t *testing.T) {
	t.Parallel()
	v := endless{&videofile.Made{Images: tensor.New(1, 2, 2, 3), Rate: big.NewRat(24, 1), Depth: 8}}
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = nodecalls.CallIn(t, f, "VideoFrameSample", pyjson.NewObject("video", v, "num_frames", 4, "strategy", "random", "seed", 1))
	if err == nil || !strings.Contains(err.Error(), "uniform") {
		t.Errorf("%v", err)
	}
}
