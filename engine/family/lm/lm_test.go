package lm_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/lm"
	"comfygo/engine/patch"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// shape are the sizes of a described network.
type shape struct {
	layers, width, heads, kv, head int
	norm, bias, gemma, lacksNorm   bool
}

func (s shape) list(vocab int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "model.embed_tokens.weight %d %d\n", vocab, s.width)
	if !s.lacksNorm {
		fmt.Fprintf(&b, "model.norm.weight %d\n", s.width)
	}
	for i := range s.layers {
		p := fmt.Sprintf("model.layers.%d.", i)
		linear := func(name string, out, in int) { fmt.Fprintf(&b, "%s%s.weight %d %d\n", p, name, out, in) }
		linear("self_attn.q_proj", s.heads*s.head, s.width)
		linear("self_attn.k_proj", s.kv*s.head, s.width)
		linear("self_attn.v_proj", s.kv*s.head, s.width)
		linear("self_attn.o_proj", s.width, s.heads*s.head)
		linear("mlp.gate_proj", 96, s.width)
		linear("mlp.up_proj", 96, s.width)
		linear("mlp.down_proj", s.width, 96)
		names := []string{"input_layernorm", "post_attention_layernorm"}
		if s.gemma {
			names = append(names, "pre_feedforward_layernorm", "post_feedforward_layernorm")
		}
		for _, n := range names {
			fmt.Fprintf(&b, "%s%s.weight %d\n", p, n, s.width)
		}
		if s.norm {
			fmt.Fprintf(&b, "%sself_attn.q_norm.weight %d\n%sself_attn.k_norm.weight %d\n", p, s.head, p, s.head)
		}
		if s.bias {
			fmt.Fprintf(&b, "%sself_attn.q_proj.bias %d\n%sself_attn.k_proj.bias %d\n%sself_attn.v_proj.bias %d\n", p, s.heads*s.head, p, s.kv*s.head, p, s.kv*s.head)
		}
	}
	return b.String()
}

// shapes are the shapes of each encoder, with fewer layers if that has no effect on detection.
var shapes = map[string]shape{
	lm.KeyLlama3:    {layers: 2, width: 4096, heads: 32, kv: 8, head: 128},
	lm.KeyMistral:   {layers: 2, width: 5120, heads: 32, kv: 8, head: 128, lacksNorm: true},
	lm.KeyMinistral: {layers: 2, width: 3072, heads: 32, kv: 8, head: 128},
	lm.KeyQwen25S:   {layers: 2, width: 2048, heads: 16, kv: 2, head: 128, bias: true},
	lm.KeyQwen25M:   {layers: 2, width: 3584, heads: 28, kv: 4, head: 128, bias: true},
	lm.KeyQwen3XS:   {layers: 2, width: 1024, heads: 16, kv: 8, head: 128, norm: true},
	lm.KeyQwen3S:    {layers: 2, width: 2048, heads: 16, kv: 8, head: 128, norm: true},
	lm.KeyQwen3M:    {layers: 2, width: 2560, heads: 32, kv: 8, head: 128, norm: true},
	lm.KeyQwen3L:    {layers: 2, width: 4096, heads: 32, kv: 8, head: 128, norm: true},
	lm.KeyGemma2:    {layers: 2, width: 2304, heads: 8, kv: 4, head: 256, gemma: true},
	lm.KeyGemma3S:   {layers: 34, width: 2560, heads: 8, kv: 4, head: 256, gemma: true, norm: true},
	lm.KeyGemma3M:   {layers: 48, width: 3840, heads: 16, kv: 8, head: 256, gemma: true, norm: true},
}

func TestDetection(t *testing.T) {
	t.Parallel()
	for key, s := range shapes {
		e, err := family.Open(family.Default, dryrun.List(s.list(16))).Text()
		if err != nil || e.Key() != key || e.Width() != s.width {
			t.Errorf("%s: %v, %v", key, e, err)
		}
	}
	vl := shapes[lm.KeyQwen3M].list(16)
	vl = strings.ReplaceAll(vl, "model.", "model.language_model.") + "model.visual.deepstack_merger_list.0.norm.weight 8\n"
	if e, err := family.Open(family.Default, dryrun.List(vl)).Text(); err != nil || e.Key() != lm.KeyQwen3VLM {
		t.Errorf("%s: %v, %v", lm.KeyQwen3VLM, e, err)
	}
}

