package dino3_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// images are the recording's, [2,50,64,3]: two rows of pixels are beyond the last patch.
func images() *tensor.Tensor {
	const n, h, w, c = 2, 50, 64, 3
	x := golden.Normal("dino3/x", n, c, h, w)
	out := tensor.New(n, h, w, c)
	for i, v := range x.Data {
		b, k, at := i/(c*h*w), i/(h*w)%c, i%(h*w)
		out.Data[(b*h*w+at)*c+k] = min(max(v/6+0.5, 0), 1)
	}
	return out
}

// read returns the encoder of a file.
func read(t *testing.T, src weights.Source) family.AnySize {
	t.Helper()
	v, err := family.Open(family.Default, src).Vision()
	if err != nil {
		t.Fatal(err)
	}
	return v.(family.AnySize)
}

// TestEqualsUpstream compares an encoder with plain and one with gated layers; torch's own error in float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain", "gated"} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "dino3")
		e := read(t, src)
		y, err := e.EncodeWhole(t.Context(), familytest.Runner{}, images())
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, "last", y.Last, golden.Tolerance{RMSRel: 1e-5})
		familytest.Compare(t, stored, "class", y.Embeds, golden.Tolerance{RMSRel: 1e-5})
		if y.Rows != 3 || y.Columns != 4 {
			t.Errorf("%d rows of %d patches", y.Rows, y.Columns)
		}
		familytest.CheckCUDA(t, src, 1)
	}
}

// TestSquares encodes images at the encoder's own size, as CLIPVisionEncode does.
func TestSquares(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/plain", "dino3")
	y, err := read(t, src).Encode(t.Context(), familytest.Runner{}, images(), true)
	if err != nil {
		t.Fatal(err)
	}
	const tokens = 1 + 4 + 14*14
	if y.Size != 224 || y.Last.Dim(1) != tokens || y.Penultimate.Dim(1) != tokens || y.Embeds.Dim(1) != 128 {
		t.Errorf("size %d, shapes %v, %v and %v", y.Size, y.Last.Shape, y.Penultimate.Shape, y.Embeds.Shape)
	}
}

// TestDetection passes near misses, and images that do not fit.
func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/gated", "dino3")
	for name, c := range map[string]struct{ without, want string }{
		"no registers": {"register_tokens", "holds no image encoder"}, "no output": {"o_proj", "holds no image encoder"},
		"no patches": {"patch_embeddings", "patch_embeddings.weight is []"}, "no feed-forward": {"up_proj", "up_proj.weight []"},
	} {
		if _, err := family.Open(family.Default, familytest.Without(src, c.without)).Vision(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, x := range map[string]*tensor.Tensor{"none": nil, "one pixel": tensor.New(1, 1, 1, 3), "an empty batch": tensor.New(0, 16, 16, 3), "four channels": tensor.New(1, 16, 16, 4)} {
		if _, err := read(t, src).EncodeWhole(t.Context(), familytest.Runner{}, x); err == nil || !strings.Contains(err.Error(), "at least 16 pixels") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
