package clipvision_test

import (
	"math"
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
					comparePixels(t, size+" "+flag, got, get("pre."+size+"."+flag), config.Std)
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
			if config.Projector > 0 {
				golden.Compare(t, "projected", got.Projected.Data, get("out.3").Data, fp32)
			}
		})
	}
}

// comparePixels allows single values to be rounded to the neighbouring of 256 levels: torch sums in another order.
func comparePixels(t *testing.T, what string, got, want *tensor.Tensor, std [3]float32) {
	t.Helper()
	if !tensor.SameShape(got, want) {
		t.Errorf("%s: shape %v, want %v", what, got.Shape, want.Shape)
		return
	}
	off := 0
	for i := range want.Data {
		d := math.Abs(float64(got.Data[i] - want.Data[i]))
		if d > 1.01/255/float64(std[0]) {
			t.Errorf("%s: value %d is %v, want %v", what, i, got.Data[i], want.Data[i])
			return
		}
		if d > 1e-5 {
			off++
		}
	}
	if off*1000 > len(want.Data) {
		t.Errorf("%s: %d of %d values are a level off", what, off, len(want.Data))
	}
}
