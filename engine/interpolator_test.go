package engine_test

import (
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/family/familytest"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

// TestInterpolate compares the frames of ComfyUI's FrameInterpolate, with sizes that every model has to pad; torch's own error is about 1e-6.
func TestInterpolate(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rife", "film"} {
		stored, src := familytest.Recorded(t, "family/interpolate/testdata/"+name, name)
		var list []safetensors.Tensor
		for _, key := range src.Names() {
			e, _ := src.Lookup(key)
			list = append(list, safetensors.Tensor{Name: key, DType: e.DType, Shape: e.Shape, Data: e.Data})
		}
		path := filepath.Join(t.TempDir(), name+".safetensors")
		if err := safetensors.Save(path, nil, list); err != nil {
			t.Fatal(err)
		}
		p, err := shared.LoadInterpolator(path)
		if err != nil {
			t.Fatal(err)
		}
		frames := golden.Image(name+"/frames", 3, 70, 99, 3)
		var told [2]int
		y, err := p.Interpolate(t.Context(), frames, 3, func(done, all int) { told = [2]int{done, all} })
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		familytest.CompareSome(t, stored, "node", y, []int{7, 70, 99, 3}, golden.Tolerance{RMSRel: 1e-5})
		if told != [2]int{4, 4} {
			t.Errorf("%s: the last progress was %v", name, told)
		}
		if y, err := p.Interpolate(t.Context(), frames.Slice(0, 1), 3, nil); err != nil || y.Dim(0) != 1 {
			t.Errorf("%s: a single frame: %v", name, err)
		}
		for _, shape := range [][]int{{2, 70, 99, 4}, {2, 30, 30, 3}, {0, 70, 99, 3}} {
			if _, err := p.Interpolate(t.Context(), tensor.New(shape...), 2, nil); err == nil {
				t.Errorf("%s: frames of %v were interpolated", name, shape)
			}
		}
		little, err := shared.WithMemory(func() int64 { return 1 << 10 }).LoadInterpolator(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := little.Interpolate(t.Context(), frames, 2, nil); err == nil {
			t.Errorf("%s runs without memory", name)
		}
	}
	if _, err := shared.LoadInterpolator(golden.Checkpoint(t, "taesd")); err == nil || !strings.Contains(err.Error(), "frame interpolation model") {
		t.Errorf("a TAESD: %v", err)
	}
}
