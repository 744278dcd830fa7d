package engine_test

import (
	"context"
	"slices"
	"testing"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
)

// entries is a scheme of one network with entries that use it, too.
type entries struct{}

func (entries) Name() string { return "entries" }
func (entries) Rank() int    { return 1 }
func (entries) Type() string { return "entries" }

func (entries) Encoders() []family.SchemeEncoder {
	const key = "gemma2_2b"
	return []family.SchemeEncoder{
		{Key: key},
		{Key: "first", Of: key, Options: family.EncodeOptions{Layers: []int{0}}, Text: func(p family.Prompt) (string, bool) { return "one " + p.Extra.(string), true }},
		{Key: "run", Of: key, Run: func(_ context.Context, c family.SchemeCall) (family.Encoding, error) {
			c.Cached(1 << 10)
			x := tensor.New(1, len(c.Tokens["first"][0]))
			x.Data[0] = float32(len(c.Prompt.Text))
			return family.Encoding{Hidden: x}, nil
		}},
	}
}

func (entries) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	e := parts["gemma2_2b"]
	e.Extra = map[string]any{"first": parts["first"].Hidden, "run": parts["run"].Hidden}
	return e, nil
}

// TestEntriesOfOneNetwork encodes a prompt by a scheme whose entries use one network in several ways.
func TestEntriesOfOneNetwork(t *testing.T) {
	t.Parallel()
	reg := &family.Registry{}
	for _, f := range family.Default.Text() {
		reg.Register(f)
	}
	reg.Register(entries{})
	clip, err := shared.WithFamilies(reg).LoadCLIP("entries", gemma2(t))
	if err != nil {
		t.Fatal(err)
	}
	c, err := clip.EncodePrompt(t.Context(), engine.Prompt{Text: "two", Extra: "two three"})
	if err != nil {
		t.Fatal(err)
	}
	first, run := c[0].Values["first"].(*tensor.Tensor), c[0].Values["run"].(*tensor.Tensor)
	if len(first.Shape) != 4 || first.Dim(1) != 1 || first.Dim(2) <= c[0].Tokens.Dim(1) || !slices.Equal(run.Shape, []int{1, first.Dim(2)}) || run.Data[0] != 3 {
		t.Errorf("encodings %v, %v and %v %v", c[0].Tokens.Shape, first.Shape, run.Shape, run.Data)
	}
}
