package engine_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/safetensors"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// predict runs one step of a model of Stable Diffusion 1.x on an 8x8 latent.
func predict(t *testing.T, m *engine.Model) *tensor.Tensor {
	t.Helper()
	y, err := m.Predict(t.Context(), golden.Normal("x", 1, 4, 8, 8), []float32{500}, sampling.Text(golden.Normal("c", 1, 77, 768)))
	if err != nil {
		t.Fatal(err)
	}
	return y
}

// TestLoRAStrengthReloadsNothing changes a LoRA's strength: the session stays, the prediction changes, and at strength 0 it is
// the model's own.
func TestLoRAStrengthReloadsNothing(t *testing.T) {
	t.Parallel()
	rt := shared.OnDevice(engine.Config{}.Device)
	t.Cleanup(rt.FreeModels)
	m, err := rt.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	plain := predict(t, m)
	path := golden.Checkpoint(t, "lora-kohya")
	var outputs []*tensor.Tensor
	var loads []int64
	for _, strength := range []float64{0.5, 1, -1, 0} {
		with, _, err := rt.ApplyLoRA(t.Context(), path, m, nil, strength, 0)
		if err != nil {
			t.Fatal(err)
		}
		outputs = append(outputs, predict(t, with))
		loads = append(loads, rt.Stats().Loads)
	}
	if slices.Max(loads) != 2 {
		t.Errorf("%v sessions were made, want one for the model and one for all strengths", loads)
	}
	for i, y := range outputs[:3] {
		if slices.Equal(y.Data, plain.Data) || i > 0 && slices.Equal(y.Data, outputs[i-1].Data) {
			t.Errorf("strength %d changes nothing", i)
		}
	}
	golden.Compare(t, "strength 0", outputs[3].Data, plain.Data, golden.Tolerance{RMSRel: 5e-6}) // other graphs, other rounding
}

// TestAnotherLoRAReloadsNothing replaces a LoRA by one with other values and another rank, and stacks both: one session
// serves all, its factors are the requested ones, and the ledger drops the replaced ones.
func TestAnotherLoRAReloadsNothing(t *testing.T) {
	t.Parallel()
	rt := shared.OnDevice(engine.Config{}.Device)
	t.Cleanup(rt.FreeModels)
	m, err := rt.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	first := golden.Checkpoint(t, "lora-kohya")
	doubled, padded := scaledLoRA(t, first, 2, 0), scaledLoRA(t, first, 1, 3)
	apply := func(m *engine.Model, path string, strength float64) *engine.Model {
		with, _, err := rt.ApplyLoRA(t.Context(), path, m, nil, strength, 0)
		if err != nil {
			t.Fatal(err)
		}
		return with
	}
	want := predict(t, apply(m, first, 1))
	after := rt.Stats()
	check := func(what string, m *engine.Model, same *tensor.Tensor, tol golden.Tolerance) {
		t.Helper()
		golden.Compare(t, what, predict(t, m).Data, same.Data, tol)
		if s := rt.Stats(); s.Loads != after.Loads {
			t.Errorf("%s: it made %d sessions", what, s.Loads-after.Loads)
		}
	}
	near := golden.Tolerance{RMSRel: 1e-5} // sums of another order
	check("half of the doubled one", apply(m, doubled, 0.5), want, near)
	check("a higher rank filled with zeros", apply(m, padded, 1), want, near)
	check("a stack that adds up to it", apply(apply(m, doubled, 0.25), padded, 0.5), want, near)
	check("the first again", apply(m, first, 1), want, near)
	if s := rt.Stats(); s.WeightBytes != after.WeightBytes {
		t.Errorf("the factors of all adapters are held: %d bytes, were %d", s.WeightBytes, after.WeightBytes)
	}
	rt.FreeModels()
	if s := rt.Stats(); s.WeightBytes != 0 {
		t.Errorf("%d bytes are left", s.WeightBytes)
	}
}

// scaledLoRA writes a LoRA file whose up factors are those of path times scale, with the given number of further ranks of
// zeros.
func scaledLoRA(t *testing.T, path string, scale float32, ranks int) string {
	t.Helper()
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var out []safetensors.Tensor
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		v, err := weights.Float32s(e)
		if err != nil {
			t.Fatal(err)
		}
		shape := slices.Clone(e.Shape)
		switch {
		case strings.HasSuffix(name, ".alpha"): // alpha/rank stays
			down, _ := src.Lookup(strings.TrimSuffix(name, "alpha") + "lora_down.weight")
			v[0] *= float32(down.Shape[0]+ranks) / float32(down.Shape[0])
		case strings.HasSuffix(name, ".lora_down.weight"):
			v = append(v, make([]float32, ranks*len(v)/shape[0])...)
			shape[0] += ranks
		case strings.HasSuffix(name, ".lora_up.weight"):
			var wide []float32
			for row := range slices.Chunk(v, shape[1]) {
				for _, x := range row {
					wide = append(wide, x*scale)
				}
				wide = append(wide, make([]float32, ranks)...)
			}
			v, shape[1] = wide, shape[1]+ranks
		}
		data := make([]byte, len(v)*e.DType.Size())
		if err := weights.FromFloat32(data, v, e.DType); err != nil {
			t.Fatal(err)
		}
		out = append(out, safetensors.Tensor{Name: name, DType: e.DType, Shape: shape, Data: data})
	}
	to := filepath.Join(t.TempDir(), "lora.safetensors")
	if err := safetensors.Save(to, nil, out); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestLoRAOfAnotherFamily applies a LoRA of SDXL to Stable Diffusion 1.x.
