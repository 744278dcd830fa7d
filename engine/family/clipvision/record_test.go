package clipvision_test

import (
	"path/filepath"
	"testing"

	"comfygo/engine/family/clipvision"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

var (
	half = [3]float32{0.5, 0.5, 0.5}
	mean = [3]float32{0.48145466, 0.4578275, 0.40821073}
	std  = [3]float32{0.26862954, 0.26130258, 0.27577711}
)

// pixels bounds preprocessing: values are one of 256 levels, and a level is 0.004; the rest is float32's rounding.
var pixels = golden.Tolerance{MaxAbs: 1e-6}

// recorded are the encoders of testdata/record.py.
var recorded = map[string]clipvision.Config{
	"siglip":  {Width: 16, Layers: 3, Heads: 2, MLP: 32, Image: 16, Patch: 4, Activation: clipvision.TanhGELU, SigLIP: true, Mean: half, Std: half},
	"siglip2": {Width: 16, Layers: 3, Heads: 2, MLP: 32, Patch: 4, Patches: 16, LinearPatches: true, Activation: clipvision.TanhGELU, SigLIP: true, Mean: half, Std: half},
	"llava":   {Width: 16, Layers: 3, Heads: 2, MLP: 32, Image: 16, Patch: 4, Activation: clipvision.GELU, Projection: 24, Projector: 48, Mean: mean, Std: std},
}

func TestRecordedEncoders(t *testing.T) {
	t.Parallel()
	for name, config := range recorded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, err := weights.Open(filepath.Join("testdata", name+".safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = src.Close() })
			get := func(key string) *tensor.Tensor {
				e, ok := src.Lookup(key)
				if !ok {
					t.Fatalf("no tensor %s", key)
				}
				data, err := weights.Float32s(e)
				if err != nil {
					t.Fatal(err)
				}
				return &tensor.Tensor{Shape: e.Shape, Data: data}
			}
			e := clipvision.New(src, config)
			for _, size := range []string{"wide", "tall", "same", "small"} {
				for crop, flag := range map[bool]string{true: "true", false: "false"} {
					got, err := e.Preprocess(get("in."+size), crop)
					if err != nil {
						t.Fatal(err)
					}
					want := get("pre." + size + "." + flag)
					if !tensor.SameShape(got, want) {
						t.Fatalf("%s %s: shape %v, want %v", size, flag, got.Shape, want.Shape)
					}
					golden.Compare(t, size+" "+flag, got.Data, want.Data, pixels)
				}
			}
			got, err := e.Forward(t.Context(), familytest.Runner{}, get("pre.wide.false"))
			if err != nil {
				t.Fatal(err)
			}
			golden.Compare(t, "last", got.Last.Data, get("out.0").Data, fp32)
			golden.Compare(t, "embeds", got.Embeds.Data, get("out.2").Data, fp32)
			if config.SigLIP && !config.LinearPatches {
				golden.Compare(t, "all", got.All.Data, get("out.1").Data, fp32)
			} else {
				golden.Compare(t, "penultimate", got.Penultimate.Data, get("out.1").Data, fp32)
			}
			if rows := got.Rows * got.Columns; config.LinearPatches != (rows == got.Last.Dim(1)) {
				t.Errorf("%d rows and %d columns of %d tokens", got.Rows, got.Columns, got.Last.Dim(1))
			}
			if config.Projector > 0 {
				golden.Compare(t, "projected", got.Projected.Data, get("out.3").Data, fp32)
			}
		})
	}
}
