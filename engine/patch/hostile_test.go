package patch_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/weights"
)

// TestWrongFiles: each error names the file and the reason.
func TestWrongFiles(t *testing.T) {
	t.Parallel()
	f32 := func(name string, shape ...int) weights.Entry { return random(t, name, dtype.F32, shape...) }
	with := func(name string, v float32) weights.Entry {
		return stored(t, name, dtype.F32, []float32{1, v, 1, 1, 1, 1, 1, 1}, 2, 4)
	}
	junk := make([]weights.Entry, 10000)
	for i := range junk {
		junk[i] = weights.Entry{Name: fmt.Sprintf("junk.%d.lora_up.weight", i), DType: dtype.F32, Shape: []int{1, 1}, Data: make([]byte, 4)}
	}
	noise := make([]weights.Entry, 10000)
	for i := range noise {
		noise[i] = weights.Entry{Name: fmt.Sprint("junk", i), DType: dtype.F32, Shape: []int{1}, Data: make([]byte, 4)}
	}
	up, down := f32("a.lora_up.weight", 6, 2), f32("a.lora_down.weight", 2, 4)
	for name, c := range map[string]struct {
		file []weights.Entry
		want []string
		is   error
	}{
		"ranks differ":         {[]weights.Entry{up, f32("a.lora_down.weight", 3, 4)}, []string{"layer a", "ranks differ"}, nil},
		"up alone":             {[]weights.Entry{up}, []string{"layer a", "1 of the 2 tensors"}, nil},
		"two spellings":        {[]weights.Entry{up, f32("a.lora_A.weight", 2, 4)}, []string{"layer a", "spelled in two ways"}, nil},
		"mid of another rank":  {[]weights.Entry{up, down, f32("a.lora_mid.weight", 3, 2, 3, 3)}, []string{"layer a", "mid"}, nil},
		"mid of two axes":      {[]weights.Entry{up, down, f32("a.lora_mid.weight", 2, 2)}, []string{"layer a", "mid"}, nil},
		"vectors":              {[]weights.Entry{f32("a.lora_up.weight", 6), f32("a.lora_down.weight", 6)}, []string{"layer a", "two axes"}, nil},
		"nothing":              {[]weights.Entry{f32("a.lora_up.weight", 6, 0), f32("a.lora_down.weight", 0, 4)}, []string{"layer a", "size zero"}, nil},
		"NaN":                  {[]weights.Entry{up, with("a.lora_down.weight", float32(math.NaN()))}, []string{"layer a", "NaN"}, weights.ErrNonFinite},
		"infinity":             {[]weights.Entry{up, with("a.lora_down.weight", float32(math.Inf(1)))}, []string{"layer a", "Inf"}, weights.ErrNonFinite},
		"integers":             {[]weights.Entry{up, {Name: "a.lora_down.weight", DType: dtype.I64, Shape: []int{2, 4}, Data: make([]byte, 64)}}, []string{"layer a", "floating-point"}, nil},
		"unknown type":         {[]weights.Entry{up, {Name: "a.lora_down.weight", TypeName: "F4", Shape: []int{2, 4}, Data: make([]byte, 4)}}, []string{"layer a", "floating-point"}, nil},
		"alpha of two":         {[]weights.Entry{up, down, f32("a.alpha", 2)}, []string{"layer a", "alpha"}, nil},
		"alpha NaN":            {[]weights.Entry{up, down, stored(t, "a.alpha", dtype.F32, []float32{float32(math.NaN())})}, []string{"layer a", "alpha is NaN"}, nil},
		"alpha without type":   {[]weights.Entry{up, down, {Name: "a.alpha", Data: nil}}, []string{"layer a", "alpha"}, nil},
		"another shape":        {[]weights.Entry{up, f32("a.lora_down.weight", 2, 5)}, []string{"m.l.weight", "[6 4]", "1 of 1"}, patch.ErrNoMatch},
		"diff of another":      {[]weights.Entry{f32("a.diff", 5, 4)}, []string{"m.l.weight", "full difference"}, patch.ErrNoMatch},
		"bias that is not":     {[]weights.Entry{f32("a.diff_b", 6)}, []string{"m.l.bias", "no such weight"}, patch.ErrNoMatch},
		"half of LoHa":         {[]weights.Entry{f32("a.hada_w1_a", 6, 2)}, []string{"layer a", "LoHa"}, nil},
		"half of Tucker LoHa":  {[]weights.Entry{f32("a.hada_w1_a", 6, 2), f32("a.hada_w1_b", 2, 4), f32("a.hada_w2_a", 6, 2), f32("a.hada_w2_b", 2, 4), f32("a.hada_t1", 2, 2)}, []string{"layer a", "Tucker"}, nil},
		"half of LoKr":         {[]weights.Entry{f32("a.lokr_w1", 6, 2)}, []string{"layer a", "LoKr"}, nil},
		"half of GLoRA":        {[]weights.Entry{f32("a.a1.weight", 6, 2)}, []string{"layer a", "GLoRA"}, nil},
		"OFT of two axes":      {[]weights.Entry{f32("a.oft_blocks", 6, 2)}, []string{"layer a", "OFT"}, nil},
		"reshape of words":     {[]weights.Entry{up, down, {Name: "a.reshape_weight", DType: dtype.F32, Shape: []int{2}, Data: make([]byte, 8)}}, []string{"layer a", "no size"}, nil},
		"reshape of many":      {[]weights.Entry{up, down, f32("a.reshape_weight", 2000)}, []string{"layer a", "shape of a weight"}, nil},
		"names of another":     {[]weights.Entry{f32("z.lora_up.weight", 6, 2), f32("z.lora_down.weight", 2, 4)}, []string{"no layer of the model", `"z"`}, patch.ErrNoMatch},
		"10,000 unknown names": {junk, []string{"no layer of the model", "and 9996 more"}, patch.ErrNoMatch},
		"10,000 words":         {noise, []string{"with 10000 tensors"}, nil},
		"no tensors":           {nil, []string{"with 0 tensors"}, nil},
	} {
		model := source(t, "model", f32("l.weight", 6, 4))
		var keys patch.KeyMap
		keys.AddKey("a", "m.l.weight")
		_, err := patch.Read(source(t, "bad.safetensors", c.file...), &keys, shapes("m.", model))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if c.is != nil && !errors.Is(err, c.is) && !strings.Contains(err.Error(), c.is.Error()) {
			t.Errorf("%s: %v is no %v", name, err, c.is)
		}
		for _, want := range append(c.want, "bad.safetensors") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error %q does not say %q", name, err, want)
			}
		}
		if len(err.Error()) > 1000 {
			t.Errorf("%s: an error of %d characters", name, len(err.Error()))
		}
	}
}

