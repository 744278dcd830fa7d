package gligen_test

import (
	_ "embed"
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	_ "comfygo/engine/family/gligen"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

//go:embed testdata/gligen.json
var recorded []byte

// sines returns a weight as testdata/record.py makes it: n is its place among the module's, sorted by name.
func sines(name string, n int, scale float64, shape ...int) weights.Entry {
	count := 1
	for _, d := range shape {
		count *= d
	}
	v := make([]float32, count)
	for i := range v {
		v[i] = float32(math.Sin(float64(i)*0.7+float64(n)+1) * scale)
		if strings.Contains(name, "norm") && strings.HasSuffix(name, "weight") {
			v[i] = float32(math.Sin(float64(i)*0.7+float64(n)+1)*scale + 1)
		}
	}
	e := weights.Entry{Name: name, DType: dtype.F32, Shape: shape, Data: make([]byte, 4*count)}
	if err := weights.FromFloat32(e.Data, v, dtype.F32); err != nil {
		panic(err)
	}
	return e
}

const fuser = "input_blocks.1.1.transformer_blocks.0.fuser."

func network() []weights.Entry {
	const text, width, features, hidden, inner = 6, 64, 64, 512, 256
	out := []weights.Entry{
		sines("position_net.linears.0.bias", 0, 0.05, hidden), sines("position_net.linears.0.weight", 1, 0.05, hidden, text+features),
		sines("position_net.linears.2.bias", 2, 0.05, hidden), sines("position_net.linears.2.weight", 3, 0.05, hidden, hidden),
		sines("position_net.linears.4.bias", 4, 0.05, 8), sines("position_net.linears.4.weight", 5, 0.05, 8, hidden),
		sines("position_net.null_position_feature", 6, 0.05, features), sines("position_net.null_positive_feature", 7, 0.05, text),
	}
	for n, w := range []struct {
		name  string
		shape []int
	}{
		{"alpha_attn", nil},
		{"alpha_dense", nil},
		{"attn.to_k.weight", []int{width, width}},
		{"attn.to_out.0.bias", []int{width}},
		{"attn.to_out.0.weight", []int{width, width}},
		{"attn.to_q.weight", []int{width, width}},
		{"attn.to_v.weight", []int{width, width}},
		{"ff.net.0.proj.bias", []int{2 * inner}},
		{"ff.net.0.proj.weight", []int{2 * inner, width}},
		{"ff.net.2.bias", []int{width}},
		{"ff.net.2.weight", []int{width, inner}},
		{"linear.bias", []int{width}},
		{"linear.weight", []int{width, 8}},
		{"norm1.bias", []int{width}},
		{"norm1.weight", []int{width}},
		{"norm2.bias", []int{width}},
		{"norm2.weight", []int{width}},
	} {
		out = append(out, sines(fuser+w.name, n, 0.3, w.shape...))
	}
	return out
}

func open(t *testing.T, es ...weights.Entry) (family.GroundingNetwork, error) {
	t.Helper()
	src, err := weights.Memory("gligen.safetensors", es...)
	if err != nil {
		t.Fatal(err)
	}
	return family.Open(family.Default, src).Grounding()
}

func text(k int) []float32 {
	v := make([]float32, 6)
	for i := range v {
		v[i] = float32(math.Sin(float64(i + k)))
	}
	return v
}

// TestGolden compares the tokens of two boxes and the change of a transformer block with upstream's. float32 sums in another
// order differ by 1e-6 of the values' size; 2e-5 leaves room for that.
func TestGolden(t *testing.T) {
	t.Parallel()
	var want struct{ Tokens, Y []float32 }
	if err := json.Unmarshal(recorded, &want); err != nil {
		t.Fatal(err)
	}
	net, err := open(t, network()...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := net.Place("id", nil, family.Box{Text: text(0), X: 1, Y: 1, Width: 4, Height: 4})
	if err != nil {
		t.Fatal(err)
	}
	if p, err = net.Place("id", p, family.Box{Text: text(1), X: 4, Y: 0, Width: 3, Height: 5}); err != nil {
		t.Fatal(err)
	}
	const rows, positions, width = 2, 80, 64
	in := p.Input([]int{rows, 4, 8, 10})
	whole := func(x *tensor.Tensor) *tensor.Tensor { return x }
	tokens := in.Rule.Rows(in.Value, rows, whole)
	near(t, "tokens", tokens.Data[:len(want.Tokens)], want.Tokens)
	half := in.Rule.Rows(in.Value, rows, func(x *tensor.Tensor) *tensor.Tensor { return tensor.New(1, 1, 4, 5) })
	if half.Data[0] == tokens.Data[0] {
		t.Error("boxes are measured against the whole latent where the entry is for a part of it")
	}

	change := in.Rule.(family.Patcher).Patch()
	x := tensor.New(rows, positions, width)
	for i := range x.Data {
		x.Data[i] = float32(math.Sin(float64(i) * 0.3))
	}
	g := family.Graph{Part: "test", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("test", net.Weights(), func(b *nn.Builder, _ *weights.Scope) {
			x := b.Input("x", dtype.F32, onnx.Sym("B"), onnx.Sym("T"), onnx.D(width))
			read := change.Input()
			tokens := b.Input(read.Name, dtype.F32, onnx.Sym("B"), onnx.D(read.Count), onnx.D(read.Width))
			b.Output("y", change.Between(b, patch.Site{}, x, tokens))
		})
	}}
	out, err := familytest.Runner{}.Run(t.Context(), g, []family.Value{family.Floats("x", x), family.Floats(in.Name, tokens)}, "y")
	if err != nil {
		t.Fatal(err)
	}
	var got []float32
	for i := 0; i < len(out["y"].Data); i += 97 {
		got = append(got, out["y"].Data[i])
	}
	near(t, "a block", got, want.Y)
}

func near(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d values, wanted %d", what, len(got), len(want))
	}
	for i, v := range want {
		if d := math.Abs(float64(got[i] - v)); !(d <= 2e-5*max(1, math.Abs(float64(v)))) {
			t.Fatalf("%s: value %d is %v, wanted %v", what, i, got[i], v)
		}
	}
}

