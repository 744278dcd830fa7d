package lm_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/clipvision"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/lm"
	"comfygo/engine/tensor"
	"comfygo/engine/textgen"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// recordedImages is what testdata/images.py recorded.
type recordedImages struct {
	Shapes map[string][][2]any `json:"shapes"`
	Tokens []int32             `json:"tokens"`
	values *inner.Tensors
}

func images(t *testing.T) recordedImages {
	t.Helper()
	var p recordedImages
	if err := inner.ReadJSON("testdata/images.json", &p); err != nil {
		t.Fatal(err)
	}
	var err error
	if p.values, err = inner.ReadTensors("testdata/images.safetensors"); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p recordedImages) compare(t *testing.T, name string, got []float32) {
	t.Helper()
	want, err := p.values.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, name, got, want.Data, near)
}

var seenImage = golden.Image("lm/image", 1, 75, 118, 3)

// qwenVL is the recorded Qwen 3 VL.
func qwenVL(t *testing.T, src weights.Source) *lm.Encoder {
	t.Helper()
	config, err := json.Marshal(map[string]int{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 96})
	if err != nil {
		t.Fatal(err)
	}
	e, err := lm.Small("Qwen3_4B", config, src)
	if err != nil {
		t.Fatal(err)
	}
	return e.WithDeepVision(&lm.DeepVision{Width: 32, Heads: 2, Layers: 4, MLP: 48, Out: 32, Side: 6, Taps: []int{0, 2, 3}})
}

