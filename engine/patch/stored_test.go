package patch_test

import (
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/patch"
	"comfygo/engine/safetensors"
	"comfygo/engine/weights"
)

// TestChangedWeightsAreStoredAgain: weights that are quantized, or rounded to an 8-bit float, are stored as that after a LoRA
// changed them, rounded at random from the weight's name; the adapters of bypass loaders stay branches.
func TestChangedWeightsAreStoredAgain(t *testing.T) {
	t.Parallel()
	scaled := func(name string, d dtype.DType, v []byte) weights.Entry {
		return weights.Entry{Name: name, DType: d, Shape: []int{len(v)}, Data: v, Offset: -1}
	}
	text := []byte(`{"format": "float8_e4m3fn"}`)
	codes := make([]byte, 6*4)
	for i := range codes {
		codes[i] = byte(0x20 + 3*i)
	}
	quantized := weights.Entry{Name: "l.weight", DType: dtype.F8E4M3, Shape: []int{6, 4}, Data: codes, Offset: -1}
	scale := stored(t, "l.weight_scale", dtype.F32, []float32{0.25})
	scale.Shape = nil
	lora := lowRank(t, "a", 6, 2, 4)
	for name, c := range map[string]struct {
		model   []weights.Entry
		storage patch.Storage
		like    func(src weights.Source) weights.Entry
	}{
		"quantized": {
			[]weights.Entry{quantized, scale, scaled("l.comfy_quant", dtype.U8, text)},
			patch.Storage{Quantized: true},
			func(src weights.Source) weights.Entry { e, _ := src.Lookup("l.weight"); return e },
		},
		"rounded": {
			[]weights.Entry{random(t, "l.weight", dtype.F16, 6, 4)},
			patch.Storage{Type: dtype.F8E5M2},
			func(weights.Source) weights.Entry {
				return weights.Entry{Name: "l.weight", DType: dtype.F8E5M2, Shape: []int{6, 4}}
			},
		},
	} {
		model := source(t, "model", c.model...)
		f := read(t, model, lora...)
		stack := patch.Stack{}.With(f, 0.75).Storing(func(string) patch.Storage { return c.storage })
		part := stack.Part("m.")
		if part.Adapters().Strengths() != nil {
			t.Errorf("%s: the change is a branch", name)
		}
		src, err := part.Source(model)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := src.Lookup("l.weight")
		base, _ := model.Lookup("l.weight")
		start := values(t, base)
		if c.storage.Type != dtype.Invalid {
			if err := weights.Round(start, c.storage.Type); err != nil {
				t.Fatal(err)
			}
		}
		changed := changedBy(t, stored(t, "l.weight", dtype.F32, start, 6, 4), 0.75, lora...)
		want, err := weights.Requantized(c.like(model), changed, "m.l.weight", "")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Data, want.Data) || got.DType != want.DType || !got.Made() {
			t.Errorf("%s: %v with data %x, want %v with %x", name, got, got.Data, want, want.Data)
		}
		near(t, name, values(t, got), values(t, want))
		other := patch.Stack{}.With(f, 0.5).Storing(func(string) patch.Storage { return c.storage }).Part("m.")
		if other.Structure() != part.Structure() || other.Values() == part.Values() || other.Adapters().Digest() == part.Adapters().Digest() {
			t.Errorf("%s: another strength has another graph, or the same weights", name)
		}
		if !got.Variable() {
			t.Errorf("%s: the weight cannot be exchanged for that of another strength", name)
		}
		bypass := patch.Stack{}.With(f.OfOutput(shapes("m.", model)), 0.75).Storing(func(string) patch.Storage { return c.storage }).Part("m.")
		if bypass.Adapters().Strengths() == nil {
			t.Errorf("%s: the change of a bypass loader is no branch", name)
		}
	}
}

// TestLeftOut: adapters that ComfyUI fails to apply have no effect here either, with a warning; a bypass loader applies
// them.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	f32 := func(name string, shape ...int) weights.Entry { return random(t, "a."+name, dtype.F32, shape...) }
	alpha := stored(t, "a.alpha", dtype.F32, []float32{0})
	tucker := []weights.Entry{f32("lokr_w2_a", 2, 3), f32("lokr_w2_b", 2, 2), f32("lokr_t2", 2, 2, 3, 3)}
	for name, c := range map[string]struct {
		weight []int
		file   []weights.Entry
		told   string
	}{
		"LoKr in Tucker form":         {[]int{6, 4, 3, 3}, append(tucker, f32("lokr_w1", 2, 2)), "LoKr of m.l.weight"},
		"a first factor of one":       {[]int{3, 2, 3, 3}, append(tucker, f32("lokr_w1", 1, 1)), ""},
		"LoKr of matrices":            {[]int{6, 4}, []weights.Entry{f32("lokr_w2_a", 3, 2), f32("lokr_w2_b", 2, 2), f32("lokr_w1", 2, 2)}, ""},
		"BOFT without alpha":          {[]int{8, 3}, []weights.Entry{f32("oft_blocks", 2, 4, 2, 2)}, "BOFT of m.l.weight"},
		"BOFT with an alpha of zero":  {[]int{8, 3}, []weights.Entry{f32("oft_blocks", 2, 4, 2, 2), alpha}, ""},
		"OFT without alpha":           {[]int{8, 3}, []weights.Entry{f32("oft_blocks", 4, 2, 2)}, ""},
		"LoKr in Tucker form, factor": {[]int{6, 4, 3, 3}, append(tucker, f32("lokr_w1_a", 2, 1), f32("lokr_w1_b", 1, 2)), "LoKr of m.l.weight"},
	} {
		base := random(t, "l.weight", dtype.F32, c.weight...)
		model := source(t, "model", base)
		f := read(t, model, c.file...)
		left := strings.Join(f.LeftOut(), "\n")
		if (c.told == "") != (left == "") || !strings.HasPrefix(left, c.told) {
			t.Errorf("%s: told %q, want %q", name, left, c.told)
		}
		if same := slices.Equal(applied(t, model, f, 1), values(t, base)); same != (c.told != "") {
			t.Errorf("%s: the weight is unchanged: %t", name, same)
		}
		if c.told != "" {
			if p := (patch.Stack{}).With(f, 1).Part("m."); p != nil {
				t.Errorf("%s: it changes %s", name, p.Structure())
			}
		}
		output := f.OfOutput(shapes("m.", model))
		if slices.Equal(applied(t, model, output, 1), values(t, base)) || len(output.LeftOut()) > 0 {
			t.Errorf("%s: behind a bypass loader nothing is changed, %q is told", name, output.LeftOut())
		}
	}
}