func TestLoRAOfAnotherFamily(t *testing.T) {
	t.Parallel()
	m, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	path := golden.Checkpoint(t, "lora-sdxl-kohya")
	_, _, err = shared.ApplyLoRA(t.Context(), path, m, nil, 1, 0)
	if err == nil || !strings.Contains(err.Error(), "Stable Diffusion 1.x") || !strings.Contains(err.Error(), "lora-sdxl-kohya") {
		t.Errorf("got %v, want an error that names the file and the model's family", err)
	}
}

// TestLeftOutIsTold applies a LoRA that ComfyUI fails to apply: the model is unchanged, and the client is warned.
func TestLeftOutIsTold(t *testing.T) {
	t.Parallel()
	m, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	const layer = "lora_unet_down_blocks_0_attentions_0_proj_in"
	path := filepath.Join(t.TempDir(), "boft.safetensors")
	shape := []int{1, 80, 4, 4}
	blocks := safetensors.Tensor{Name: layer + ".oft_blocks", DType: dtype.F32, Shape: shape, Data: make([]byte, 4*tensor.Count(shape))}
	if err := safetensors.Save(path, nil, []safetensors.Tensor{blocks}); err != nil {
		t.Fatal(err)
	}
	var told []string
	ctx := warning.With(t.Context(), func(text string) { told = append(told, text) })
	if _, _, err := shared.ApplyLoRA(ctx, path, m, nil, 1, 0); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || !strings.Contains(told[0], "boft.safetensors leaves 1 of 1 weights") || !strings.Contains(told[0], "without an alpha") {
		t.Errorf("told %q", told)
	}
}

// TestUnreadConditioning: the client is warned about the values of a conditioning entry that the model does not read, such
// as the references of an omni model, and of no others.
func TestUnreadConditioning(t *testing.T) {
	t.Parallel()
	omni := map[string]any{
		sampling.KeyReferences: []any{golden.Normal("r", 1, 4, 8, 8)}, "clip_vision_outputs": []any{1}, "reference_latents_text_embeds": []any{1},
		sampling.KeyAttentionMask: golden.Normal("m", 1, 77), sampling.KeyGuidance: nil,
	}
	size := map[string]any{sampling.KeyWidth: 64, sampling.KeyCropHeight: 8, sampling.KeyAesthetic: 6.0}
	m, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		values map[string]any
		want   []string
	}{
		{omni, []string{"clip_vision_outputs", sampling.KeyReferences, "reference_latents_text_embeds"}},
		{size, []string{sampling.KeyAesthetic, sampling.KeyCropHeight, sampling.KeyWidth}},
		{nil, nil},
	} {
		var told []string
		ctx := warning.With(t.Context(), func(text string) { told = append(told, text) })
		entry := &sampling.Cond{Tokens: golden.Normal("c", 1, 77, 768), Values: c.values}
		shape := []int{1, 4, 8, 8}
		if _, err := m.Inputs(ctx, entry, sampling.Request{Shape: shape, Latent: golden.Normal("x", shape...), Format: m.LatentFormat()}); err != nil {
			t.Fatal(err)
		}
		if len(told) != len(c.want) {
			t.Fatalf("told %q, want warnings of %q", told, c.want)
		}
		for i, key := range c.want {
			if !strings.Contains(told[i], key+" has no effect") || !strings.Contains(told[i], m.Family()) {
				t.Errorf("told %q, want a warning of %s that names the family", told[i], key)
			}
		}
	}
}

// TestUnreadOptions runs a model with an option that its network does not read: the client is warned.
func TestUnreadOptions(t *testing.T) {
	t.Parallel()
	m, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	ctx := warning.With(t.Context(), func(text string) { told = append(told, text) })
	in := sampling.Text(golden.Normal("c", 1, 77, 768))
	in.Options = map[string]any{sampling.OptionSkipDouble: []int{1}}
	if _, err := m.Predict(ctx, golden.Normal("x", 1, 4, 8, 8), []float32{500}, in); err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || !strings.Contains(told[0], sampling.OptionSkipDouble) {
		t.Errorf("told %q, want a warning of the option", told)
	}
}

