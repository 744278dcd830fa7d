package textenc_test

import (
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/textenc"
	"comfygo/engine/weights"
)

func TestEmbedded(t *testing.T) {
	t.Parallel()
	src, err := weights.Memory("te.safetensors",
		weights.Entry{Name: "spiece_model", DType: dtype.U8, Shape: []int{3}, Data: []byte("abc")},
		weights.Entry{Name: "floats", DType: dtype.F16, Shape: []int{1}, Data: []byte("ab")})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := textenc.Embedded(src, "spiece_model", "the tokenizer"); err != nil || string(got) != "abc" {
		t.Errorf("got %q, %v", got, err)
	}
	for _, key := range []string{"floats", "tokenizer_json"} {
		if _, err := textenc.Embedded(src, key, "the tokenizer"); err == nil {
			t.Errorf("%s: no error", key)
		}
	}
}
