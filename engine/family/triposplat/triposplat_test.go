package triposplat_test

import (
	"math"
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// compare compares a value with all of a few recorded values, or one of every so many.
func compare(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, shape []int, tolerance golden.Tolerance) {
	t.Helper()
	const short, every = 200, 29
	if got.Len() >= short {
		familytest.CompareEvery(t, stored, name, got, shape, every, tolerance)
		return
	}
	familytest.Compare(t, stored, name, &tensor.Tensor{Shape: shape, Data: got.Data}, tolerance)
}

func normal(name string, shape ...int) *tensor.Tensor {
	return golden.Normal("triposplat/"+name, shape...)
}

// model returns the recorded network.
func model(t *testing.T) (*inner.Tensors, weights.Source, family.Denoiser) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/flow", "triposplat")
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	return stored, src, d
}

// shapes are those of the parts of the recorded latent.
var shapes = [][]int{{2, 24, 16}, {2, 1, 5}}

// predict runs the network on the recorded latent with the inputs that a conditioning entry gives.
func predict(t *testing.T, d family.Denoiser, c *sampling.Cond) (*tensor.Tensor, error) {
	t.Helper()
	x, err := sampling.Pack([]*tensor.Tensor{normal("x", 2, 24, 16), normal("camera", 2, 1, 5)})
	if err != nil {
		t.Fatal(err)
	}
	in, err := d.Inputs(c, sampling.Request{Shape: x.Shape, Parts: shapes})
	if err != nil {
		return nil, err
	}
	return d.Predict(t.Context(), familytest.Runner{}, family.Call{X: x, T: []float32{700, 250}, Inputs: sampling.Inputs{List: in, Parts: shapes}})
}

// TestEqualsUpstream compares the network with and without the image's latent; torch's own error in float32 is about 1e-5 behind the sines of the
// positions.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src, d := model(t)
	near := golden.Tolerance{RMSRel: 2e-5}
	for key, c := range map[string]*sampling.Cond{
		"out": {Tokens: normal("context", 2, 11, 128), Values: map[string]any{sampling.KeyReferences: []any{normal("latent", 2, 8, 2, 3)}}}, "blind out": {Tokens: normal("context", 2, 11, 128)},
	} {
		y, err := predict(t, d, c)
		if err != nil {
			t.Fatal(err)
		}
		parts, err := sampling.Unpack(y, shapes)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, stored, key, parts[0], shapes[0], near)
		compare(t, stored, map[string]string{"out": "camera out", "blind out": "blind camera"}[key], parts[1], shapes[1], near)
	}
	if d.Memory([]int{1, 1, 24*16 + 5}, 11) <= 0 {
		t.Error("no estimate of memory")
	}
	familytest.CheckCUDA(t, src, 1)
}

// decoder returns the recorded decoder.
func decoder(t *testing.T) (*inner.Tensors, weights.Source, family.Splatter) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/vae", "triposplat")
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	return stored, src, v.(family.Splatter)
}

// TestSplatsEqualUpstream compares the Gaussians of two latents, whose points are drawn as torch draws them, in the whole octree and in a shallow one
// where many points share a cell.
func TestSplatsEqualUpstream(t *testing.T) {
	t.Parallel()
	stored, src, v := decoder(t)
	const perPoint = 32
	for key, c := range map[string]struct{ gaussians, depth int }{"deep": {perPoint * 40, v.MostDepth()}, "flat": {perPoint * 300, 3}} {
		list, err := v.DecodeSplats(t.Context(), familytest.Runner{}, normal("z", 2, 24, 16), c.gaussians, c.depth, torchrand.New(5))
		if err != nil {
			t.Fatal(err)
		}
		for name, part := range map[string]struct {
			of    func(s family.Splats) []float32
			shape []int
		}{
			"positions": {func(s family.Splats) []float32 { return s.Positions }, []int{3}}, "scales": {func(s family.Splats) []float32 { return s.Scales }, []int{3}},
			"rotations": {func(s family.Splats) []float32 { return s.Rotations }, []int{4}}, "opacities": {func(s family.Splats) []float32 { return s.Opacities }, []int{1}},
			"colors": {func(s family.Splats) []float32 { return s.Colors }, []int{1, 3}},
		} {
			x := &tensor.Tensor{Shape: append([]int{2, c.gaussians}, part.shape...)}
			for _, s := range list {
				x.Data = append(x.Data, part.of(s)...)
			}
			compare(t, stored, key+" "+name, x, x.Shape, golden.Tolerance{RMSRel: 2e-5})
		}
	}
	familytest.CheckCUDA(t, src, 1)
}

// TestDetection passes near misses, latents and conditionings that do not fit.
func TestDetection(t *testing.T) {
	t.Parallel()
	_, flow, d := model(t)
	_, vae, v := decoder(t)
	for name, c := range map[string]struct {
		src           weights.Source
		without, want string
	}{
		"no camera": {flow, "cam_out_layer", "holds no diffusion model"}, "no input": {flow, "input_layer", "do not fit together"}, "no norms": {flow, "q_norm", "with 0 heads"},
		"no frequencies": {flow, "freqs_1", "do not fit together"},
	} {
		if _, _, err := family.Open(family.Default, familytest.Without(c.src, c.without)).Diffusion(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for without, want := range map[string]string{"gs.blocks": "gs has 0 blocks", "to_kv": "vectors of 0 values", "perturbation": "points_offset_perturbation []"} {
		if _, err := family.Open(family.Default, familytest.Without(vae, without)).VAE(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a decoder without %s: %v, want %q", without, err, want)
		}
	}
	context := normal("context", 2, 11, 128)
	for want, c := range map[string]*sampling.Cond{
		"connect TripoSplatConditioning": {}, "an encoded image of width 128": {Tokens: tensor.New(2, 11, 7)},
		"the VAE of Flux.2":  {Tokens: context, Values: map[string]any{sampling.KeyReferences: []any{tensor.New(2, 4, 2, 3)}}},
		"of 11 image tokens": {Tokens: context, Values: map[string]any{sampling.KeyReferences: []any{tensor.New(2, 8, 4, 4)}}},
	} {
		if _, err := predict(t, d, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := d.Inputs(&sampling.Cond{Tokens: context}, sampling.Request{Shape: []int{2, 16, 24}}); err == nil || !strings.Contains(err.Error(), "no set of vectors with a camera") {
		t.Errorf("a latent without a camera: %v", err)
	}
	broken := normal("z", 1, 24, 16)
	broken.Data[3] = float32(math.NaN())
	for want, z := range map[string]*tensor.Tensor{"values that are not finite": broken, "wanted [batch, vectors, 16]": tensor.New(1, 24, 8)} {
		if _, err := v.DecodeSplats(t.Context(), familytest.Runner{}, z, 320, 2, torchrand.New(0)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