// noValues is a patch that multiplies the values of cross-attention by zero.
type noValues struct{}

// Point implements patch.GraphPatch.
func (noValues) Point() patch.Point { return patch.CrossAttention }

// Digest implements patch.GraphPatch.
func (noValues) Digest() string { return "" }

// Project implements patch.ProjectionPatch.
func (noValues) Project(b *nn.Builder, p patch.Projection, x *onnx.Value) *onnx.Value {
	if p == patch.Value {
		return b.Mul(x, b.Const(float32(0)))
	}
	return x
}

// TestGraphPatchesChangeTheGraph scales an attention's values to nothing, which leaves the projection's bias alone.
func TestGraphPatchesChangeTheGraph(t *testing.T) {
	t.Parallel()
	m, err := shared.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	plain := predict(t, m)
	scaled, ok := m.WithPatch(noValues{})
	if !ok {
		t.Fatal("the model does not have the patch's point")
	}
	if y := predict(t, scaled); slices.Equal(y.Data, plain.Data) {
		t.Error("the patch changes nothing")
	}
	if y := predict(t, m); !slices.Equal(y.Data, plain.Data) {
		t.Error("the patch changed the model that it was not made for")
	}
}

// TestHugeAlphaNamesTheLoRA: where a LoRA's factor drives the numbers beyond all bounds, the error names its file, weight and strength.
func TestHugeAlphaNamesTheLoRA(t *testing.T) {
	t.Parallel()
	m, err := shared.LoadModel(demoFile(t), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	const layer = "input_blocks.1.0.emb_layers.1"
	path := adapterOf(t, layer, 1e13, map[string][]int{"lora_up.weight": {64, 1}, "lora_down.weight": {1, 256}, "alpha": {1, 1}})
	with, _, err := shared.ApplyLoRA(t.Context(), path, m, nil, 0.5, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := step(t.Context(), with, 40); err == nil || !strings.Contains(err.Error(), path+" at strength 0.5") || !strings.Contains(err.Error(), "1e+13, for diffusion_model."+layer) {
		t.Errorf("%v does not name the LoRA, its strength and the weight", err)
	}
	if _, err := step(t.Context(), m, 40); err != nil {
		t.Errorf("without it: %v", err)
	}
}

// TestOnlyTextEncodersFit: the client is warned where a LoRA of another family fits the text encoder, which families share, and not the model.
func TestOnlyTextEncodersFit(t *testing.T) {
	t.Parallel()
	m, c, _, err := shared.LoadCheckpoint(golden.Checkpoint(t, "sd15-small"))
	if err != nil {
		t.Fatal(err)
	}
	pair := func(layer string, out, in int) []safetensors.Tensor {
		zeros := func(end string, shape ...int) safetensors.Tensor {
			return safetensors.Tensor{Name: layer + end, DType: dtype.F32, Shape: shape, Data: make([]byte, 4*tensor.Count(shape))}
		}
		return []safetensors.Tensor{zeros(".lora_down.weight", 2, in), zeros(".lora_up.weight", out, 2)}
	}
	text := pair("lora_te1_text_model_encoder_layers_0_self_attn_q_proj", 768, 768)
	for name, tc := range map[string]struct {
		more   []safetensors.Tensor
		strong float64
		told   bool
	}{
		"flux":        {pair("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072), 1, true},
		"flux, off":   {pair("lora_unet_double_blocks_0_img_attn_proj", 3072, 3072), 0, false},
		"texts alone": {nil, 1, false},
		"both":        {pair("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", 320, 320), 1, false},
	} {
		path := filepath.Join(t.TempDir(), "some.safetensors")
		if err := safetensors.Save(path, nil, append(tc.more, text...)); err != nil {
			t.Fatal(err)
		}
		var told []string
		ctx := warning.With(t.Context(), func(text string) { told = append(told, text) })
		if _, _, err := shared.ApplyLoRA(ctx, path, m, c, tc.strong, 1); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if got := strings.Contains(strings.Join(told, "\n"), "some.safetensors has no effect on the Stable Diffusion 1.x model"); got != tc.told {
			t.Errorf("%s: told %q", name, told)
		}
	}
}

// TestUnusedLayersAreLoggedOnce applies a file with layers that the model does not have several times.
func TestUnusedLayersAreLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	rt := engine.New(engine.Config{Log: slog.New(slog.NewTextHandler(&log, nil))}) // opens no library
	m, err := rt.LoadModel(golden.Checkpoint(t, "sd15-small"), dtype.Invalid)
	if err != nil {
		t.Fatal(err)
	}
	for _, strength := range []float64{0.5, 0.5, 1} {
		if m, _, err = rt.ApplyLoRA(t.Context(), golden.Checkpoint(t, "lora-kohya"), m, nil, strength, 0); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "has no use for some layers"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
}
