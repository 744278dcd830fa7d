package sd3_test

import (
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/sd3"
	"comfygo/engine/tensor"
)

func scheme(t *testing.T) family.Scheme {
	t.Helper()
	for _, s := range family.Default.Schemes() {
		if s.Type() == sd3.Scheme {
			return s
		}
	}
	t.Fatal("the scheme is not registered")
	return nil
}

// filled returns an encoding of n tokens with all values v.
func filled(n, width int, v float32) family.Encoding {
	fill := func(shape ...int) *tensor.Tensor {
		out := tensor.New(shape...)
		for i := range out.Data {
			out.Data[i] = v
		}
		return out
	}
	return family.Encoding{Hidden: fill(1, n, width), Pooled: fill(1, width)}
}

func TestJoin(t *testing.T) {
	t.Parallel()
	l, g, t5 := filled(154, 768, 1), filled(77, 1280, 2), filled(5, 4096, 3)
	t5.Pooled = nil
	for name, c := range map[string]struct {
		parts map[string]family.Encoding
		// tokens is the length of the result; first and after are its values at columns 0, 768, 2048 of the first token and of the
		// one after the CLIP encodings, pooled those of the pooled output at 0 and 768.
		tokens        int
		first, behind [3]float32
		pooled        [2]float32
	}{
		"all":    {map[string]family.Encoding{"clip_l": l, "clip_g": g, "t5xxl": t5}, 82, [3]float32{1, 2, 0}, [3]float32{3, 3, 3}, [2]float32{1, 2}},
		"both":   {map[string]family.Encoding{"clip_l": l, "clip_g": g}, 77, [3]float32{1, 2, 0}, [3]float32{}, [2]float32{1, 2}},
		"CLIP-L": {map[string]family.Encoding{"clip_l": l}, 154, [3]float32{1, 0, 0}, [3]float32{1, 0, 0}, [2]float32{1, 0}},
		"CLIP-G": {map[string]family.Encoding{"clip_g": g}, 77, [3]float32{0, 2, 0}, [3]float32{}, [2]float32{0, 2}},
		"T5":     {map[string]family.Encoding{"t5xxl": t5}, 5, [3]float32{3, 3, 3}, [3]float32{}, [2]float32{}},
		"none":   {nil, 77, [3]float32{}, [3]float32{}, [2]float32{}},
	} {
		got, err := scheme(t).Join(c.parts)
		if err != nil {
			t.Fatal(err)
		}
		if got.Hidden.Dim(1) != c.tokens || got.Hidden.Dim(2) != 4096 || got.Pooled.Dim(1) != 2048 {
			t.Errorf("%s: hidden %v, pooled %v", name, got.Hidden.Shape, got.Pooled.Shape)
			continue
		}
		at := func(token int) [3]float32 {
			row := got.Hidden.Data[token*4096:]
			return [3]float32{row[0], row[768], row[2048]}
		}
		if at(0) != c.first || c.tokens > 77 && at(77) != c.behind {
			t.Errorf("%s: the first token is %v, want %v", name, at(0), c.first)
		}
		if p := [2]float32{got.Pooled.Data[0], got.Pooled.Data[768]}; p != c.pooled {
			t.Errorf("%s: pooled %v, want %v", name, p, c.pooled)
		}
	}
	if _, err := scheme(t).Join(map[string]family.Encoding{"clip_l": filled(77, 1024, 1)}); err == nil {
		t.Error("no error for an encoder of another width")
	}
}
