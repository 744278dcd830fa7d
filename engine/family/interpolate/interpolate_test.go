package interpolate_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// planar converts an image [1,H,W,C] to [1,C,H,W].
func planar(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(1, x.Dim(3), x.Dim(1), x.Dim(2))
	for i, v := range x.Data {
		out.Data[i%x.Dim(3)*x.Dim(1)*x.Dim(2)+i/x.Dim(3)] = v
	}
	return out
}

func open(t *testing.T, src weights.Source) family.InterpolationNetwork {
	t.Helper()
	n, err := family.Open(family.Default, src).Interpolator()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func between(ctx context.Context, n family.InterpolationNetwork, run family.Runner, first, second *tensor.Tensor, times ...float32) (*tensor.Tensor, error) {
	a, err := n.Prepare(ctx, run, first)
	if err != nil {
		return nil, err
	}
	b, err := n.Prepare(ctx, run, second)
	if err != nil {
		return nil, err
	}
	out := &tensor.Tensor{Shape: []int{0, 3, first.Dim(2), first.Dim(3)}}
	err = n.Between(ctx, run, a, b, times, func(frame *tensor.Tensor) error {
		out.Shape[0]++
		out.Data = append(out.Data, frame.Data...)
		return nil
	})
	return out, err
}

// raw are the names that RIFE's own training gives.
func raw(name string) string { return "module." + strings.Replace(name, "blocks.", "block", 1) }

// TestEqualsUpstream compares frames between two; torch's own error in float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rife", "film"} {
		stored, src := familytest.Recorded(t, "testdata/"+name, name)
		sources := map[string]weights.Source{name: src}
		if name == "rife" {
			sources["raw names"] = layout.Renamed(src, raw)
		}
		for form, src := range sources {
			first, second := planar(golden.Image(name+"/first", 1, 64, 128, 3)), planar(golden.Image(name+"/second", 1, 64, 128, 3))
			y, err := between(t.Context(), open(t, src), familytest.Runner{}, first, second, 0.25, 0.5)
			if err != nil {
				t.Errorf("%s: %v", form, err)
				continue
			}
			familytest.CompareSome(t, stored, "between", y, []int{2, 3, 64, 128}, golden.Tolerance{RMSRel: 1e-5})
		}
	}
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rife", "film"} {
		_, src := familytest.Recorded(t, "testdata/"+name, name)
		familytest.CheckCUDA(t, src, 1)
	}
}

func TestMemory(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"rife", "film"} {
		_, src := familytest.Recorded(t, "testdata/"+name, name)
		n := open(t, src)
		if small, large := n.Memory(64, 64), n.Memory(640, 640); small <= 0 || large < 10*small/2 {
			t.Errorf("%s: %d bytes, %d for a hundred times as many pixels", name, small, large)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"rife": "lack", "film": "64 pixels"} {
		_, src := familytest.Recorded(t, "testdata/"+name, name)
		if _, err := between(t.Context(), open(t, src), familytest.Runner{}, tensor.New(1, 3, 20, 70), tensor.New(1, 3, 20, 70), 0.5); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s of small frames: %v", name, err)
		}
	}
	for list, want := range map[string]string{
		"encode.cnn3.weight 16 4 4 4\nblocks.0.conv0.1.0.weight 16 8 3 3\n": "5 blocks",
		"extract.extract_sublevels.convs.0.0.conv.weight 4\n":               "no FILM",
		"encode.cnn3.weight 16 4 4 4\n":                                     "frame interpolation model",
	} {
		if _, err := family.Open(family.Default, dryrun.List(list)).Interpolator(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", list, err)
		}
	}
}
