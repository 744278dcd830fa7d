package latent_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/latent"

	"github.com/google/go-cmp/cmp"
)

// host gives nodes the hidden inputs of a run.
type host struct {
	nodes.Host
	hidden map[string]any
}

func (h host) Hidden(kind string) any { return h.hidden[kind] }

func newContext(t *testing.T, metadata bool) (*nodes.Context, *folders.Folders) {
	t.Helper()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Prepare(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.RemoveTemp() })
	return nodes.NewContext(t.Context(), nodes.Call{
		ID: "1", Services: nodes.Services{Folders: f, Metadata: metadata}, Host: host{hidden: map[string]any{
			"PROMPT": pyjson.NewObject("1", "ä"), "EXTRA_PNGINFO": pyjson.NewObject("workflow", pyjson.NewObject("a", []any{})),
		}},
	}), f
}

func TestSaveAndLoad(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, true)
	in := engine.Latent{Samples: &tensor.Tensor{Shape: []int{1, 4, 1, 2}, Data: []float32{1, 2, 3, 4, -5, 0.25, 7, 1e-9}}}
	r, err := (&latent.SaveLatent{Samples: in, Prefix: "latents/ComfyUI"}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ui, err := pyjson.Marshal(r.UI)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"latents": [{"filename": "ComfyUI_00001_.latent", "subfolder": "latents", "type": "output"}]}`; string(ui) != want {
		t.Errorf("the client gets %s", ui)
	}
	path := filepath.Join(f.Output(), "latents/ComfyUI_00001_.latent")
	file, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"prompt": `{"1": "\u00e4"}`, "workflow": `{"a": []}`}, file.Metadata()); diff != "" {
		t.Error(diff)
	}
	if v, ok := file.Lookup("latent_format_version_0"); !ok || len(v.Data) != 0 {
		t.Errorf("the version is %v", v)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	name := "latents/ComfyUI_00001_.latent [output]"
	if err := (&latent.LoadLatent{Latent: name}).ValidateInputs(ctx); err != nil {
		t.Error(err)
	}
	back, err := (&latent.LoadLatent{Latent: name}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in.Samples, back.Values[0].(engine.Latent).Samples); diff != "" {
		t.Error(diff)
	}
}

func TestSaveLatentWithoutMetadata(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, false)
	if _, err := (&latent.SaveLatent{Samples: engine.Latent{Samples: tensor.New(1, 4, 2, 2)}, Prefix: "x"}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(f.Output(), "x_00001_.latent"))
	if err != nil || strings.Contains(string(data), "metadata") {
		t.Errorf("%q, %v", data, err)
	}
}

func TestLoadOldLatent(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, true)
	err := safetensors.Save(filepath.Join(f.Input(), "old.latent"), nil, []safetensors.Tensor{
		{Name: "latent_tensor", DType: dtype.F16, Shape: []int{1, 1, 1, 1}, Data: []byte{0, 0x3c}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r, err := (&latent.LoadLatent{Latent: "old.latent"}).Run(ctx)
	if err != nil {
		t.Fatal(err)
	}
	scale := 0.18215
	if got := r.Values[0].(engine.Latent).Samples.Data[0]; got != float32(1/scale) {
		t.Errorf("got %g", got)
	}
}

func TestLoadLatentErrors(t *testing.T) {
	t.Parallel()
	ctx, f := newContext(t, true)
	if err := os.WriteFile(filepath.Join(f.Input(), "bad.latent"), []byte("no such thing"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := safetensors.Save(filepath.Join(f.Input(), "other.latent"), nil, []safetensors.Tensor{{Name: "x", DType: dtype.F32, Shape: []int{0}}}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bad.latent", "other.latent", "missing.latent", "../x"} {
		if _, err := (&latent.LoadLatent{Latent: name}).Run(ctx); err == nil {
			t.Errorf("%s was loaded", name)
		}
	}
	if reason, ok := nodes.Verdict((&latent.LoadLatent{Latent: "missing.latent"}).ValidateInputs(ctx)); !ok || reason == "" {
		t.Error("a missing file passed validation")
	}
}

func TestEmptyLatentImage(t *testing.T) {
	t.Parallel()
	r, err := (&latent.EmptyLatentImage{Width: 519, Height: 64, Batch: 2}).Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	l := r.Values[0].(engine.Latent)
	if diff := cmp.Diff([]int{2, 4, 8, 64}, l.Samples.Shape); diff != "" || l.DownscaleRatio != 8 {
		t.Errorf("%s, ratio %d", diff, l.DownscaleRatio)
	}
	_, err = (&latent.EmptyLatentImage{Width: 16384, Height: 16384, Batch: 4096}).Run(nil)
	var size *imaging.SizeError
	if !errors.As(err, &size) {
		t.Errorf("274 GB give %v", err)
	}
}

func TestBatchNumbersAndMasks(t *testing.T) {
	t.Parallel()
	in := engine.Latent{Samples: tensor.New(3, 4, 2, 2), NoiseMask: &tensor.Tensor{Shape: []int{2, 1, 1, 1}, Data: []float32{0.5, 1}}}
	for i := range in.Samples.Data {
		in.Samples.Data[i] = float32(i / 16)
	}
	r, err := (&latent.LatentFromBatch{Samples: in, Index: -2, Length: 9}).Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	got := r.Values[0].(engine.Latent)
	if got.Samples.Data[0] != 1 || got.Samples.Shape[0] != 2 {
		t.Errorf("took %v", got.Samples)
	}
	if diff := cmp.Diff([]int{1, 2}, got.BatchIndex); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float32{1, 0.5}, got.NoiseMask.Data); diff != "" {
		t.Error(diff)
	}
	r, err = (&latent.RepeatLatentBatch{Samples: got, Amount: 2}).Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	got = r.Values[0].(engine.Latent)
	if diff := cmp.Diff([]int{1, 2, 3, 4}, got.BatchIndex); diff != "" || got.Samples.Shape[0] != 4 || got.NoiseMask.Shape[0] != 4 {
		t.Errorf("%s, %v, %v", diff, got.Samples.Shape, got.NoiseMask.Shape)
	}
}

// TestNothingLinked: a link without a value must give an error, not a panic.
func TestNothingLinked(t *testing.T) {
	t.Parallel()
	ctx, _ := newContext(t, true)
	for _, n := range []nodes.Node{
		&latent.SaveLatent{Prefix: "x"}, &latent.LatentUpscale{}, &latent.LatentUpscaleBy{}, &latent.LatentFromBatch{},
		&latent.RepeatLatentBatch{}, &latent.SetLatentNoiseMask{}, &latent.LatentRotate{}, &latent.LatentFlip{},
		&latent.LatentCrop{}, &latent.LatentComposite{}, &latent.LatentBlend{},
	} {
		if _, err := n.Run(ctx); err == nil {
			t.Errorf("%T made something of nothing", n)
		}
	}
}