// TestWrong: files and boxes that do not fit return errors that state the reason.
func TestWrong(t *testing.T) {
	t.Parallel()
	without := func(name string) []weights.Entry {
		var out []weights.Entry
		for _, e := range network() {
			if e.Name != name {
				out = append(out, e)
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		entries []weights.Entry
		want    string
	}{
		"another file":        {[]weights.Entry{sines("lora_unet_x.lora_up.weight", 0, 1, 4, 4)}, "holds no grounding network"},
		"no gate":             {without(fuser + "alpha_attn"), "alpha_attn is missing"},
		"no position network": {without("position_net.null_positive_feature"), "null_positive_feature"},
		"a missing layer":     {without("position_net.linears.2.weight"), "position_net.linears.2.weight"},
		"a shape":             {append(without(fuser+"linear.weight"), sines(fuser+"linear.weight", 0, 1, 64)), "wanted two dimensions"},
	} {
		if _, err := open(t, c.entries...); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "gligen.safetensors") {
			t.Errorf("%s: %v, wanted %q with the file's name", name, err, c.want)
		}
	}
	net, err := open(t, network()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := net.Place("id", nil, family.Box{Text: make([]float32, 7)}); err == nil || !strings.Contains(err.Error(), "different families") {
		t.Errorf("a text of another width: %v", err)
	}
	var p family.Placement
	for i := range 31 {
		if p, err = net.Place("id", p, family.Box{Text: text(i)}); (err != nil) != (i == 30) {
			t.Fatalf("box %d: %v", i+1, err)
		}
	}
	if p, err = net.Place("id", nil, family.Box{Text: text(0)}); err != nil {
		t.Fatal(err)
	}
	if p.Fits([]int{64}) != nil || p.Fits([]int{64, 64}) == nil || p.Fits([]int{128}) == nil {
		t.Error("it fits other models than its own")
	}
}
