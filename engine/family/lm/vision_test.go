package lm_test

import (
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/lm"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// near is ten times what float32 is off in nine layers, at least 1e-5.
var near = golden.Tolerance{RMSRel: 1e-5}

func tower(t *testing.T) (weights.Source, *lm.Vision) {
	t.Helper()
	src, err := weights.Open("testdata/vision.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	return src, &lm.Vision{Width: 32, Heads: 2, Layers: 9, MLP: 48, Out: 24}
}

func recorded(t *testing.T, src weights.Source, name string) []float32 {
	t.Helper()
	e, _ := src.Lookup("golden." + name)
	v, err := weights.Float32s(e)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// img is the image of testdata/record.py.
func img() *tensor.Tensor {
	x := tensor.New(1, 150, 190, 3)
	for i := range x.Data {
		x.Data[i] = float32(i*7919%256) / 255
	}
	return x
}

// TestVisionEqualsUpstream checks an image that does not fill its windows, through windowed and full attention.
func TestVisionEqualsUpstream(t *testing.T) {
	t.Parallel()
	src, v := tower(t)
	got, rows, cols, err := v.Look(t.Context(), familytest.Runner{}, src, img())
	if err != nil {
		t.Fatal(err)
	}
	grid := recorded(t, src, "grid")
	if rows != int(grid[1]) || cols != int(grid[2]) {
		t.Errorf("%d by %d patches, want %v", rows, cols, grid)
	}
	golden.Compare(t, "vectors", got.Data, recorded(t, src, "vectors"), near)
}

func TestPositionsEqualUpstream(t *testing.T) {
	t.Parallel()
	src, _ := tower(t)
	const n = 21
	mask := make([]int64, n)
	for i := range n - 2 {
		mask[i] = 1
	}
	got, want := lm.Positions(n, mask, [4]int{5, 6, 4, 6}, [4]int{14, 3, 6, 2}), recorded(t, src, "positions")
	for axis := range got {
		for i, p := range got[axis] {
			if p != int(want[axis*n+i]) {
				t.Errorf("axis %d, token %d is at %d, want %v", axis, i, p, want[axis*n+i])
			}
		}
	}
}

// TestImagesThatCannotBeRead checks encoders without a tower, and images of no pixels.
func TestImagesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	e, err := family.Open(family.Default, dryrun.List(shapes[lm.KeyQwen25M].list(16))).Text()
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Encode(t.Context(), familytest.Runner{}, tokenizer.Tokens{{{ID: 1, Weight: 1, Image: img()}}}, family.EncodeOptions{})
	if err == nil || !strings.Contains(err.Error(), "vision tower") {
		t.Errorf("an image without a tower: %v", err)
	}
	src, v := tower(t)
	for _, shape := range [][]int{{0, 4, 4, 3}, {1, 0, 4, 3}, {1, 4, 4, 1}, {4, 4, 3}} {
		if _, _, _, err := v.Look(t.Context(), familytest.Runner{}, src, tensor.New(shape...)); err == nil {
			t.Errorf("an image of shape %v: no error", shape)
		}
	}
}

func TestVisionKernels(t *testing.T) {
	t.Parallel()
	src, v := tower(t)
	for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			if _, _, _, err := v.Look(t.Context(), run, familytest.Stored(src, stored), img()); err != nil {
				t.Errorf("%s in %s: %v", stored, target.Compute, err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}