// TestAlphaInMetadataIsNotRead: without a tensor of alpha the scale is 1, whatever a trainer noted in the file's metadata.
func TestAlphaInMetadataIsNotRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "lora.safetensors")
	var tensors []safetensors.Tensor
	for _, e := range lowRank(t, "a", 6, 2, 4) {
		if !strings.HasSuffix(e.Name, ".alpha") {
			tensors = append(tensors, safetensors.Tensor{Name: e.Name, DType: e.DType, Shape: e.Shape, Data: e.Data})
		}
	}
	note := map[string]string{"lora_alpha": "8", "ss_network_alpha": "8", "ss_network_dim": "2", "lora_adapter_metadata": `{"transformer.lora_alpha": 8}`}
	if err := safetensors.Save(path, note, tensors); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	var keys patch.KeyMap
	keys.AddKey("a", "m.l.weight")
	f, err := patch.Read(src, &keys, func(string) []int { return []int{6, 4} })
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range f.Patches() {
		if a, ok := p.Adapter.(*patch.LowRank); !ok || a.Alpha != nil || a.Scale() != 1 {
			t.Errorf("%s has the adapter %+v", p.Target.Key, p.Adapter)
		}
	}
	if len(f.Patches()) != 1 {
		t.Errorf("%d changes", len(f.Patches()))
	}
}

// TestStrengthOfRotations: at half the strength OFT changes a weight by a quarter; after a bypass loader by a half.
func TestStrengthOfRotations(t *testing.T) {
	t.Parallel()
	base := random(t, "l.weight", dtype.F32, 6, 4)
	model := source(t, "model", base)
	f := read(t, model, random(t, "a.oft_blocks", dtype.F32, 2, 3, 3))
	for name, c := range map[string]struct {
		file  *patch.File
		ratio float32
	}{"weight": {f, 0.25}, "output": {f.OfOutput(shapes("m.", model)), 0.5}} {
		once, half, w := applied(t, model, c.file, 1), applied(t, model, c.file, 0.5), values(t, base)
		want := make([]float32, len(w))
		for i := range w {
			want[i] = w[i] + c.ratio*(once[i]-w[i])
		}
		near(t, name, half, want)
	}
}

// TestStackOfTenReadsOnce: a stack of adapters whose change depends on the weight reads the model's weight a few times, not twice
// for each of them (which would be 2¹⁰ times), and gives the same result as applying them one after the other.
func TestStackOfTenReadsOnce(t *testing.T) {
	t.Parallel()
	f32 := func(name string, shape ...int) weights.Entry { return random(t, "a."+name, dtype.F32, shape...) }
	base := random(t, "l.weight", dtype.F32, 6, 4)
	for name, file := range map[string][]weights.Entry{
		"OFT":   {f32("oft_blocks", 2, 3, 3)},
		"GLoRA": {f32("a1.weight", 4, 2), f32("a2.weight", 2, 4), f32("b1.weight", 6, 2), f32("b2.weight", 2, 4)},
		"DoRA":  append(lowRank(t, "a", 6, 2, 4), f32("dora_scale", 1, 4)),
		"LoHa":  {f32("hada_w1_a", 6, 2), f32("hada_w1_b", 2, 4), f32("hada_w2_a", 6, 2), f32("hada_w2_b", 2, 4)},
	} {
		var elements atomic.Int64
		counted := weights.Compute("l.weight", base.Shape, weights.Computation{Op: "counted", Parts: []weights.Entry{base}, Read: func(dst []float32, from int) error {
			elements.Add(int64(len(dst)))
			return weights.Range(dst, base, from)
		}})
		model := source(t, "model", counted)
		f := read(t, model, file...)
		var stack patch.Stack
		want := values(t, base)
		for range 10 {
			stack = stack.With(f, 0.25)
			want = changedBy(t, stored(t, "l.weight", dtype.F32, want, 6, 4), 0.25, file...)
		}
		elements.Store(0)
		src, err := stack.Whole("m.", model)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := src.Lookup("l.weight")
		near(t, name, values(t, e), want)
		if n := elements.Load(); n > 4*int64(base.Count()) {
			t.Errorf("%s: %d elements of a weight of %d were read", name, n, base.Count())
		}
	}
}
