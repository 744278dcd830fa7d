package engine_test

import (
	"math"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// reduxFile writes a style model whose tokens are those of the image: of width 4, with layers that pass values on.
func reduxFile(t *testing.T) string {
	t.Helper()
	const width = 4
	one := make([]float32, width*width)
	for i := range width {
		one[i*width+i] = 1
	}
	var all []weights.Saved
	for name, v := range map[string][]float32{"redux_up.weight": one, "redux_up.bias": make([]float32, width), "redux_down.weight": one, "redux_down.bias": make([]float32, width)} {
		shape := []int{width, width}
		if len(v) == width {
			shape = shape[:1]
		}
		all = append(all, numbers(t, name, v, shape))
	}
	return tensorFile(t, "style.safetensors", all)
}

// TestStyle appends the tokens of two images to a text: multiplied, and with a mask that a second application extends.
func TestStyle(t *testing.T) {
	t.Parallel()
	style, err := shared.LoadStyle(reduxFile(t))
	if err != nil {
		t.Fatal(err)
	}
	hidden := tensor.New(2, 3, 4)
	for i := range hidden.Data {
		hidden.Data[i] = float32(i)
	}
	image := family.ImageEncoding{Last: hidden}
	text := tensor.New(1, 5, 4)
	before := engine.Conditioning{{Tokens: text}}
	out, err := style.Apply(t.Context(), before, image, 0.5, false)
	if err != nil {
		t.Fatal(err)
	}
	silu := func(x float64) float64 { return x / (1 + math.Exp(-x)) }
	for i, v := range out[0].Tokens.Data[text.Len():] {
		if want := silu(float64(i)) * 0.5; math.Abs(float64(v)-want) > 1e-4 {
			t.Fatalf("value %d is %v, wanted %v", i, v, want)
		}
	}
	if out[0].Tokens.Dim(1) != 11 || out[0].Values[sampling.KeyAttentionMask] != nil || before[0].Tokens != text {
		t.Errorf("shape %v, values %v", out[0].Tokens.Shape, out[0].Values)
	}
	if out, err = style.Apply(t.Context(), before, image, 0.5, true); err != nil {
		t.Fatal(err)
	}
	if out, err = style.Apply(t.Context(), out, image, 1, true); err != nil {
		t.Fatal(err)
	}
	mask, _ := out[0].Values[sampling.KeyAttentionMask].(*tensor.Tensor)
	const size = 5 + 6 + 6 + 1
	if mask == nil || mask.Dim(1) != size || mask.Dim(2) != size {
		t.Fatalf("the mask is %v", mask)
	}
	for i := range size {
		for j := range size {
			want := 0.0
			if first := func(k int) bool { return k >= 5 && k < 11 }; first(j) && !first(i) && (i < 5 || i == size-1) {
				want = math.Log(0.5) // in float16, as in upstream
			}
			if got := float64(mask.Data[i*size+j]); math.Abs(got-want) > 3e-4 {
				t.Fatalf("the mask at %d, %d is %v, wanted %v", i, j, got, want)
			}
		}
	}
	for name, run := range map[string]func() error{
		"another family": func() error {
			_, err := style.Apply(t.Context(), engine.Conditioning{{Tokens: tensor.New(1, 5, 8)}}, image, 1, false)
			return err
		},
		"another image encoder": func() error {
			_, err := style.Apply(t.Context(), before, family.ImageEncoding{Last: tensor.New(1, 3, 8)}, 1, false)
			return err
		},
	} {
		if err := run(); err == nil || !strings.Contains(err.Error(), name) && !strings.Contains(err.Error(), "different families") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
