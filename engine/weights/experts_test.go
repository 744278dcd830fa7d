package weights_test

import (
	"path/filepath"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/engine/weights"
)

// TestPart cuts experts out of a bank in plain numbers, 8-bit floats and nvfp4, and compares them with matrices of their own.
func TestPart(t *testing.T) {
	t.Parallel()
	bytes := func(n, seed int) []byte {
		out := make([]byte, n)
		for i := range out {
			out[i] = byte((i*37 + seed*11 + i/7) % 64) // no infinities among floats of 8 bits
		}
		return out
	}
	const experts = 3
	var list []safetensors.Tensor
	add := func(name string, d dtype.DType, data []byte, shape ...int) {
		list = append(list, safetensors.Tensor{Name: name, DType: d, Shape: shape, Data: data})
	}
	floats := func(v ...float32) []byte {
		out := make([]byte, 4*len(v))
		if err := weights.FromFloat32(out, v, dtype.F32); err != nil {
			t.Fatal(err)
		}
		return out
	}
	describe := func(layer, text string) { add(layer+".comfy_quant", dtype.U8, []byte(text), len(text)) }
	// 20 rows of 32 elements: blocks of 16, whose scales fill tiles of 128 rows and 4 columns.
	const rows, cols, tiles = 20, 32, 128 * 4
	var four, eight, blocks, plain []byte
	for i := range experts {
		f, e, b, p := bytes(rows*cols/2, i), bytes(rows*cols, i), bytes(tiles, i+5), bytes(rows*cols, i+9)
		four, eight, blocks, plain = append(four, f...), append(eight, e...), append(blocks, b...), append(plain, p...)
		one := string(rune('a' + i))
		add(one+"4.weight", dtype.U8, f, rows, cols/2)
		add(one+"4.weight_scale", dtype.F8E4M3, b, 128, 4)
		add(one+"4.weight_scale_2", dtype.F32, floats(float32(i+1)))
		describe(one+"4", `{"format": "nvfp4"}`)
		add(one+"8.weight", dtype.F8E4M3, e, rows, cols)
		add(one+"8.weight_scale", dtype.F32, floats(0.5))
		describe(one+"8", `{"format": "float8_e4m3fn"}`)
		add(one+"1.weight", dtype.F8E4M3, p, rows, cols)
	}
	add("4.weight", dtype.U8, four, experts, rows, cols/2)
	add("4.weight_scale", dtype.F8E4M3, blocks, experts, 128, 4)
	add("4.weight_scale_2", dtype.F32, floats(1, 2, 3), experts)
	describe("4", `{"format": "nvfp4", "num_experts": 3}`)
	add("8.weight", dtype.F8E4M3, eight, experts, rows, cols)
	add("8.weight_scale", dtype.F32, floats(0.5))
	describe("8", `{"format": "float8_e4m3fn", "num_experts": 3}`)
	add("1.weight", dtype.F8E4M3, plain, experts, rows, cols)
	path := filepath.Join(t.TempDir(), "bank.safetensors")
	if err := safetensors.Save(path, nil, list); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	for _, form := range []string{"1", "4", "8"} {
		bank, ok := src.Lookup(form + ".weight")
		if !ok || !slices.Equal(bank.Shape, []int{experts, rows, cols}) {
			t.Fatalf("the bank is %v", bank)
		}
		for i := range experts {
			part, err := bank.Part(i, experts)
			if err != nil || !slices.Equal(part.Shape, []int{rows, cols}) {
				t.Fatalf("%v, %v", part, err)
			}
			alone, _ := src.Lookup(string(rune('a'+i)) + form + ".weight")
			got, err := weights.Float32s(part)
			if err != nil {
				t.Fatal(err)
			}
			want, err := weights.Float32s(alone)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("form %s, expert %d differs, %v", form, i, err)
			}
		}
		for _, wrong := range [][2]int{{experts, experts}, {-1, experts}, {0, 2}} {
			if _, err := bank.Part(wrong[0], wrong[1]); err == nil {
				t.Errorf("part %v of the bank: no error", wrong)
			}
		}
	}
}
