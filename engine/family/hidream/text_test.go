package hidream_test

import (
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/tensor"
)

func scheme(t *testing.T) family.Scheme {
	t.Helper()
	for _, s := range family.Default.Schemes() {
		if s.Type() == "hidream" {
			return s
		}
	}
	t.Fatal("the scheme is not registered")
	return nil
}

func filled(v float32, shape ...int) *tensor.Tensor {
	x := tensor.New(shape...)
	for i := range x.Data {
		x.Data[i] = v
	}
	return x
}

// TestJoin checks the replacement of each missing encoder, and that the token embeddings of the language model are left out.
func TestJoin(t *testing.T) {
	t.Parallel()
	layers := tensor.New(1, 33, 2, 4096)
	for i := range layers.Data {
		layers.Data[i] = float32(i / (2 * 4096))
	}
	l, g := family.Encoding{Pooled: filled(1, 1, 768)}, family.Encoding{Pooled: filled(2, 1, 1280)}
	t5, llama := family.Encoding{Hidden: filled(3, 1, 5, 4096)}, family.Encoding{Hidden: layers}
	for name, c := range map[string]struct {
		parts          map[string]family.Encoding
		tokens         int
		hidden, states float32
		pooled         [2]float32
		layers         int
	}{
		"all":   {map[string]family.Encoding{"clip_l": l, "clip_g": g, "t5xxl": t5, "llama": llama}, 5, 3, 1, [2]float32{1, 2}, 32},
		"none":  {nil, 128, 0, 0, [2]float32{}, 32},
		"llama": {map[string]family.Encoding{"llama": llama}, 128, 0, 1, [2]float32{}, 32},
	} {
		got, err := scheme(t).Join(c.parts)
		if err != nil {
			t.Fatal(err)
		}
		states, _ := got.Extra["conditioning_llama3"].(*tensor.Tensor)
		if got.Hidden.Dim(1) != c.tokens || got.Hidden.Data[0] != c.hidden || states.Dim(1) != c.layers || states.Data[0] != c.states {
			t.Errorf("%s: hidden %v, layers %v", name, got.Hidden, states)
		}
		if p := [2]float32{got.Pooled.Data[0], got.Pooled.Data[768]}; p != c.pooled {
			t.Errorf("%s: pooled %v", name, p)
		}
	}
	if _, err := scheme(t).Join(map[string]family.Encoding{"clip_l": g}); err == nil {
		t.Error("no error for an encoder of another width")
	}
}
