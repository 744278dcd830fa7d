package patch_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// formsCase is ComfyUI's result for one adapter; see testdata/forms.py.
type formsCase struct {
	Name           string
	Strength       float64
	Swapped        bool
	Weight, Result plainTensor
	File           map[string]plainTensor
	Bias           *plainTensor
	Output         *plainTensor
	OutputBias     *plainTensor `json:"output_bias"`
}

type plainTensor struct {
	Shape []int
	Data  []float32
}

func (p plainTensor) entry(t *testing.T, name string) weights.Entry {
	return stored(t, name, dtype.F32, p.Data, p.Shape...)
}

func formsCases(t *testing.T) []formsCase {
	t.Helper()
	f, err := os.Open("testdata/forms.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases []formsCase
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestFormsAreUpstreams compares weights that adapters change, and layers whose output they change, with ComfyUI's.
func TestFormsAreUpstreams(t *testing.T) {
	t.Parallel()
	for _, c := range formsCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			model := []weights.Entry{c.Weight.entry(t, "l.weight")}
			if c.Bias != nil {
				model = append(model, c.Bias.entry(t, "l.bias"))
			}
			src := source(t, "model", model...)
			var file []weights.Entry
			for name, v := range c.File {
				file = append(file, v.entry(t, name))
			}
			var keys patch.KeyMap
			keys.Add("a", patch.Target{Key: "m.l.weight", Baked: true, SwapHalves: c.Swapped})
			f, err := patch.Read(source(t, "file", file...), &keys, shapes("m.", src))
			if err != nil {
				t.Fatal(err)
			}
			check := func(what string, f *patch.File, key string, want plainTensor) {
				changed, err := patch.Stack{}.With(f, c.Strength).Part("m.").Source(src)
				if err != nil {
					t.Fatal(err)
				}
				e, _ := changed.Lookup(key)
				if !equalShapes(e.Shape, want.Shape) {
					t.Errorf("%s has shape %v, want %v", what, e.Shape, want.Shape)
				}
				near(t, what, values(t, e), want.Data)
			}
			check("the weight", f, "l.weight", c.Result)
			if c.Output != nil {
				check("the weight behind a bypass loader", f.OfOutput(shapes("m.", src)), "l.weight", *c.Output)
				check("the bias behind a bypass loader", f.OfOutput(shapes("m.", src)), "l.bias", *c.OutputBias)
			}
		})
	}
}

func equalShapes(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// TestFormsThatDoNotFit: factors that do not fit the weight's shape are rejected before they are computed.
func TestFormsThatDoNotFit(t *testing.T) {
	t.Parallel()
	f32 := func(name string, shape ...int) weights.Entry { return random(t, "a."+name, dtype.F32, shape...) }
	size := func(v ...float32) weights.Entry { return stored(t, "a.reshape_weight", dtype.F32, v, len(v)) }
	huge := func(name string, shape ...int) weights.Entry {
		return weights.Entry{Name: "a." + name, DType: dtype.F32, Shape: shape}
	} // without data: none is read
	for name, es := range map[string][]weights.Entry{
		"GLoRA of other columns": {f32("a1.weight", 4, 2), f32("a2.weight", 2, 4), f32("b1.weight", 6, 2), f32("b2.weight", 2, 6)},
		"GLoRA of other ranks":   {f32("a1.weight", 4, 2), f32("a2.weight", 3, 4), f32("b1.weight", 6, 2), f32("b2.weight", 2, 4)},
		"OFT of other rows":      {f32("oft_blocks", 2, 2, 2)},
		"OFT not square":         {f32("oft_blocks", 2, 3, 2)},
		"OFT's rescale":          {f32("oft_blocks", 2, 3, 3), f32("rescale", 5)},
		"BOFT of odd blocks":     {f32("oft_blocks", 1, 2, 3, 3)},
		"BOFT of many stages":    {f32("oft_blocks", 9, 3, 2, 2)},
		"a smaller weight":       append(lowRank(t, "a", 6, 2, 2), size(6, 2)),
		"another number of axes": append(lowRank(t, "a", 6, 2, 8), size(6, 4, 2)),
		"a much larger weight":   append(lowRank(t, "a", 6, 2, 4000), size(6, 4000)),
		"LoRA of a huge rank":    {huge("lora_up.weight", 6, 1<<27), huge("lora_down.weight", 1<<27, 4)},
		"LoKr of a huge rank":    {huge("lokr_w1_a", 1, 1<<29), huge("lokr_w1_b", 1<<29, 1), f32("lokr_w2", 6, 4)},
		"LoHa of a huge rank":    {huge("hada_w1_a", 6, 1<<27), huge("hada_w1_b", 1<<27, 4), f32("hada_w2_a", 6, 2), f32("hada_w2_b", 2, 4)},
		"a large product inside": {huge("lokr_w2_a", 1<<23, 1), f32("lokr_w2_b", 1, 4), huge("lokr_t2", 1<<23, 1), f32("lokr_w1", 6, 1)},
		"a huge difference":      {huge("diff", 1<<20, 1<<20)},
		"factors not reshaped":   append(lowRank(t, "a", 6, 2, 4), size(6, 8)),
	} {
		model := source(t, "model", random(t, "l.weight", dtype.F32, 6, 4))
		var keys patch.KeyMap
		keys.AddKey("a", "m.l.weight")
		_, err := patch.Read(source(t, "some.safetensors", es...), &keys, shapes("m.", model))
		if err == nil || !strings.Contains(err.Error(), "m.l.weight") || !strings.Contains(err.Error(), "some.safetensors") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
