package engine_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/ort"
	"comfygo/engine/sampling"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// loraOf writes a LoRA of rank 1 for a layer of the built-in model, whose factors are the given number.
func loraOf(t *testing.T, value float32) string {
	t.Helper()
	return adapterOf(t, "input_blocks.1.0.emb_layers.1", value, map[string][]int{"lora_up.weight": {64, 1}, "lora_down.weight": {1, 256}})
}

// adapterOf writes a file of tensors for a layer of the built-in model, of which each element is the given number.
func adapterOf(t *testing.T, layer string, value float32, tensors map[string][]int) string {
	t.Helper()
	var all []weights.Saved
	for name, shape := range tensors {
		name = "diffusion_model." + layer + "." + name
		all = append(all, numbers(t, name, slices.Repeat([]float32{value}, shape[0]*shape[1]), shape))
	}
	return tensorFile(t, "lora.safetensors", all)
}

// TestStackOfFiveHundred applies a LoRA five hundred times: it is that LoRA at five hundred times the strength, and nothing
// stays in memory.
func TestStackOfFiveHundred(t *testing.T) {
	t.Parallel()
	rt := shared.OnDevice(ort.Device{})
	t.Cleanup(rt.FreeModels)
	m, err := rt.LoadModel(demoFile(t), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	const count, strength = 500, 1.0 / 256
	path := loraOf(t, 0.125)
	apply := func(times int, strength float64) []float32 {
		t.Helper()
		with := m
		for range times {
			if with, _, err = rt.ApplyLoRA(t.Context(), path, with, nil, strength, 0); err != nil {
				t.Fatal(err)
			}
		}
		y, err := step(t.Context(), with, 40)
		if err != nil {
			t.Fatal(err)
		}
		return y.Data
	}
	once := apply(1, count*strength)
	golden.Compare(t, "a stack", apply(count, strength), once, golden.Tolerance{RMSRel: 2e-5}) // sums in another order
	plain, err := step(t.Context(), m, 40)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Equal(plain.Data, once) {
		t.Error("the LoRA changes nothing")
	}
	rt.FreeModels()
	if s := rt.Stats(); s.Networks != 0 || s.WeightBytes != 0 {
		t.Errorf("after freeing: %+v", s)
	}
}

// placed is a placement of a grounding network for another model.
type placed struct{ widths []int }

func (p *placed) Fits(widths []int) error {
	p.widths = widths
	return os.ErrInvalid
}

func (p *placed) Input([]int) sampling.Input { return sampling.Input{} }

// TestGroundingOfAnotherFamily: a U-Net passes its widths to the network and returns its error; a model without such layers
// does not accept it.
func TestGroundingOfAnotherFamily(t *testing.T) {
	t.Parallel()
	for name, wantErr := range map[string]bool{"sdxl-small": true, "flux-dev-small": false} {
		m, err := shared.LoadModel(manifest(t, name), dtype.Invalid)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		ctx := warning.With(t.Context(), func(text string) { told = append(told, text) })
		p := &placed{}
		tokens, pooled := golden.Normal("c", 1, 77, 2048), golden.Normal("p", 1, 1280)
		if !wantErr {
			tokens, pooled = golden.Normal("c", 1, 77, 4096), golden.Normal("p", 1, 768)
		}
		shape := []int{1, m.LatentFormat().Channels, 8, 8}
		_, err = m.Inputs(ctx, &sampling.Cond{Tokens: tokens, Pooled: pooled, Values: map[string]any{sampling.KeyGLIGEN: p}}, sampling.Request{Shape: shape, Format: m.LatentFormat()})
		switch {
		case wantErr && (err == nil || len(p.widths) == 0):
			t.Errorf("%s: %v, widths %v", name, err, p.widths)
		case !wantErr && (err != nil || !strings.Contains(strings.Join(told, " "), sampling.KeyGLIGEN+" has no effect")):
			t.Errorf("%s: %v, told %q", name, err, told)
		}
	}
}

// TestAttends: a U-Net tells the widths of its attention, by which a hypernetwork without effect is found.
func TestAttends(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][3]bool{"sdxl-small": {true, true, false}, "flux-dev-small": {true, true, true}} {
		m, err := shared.LoadModel(manifest(t, name), dtype.Invalid)
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]bool{m.Attends([]int{1, 2048}), m.Attends([]int{320}), m.Attends([]int{768})}; got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

// TestBfloat16ByFlagAlone: on the CPU only the user's flag makes a model multiply in bfloat16. That a family prefers bfloat16, as Flux does, is
// for GPUs: its error is a thousand times that of float32.
func TestBfloat16ByFlagAlone(t *testing.T) {
	t.Parallel()
	for compute, want := range map[dtype.DType]bool{dtype.Invalid: false, dtype.F16: false, dtype.BF16: true} {
		m, err := shared.WithComputeType(compute).LoadModel(manifest(t, "flux-dev-small"), dtype.Invalid)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.AsksForBfloat16(); got != want {
			t.Errorf("with the compute type %v: %v, want %v", compute, got, want)
		}
	}
}

// TestUnCLIPWithoutImageEncoder: a checkpoint without its image encoder loads, and gives none.
func TestUnCLIPWithoutImageEncoder(t *testing.T) {
	t.Parallel()
	m, _, _, err := shared.LoadCheckpoint(demoFile(t))
	if err != nil {
		t.Fatal(err)
	}
	if e, err := shared.BundledVision(m); e != nil || err != nil {
		t.Errorf("found %v, %v", e, err)
	}
}

// TestStrengthOfComputedWeights changes the strength of adapters that are computed into weights, among them those of a model whose
// weights are rounded to 8 bits: the session is kept, but not its results for the prompt, the weights of the former strength are released, and
// predictions equal those of a session made for the strength.
func TestStrengthOfComputedWeights(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		round   dtype.DType
		tensors map[string][]int
	}{
		"LoHa":            {dtype.Invalid, map[string][]int{"hada_w1_a": {64, 2}, "hada_w1_b": {2, 40}, "hada_w2_a": {64, 2}, "hada_w2_b": {2, 40}}},
		"full difference": {dtype.Invalid, map[string][]int{"diff": {64, 40}}},
		"rounded weights": {dtype.F8E4M3, map[string][]int{"lora_up.weight": {64, 1}, "lora_down.weight": {1, 40}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rt := shared.OnDevice(ort.Device{})
			t.Cleanup(rt.FreeModels)
			m, err := rt.LoadModel(demoFile(t), c.round)
			if err != nil {
				t.Fatal(err)
			}
			path := adapterOf(t, "input_blocks.1.1.transformer_blocks.0.attn2.to_v", 0.25, c.tensors)
			at := func(strength float64) []float32 {
				t.Helper()
				with, _, err := rt.ApplyLoRA(t.Context(), path, m, nil, strength, 0)
				if err != nil {
					t.Fatal(err)
				}
				y, err := step(t.Context(), with, 40)
				if err != nil {
					t.Fatal(err)
				}
				return y.Data
			}
			first := at(0.5)
			before := rt.Stats()
			second, again := at(1), at(0.5)
			if s := rt.Stats(); s.Loads != before.Loads || s.WeightBytes != before.WeightBytes {
				t.Errorf("other strengths made %d sessions and hold %d bytes more", s.Loads-before.Loads, s.WeightBytes-before.WeightBytes)
			}
			rt.FreeModels()
			if alone := at(1); slices.Equal(first, second) || !slices.Equal(first, again) || !slices.Equal(second, alone) {
				t.Error("predictions are not those of the strengths")
			}
		})
	}
}
