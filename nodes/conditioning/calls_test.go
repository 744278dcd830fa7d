package conditioning_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes/conditioning"
	"comfygo/tests/nodecalls"
)

// described are hooks and keyframes as cases.py describes upstream's.
func described(v any) (any, bool) {
	switch v := v.(type) {
	case conditioning.Keyframes:
		list := []any{}
		for _, k := range v {
			list = append(list, []any{k.Strength, k.Start, k.Steps})
		}
		return list, true
	case conditioning.HookGroup:
		list := []any{}
		for _, h := range v {
			list = append(list, []any{h.Model, h.CLIP, h.Keyframes})
		}
		return list, true
	}
	return nil, false
}

// TestCalls compares with upstream's results; cases.py says where they may differ.
func TestCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls.json.gz", nodecalls.Options{Described: described})
}

// TestRandomCalls compares random calls of hooks and tracks with upstream's results; cases_random.py and
// cases_checkpoint.py list them.
func TestRandomCalls(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	if err := os.CopyFS(filepath.Join(base, "models"), os.DirFS(filepath.Join("testdata", "hooks"))); err != nil {
		t.Fatal(err)
	}
	checkpoint := filepath.Join(base, "models", "checkpoints", "sd15-small.safetensors") // read when it is sampled
	if err := os.MkdirAll(filepath.Dir(checkpoint), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(checkpoint, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"calls_random.json.gz", "calls_checkpoint.json.gz"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodecalls.Run(t, name, nodecalls.Options{Described: described, Folders: f})
		})
	}
}

// TestHooks makes hooks of files, combines them and gives them keyframes.
func TestHooks(t *testing.T) {
	t.Parallel()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"loras/a.safetensors", "checkpoints/b.safetensors"} {
		path := filepath.Join(f.Models(), file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	call := func(class string, pairs ...any) any {
		r, err := nodecalls.CallIn(t, f, class, pyjson.NewObject(pairs...))
		if err != nil {
			t.Fatal(err)
		}
		return r.Values[0]
	}
	a := call("CreateHookLora", "lora_name", "a.safetensors", "strength_model", 0.5, "strength_clip", 0.25)
	b := call("CreateHookModelAsLoraModelOnly", "ckpt_name", "b.safetensors", "strength_model", 2.0, "prev_hooks", a)
	both, _ := call("CombineHooks4", "hooks_A", b, "hooks_C", a).(conditioning.HookGroup)
	if len(both) != 2 || both[0].File != "a.safetensors" || both[0].CLIP != 0.25 || both[1].Folder != "checkpoints" || both[1].CLIP != 0 {
		t.Errorf("got %+v", both)
	}
	frames := call("CreateHookKeyframe", "strength_mult", 0.5, "start_percent", 0.25)
	timed, _ := call("SetHookKeyframes", "hooks", both, "hook_kf", frames).(conditioning.HookGroup)
	if len(timed) != 2 || len(timed[1].Keyframes) != 1 || len(both[0].Keyframes) != 0 {
		t.Errorf("got %+v of %+v", timed, both)
	}
	if _, err := nodecalls.CallIn(t, f, "CreateHookLora", pyjson.NewObject("lora_name", "missing.safetensors")); err == nil || !strings.Contains(err.Error(), "missing.safetensors") {
		t.Errorf("a missing file: %v", err)
	}
}

// TestBadConditionings: inputs that cannot be.
func TestBadConditionings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"FluxKontextImageScale", pyjson.NewObject("image", tensor.New(0, 2, 2, 3)), "not an image"},
		{"SD_4XUpscale_Conditioning", pyjson.NewObject("images", tensor.New(4)), "not an image"},
		{"SD_4XUpscale_Conditioning", pyjson.NewObject("images", tensor.New(1, 4096, 4096, 1), "scale_ratio", 1e5), "allocating"},
		{"StableCascade_EmptyLatentImage", pyjson.NewObject("compression", 0), "compression"},
		{"StableCascade_StageB_Conditioning", pyjson.NewObject("stage_c", engine.Latent{}), "no samples"},
		{"PiDConditioning", pyjson.NewObject("latent", engine.Latent{Samples: tensor.New(1, 3, 2, 2)}, "latent_format", "qwenimage"), "channels"},
		{"Hunyuan3Dv2Conditioning", pyjson.NewObject("clip_vision_output", 3), "CLIP vision"},
		{"CreateHookKeyframesFromFloats", pyjson.NewObject("floats_strength", []any{"x"}), "no number"},
		{"CombineHooks2", pyjson.NewObject("hooks_A", 3), "no group of hooks"},
		{"EmptyFlux2LatentImage", pyjson.NewObject("width", 1<<20, "height", 1<<20, "batch_size", 4096), "allocating"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.class, err, c.want)
		}
	}
}

// TestWanCalls compares the classes for Wan's models with upstream's results.
func TestWanCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_wan.json.gz", nodecalls.Options{Described: described})
}

// TestDanceCalls compares WanDancer's keyframes with upstream's.
func TestDanceCalls(t *testing.T) {
	t.Parallel()
	nodecalls.Run(t, "calls_dance.json.gz", nodecalls.Options{Described: described})
}
