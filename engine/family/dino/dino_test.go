package dino_test

import (
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dino"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// images are images that Preprocess turns into the recorded pixels; the encoder's own size is 56.
func images(pixels *tensor.Tensor) *tensor.Tensor {
	n, area := pixels.Dim(0), pixels.Dim(2)*pixels.Dim(3)
	out := tensor.New(n, pixels.Dim(2), pixels.Dim(3), 3)
	for b := range n {
		for i := range area {
			for c := range 3 {
				out.Data[(b*area+i)*3+c] = pixels.Data[(b*3+c)*area+i]
			}
		}
	}
	return out
}

// TestEqualsUpstream compares an encoder with plain and one with gated layers; torch's own error in float32 is about 1e-6.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"plain", "gated"} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "dino")
		v, err := family.Open(family.Default, src).Vision()
		if err != nil {
			t.Fatal(err)
		}
		x := golden.Normal("dino/pixels", 2, 3, 56, 56)
		for i, f := range x.Data { // values in 0…1 of 8 bits, beyond which images are cut
			x.Data[i] = float32(int(min(max(f/6+0.5, 0), 1)*255)) / 255
		}
		y, err := v.Encode(t.Context(), familytest.Runner{}, images(x), true)
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, "last", y.Last, golden.Tolerance{RMSRel: 1e-5})
		familytest.Compare(t, stored, "penultimate", y.Penultimate, golden.Tolerance{RMSRel: 1e-5})
		familytest.Compare(t, stored, "class", y.Embeds, golden.Tolerance{RMSRel: 1e-5})
		if y.Size != 56 {
			t.Errorf("size %d", y.Size)
		}
		familytest.CheckCUDA(t, src, 1)
	}
}

// TestPositions compares positions for grids other than the table's; torch interpolates in float32.
func TestPositions(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/plain", "dino")
	c, err := dino.ReadConfig(weights.NewScope(src))
	if err != nil {
		t.Fatal(err)
	}
	y, err := dino.Positions(src, c, 7, 3)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "positions", y, golden.Tolerance{RMSRel: 1e-6})
}

// TestDetection passes near misses of the family and of its neighbours.
func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/plain", "dino")
	for name, c := range map[string]struct {
		src  weights.Source
		want string
	}{
		"no layer scales": {familytest.Without(src, "layer_scale"), "holds no image encoder"},
		"no patches":      {familytest.Without(src, "patch_embeddings"), "patch_embeddings.projection.weight is []"},
		"no feed-forward": {familytest.Without(src, "mlp"), "no layer fc1"},
		"no square":       {dryrun.List("encoder.layer.0.layer_scale2.lambda1 64\nembeddings.patch_embeddings.projection.weight 64 3 14 14\nembeddings.position_embeddings 1 12 64\n"), "no class token and a square"},
		"huge patches":    {dryrun.List("encoder.layer.0.layer_scale2.lambda1 64\nembeddings.patch_embeddings.projection.weight 64 0 65536 65536\nembeddings.position_embeddings 1 17 64\n"), "square patches of 3 channels"},
		"a huge table":    {dryrun.List("encoder.layer.0.layer_scale2.lambda1 64\nembeddings.patch_embeddings.projection.weight 64 3 14 14\nembeddings.position_embeddings 0 4097 64\n"), "one table"},
	} {
		if _, err := family.Open(family.Default, c.src).Vision(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