// TestRefused checks files of models that look alike and cannot be run.
func TestRefused(t *testing.T) {
	t.Parallel()
	gemma := shapes[lm.KeyGemma3S]
	gemma.layers = 42
	for name, c := range map[string]struct{ list, want string }{
		"Gemma 4":       {gemma.list(16), "Gemma 4"},
		"another width": {shape{layers: 1, width: 256, heads: 2, kv: 1, head: 128, norm: true}.list(16), "256 channels"},
		"other biases":  {shape{layers: 1, width: 896, heads: 7, kv: 1, head: 128, bias: true}.list(16), "biases"},
		"odd heads":     {strings.Replace(shapes[lm.KeyLlama3].list(16), "k_proj.weight 1024", "k_proj.weight 1000", 1), "heads of 128"},
		"sinks":         {shapes[lm.KeyLlama3].list(16) + "model.layers.0.self_attn.sinks 4\n", "GPT-OSS"},
	} {
		_, err := family.Open(family.Default, dryrun.List(c.list)).Text()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

// TestTokenizers checks where the tokenizers that files carry are looked for.
func TestTokenizers(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{lm.KeyGemma2: "spiece_model", lm.KeyMistral: "tekken_model", lm.KeyLlama3: "llama_tokenizer"} {
		e, err := family.Open(family.Default, dryrun.List(shapes[key].list(16))).Text()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Tokenize("a", family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s without its tokenizer: %v, want %s in it", key, err, want)
		}
	}
}

// located is a file at a path.
type located struct {
	weights.Source
	path string
}

func (l located) Path() string { return l.path }

func TestTokenizerBesideTheFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := lm.New(located{dryrun.List(""), filepath.Join(dir, "llama.safetensors")}, lm.Config{Key: lm.KeyLlama3})
	words, err := os.ReadFile("../../tokenizer/hf/testdata/bpe-llama.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), words, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := e.Tokenize("a", family.TokenizeOptions{})
	if err != nil || len(got) != 1 || got[0][0].ID != 128000 || len(got[0]) < 2 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestKernels checks the graphs of all ways to encode, for each compute type and each type of weights on CUDA.
func TestKernels(t *testing.T) {
	t.Parallel()
	row := make([]tokenizer.Token, 12)
	for i := range row {
		row[i] = tokenizer.Token{ID: int32(i), Weight: 1}
	}
	for _, key := range []string{lm.KeyQwen3XS, lm.KeyQwen25S, lm.KeyGemma2} {
		s := shapes[key]
		s.layers, s.heads, s.kv = 2, 2, 1
		if s.bias { // the width of the biases names the model
			s.kv = 2
		}
		for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
			e, err := family.Open(family.Default, familytest.Stored(dryrun.List(s.list(64)), stored)).Text()
			if err != nil {
				t.Fatal(key, err)
			}
			for _, target := range familytest.Targets(t) {
				run := &dryrun.Runner{Spec: family.Spec{Target: target}}
				for _, o := range []family.EncodeOptions{{}, lm.Masked(-2), {AllLayers: true}} {
					if _, err := e.Encode(t.Context(), run, tokenizer.Tokens{row}, o); err != nil {
						t.Errorf("%s in %s: %v", key, target.Compute, err)
					}
				}
				for _, g := range run.Graphs {
					cudakernels.Check(t, g)
				}
			}
		}
	}
}

func TestLoRANames(t *testing.T) {
	t.Parallel()
	e := lm.New(dryrun.List(shapes[lm.KeyQwen3XS].list(16)), lm.Config{Key: lm.KeyQwen3XS})
	var m patch.KeyMap
	e.LoRAKeys(&m, "qwen3_06b.transformer.", []string{lm.KeyQwen3XS})
	for _, name := range []string{
		"text_encoders.qwen3_06b.transformer.model.layers.1.mlp.up_proj", "text_encoders.transformer.model.layers.1.mlp.up_proj", "lora_te_layers_1_mlp_up_proj",
	} {
		if target, ok := m.Lookup(name); !ok || target.Key != "qwen3_06b.transformer.model.layers.1.mlp.up_proj.weight" {
			t.Errorf("%s: %v", name, target)
		}
	}
}
