package photomaker_test

import (
	_ "embed"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	_ "comfygo/engine/family/photomaker"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

//go:embed testdata/photomaker.json
var recorded []byte

// record is what testdata/record.py writes.
type record struct {
	Shapes [][2]any
	Token  []float32
}

func golden(t *testing.T) record {
	t.Helper()
	var r record
	if err := json.Unmarshal(recorded, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// network returns the tensors of the recorded network below a prefix, sines of their index.
func network(t *testing.T, prefix string) []weights.Entry {
	t.Helper()
	var out []weights.Entry
	for n, row := range golden(t).Shapes {
		name, _ := row[0].(string)
		dims, _ := row[1].([]any)
		shape := make([]int, len(dims))
		for i, d := range dims {
			f, _ := d.(float64)
			shape[i] = int(f)
		}
		v := make([]float32, tensor.Count(shape))
		for i := range v {
			f := math.Sin(float64(i)*0.7+float64(n)+1) * 0.2
			if strings.Contains(name, "norm") && strings.HasSuffix(name, "weight") {
				f++
			}
			v[i] = float32(f)
		}
		e := weights.Entry{Name: prefix + name, DType: dtype.F32, Shape: shape, Data: make([]byte, 4*len(v))}
		if err := weights.FromFloat32(e.Data, v, dtype.F32); err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func open(t *testing.T, es ...weights.Entry) (*family.File, error) {
	t.Helper()
	src, err := weights.Memory("person.safetensors", es...)
	if err != nil {
		t.Fatal(err)
	}
	f := family.Open(family.Default, src)
	_, err = f.Identity()
	return f, err
}

// TestGolden compares with upstream's network, for a file of the encoder alone and one with a LoRA beside it. float32 sums in
// another order differ by 1e-6 of the values' size, and a level of the 8 bits of the scaled image by 4e-3 of a pixel, of which
// there may be none: 5e-5 leaves room for the former alone.
func TestGolden(t *testing.T) {
	t.Parallel()
	want := golden(t).Token
	image, token := tensor.New(1, 20, 24, 3), tensor.New(1, 24)
	for i := range image.Data {
		image.Data[i] = (float32(math.Sin(float64(i)*0.05)) + 1) / 2
	}
	for i := range token.Data {
		token.Data[i] = float32(math.Sin(float64(2*24+i) * 0.3))
	}
	for _, prefix := range []string{"", "id_encoder."} {
		es := network(t, prefix)
		if prefix != "" {
			es = append(es, weights.Entry{Name: "lora_weights.unet.down_blocks.0.to_q.lora.down.weight", DType: dtype.F32, Shape: []int{1, 1}, Data: make([]byte, 4)})
		}
		f, err := open(t, es...)
		if err != nil {
			t.Fatal(err)
		}
		if d := f.Describe(); d.Family != "PhotoMaker" || !d.Runs || !slices.Equal(d.Kinds, []string{"identity encoder"}) {
			t.Errorf("described as %+v", d)
		}
		net, err := f.Identity()
		if err != nil {
			t.Fatal(err)
		}
		got, err := net.Fuse(t.Context(), familytest.Runner{}, image, token)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Data) != len(want) || net.Width() != len(want) {
			t.Fatalf("shape %v, width %d for %d values", got.Shape, net.Width(), len(want))
		}
		for i, v := range want {
			if d := math.Abs(float64(got.Data[i] - v)); !(d <= 5e-5) {
				t.Fatalf("value %d is %v, wanted %v", i, got.Data[i], v)
			}
		}
		if _, err := net.Fuse(t.Context(), familytest.Runner{}, tensor.New(1, 20, 24, 1), token); err == nil || !strings.Contains(err.Error(), "3 channels") {
			t.Errorf("an image of one channel: %v", err)
		}
	}
}

// TestCUDAGraphsHaveKernels looks the operators up in the list of CUDA's kernels.
func TestCUDAGraphsHaveKernels(t *testing.T) {
	t.Parallel()
	familytest.CheckCUDA(t, dryrun.Described(network(t, "")), 1)
}

// TestWrong: a file that lacks a tensor of the fuse module or a projection returns an error with the file and the tensor.
func TestWrong(t *testing.T) {
	t.Parallel()
	es := network(t, "")
	for i, e := range es {
		if !strings.HasPrefix(e.Name, "fuse_module") && !strings.HasPrefix(e.Name, "visual_projection") {
			continue
		}
		_, err := open(t, slices.Delete(slices.Clone(es), i, i+1)...)
		if err == nil || !strings.Contains(err.Error(), e.Name) || !strings.Contains(err.Error(), "person.safetensors") {
			t.Errorf("without %s: %v", e.Name, err)
		}
	}
	one := weights.Entry{Name: "x", DType: dtype.F32, Shape: []int{1}, Data: make([]byte, 4)}
	if _, err := open(t, one); err == nil || !strings.Contains(err.Error(), "holds no identity encoder") {
		t.Errorf("another file: %v", err)
	}
	one.Name = "qformer_perceiver.token_proj.0.weight"
	f, err := open(t, append(es, one)...)
	if err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("version 2: %v", err)
	}
	if d := f.Describe(); d.Runs || !strings.Contains(d.Why, "version 2") {
		t.Errorf("version 2 is described as %+v", d)
	}
	narrow := slices.Clone(es)
	for i, e := range narrow {
		if e.Name == "vision_model.embeddings.position_embedding.weight" {
			narrow[i].Shape, narrow[i].Data = []int{16, 64}, e.Data[:4*16*64]
		}
	}
	if _, err := open(t, narrow...); err == nil || !strings.Contains(err.Error(), "square of patches") {
		t.Errorf("positions that are no square: %v", err)
	}
	block := slices.DeleteFunc(slices.Clone(es), func(e weights.Entry) bool { return e.Name == "vision_model.encoder.layers.1.mlp.fc2.weight" })
	f, err = open(t, block...)
	if err != nil {
		t.Fatal(err)
	}
	net, err := f.Identity()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := net.Fuse(t.Context(), familytest.Runner{}, tensor.New(1, 16, 16, 3), tensor.New(1, 24)); err == nil || !strings.Contains(err.Error(), "layers.1.mlp.fc2.weight") {
		t.Errorf("a layer without a weight: %v", err)
	}
}
