package t5_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/t5"
	"comfygo/engine/patch"
	"comfygo/engine/tensor"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// shape are the sizes of a described encoder.
type shape struct {
	layers, width, inner, heads, mlp, vocab int
	gated, each                             bool
}

// list describes an encoder's tensors.
func (s shape) list() string {
	var b strings.Builder
	fmt.Fprintf(&b, "shared.weight %d %d\nencoder.final_layer_norm.weight %d\n", s.vocab, s.width, s.width)
	for i := range s.layers {
		p := fmt.Sprintf("encoder.block.%d.layer.", i)
		for _, n := range []string{"q", "k", "v"} {
			fmt.Fprintf(&b, "%s0.SelfAttention.%s.weight %d %d\n", p, n, s.inner, s.width)
		}
		fmt.Fprintf(&b, "%s0.SelfAttention.o.weight %d %d\n", p, s.width, s.inner)
		if i == 0 || s.each {
			fmt.Fprintf(&b, "%s0.SelfAttention.relative_attention_bias.weight 32 %d\n", p, s.heads)
		}
		for _, n := range []string{"wi_0", "wi_1", "wi"} {
			if s.gated == strings.Contains(n, "_") {
				fmt.Fprintf(&b, "%s1.DenseReluDense.%s.weight %d %d\n", p, n, s.mlp, s.width)
			}
		}
		fmt.Fprintf(&b, "%s1.DenseReluDense.wo.weight %d %d\n%s0.layer_norm.weight %d\n%s1.layer_norm.weight %d\n", p, s.width, s.mlp, p, s.width, p, s.width)
	}
	return b.String()
}

func TestDetection(t *testing.T) {
	t.Parallel()
	for key, s := range map[string]shape{
		t5.KeyXXL:      {24, 4096, 4096, 64, 10240, 32128, true, false},
		t5.KeyOld:      {24, 1024, 16384, 128, 65536, 32128, false, false},
		t5.KeyUMT5:     {24, 4096, 4096, 64, 10240, 65536, true, true},
		t5.KeyPile:     {24, 2048, 2048, 32, 5120, 32128, true, true},
		t5.KeyMT5:      {24, 2048, 2048, 32, 5120, 65536, true, false},
		t5.KeyByT5:     {12, 1472, 384, 6, 3584, 1510, true, false},
		t5.KeyBase:     {12, 768, 768, 12, 3072, 32128, false, false},
		t5.KeyUMT5Base: {12, 768, 768, 12, 2048, 65536, true, true},
	} {
		list := s.list()
		if key == t5.KeyUMT5Base {
			list += "spiece_model 10\n"
		}
		for _, prefix := range []string{"", "text_encoder."} {
			src := dryrun.List(prefix + strings.ReplaceAll(strings.TrimSpace(list), "\n", "\n"+prefix) + "\n")
			e, err := family.Open(family.Default, src).Text()
			if err != nil || e.Key() != key || e.Width() != s.width {
				t.Errorf("%s below %q: %v, %v", key, prefix, e, err)
			}
		}
	}
}

func TestWrongFiles(t *testing.T) {
	t.Parallel()
	good := shape{2, 64, 64, 2, 128, 100, true, false}.list()
	for name, c := range map[string]struct{ list, want string }{
		"no table":     {strings.Replace(good, "shared.weight", "other.weight", 1), "shared.weight"},
		"no biases":    {strings.ReplaceAll(good, "relative_attention_bias", "bias"), "relative_attention_bias"},
		"uneven heads": {strings.ReplaceAll(good, "bias.weight 32 2", "bias.weight 32 3"), "3 heads"},
	} {
		_, err := family.Open(family.Default, dryrun.List(c.list)).Text()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
	e, err := family.Open(family.Default, dryrun.List(shape{24, 64, 64, 2, 128, 300, true, true}.list())).Text()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Tokenize("a", family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), "spiece_model") {
		t.Errorf("a file without its tokenizer: %v", err)
	}
}

// spy keeps the inputs of a graph.
type spy struct {
	dryrun.Runner
	buckets []int64
}

func (s *spy) Run(ctx context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	for _, v := range in {
		if v.Ints != nil {
			s.buckets = v.Ints
		}
	}
	return s.Runner.Run(ctx, g, in, outputs...)
}

// TestBuckets checks the distances at which the bucket of a relative position changes (upstream's own function).
func TestBuckets(t *testing.T) {
	t.Parallel()
	e := t5.New(dryrun.List(shape{1, 64, 64, 2, 128, 100, true, false}.list()), t5.Config{Key: t5.KeyXXL, Width: 64, Inner: 64, Layers: 1, Heads: 2, MLP: 128, Vocab: 100, Gated: true})
	tokens, err := e.Tokenize("", family.TokenizeOptions{Layout: family.MinLength(300)})
	if err != nil {
		t.Fatal(err)
	}
	s := &spy{Runner: dryrun.Runner{Spec: family.Spec{Target: familytest.Targets(t)[0]}}}
	if _, err := e.Encode(t.Context(), s, tokens, family.EncodeOptions{}); err != nil {
		t.Fatal(err)
	}
	const n = 300
	var changes []int
	for d := 1; d < n; d++ {
		if s.buckets[d*n] != s.buckets[(d-1)*n] {
			changes = append(changes, d)
		}
		if ahead := s.buckets[d]; ahead != 16+s.buckets[d*n] {
			t.Errorf("%d tokens ahead: bucket %d", d, ahead)
		}
	}
	if want := []int{1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91}; !slices.Equal(changes, want) {
		t.Errorf("the bucket changes at distances %v, want %v", changes, want)
	}
}

func TestKernels(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{{2, 64, 64, 2, 128, 100, true, false}, {2, 64, 64, 2, 128, 100, false, true}} {
		familytest.CheckCUDA(t, dryrun.List(s.list()), 3)
	}
}

func TestLoRANames(t *testing.T) {
	t.Parallel()
	src := dryrun.List(shape{1, 64, 64, 2, 128, 100, true, false}.list())
	e := t5.New(src, t5.Config{Key: t5.KeyXXL})
	for name, keys := range map[string][]string{
		"lora_te2_encoder_block_0_layer_0_SelfAttention_q":                          {"clip_l", "t5xxl"},
		"lora_te3_encoder_block_0_layer_0_SelfAttention_q":                          {"clip_l", "clip_g", "t5xxl"},
		"text_encoders.t5xxl.transformer.encoder.block.0.layer.1.DenseReluDense.wo": {"t5xxl"},
		"text_encoders.transformer.encoder.block.0.layer.1.DenseReluDense.wo":       {"t5xxl"},
	} {
		var m patch.KeyMap
		e.LoRAKeys(&m, "t5xxl.transformer.", keys)
		if _, ok := m.Lookup(name); !ok {
			t.Errorf("%s is not known beside %v", name, keys)
		}
	}
}
