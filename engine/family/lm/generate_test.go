package lm_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
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

// generated is what testdata/generate.py recorded of one model.
type generated struct {
	Config  json.RawMessage `json:"config"`
	Shapes  [][2]any        `json:"shapes"`
	Prompt  int             `json:"prompt"`
	Greedy  []int32         `json:"greedy"`
	Sampled []int32         `json:"sampled"`
}

// records returns the models of testdata/generate.json, and the logits.
func records(t *testing.T) (map[string]generated, *inner.Tensors) {
	t.Helper()
	var cases map[string]generated
	if err := inner.ReadJSON("testdata/generate.json", &cases); err != nil {
		t.Fatal(err)
	}
	logits, err := inner.ReadTensors("testdata/generate.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	return cases, logits
}

// weightsOf makes the weights of a model as testdata/generate.py does.
func weightsOf(t *testing.T, name string, shapes [][2]any) weights.Source {
	t.Helper()
	gemma := strings.HasPrefix(name, "Gemma") // upstream's class; lower case is a tower's weights
	var list []weights.Entry
	for _, s := range shapes {
		key := s[0].(string)
		var shape []int
		for _, n := range s[1].([]any) {
			shape = append(shape, int(n.(float64)))
		}
		v := golden.Normal(name+"/"+key, shape...)
		switch {
		case strings.HasSuffix(key, "embed_tokens.weight"):
			inner.Over(v, 4)
		case strings.HasSuffix(key, "bias"):
			inner.Over(v, 10)
		case len(shape) == 1 && gemma || strings.HasSuffix(key, "soft_emb_norm.weight"):
			inner.Over(v, 8)
		case len(shape) == 1:
			for i, x := range v.Data {
				v.Data[i] = 1 + x/8
			}
		default:
			inner.Over(v, math.Sqrt(float64(tensor.Count(shape[1:]))))
		}
		data := inner.Bytes(v.Data)
		list = append(list, weights.Entry{Name: key, DType: dtype.F32, TypeName: "F32", Shape: shape, Data: data})
	}
	return dryrun.Described(list)
}

func prompt(n int) tokenizer.Tokens {
	row := make([]tokenizer.Token, n)
	for i := range row {
		row[i] = tokenizer.Token{ID: int32((i*37 + 5) % 96), Weight: 1}
	}
	return tokenizer.Tokens{row}
}

// TestGeneratedTokensEqualUpstream compares the tokens, greedy and by chance, and the logits of the first and the last step; ten
// times what float32 is off in six layers and a thousand tokens is allowed. Gemma 3's prompt is longer than its window.
func TestGeneratedTokensEqualUpstream(t *testing.T) {
	t.Parallel()
	cases, logits := records(t)
	if len(cases) != 6 {
		t.Fatalf("%d models", len(cases))
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := lm.Small(name, c.Config, weightsOf(t, name, c.Shapes))
			if err != nil {
				t.Fatal(err)
			}
			for _, way := range []struct {
				choose textgen.Options
				want   []int32
			}{
				{textgen.Options{}, c.Greedy},
				{textgen.Options{Sample: true, Temperature: 0.9, TopK: 40, TopP: 0.95, MinP: 0.01, Repetition: 1.1, Presence: 0.1, Seed: 42}, c.Sampled},
			} {
				choose, err := textgen.New(way.choose)
				if err != nil {
					t.Fatal(err)
				}
				var seen [][]float32
				var steps []int
				var cached int64
				got, err := e.Generate(t.Context(), familytest.Runner{}, prompt(c.Prompt), family.GenerateOptions{
					MaxLength: len(way.want), Stop: []int32{}, Progress: func(done int) { steps = append(steps, done) }, Cached: func(n int64) { cached = n },
					Next: func(l []float32) (int32, error) { seen = append(seen, slices.Clone(l)); return choose.Next(l) },
				})
				if err != nil || !slices.Equal(got, way.want) {
					t.Errorf("%v, %v; want %v", got, err, way.want)
				}
				if len(steps) != len(got) || steps[len(steps)-1] != len(got) || cached < e.CacheBytes(c.Prompt+len(got)-1) {
					t.Errorf("progress %v, cache of %d bytes", steps, cached)
				}
				if way.choose.Sample {
					continue
				}
				want, err := logits.Get(name)
				if err != nil {
					t.Fatal(err)
				}
				golden.Compare(t, "logits", append(seen[0], seen[len(seen)-1]...), want.Data, near)
			}
		})
	}
}

