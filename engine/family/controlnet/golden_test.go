package controlnet_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// made is a tensor by name, shape, and how it is made: amp and bias of golden.Uniform.
type made []any

func (m made) tensor(prefix string) (string, *tensor.Tensor) {
	var shape []int
	for _, d := range m[1].([]any) {
		shape = append(shape, int(d.(float64)))
	}
	name := m[0].(string)
	return name, golden.Uniform(prefix+name, m[2].(float64), int64(m[3].(float64)), shape...)
}

func source(t *testing.T, prefix string, list []made) weights.Source {
	t.Helper()
	var entries []weights.Entry
	for _, m := range list {
		name, x := m.tensor(prefix)
		entries = append(entries, weights.Entry{Name: name, DType: dtype.F32, Shape: x.Shape, Data: golden.Bytes(x.Data), File: prefix})
	}
	src, err := weights.Memory(prefix, entries...)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// recorded is a case of testdata/record.py.
type recorded struct {
	Name          string
	Weights, Base []made
	Inputs        []made
	Types         []int
	Outputs       map[string][]*struct {
		Key   string
		Shape []int
		Step  int
	}
}

// TestGoldens runs ControlNets of small synthetic weights and compares their results with those of ComfyUI's own networks.
func TestGoldens(t *testing.T) {
	t.Parallel()
	var cases []recorded
	if err := golden.ReadJSON(filepath.Join("testdata", "controls.json"), &cases); err != nil {
		t.Fatal(err)
	}
	want, err := golden.ReadTensors(filepath.Join("testdata", "controls.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			f := family.Open(family.Default, source(t, c.Name+"/", c.Weights))
			net, err := f.Control()
			if err != nil {
				t.Fatal(err)
			}
			call := family.ControlCall{Types: c.Types, Base: source(t, c.Name+"/base/", c.Base)}
			for _, m := range c.Inputs {
				switch name, x := m.tensor(c.Name + "/in/"); name {
				case "x":
					call.X = x
				case "hint":
					call.Hint = x
				case "timesteps":
					call.T = x.Data
				default:
					call.Inputs.List = append(call.Inputs.List, sampling.Input{Name: name, Value: x, Rule: sampling.ByRows})
				}
			}
			got, err := net.Residuals(t.Context(), familytest.Runner{}, call)
			if err != nil {
				t.Fatal(err)
			}
			check(t, want, c, map[string][]*tensor.Tensor{"input": got.Input, "output": got.Output, "middle": {got.Middle}})
		})
	}
}

// tolerance is what networks of a few blocks in float32 differ by where the order of sums differs: ten times the measured.
const tolerance = 2e-5

func check(t *testing.T, want *golden.Tensors, c recorded, got map[string][]*tensor.Tensor) {
	t.Helper()
	compared := 0
	for kind, list := range c.Outputs {
		for i, w := range list {
			var x *tensor.Tensor
			if i < len(got[kind]) {
				x = got[kind][i]
			}
			if (w == nil) != (x == nil) {
				t.Errorf("%s %d: got %v, want %v", kind, i, x != nil, w != nil)
				continue
			}
			if w == nil {
				continue
			}
			if fmt.Sprint(x.Shape) != fmt.Sprint(w.Shape) {
				t.Errorf("%s %d: shape %v, want %v", kind, i, x.Shape, w.Shape)
				continue
			}
			expected, err := want.Get(w.Key)
			if err != nil {
				t.Fatal(err)
			}
			if d := golden.Difference(golden.Strided(x.Data, w.Step), expected.Data); !(d.RMSRel <= tolerance) {
				t.Errorf("%s %d: %v, allowed %g", kind, i, d, tolerance)
			}
			compared++
		}
		if kind != "middle" && len(got[kind]) > len(list) {
			t.Errorf("%s: %d residuals, want %d", kind, len(got[kind]), len(list))
		}
	}
	if compared == 0 {
		t.Error("nothing was compared")
	}
}

// TestWrongFamily checks that each network rejects a call of another family with an error.
func TestWrongFamily(t *testing.T) {
	t.Parallel()
	var cases []recorded
	if err := golden.ReadJSON(filepath.Join("testdata", "controls.json"), &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if strings.HasPrefix(c.Name, "t2i") {
			continue // reads the image alone
		}
		var list []weights.Entry
		for _, m := range c.Weights {
			e := weights.Entry{Name: m[0].(string), DType: dtype.F32}
			for _, d := range m[1].([]any) {
				e.Shape = append(e.Shape, int(d.(float64)))
			}
			list = append(list, e)
		}
		src, err := weights.Memory("net", list...)
		if err != nil {
			t.Fatal(err)
		}
		net, err := family.Open(family.Default, src).Control()
		if err != nil {
			t.Fatal(err)
		}
		in := sampling.Text(tensor.New(1, 3, 333))
		for _, shape := range [][]int{{1, 4, 8, 8}, {1, 16, 8, 8}, {1, 16, 1, 8, 8}} {
			call := family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: in}
			if _, err := net.Residuals(t.Context(), familytest.Runner{}, family.ControlCall{Call: call, Hint: tensor.New(1, 3, 64, 64)}); err == nil || !strings.Contains(err.Error(), "another family") && !strings.Contains(err.Error(), "needs the model") {
				t.Errorf("%s for latents of %v: %v", c.Name, shape, err)
			}
		}
	}
}
