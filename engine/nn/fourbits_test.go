package nn_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
	"comfygo/tests/graphtest"
)

// packed is a layer that testdata/fourbits.py recorded.
type packed struct {
	Description json.RawMessage `json:"description"`
	Weight      []int8          `json:"weight"`
	Scale       []float32       `json:"weight_scale"`
	Rel         []int           `json:"weight_s_rel"`
	Channel     []float32       `json:"weight_s_channel"`
	Codebook    []float32       `json:"weight_codebook"`
	Decoded     []float32       `json:"decoded"`
	Linear      []float32       `json:"linear"`
}

// file is the layer as a file holds it.
func (p packed) file(t *testing.T) weights.Source {
	t.Helper()
	const rows = 6
	w := weights.Entry{Name: "l.weight", DType: dtype.I8, Shape: []int{rows, len(p.Weight) / rows}}
	for _, v := range p.Weight {
		w.Data = append(w.Data, byte(v))
	}
	list := []weights.Entry{w, {Name: "l.comfy_quant", DType: dtype.U8, Shape: []int{len(p.Description)}, Data: p.Description}}
	for name, v := range map[string][]float32{"weight_scale": p.Scale, "weight_s_channel": p.Channel, "weight_codebook": p.Codebook} {
		if v == nil {
			continue
		}
		data := make([]byte, 4*len(v))
		if err := weights.FromFloat32(data, v, dtype.F32); err != nil {
			t.Fatal(err)
		}
		list = append(list, weights.Entry{Name: "l." + name, DType: dtype.F32, Shape: []int{len(v)}, Data: data})
	}
	if p.Rel != nil {
		rel := weights.Entry{Name: "l.weight_s_rel", DType: dtype.F8E4M3, Shape: []int{rows, len(p.Rel) / rows}}
		for _, v := range p.Rel {
			rel.Data = append(rel.Data, byte(v))
		}
		list = append(list, rel)
	}
	src, err := weights.Memory("file", list...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// TestFourBitsEqualUpstream compares weights of four bits, their rows, and linear layers, whose inputs are rounded on the CPU as
// upstream rounds them; the CUDA graph computes with the decoded weight, as upstream does where it cannot round. Rounding an input
// is off by a step where float32 falls on the other side of a half; none does here.
func TestFourBitsEqualUpstream(t *testing.T) {
	t.Parallel()
	var cases map[string]packed
	if err := inner.ReadJSON("testdata/fourbits.json", &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 3 {
		t.Fatalf("%d cases", len(cases))
	}
	near := golden.Tolerance{RMSRel: 2e-6}
	x := golden.Normal("fourbits/x", 3, 64)
	for name, c := range cases {
		src := c.file(t)
		e, _ := src.Lookup("l.weight")
		got, err := weights.Float32s(e)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		golden.Compare(t, name, got, c.Decoded, near)
		part, err := e.Rows(4, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got, err = weights.Float32s(part); err != nil {
			t.Fatal(err)
		}
		golden.Compare(t, name+" rows", got, c.Decoded[4*64:], near)
		for kind, target := range targets {
			want := c.Linear
			if kind == "cuda" {
				want = product(x.Data, c.Decoded, 64)
			}
			t.Run(fmt.Sprint(name, " ", kind), func(t *testing.T) {
				t.Parallel()
				s := weights.NewScope(src)
				got := graphtest.Compute(t, []graphtest.Feed{graphtest.Fixed(graphtest.Array{Shape: x.Shape, Data: x.Data})}, func(g *onnx.Graph, in []*onnx.Value) *onnx.Value {
					return (&nn.Builder{Graph: g, Target: target}).Linear(s.At("l"), in[0], 6)
				})
				golden.Compare(t, "the layer", got.Data, want, near)
			})
		}
	}
}

// product is x [n,k] by the transpose of w [m,k].
func product(x, w []float32, k int) []float32 {
	var out []float32
	for i := 0; i < len(x); i += k {
		for o := 0; o < len(w); o += k {
			var sum float64
			for j := range k {
				sum += float64(x[i+j]) * float64(w[o+j])
			}
			out = append(out, float32(sum))
		}
	}
	return out
}