// small is the smallest of the recorded models.
func small(t *testing.T) *lm.Encoder {
	t.Helper()
	cases, _ := records(t)
	const name = "Qwen3_06B"
	e, err := lm.Small(name, cases[name].Config, weightsOf(t, name, cases[name].Shapes))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestGenerationEnds(t *testing.T) {
	t.Parallel()
	e := small(t)
	count := 0
	next := func([]float32) (int32, error) { count++; return int32(count), nil }
	got, err := e.Generate(t.Context(), familytest.Runner{}, prompt(3), family.GenerateOptions{MaxLength: 9, Stop: []int32{7, 3}, Next: next})
	if err != nil || !slices.Equal(got, []int32{1, 2, 3}) {
		t.Errorf("%v, %v; want the text up to the token that ends it", got, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("interrupted")
	_, err = e.Generate(ctx, familytest.Runner{}, prompt(3), family.GenerateOptions{MaxLength: 9, Next: func([]float32) (int32, error) { cancel(why); return 1, nil }})
	if !errors.Is(err, why) {
		t.Errorf("an interrupted generation: %v", err)
	}
}

// tight is a runner with too little memory for a text.
type tight struct {
	familytest.Runner
	bytes int64
}

func (r tight) Check(what string, bytes int64) error {
	if bytes > r.bytes {
		return errors.New(what + " needs more memory")
	}
	return nil
}

func TestGenerationErrors(t *testing.T) {
	t.Parallel()
	e := small(t)
	fails := errors.New("no choice")
	o := family.GenerateOptions{MaxLength: 2, Next: func([]float32) (int32, error) { return 0, fails }}
	if _, err := e.Generate(t.Context(), familytest.Runner{}, prompt(3), o); !errors.Is(err, fails) {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct {
		tokens tokenizer.Tokens
		run    family.Runner
		next   int32
		want   string
	}{
		"no tokens":     {tokens: tokenizer.Tokens{{}}, run: familytest.Runner{}, want: "chunks"},
		"two chunks":    {tokens: append(prompt(2), prompt(2)...), run: familytest.Runner{}, want: "2 chunks"},
		"unknown token": {tokens: prompt(2), run: familytest.Runner{}, next: 96, want: "token 96"},
		"no memory":     {tokens: prompt(2), run: tight{bytes: 1000}, want: "keys and values"},
		"an image":      {tokens: tokenizer.Tokens{{{Image: tensor.New(1, 4, 4, 3)}}}, run: familytest.Runner{}, want: "vision tower"},
	} {
		_, err := e.Generate(t.Context(), c.run, c.tokens, family.GenerateOptions{MaxLength: 2, Next: func([]float32) (int32, error) { return c.next, nil }})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
	without := lm.New(dryrun.List(shapes[lm.KeyQwen3L].list(16)), lm.Config{Key: lm.KeyQwen3L})
	if _, err := without.Generate(t.Context(), familytest.Runner{}, prompt(2), o); err == nil || !strings.Contains(err.Error(), "lm_head.weight") {
		t.Errorf("a model without its output layer: %v", err)
	}
}

// TestDecoderKernels checks the graphs that generate, for each compute type and each type of weights on CUDA.
func TestDecoderKernels(t *testing.T) {
	t.Parallel()
	for _, key := range []string{lm.KeyQwen3XS, lm.KeyQwen25S, lm.KeyGemma2} {
		s := shapes[key]
		s.layers, s.heads, s.kv = 2, 2, 1
		if s.bias {
			s.kv = 2
		}
		for _, stored := range []dtype.DType{dtype.F32, dtype.F16, dtype.BF16} {
			e, err := family.Open(family.Default, familytest.Stored(dryrun.List(s.list(128)), stored)).Text()
			if err != nil {
				t.Fatal(key, err)
			}
			for _, target := range familytest.Targets(t) {
				run := &dryrun.Runner{Spec: family.Spec{Target: target}}
				o := family.GenerateOptions{MaxLength: 2, Next: func([]float32) (int32, error) { return 1, nil }}
				if _, err := e.(family.Generator).Generate(t.Context(), run, prompt(3), o); err != nil {
					t.Errorf("%s in %s: %v", key, target.Compute, err)
				}
				for _, g := range run.Graphs {
					cudakernels.Check(t, g)
				}
			}
		}
	}
}

// TestQwenDecoding checks that special tokens are left out of text, and others are kept.
func TestQwenDecoding(t *testing.T) {
	t.Parallel()
	e := lm.New(dryrun.List(""), lm.Config{Key: lm.KeyQwen3XS})
	const text = "<think>Größe 7 – 猫</think> ok"
	tokens, err := e.Tokenize(text, family.TokenizeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []int32
	for _, tok := range tokens[0] {
		ids = append(ids, tok.ID)
	}
	if got, err := e.Decode(append([]int32{lm.TokenTurnStart}, append(ids, lm.TokenTurnEnd)...)); err != nil || got != text {
		t.Errorf("%q, %v; want %q", got, err, text)
	}
	if _, err := e.Decode([]int32{200000}); err == nil {
		t.Error("an unknown token: no error")
	}
}
