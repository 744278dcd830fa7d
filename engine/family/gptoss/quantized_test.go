package gptoss_test

import (
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/gptoss"
	"comfygo/engine/safetensors"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// TestQuantizedExperts runs a network whose experts are stored in nvfp4, as in the file that is distributed, and one with the same numbers
// in float32.
func TestQuantizedExperts(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/gptoss", "gptoss")
	c := small
	c.Inner = 32 // blocks have 16 elements
	floats := func(v []float32) []byte {
		out := make([]byte, 4*len(v))
		if err := weights.FromFloat32(out, v, dtype.F32); err != nil {
			t.Fatal(err)
		}
		return out
	}
	var plain, quantized []safetensors.Tensor
	for _, n := range src.Names() {
		e, _ := src.Lookup(n)
		layer, bank := strings.CutSuffix(n, "_proj.weight")
		switch {
		case strings.HasSuffix(n, "gate_up_proj.bias"):
			x := safetensors.Tensor{Name: n, DType: dtype.F32, Shape: []int{6, 64}, Data: make([]byte, 4*6*64)}
			plain, quantized = append(plain, x), append(quantized, x)
		case bank && strings.Contains(n, ".experts."):
			shape := map[bool][]int{true: {6, 64, 32}, false: {6, 32, 32}}[strings.HasSuffix(layer, "gate_up")]
			data, blocks := make([]byte, shape[0]*shape[1]*shape[2]/2), make([]byte, 6*128*4)
			for i := range data {
				data[i] = byte(i*7 + i/16*3 + len(n))
			}
			for i := range blocks {
				blocks[i] = 0x20 + byte(i%7)
			}
			format := []byte(`{"format": "nvfp4", "num_experts": 6}`)
			quantized = append(quantized,
				safetensors.Tensor{Name: n, DType: dtype.U8, Shape: []int{shape[0], shape[1], shape[2] / 2}, Data: data},
				safetensors.Tensor{Name: n + "_scale", DType: dtype.F8E4M3, Shape: []int{6, 128, 4}, Data: blocks},
				safetensors.Tensor{Name: n + "_scale_2", DType: dtype.F32, Shape: []int{6}, Data: floats([]float32{0.1, 0.2, 0.3, 0.4, 0.5, 0.6})},
				safetensors.Tensor{Name: layer + "_proj.comfy_quant", DType: dtype.U8, Shape: []int{len(format)}, Data: format},
			)
		default:
			v, err := weights.Float32s(e)
			if err != nil {
				t.Fatal(err)
			}
			x := safetensors.Tensor{Name: n, DType: dtype.F32, Shape: e.Shape, Data: floats(v)}
			plain, quantized = append(plain, x), append(quantized, x)
		}
	}
	open := func(name string, list []safetensors.Tensor) weights.Source {
		path := filepath.Join(t.TempDir(), name+".safetensors")
		if err := safetensors.Save(path, nil, list); err != nil {
			t.Fatal(err)
		}
		s, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	four := open("nvfp4", quantized)
	for _, n := range four.Names() {
		e, _ := four.Lookup(n)
		if e.Scheme == nil {
			continue
		}
		var v []float32
		for i := range e.Shape[0] {
			part, err := e.Part(i, e.Shape[0])
			if err != nil {
				t.Fatal(err)
			}
			one, err := weights.Float32s(part)
			if err != nil {
				t.Fatal(err)
			}
			v = append(v, one...)
		}
		plain = append(plain, safetensors.Tensor{Name: n, DType: dtype.F32, Shape: e.Shape, Data: floats(v)})
	}
	var states [2][]float32
	for i, s := range []weights.Source{four, open("plain", plain)} {
		tokens := tokenizer.Tokens{{{ID: 1, Weight: 1}, {ID: 39, Weight: 1}, {ID: 7, Weight: 1}, {ID: 20, Weight: 1}}}
		out, err := gptoss.New(s, c).Encode(t.Context(), familytest.Runner{}, tokens, family.EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		states[i] = out.Hidden.Data
	}
	golden.Compare(t, "nvfp4", states[0], states[1], golden.Tolerance{RMSRel: 1e-5})
}
