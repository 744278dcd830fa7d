package merging_test

import (
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/golden"
)

// savedFile describes a file that ComfyUI writes; see testdata/saved.py.
type savedFile struct {
	Tensors  map[string][]int
	Metadata map[string]string
}

func recordedFiles(t *testing.T) map[string]savedFile {
	t.Helper()
	f, err := os.Open("testdata/saved.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]savedFile
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// loose are tensors that make no difference: position numbers, and projections of text encoders that have none or whose
// model reads none; ComfyUI writes the identity or nothing for them.
var loose = []string{"text_model.embeddings.position_ids", "text_projection.weight", "logit_scale"}

func isLoose(name string) bool {
	return slices.ContainsFunc(loose, func(end string) bool { return strings.HasSuffix(name, end) })
}

// errEnough ends the writing of a file.
var errEnough = errors.New("enough")

// beginning keeps what is written until the header of a safetensors file is whole.
type beginning struct{ data []byte }

func (b *beginning) Write(p []byte) (int, error) {
	b.data = append(b.data, p...)
	if len(b.data) >= 8 && uint64(len(b.data)) >= 8+binary.LittleEndian.Uint64(b.data) {
		return 0, errEnough
	}
	return len(p), nil
}

// headOf returns the beginning of a file.
func headOf(t *testing.T, tensors *engine.Tensors, further map[string]string) []byte {
	t.Helper()
	var b beginning
	if err := tensors.Write(t.Context(), &b, further); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return b.data
}

// contents returns the metadata and the shapes of tensors that the header of a file states.
func contents(t *testing.T, head []byte) (metadata map[string]string, shapes map[string][]int) {
	t.Helper()
	var all map[string]json.RawMessage
	if err := json.Unmarshal(head[8:8+binary.LittleEndian.Uint64(head)], &all); err != nil {
		t.Fatal(err)
	}
	shapes = map[string][]int{}
	for name, text := range all {
		if name == "__metadata__" {
			if err := json.Unmarshal(text, &metadata); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var e struct{ Shape []int }
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		shapes[name] = e.Shape
	}
	return metadata, shapes
}

// TestSavedFilesAreUpstreams compares names, shapes and metadata of what the savers write of small models with what ComfyUI
// writes.
func TestSavedFilesAreUpstreams(t *testing.T) {
	t.Parallel()
	rt := engine.New(engine.Config{Log: slog.New(slog.DiscardHandler)}) // opens no library
	output := t.TempDir()
	f, err := folders.New(folders.Config{Base: t.TempDir(), Output: output})
	if err != nil {
		t.Fatal(err)
	}
	sd15, clip, vae, err := rt.LoadCheckpoint(golden.Checkpoint(t, "sd15-small"))
	if err != nil {
		t.Fatal(err)
	}
	sdxl, err := rt.LoadModel(golden.Checkpoint(t, "sdxl-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	both, err := rt.LoadCLIP("sdxl", golden.Checkpoint(t, "clip-l"), golden.Checkpoint(t, "clip-g"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(family, class string, values ...any) {
		c, _ := nodes.Default().Get(class)
		n, err := c.Bind(pyjson.NewObject(append(values, "filename_prefix", family+"/"+strings.ToLower(strings.TrimSuffix(class, "Save")))...), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Run(nodes.TestContext(t.Context(), nodes.Services{Engine: rt, Folders: f, Metadata: true})); err != nil {
			t.Fatalf("%s: %v", class, err)
		}
	}
	run("sd15", "CheckpointSave", "model", sd15, "clip", clip, "vae", vae)
	run("sd15", "ModelSave", "model", sd15)
	run("sd15", "CLIPSave", "clip", clip)
	run("sd15", "VAESave", "vae", vae)
	// The text encoders of SDXL are large: their files are not written but for the header.
	large, err := rt.Checkpoint(engine.Bundle{Model: sdxl, CLIP: both, VAE: vae}, "checkpoint 1")
	if err != nil {
		t.Fatal(err)
	}
	texts, err := rt.SaveCLIP(both)
	if err != nil {
		t.Fatal(err)
	}
	heads := map[string]*engine.Tensors{
		"sdxl/checkpoint_00001_.safetensors": large, "sdxl/clip_clip_l_00001_.safetensors": texts["clip_l"], "sdxl/clip_clip_g_00001_.safetensors": texts["clip_g"],
	}
	want := recordedFiles(t)
	for name, w := range want {
		var head []byte
		if tensors := heads[name]; tensors != nil {
			further := map[string]string{"prompt": ""}
			if w.Metadata["format"] != "" {
				further["format"] = w.Metadata["format"]
			}
			head = headOf(t, tensors, further)
		} else if head, err = os.ReadFile(filepath.Join(output, name)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		metadata, got := contents(t, head)
		if !maps.Equal(metadata, w.Metadata) {
			t.Errorf("%s: the metadata are %v, want %v", name, metadata, w.Metadata)
		}
		for n, shape := range w.Tensors {
			if s, ok := got[n]; !ok && !isLoose(n) || ok && !slices.Equal(s, shape) {
				t.Errorf("%s: %s is %v, want %v", name, n, s, shape)
			}
			delete(got, n)
		}
		for n := range got {
			if isLoose(n) {
				continue
			}
			t.Errorf("%s: %s is not there in ComfyUI's", name, n)
		}
	}
	if len(want) < 7 {
		t.Errorf("%d files are recorded", len(want))
	}
}