// TestFilesOfAnotherFamily: files whose names partly occur in the model, as those of U-Nets do.
func TestFilesOfAnotherFamily(t *testing.T) {
	t.Parallel()
	for model, file := range map[string]string{"sd15": "lora-sdxl-kohya", "sdxl": "lora-kohya"} {
		m := modelOf(t, model)
		_, err := patch.Read(loraFile(t, file), &m.keys, m.shape)
		if !errors.Is(err, patch.ErrNoMatch) {
			t.Errorf("%s on %s: %v", file, model, err)
			continue
		}
		t.Log(err)
	}
}

// TestFewMisfits: a layer in twenty of another shape, such as the first of an inpainting model, is left out and listed.
func TestFewMisfits(t *testing.T) {
	t.Parallel()
	var es, file []weights.Entry
	var keys patch.KeyMap
	for i := range 20 {
		n := fmt.Sprintf("l%d", i)
		es = append(es, random(t, n+".weight", dtype.F32, 6, 4))
		keys.AddKey(n, "m."+n+".weight")
		in := 4
		if i == 7 {
			in = 9
		}
		file = append(file, lowRank(t, n, 6, 2, in)...)
	}
	f, err := patch.Read(source(t, "f", append(file, random(t, "stray", dtype.F32, 1))...), &keys, shapes("m.", source(t, "model", es...)))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Patches()) != 19 || len(f.Skipped()) != 2 || !strings.Contains(f.Skipped()[0], "m.l7.weight") {
		t.Errorf("%d changes, left out: %v", len(f.Patches()), f.Skipped())
	}
}

