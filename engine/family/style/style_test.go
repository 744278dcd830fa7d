package style_test

import (
	_ "embed"
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	_ "comfygo/engine/family/style"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

//go:embed testdata/style.json
var recorded []byte

// shapes are the shapes of testdata/record.py's networks.
var shapes = map[string]map[string][]int{
	"redux": {"redux_up.weight": {24, 12}, "redux_up.bias": {24}, "redux_down.weight": {8, 24}, "redux_down.bias": {8}},
	"adapter": {
		"style_embedding": {1, 3, 64}, "proj": {64, 6}, "ln_pre.weight": {64}, "ln_pre.bias": {64}, "ln_post.weight": {64}, "ln_post.bias": {64},
	},
}

func init() {
	for _, p := range []string{"transformer_layes.0.", "transformer_layes.1."} {
		maps.Copy(shapes["adapter"], map[string][]int{
			p + "attn.in_proj_weight": {192, 64}, p + "attn.in_proj_bias": {192}, p + "attn.out_proj.weight": {64, 64}, p + "attn.out_proj.bias": {64},
			p + "ln_1.weight": {64}, p + "ln_1.bias": {64}, p + "ln_2.weight": {64}, p + "ln_2.bias": {64},
			p + "mlp.c_fc.weight": {256, 64}, p + "mlp.c_fc.bias": {256}, p + "mlp.c_proj.weight": {64, 256}, p + "mlp.c_proj.bias": {64},
		})
	}
}

// network returns the tensors of one of the networks, sines of their index.
func network(t *testing.T, which string) []weights.Entry {
	t.Helper()
	var out []weights.Entry
	for n, name := range slices.Sorted(maps.Keys(shapes[which])) {
		shape, count := shapes[which][name], 1
		for _, d := range shape {
			count *= d
		}
		v := make([]float32, count)
		for i := range v {
			f := math.Sin(float64(i)*0.7+float64(n)+1) * 0.2
			if strings.Contains(name, "ln_") && strings.HasSuffix(name, "weight") {
				f++
			}
			v[i] = float32(f)
		}
		e := weights.Entry{Name: name, DType: dtype.F32, Shape: shape, Data: make([]byte, 4*count)}
		if err := weights.FromFloat32(e.Data, v, dtype.F32); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func open(t *testing.T, es ...weights.Entry) (family.StyleNetwork, error) {
	t.Helper()
	src, err := weights.Memory("style.safetensors", es...)
	if err != nil {
		t.Fatal(err)
	}
	return family.Open(family.Default, src).Style()
}

// TestGolden compares with upstream's networks. float32 sums in another order differ by 1e-6 of the values' size, which 2e-5
// leaves room for.
func TestGolden(t *testing.T) {
	t.Parallel()
	var want map[string][]float32
	if err := json.Unmarshal(recorded, &want); err != nil {
		t.Fatal(err)
	}
	for which := range shapes {
		net, err := open(t, network(t, which)...)
		if err != nil {
			t.Fatal(err)
		}
		width, _ := net.Widths()
		x := tensor.New(2, 5, width)
		for i := range x.Data {
			x.Data[i] = float32(math.Sin(float64(i) * 0.3))
		}
		got, err := net.Tokens(t.Context(), familytest.Runner{}, x)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Data) != len(want[which]) {
			t.Fatalf("%s: shape %v for %d values", which, got.Shape, len(want[which]))
		}
		for i, v := range want[which] {
			if d := math.Abs(float64(got.Data[i] - v)); !(d <= 2e-5*max(1, math.Abs(float64(v)))) {
				t.Fatalf("%s: value %d is %v, wanted %v", which, i, got.Data[i], v)
			}
		}
		if _, err := net.Tokens(t.Context(), familytest.Runner{}, tensor.New(1, 5, width+1)); err == nil || !strings.Contains(err.Error(), "another image encoder") {
			t.Errorf("%s: states of another width: %v", which, err)
		}
		if _, err := net.Tokens(t.Context(), familytest.Runner{}, nil); err == nil {
			t.Errorf("%s: no states are accepted", which)
		}
	}
}

// TestCUDAGraphsHaveKernels looks the operators up in the list of CUDA's kernels.
func TestCUDAGraphsHaveKernels(t *testing.T) {
	t.Parallel()
	for which := range shapes {
		familytest.CheckCUDA(t, dryrun.Described(network(t, which)), 1)
	}
}

// TestWrong: files without a complete style model return errors with the file and what is missing.
func TestWrong(t *testing.T) {
	t.Parallel()
	for which := range shapes {
		for i, e := range network(t, which) {
			if strings.HasPrefix(e.Name, "transformer") || strings.HasPrefix(e.Name, "ln_") || e.Name == "redux_down.weight" || e.Name == "style_embedding" {
				continue
			}
			es := network(t, which)
			if _, err := open(t, slices.Delete(es, i, i+1)...); err == nil || !strings.Contains(err.Error(), e.Name) || !strings.Contains(err.Error(), "style.safetensors") {
				t.Errorf("%s without %s: %v", which, e.Name, err)
			}
		}
	}
	if _, err := open(t, weights.Entry{Name: "x", DType: dtype.F32, Shape: []int{1}, Data: make([]byte, 4)}); err == nil || !strings.Contains(err.Error(), "holds no style model") {
		t.Errorf("another file: %v", err)
	}
}
