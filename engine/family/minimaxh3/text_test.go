package minimaxh3_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/family/minimaxh3"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	inner "comfygo/internal/golden"
)

// prompts are those of testdata/prompts.py.
var prompts = map[string]family.Prompt{
	"text":   {Text: "A (cat:1.5) runs [fast], 日本."},
	"empty":  {},
	"images": {Text: "a video", Images: []*tensor.Tensor{tensor.New(1, 64, 96, 3), tensor.New(1, 50, 200, 3)}},
	"references": {Text: "<Picture 1> and <Video 1>", Extra: []minimaxh3.Shown{
		{Image: tensor.New(1, 32, 32, 3)}, {}, {Video: tensor.New(3, 64, 64, 3)}, {}, {Image: tensor.New(1, 96, 64, 3)},
	}},
}

// unweighted is the tokenizer of Qwen as the scheme uses it.
func unweighted(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	o.Layout = lm.Unweighted
	return lm.QwenTokens(prompt, o)
}

func TestPromptsEqualUpstream(t *testing.T) {
	t.Parallel()
	var want map[string]struct {
		Tokens []any     `json:"tokens"`
		Tags   []float32 `json:"tags"`
	}
	if err := inner.ReadJSON("testdata/prompts.json", &want); err != nil {
		t.Fatal(err)
	}
	for name, p := range prompts {
		tokens, err := minimaxh3.Compose(unweighted, p, family.TokenizeOptions{})
		if err != nil || len(tokens) != 1 || len(tokens[0]) != len(want[name].Tokens) {
			t.Errorf("%s: %v, %v; want %v", name, tokens, err, want[name].Tokens)
			continue
		}
		for i, got := range tokens[0] {
			switch v := want[name].Tokens[i].(type) {
			case float64:
				if got.Image != nil || float64(got.ID) != v {
					t.Errorf("%s: token %d is %d, want %v", name, i, got.ID, v)
				}
			case []any:
				frames := 1.0
				if got.Frames {
					frames = 2
				}
				if got.Image == nil || !slices.Equal(v, []any{-1.0, float64(got.Image.Dim(1)), float64(got.Image.Dim(2)), frames}) {
					t.Errorf("%s: token %d is %v of %v frames, want %v", name, i, got.Image, frames, v)
				}
			}
		}
		e, err := minimaxh3.Tagged(family.Encoding{Hidden: tensor.New(1, len(want[name].Tags), 4), Tokens: tokens}, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := e.Extra[minimaxh3.KeyTags].(*tensor.Tensor).Data; !slices.Equal(got, want[name].Tags) {
			t.Errorf("%s: kinds %v, want %v", name, got, want[name].Tags)
		}
	}
}

func TestBadPrompts(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		tok    family.Tokenizer
		prompt family.Prompt
		want   string
	}{
		"the extra of another model": {unweighted, family.Prompt{Extra: 3}, "does not read int"},
		"several chunks":             {func(string, family.TokenizeOptions) (tokenizer.Tokens, error) { return make(tokenizer.Tokens, 2), nil }, family.Prompt{Text: "a"}, "longer than one chunk"},
		"a broken tokenizer":         {func(string, family.TokenizeOptions) (tokenizer.Tokens, error) { return nil, broken }, family.Prompt{Text: "a"}, "broken"},
	} {
		if _, err := minimaxh3.Compose(c.tok, c.prompt, family.TokenizeOptions{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, wanted an error with %q", name, err, c.want)
		}
	}
	if _, err := minimaxh3.Tagged(family.Encoding{Hidden: tensor.New(1, 3, 4), Tokens: tokenizer.Tokens{{{ID: 1}}}}, nil); err == nil {
		t.Error("an encoding of other length: no error")
	}
}