// TestBranchesThatNoLayerTakes: a graph that leaves changes out is an error, not silence.
func TestBranchesThatNoLayerTakes(t *testing.T) {
	t.Parallel()
	model := source(t, "model", random(t, "l.weight", dtype.F32, 6, 4), random(t, "n.weight", dtype.F32, 6, 4))
	var keys patch.KeyMap
	keys.AddKey("a", "m.l.weight")
	keys.AddKey("b", "m.n.weight")
	f, err := patch.Read(source(t, "f", append(lowRank(t, "a", 6, 2, 4), lowRank(t, "b", 6, 2, 4)...)...), &keys, shapes("m.", model))
	if err != nil {
		t.Fatal(err)
	}
	adapters := patch.Stack{}.With(f, 1).Part("m.").Adapters()
	_, err = onnx.Build("test", func(g *onnx.Graph) error {
		b := &nn.Builder{Graph: g, Target: nn.Target{Compute: dtype.F32}, Adapters: adapters}
		b.Linear(weights.NewScope(model).At("l"), g.Input("x", dtype.F32, onnx.D(1), onnx.D(4)), 6)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := adapters.Err(); err == nil || !strings.Contains(err.Error(), "n.weight") {
		t.Errorf("leaving out: %v", err)
	}
	var none *patch.Adapters
	if none.Err() != nil || none.Strengths() != nil || none.Branches("x") != nil {
		t.Error("no adapters are an error")
	}
}

// FuzzRead reads files of a few tensors with names and shapes from the input: it must end in a file or an error.
func FuzzRead(f *testing.F) {
	f.Add("a.lora_up.weight 6 2\na.lora_down.weight 2 4\na.alpha")
	f.Add("a.lora_up.weight 6 2 1 1\na.lora_down.weight 2 4 1 1\na.lora_mid.weight 2 2 3 3")
	f.Add("a.hada_w1_a 6 2\na.hada_w1_b 2 4\na.hada_w2_a 6 2\na.hada_w2_b 2 4")
	f.Add("a.diff 6 4\na.diff_b 6\na.set_weight 6 4\na.reshape_weight 2")
	f.Add("a.lora_B.weight 6 2\na.lora_A.weight 2 4\na.dora_scale 6 1")
	f.Add("a.lokr_w1_a 2 1\na.lokr_w1_b 1 2\na.lokr_w2_a 2 3\na.lokr_w2_b 2 2\na.lokr_t2 2 2")
	f.Add("a.lora_B.weight 0 0\na.lora_A.weight 0 0")
	f.Fuzz(func(t *testing.T, text string) {
		var es []weights.Entry
		seen := map[string]bool{}
		for _, line := range strings.Split(text, "\n") {
			words := strings.Fields(line)
			if len(words) == 0 || seen[words[0]] || len(es) == 50 {
				continue
			}
			seen[words[0]] = true
			e := weights.Entry{Name: words[0], DType: dtype.F32}
			n := 1
			for _, w := range words[1:min(len(words), 6)] {
				d := len(w)
				if len(w) == 1 && w[0] >= '0' && w[0] <= '9' {
					d = int(w[0] - '0')
				}
				d = min(d, 9)
				e.Shape, n = append(e.Shape, d), n*d
			}
			e.Data = make([]byte, 4*n)
			es = append(es, e)
		}
		model := source(t, "model", random(t, "l.weight", dtype.F32, 6, 4), random(t, "l.bias", dtype.F32, 6))
		var keys patch.KeyMap
		keys.AddKey("a", "m.l.weight")
		file, err := patch.Read(source(t, "f", es...), &keys, shapes("m.", model))
		if err != nil {
			return
		}
		part := patch.Stack{}.With(file, 1).Part("m.")
		src, err := part.Source(model)
		if err == nil {
			for _, name := range src.Names() {
				e, _ := src.Lookup(name)
				values(t, e)
			}
		} else if !errors.Is(err, patch.ErrNotAvailable) {
			t.Fatal(err)
		}
		if a := part.Adapters(); a != nil {
			_, err := onnx.Build("test", func(g *onnx.Graph) error {
				b := &nn.Builder{Graph: g, Target: nn.Target{Compute: dtype.F32}, Adapters: a}
				b.Linear(weights.NewScope(model).At("l"), g.Input("x", dtype.F32, onnx.D(1), onnx.D(4)), 6)
				return nil
			})
			if err != nil || a.Err() != nil {
				t.Fatal(err, a.Err())
			}
		}
	})
}
