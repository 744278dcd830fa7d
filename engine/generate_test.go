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
	"comfygo/engine/tokenizer/sentencepiece"
	"comfygo/engine/warning"
	"comfygo/tests/gguftest"
	"comfygo/tests/golden"
)

// pieces is the SentencePiece model of gemma2.
func pieces(t *testing.T) []byte {
	t.Helper()
	words, err := os.ReadFile("tokenizer/sentencepiece/testdata/bpe-bytes.model")
	if err != nil {
		t.Fatal(err)
	}
	return words
}

// gemma2 writes a Gemma 2 of one small layer with a tokenizer of its own.
func gemma2(t *testing.T) string {
	t.Helper()
	words := pieces(t)
	tensors := []safetensors.Tensor{{Name: "spiece_model", DType: dtype.U8, Shape: []int{len(words)}, Data: words}}
	gemma2Weights(func(name string, x *tensor.Tensor) {
		e := safetensors.Tensor{Name: name, DType: dtype.F32, Shape: x.Shape}
		for _, v := range x.Data {
			e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(v))
		}
		tensors = append(tensors, e)
	})
	path := filepath.Join(t.TempDir(), "gemma2.safetensors")
	if err := safetensors.Save(path, nil, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

// gemma2Weights gives the weights to keep.
func gemma2Weights(keep func(name string, x *tensor.Tensor)) {
	add := func(name string, shape ...int) {
		keep(name, golden.Scale(golden.Normal(name, shape...), float32(1/math.Sqrt(float64(shape[len(shape)-1])))))
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
}

// gemma2GGUF writes the same model in llama.cpp's layout, whose norms are stored with one added.
func gemma2GGUF(t *testing.T) string {
	t.Helper()
	words, err := sentencepiece.Parse(pieces(t))
	if err != nil {
		t.Fatal(err)
	}
	f := &gguftest.File{}
	f.Text("general.architecture", "gemma2")
	f.Pieces(words.Parts())
	names := strings.NewReplacer(
		"model.embed_tokens", "token_embd", "model.norm", "output_norm", "model.layers.", "blk.", "self_attn.", "attn_", "mlp.", "ffn_", "_proj", "",
		"input_layernorm", "attn_norm", "post_attention_layernorm", "post_attention_norm", "pre_feedforward_layernorm", "ffn_norm", "post_feedforward_layernorm", "post_ffw_norm",
	)
	gemma2Weights(func(name string, x *tensor.Tensor) {
		name = strings.Replace(names.Replace(name), "attn_o.", "attn_output.", 1)
		if len(x.Shape) == 1 {
			for i := range x.Data {
				x.Data[i]++
			}
		}
		f.Tensor(name, x.Shape, x.Data)
	})
	path := filepath.Join(t.TempDir(), "gemma2.gguf")
	if err := os.WriteFile(path, f.Encoded(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTextEncoderInGGUF runs a text encoder with the tokenizer of its GGUF file beside the same one in safetensors: prompts are
// encoded and gone on with alike. Norms are rounded once more there.
func TestTextEncoderInGGUF(t *testing.T) {
	t.Parallel()
	const prompt = "a photo of a cat <end_of_turn> in the rain"
	var hidden [][]float32
	var texts []string
	for _, path := range []string{gemma2(t), gemma2GGUF(t)} {
		clip, err := shared.LoadCLIP("lumina2", path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := clip.Encode(t.Context(), prompt)
		if err != nil {
			t.Fatal(err)
		}
		hidden = append(hidden, c[0].Tokens.Data)
		text, err := clip.Generate(t.Context(), prompt, engine.Generation{MaxLength: 8, Choose: textgen.Options{Sample: true, Temperature: 1, TopP: 1, Repetition: 1, Seed: 4}})
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, text)
	}
	golden.Compare(t, "the encoding", hidden[1], hidden[0], golden.Tolerance{RMSRel: 1e-5})
	if texts[0] == "" || texts[0] != texts[1] {
		t.Errorf("%q", texts)
	}
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