// TestDeepVisionEqualsUpstream checks the vectors of an image from Qwen 3 VL's tower, and the language model's results for them:
// its states, and the following tokens and logits.
func TestDeepVisionEqualsUpstream(t *testing.T) {
	t.Parallel()
	p := images(t)
	e := qwenVL(t, weightsOf(t, "qwen3vl", p.Shapes["qwen"]))
	s, err := e.See(t.Context(), familytest.Runner{}, seenImage)
	if err != nil {
		t.Fatal(err)
	}
	p.compare(t, "qwen.grid", []float32{1, float32(s.Rows), float32(s.Cols)})
	p.compare(t, "qwen.vectors", s.Vectors.Data)
	for i, name := range []string{"qwen.deep0", "qwen.deep1", "qwen.deep2"} {
		p.compare(t, name, s.Deep[i].Data)
	}
	pair, err := e.SeeFrames(t.Context(), familytest.Runner{}, golden.Image("lm/frames", 2, 75, 118, 3))
	if err != nil {
		t.Fatal(err)
	}
	p.compare(t, "qwen.frames", pair.Vectors.Data)
	p.compare(t, "qwen.framesdeep2", pair.Deep[2].Data)
	if n := lm.DeepTokens(75, 118); n != pair.Vectors.Dim(0) {
		t.Errorf("%d tokens of an image were said, there are %d", n, pair.Vectors.Dim(0))
	}
	row := slices.Insert(prompt(11)[0], 5, tokenizer.Token{Weight: 1, Image: seenImage})
	for name, o := range map[string]family.EncodeOptions{"qwen.last": {Masked: true}, "qwen.inner": lm.Masked(-2)} {
		got, err := e.Encode(t.Context(), familytest.Runner{}, tokenizer.Tokens{row}, o)
		if err != nil {
			t.Fatal(err)
		}
		p.compare(t, name, got.Hidden.Data)
	}
	choose, err := textgen.New(textgen.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var logits [][]float32
	next := func(l []float32) (int32, error) { logits = append(logits, slices.Clone(l)); return choose.Next(l) }
	got, err := e.Generate(t.Context(), familytest.Runner{}, tokenizer.Tokens{row}, family.GenerateOptions{MaxLength: len(p.Tokens), Stop: []int32{}, Next: next})
	if err != nil || !slices.Equal(got, p.Tokens) {
		t.Fatalf("%v, %v; want %v", got, err, p.Tokens)
	}
	p.compare(t, "qwen.logits", append(logits[0], logits[len(logits)-1]...))
}

// gemmaTower is the recorded tower of Gemma 3.
func gemmaTower(src weights.Source) *lm.SoftVision {
	return lm.NewSoftVision(src, clipvision.Config{Width: 32, Layers: 2, Heads: 2, MLP: 48, Image: 56, Patch: 14}, 2, 24)
}

func TestSoftVisionEqualsUpstream(t *testing.T) {
	t.Parallel()
	p := images(t)
	got, err := gemmaTower(weightsOf(t, "gemma3", p.Shapes["gemma"])).See(t.Context(), familytest.Runner{}, seenImage)
	if err != nil {
		t.Fatal(err)
	}
	p.compare(t, "gemma.vectors", got.Data)
}

func TestTowersRefuseImages(t *testing.T) {
	t.Parallel()
	p := images(t)
	deep, soft := qwenVL(t, weightsOf(t, "qwen3vl", p.Shapes["qwen"])), gemmaTower(weightsOf(t, "gemma3", p.Shapes["gemma"]))
	for _, shape := range [][]int{{0, 4, 4, 3}, {1, 0, 4, 3}, {1, 4, 4, 1}, {4, 4, 3}} {
		if _, err := deep.See(t.Context(), familytest.Runner{}, tensor.New(shape...)); err == nil {
			t.Errorf("Qwen, an image of shape %v: no error", shape)
		}
		if _, err := soft.See(t.Context(), familytest.Runner{}, tensor.New(shape...)); err == nil {
			t.Errorf("Gemma, an image of shape %v: no error", shape)
		}
	}
	if _, err := soft.See(t.Context(), familytest.Runner{}, tensor.New(1, 1, 4000, 3)); err == nil {
		t.Error("a line of pixels: no error")
	}
}

// TestTowersAreFound reads files that hold a tower, whole and broken.
func TestTowersAreFound(t *testing.T) {
	t.Parallel()
	qwen := strings.ReplaceAll(shapes[lm.KeyQwen3M].list(16), "model.", "model.language_model.")
	deep := "patch_embed.proj.weight 64 3 2 16 16\nmerger.linear_fc2.weight 2560 256\npos_embed.weight 16 64\ndeepstack_merger_list.0.norm.weight 256\n"
	for i := range 24 {
		deep += "blocks." + string(rune('0'+i/10)) + string(rune('0'+i%10)) + ".norm1.weight 64\n"
	}
	deep = strings.ReplaceAll(strings.ReplaceAll(deep, "blocks.0", "blocks."), "\n", "\nmodel.visual.")
	deep = "model.visual." + strings.TrimSuffix(deep, "model.visual.") + "model.visual.blocks.0.mlp.linear_fc1.weight 96 64\n"
	soft := "vision_model.embeddings.patch_embedding.weight 32 3 14 14\nvision_model.embeddings.position_embedding.weight 4096 32\n" +
		"vision_model.encoder.layers.0.mlp.fc1.weight 48 32\nmulti_modal_projector.mm_input_projection_weight 32 2560\n"
	gemma := shapes[lm.KeyGemma3S].list(16)
	for name, c := range map[string]struct {
		list string
		ok   bool
	}{
		"Qwen": {qwen + deep, true}, "Qwen with another table": {qwen + strings.Replace(deep, "pos_embed.weight 16", "pos_embed.weight 15", 1), false},
		"Gemma": {gemma + soft, true}, "Gemma with other places": {gemma + strings.Replace(soft, "4096", "4095", 1), false},
		"Gemma without projector": {gemma + strings.Replace(soft, "multi_modal_projector", "other", 1), false},
	} {
		_, err := family.Open(family.Default, dryrun.List(c.list)).Text()
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "vision tower") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTowerKernels(t *testing.T) {
	t.Parallel()
	p := images(t)
	for _, stored := range []dtype.DType{dtype.F32, dtype.BF16} {
		deep := qwenVL(t, familytest.Stored(weightsOf(t, "qwen3vl", p.Shapes["qwen"]), stored))
		soft := gemmaTower(familytest.Stored(weightsOf(t, "gemma3", p.Shapes["gemma"]), stored))
		for _, target := range familytest.Targets(t) {
			run := &dryrun.Runner{Spec: family.Spec{Target: target}}
			if _, err := deep.See(t.Context(), run, seenImage); err != nil {
				t.Errorf("Qwen, %s in %s: %v", stored, target.Compute, err)
			}
			if _, err := soft.See(t.Context(), run, seenImage); err != nil {
				t.Errorf("Gemma, %s in %s: %v", stored, target.Compute, err)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}
