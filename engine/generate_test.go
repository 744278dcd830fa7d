package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/engine/textgen"
	"comfygo/engine/warning"
	"comfygo/tests/golden"
)

// gemma2 writes a Gemma 2 of one small layer with a tokenizer of its own.
func gemma2(t *testing.T) string {
	t.Helper()
	words, err := os.ReadFile("tokenizer/sentencepiece/testdata/bpe-bytes.model")
	if err != nil {
		t.Fatal(err)
	}
	tensors := []safetensors.Tensor{{Name: "spiece_model", DType: dtype.U8, Shape: []int{len(words)}, Data: words}}
	add := func(name string, shape ...int) {
		x := golden.Scale(golden.Normal(name, shape...), float32(1/math.Sqrt(float64(shape[len(shape)-1]))))
		e := safetensors.Tensor{Name: name, DType: dtype.F32, Shape: shape}
		for _, v := range x.Data {
			e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(v))
		}
		tensors = append(tensors, e)
	}
	const width, head, mlp = 16, 256, 24
	add("model.embed_tokens.weight", 512, width)
	add("model.norm.weight", width)
	layer := "model.layers.0."
	for _, norm := range []string{"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm"} {
		add(layer+norm+".weight", width)
	}
	for name, shape := range map[string][]int{
		"self_attn.q_proj": {2 * head, width}, "self_attn.k_proj": {head, width}, "self_attn.v_proj": {head, width}, "self_attn.o_proj": {width, 2 * head},
		"mlp.gate_proj": {mlp, width}, "mlp.up_proj": {mlp, width}, "mlp.down_proj": {width, mlp},
	} {
		add(layer+name+".weight", shape...)
	}
	path := filepath.Join(t.TempDir(), "gemma2.safetensors")
	if err := safetensors.Save(path, nil, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestGenerate(t *testing.T) {
	t.Parallel()
	clip, err := shared.LoadCLIP("lumina2", gemma2(t))
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	ctx := warning.With(t.Context(), func(text string) { texts = append(texts, text) })
	steps := 0
	g := engine.Generation{
		MaxLength: 6, Choose: textgen.Options{Sample: true, Temperature: 1, TopP: 1, Repetition: 1, Seed: 11}, Progress: func(done int) { steps = done },
		Thinking: true, Bare: true, Images: tensor.New(1, 4, 4, 3),
	}
	first, err := clip.Generate(ctx, "a cat (that: sleeps", g)
	if err != nil || first == "" || steps < 1 || steps > 6 {
		t.Fatalf("%q, %v, %d steps", first, err, steps)
	}
	if again, err := clip.Generate(t.Context(), "a cat (that: sleeps", g); err != nil || again != first {
		t.Errorf("%q and %q, %v; equal seeds give equal texts", again, first, err)
	}
	g.Choose.Seed++
	if other, err := clip.Generate(t.Context(), "a cat (that: sleeps", g); err != nil || other == first {
		t.Errorf("%q, %v; another seed gives another text", other, err)
	}
	if len(texts) != 2 || !strings.Contains(texts[0], "thinking") || !strings.Contains(texts[1], "image") {
		t.Errorf("warnings %q; wanted those of thinking and image", texts)
	}
}

func TestGenerateErrors(t *testing.T) {
	t.Parallel()
	rt := shared.WithMemory(func() int64 { return 1 << 14 })
	t.Cleanup(rt.FreeModels)
	small, err := rt.LoadCLIP("lumina2", gemma2(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := small.Generate(t.Context(), "a", engine.Generation{MaxLength: 1}); err == nil || !strings.Contains(err.Error(), "keys and values") {
		t.Errorf("too little memory: %v", err)
	}
	clip, err := shared.LoadCLIP("lumina2", gemma2(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clip.Generate(t.Context(), "a", engine.Generation{MaxLength: 1, Choose: textgen.Options{Sample: true, TopP: 2}}); err == nil || !strings.Contains(err.Error(), "top_p") {
		t.Errorf("top_p of 2: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	if _, err := clip.Generate(ctx, "a", engine.Generation{MaxLength: 9, Progress: func(int) { cancel(why) }}); !errors.Is(err, why) {
		t.Errorf("an interrupted generation: %v", err)
	}
	plain, err := shared.LoadCLIP("stable_diffusion", golden.Checkpoint(t, "sd15-small"))
	if err == nil {
		_, err = plain.Generate(t.Context(), "a", engine.Generation{MaxLength: 1})
	}
	if err == nil || !strings.Contains(err.Error(), "clip_l") {
		t.Errorf("CLIP: %v", err)
	}
}
