package wan_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// recorded is what testdata/vae.py recorded of upstream's VAE with small weights, and these weights by its recipe.
func recorded(t *testing.T, name string) (*inner.Tensors, weights.Source) {
	t.Helper()
	var doc struct {
		Shapes [][2]any `json:"shapes"`
	}
	if err := inner.ReadJSON("testdata/"+name+".json", &doc); err != nil {
		t.Fatal(err)
	}
	stored, err := inner.ReadTensors("testdata/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	var list []weights.Entry
	for _, s := range doc.Shapes {
		key := s[0].(string)
		var shape []int
		for _, n := range s[1].([]any) {
			shape = append(shape, int(n.(float64)))
		}
		v := golden.Normal("wan/"+key, shape...)
		switch {
		case strings.HasSuffix(key, "gamma"):
			for i, x := range v.Data {
				v.Data[i] = 1 + x/8
			}
		case strings.HasSuffix(key, "bias"):
			inner.Over(v, 10)
		default:
			inner.Times(v, 1/math.Sqrt(float64(tensor.Count(shape[1:]))))
		}
		data := inner.Bytes(v.Data)
		list = append(list, weights.Entry{Name: key, DType: dtype.F32, TypeName: "F32", Shape: shape, Data: data})
	}
	return stored, dryrun.Described(list)
}

func open(t *testing.T, src weights.Source) family.Autoencoder {
	t.Helper()
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	return v
}

// TestVAEEqualsUpstream compares images and videos. Upstream's frames come in groups; ten times its own error in float32,
// about 4e-7 here, is allowed.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := recorded(t, "vae")
	v := open(t, src)
	if i := v.Info(); i.Channels != 16 || i.Downscale != 8 || !i.Video || !i.CanEncode || i.Frames(1) != 1 || i.Frames(3) != 9 {
		t.Errorf("%+v", i)
	}
	tolerance := golden.Tolerance{RMSRel: 1e-5}
	for name, in := range map[string]*tensor.Tensor{
		"decode1": golden.Normal("wan/z1", 1, 16, 1, 3, 2), "decode2": golden.Normal("wan/z2", 1, 16, 2, 3, 2), "decode3": golden.Normal("wan/z3", 1, 16, 3, 3, 2),
		"encode1": golden.Normal("wan/x1", 1, 3, 16, 24), "encode5": golden.Normal("wan/x5", 5, 3, 16, 24), "encode9": golden.Normal("wan/x9", 9, 3, 16, 24),
	} {
		run := v.Decode
		if strings.HasPrefix(name, "encode") {
			run = v.Encode
		}
		got, err := run(t.Context(), familytest.Runner{}, in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		want, err := stored.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Shape, want.Shape) {
			t.Errorf("%s: shape %v, want %v", name, got.Shape, want.Shape)
			continue
		}
		golden.Compare(t, name, got.Data, want.Data, tolerance)
	}
}

func TestVAECUDA(t *testing.T) {
	t.Parallel()
	_, src := recorded(t, "vae")
	familytest.CheckCUDA(t, src, 2)
}

func TestVAERefusals(t *testing.T) {
	t.Parallel()
	_, src := recorded(t, "vae")
	v := open(t, src)
	if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 16, 3, 2)); err == nil {
		t.Error("a latent without a time axis: no error")
	}
	if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 4, 16, 16)); err == nil {
		t.Error("an image with transparency: no error")
	}
	other := "decoder.middle.0.residual.0.gamma 32 1 1 1\ndecoder.head.2.weight 12 8 3 3 3\nconv2.weight 16 16 1 1 1\n"
	if _, err := family.Open(family.Default, dryrun.List(other)).VAE(); err == nil || !strings.Contains(err.Error(), "3 or 4 channels") {
		t.Errorf("a VAE with twelve channels: %v", err)
	}
}

// TestLayeredVAEEqualsUpstream compares the VAE of images with transparency; see TestVAEEqualsUpstream for the tolerance.
func TestLayeredVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := recorded(t, "layered")
	v := open(t, src)
	if i := v.Info(); i.PixelChannels() != 4 || !i.CanEncode {
		t.Errorf("%+v", i)
	}
	for name, run := range map[string]func() (*tensor.Tensor, error){
		"decode1": func() (*tensor.Tensor, error) {
			return v.Decode(t.Context(), familytest.Runner{}, golden.Normal("wan/z1", 1, 16, 1, 3, 2))
		},
		"encode1": func() (*tensor.Tensor, error) {
			return v.Encode(t.Context(), familytest.Runner{}, golden.Normal("wan/x1", 1, 4, 16, 24))
		},
	} {
		got, err := run()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want, err := stored.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, name, got.Data, want.Data, golden.Tolerance{RMSRel: 1e-5})
	}
}

// TestVAE22EqualsUpstream compares the VAE of Wan 2.2; see TestVAEEqualsUpstream for the tolerance.
func TestVAE22EqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/vae22", "wan")
	v := open(t, src)
	if i := v.Info(); i.Channels != 8 || i.Downscale != 16 || !i.Video || !i.CanEncode || i.PixelChannels() != 3 {
		t.Errorf("%+v", i)
	}
	for _, n := range []int{1, 3} {
		y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprintf("wan/y%d", n), 1, 8, n, 2, 1))
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, fmt.Sprintf("decode%d", n), y, golden.Tolerance{RMSRel: 1e-5})
		f := 4*n - 3
		z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprintf("wan/p%d", f), f, 3, 32, 48))
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, fmt.Sprintf("encode%d", f), z, golden.Tolerance{RMSRel: 1e-5})
	}
}

// TestVAEMemory checks that the estimates do not grow with the number of frames.
func TestVAEMemory(t *testing.T) {
	t.Parallel()
	_, src := recorded(t, "vae")
	v := open(t, src)
	if short, long := v.DecodeMemory([]int{1, 16, 5, 24, 40}), v.DecodeMemory([]int{1, 16, 17, 24, 40}); short <= 0 || long != short {
		t.Errorf("decoding: %d bytes, and %d for more frames", short, long)
	}
	if short, long := v.EncodeMemory([]int{17, 3, 64, 64}), v.EncodeMemory([]int{65, 3, 64, 64}); short <= 0 || long != short {
		t.Errorf("encoding: %d bytes, and %d for more frames", short, long)
	}
}
