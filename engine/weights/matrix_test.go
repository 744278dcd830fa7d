package weights_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

func float32Entry(name string, shape []int, v ...float32) weights.Entry {
	e := weights.Entry{Name: name, DType: dtype.F32, Shape: shape}
	for _, x := range v {
		e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(x))
	}
	return e
}

// lookup opens a file of one layer in memory.
func lookup(t *testing.T, file ...weights.Entry) weights.Entry {
	t.Helper()
	src, err := weights.Memory("file", file...)
	if err != nil {
		t.Fatal(err)
	}
	e, ok := src.Lookup("l.weight")
	if !ok {
		t.Fatal("no weight")
	}
	return e
}

// int8Layer has rows of 16 elements, one scale a row.
func int8Layer(options string, more ...weights.Entry) []weights.Entry {
	w := weights.Entry{Name: "l.weight", DType: dtype.I8, Shape: []int{4, 16}}
	for i := range 64 {
		w.Data = append(w.Data, byte(i*3-90))
	}
	return append([]weights.Entry{w, description("l", options), float32Entry("l.weight_scale", []int{4, 1}, 1, 2, 0.5, -1)}, more...)
}

// TestRowsOfQuantized reads parts of quantized weights.
func TestRowsOfQuantized(t *testing.T) {
	t.Parallel()
	for name, file := range map[string][]weights.Entry{
		"int8":    int8Layer(`{"format": "int8_tensorwise"}`),
		"rotated": int8Layer(`{"format": "int8_tensorwise", "convrot": true, "convrot_groupsize": 16}`),
		"nvfp4": {
			{Name: "l.weight", DType: dtype.U8, Shape: []int{4, 8}, Data: []byte("0123456789abcdefghijklmnopqrstuv")},
			description("l", `{"format": "nvfp4"}`),
			bytesEntry("l.weight_scale", dtype.F8E4M3, strings.Repeat("0123456789:;<=>?", 32), 128, 4), float32Entry("l.weight_scale_2", nil, 3),
		},
	} {
		e := lookup(t, file...)
		all, err := weights.Float32s(e)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rows, err := e.Rows(1, 2)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := weights.Float32s(rows)
		if err != nil || !slices.Equal(got, all[16:48]) {
			t.Errorf("%s: rows 1 and 2 are %v, %v, want %v", name, got, err, all[16:48])
		}
		part := make([]float32, 21)
		if err := weights.Range(part, rows, 5); err != nil || !slices.Equal(part, all[21:42]) {
			t.Errorf("%s: elements from 21 on are %v, %v, want %v", name, part, err, all[21:42])
		}
		across, err := e.Transpose()
		if err != nil {
			t.Fatal(err)
		}
		column := make([]float32, 4)
		if err := weights.Range(column, across, 4*4); err != nil || column[2] != all[2*16+4] {
			t.Errorf("%s: column 4 is %v, %v", name, column, err)
		}
	}
}

// TestRotation checks that a rotated weight comes back as the product with the matrix that its layer's input is multiplied
// by.
func TestRotation(t *testing.T) {
	t.Parallel()
	plain, err := weights.Float32s(lookup(t, int8Layer(`{"format": "int8_tensorwise"}`)...))
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := weights.Float32s(lookup(t, int8Layer(`{"format": "int8_tensorwise", "convrot": true, "convrot_groupsize": 16}`)...))
	if err != nil {
		t.Fatal(err)
	}
	h := weights.RotationMatrix(16)
	for r := range 4 {
		for c := range 16 {
			var want float64
			for k := range 16 {
				want += float64(plain[r*16+k]) * float64(h[k*16+c])
			}
			if got := float64(rotated[r*16+c]); math.Abs(got-want) > 1e-4 {
				t.Fatalf("element %d,%d is %v, want %v", r, c, got, want)
			}
		}
	}
	// comfy-kitchen 0.2.31: _build_hadamard(16)[0] times 4.
	if want := []float32{1, 1, 1, -1, 1, 1, 1, -1, 1, 1, 1, -1, -1, -1, -1, 1}; !slices.EqualFunc(h[:16], want, func(a, b float32) bool { return a*4 == b }) {
		t.Errorf("the first row is %v", h[:16])
	}
}

// TestInputFactors: factors of a layer's input are factors of its weight's columns.
func TestInputFactors(t *testing.T) {
	t.Parallel()
	factors := make([]float32, 16)
	for i := range factors {
		factors[i] = float32(i) / 4
	}
	plain, err := weights.Float32s(lookup(t, int8Layer(`{"format": "int8_tensorwise"}`)...))
	if err != nil {
		t.Fatal(err)
	}
	got, err := weights.Float32s(lookup(t, int8Layer(`{"format": "int8_tensorwise"}`, float32Entry("l.pre_quant_scale", []int{16}, factors...))...))
	if err != nil || got[2*16+7] != plain[2*16+7]*factors[7] {
		t.Errorf("%v, %v", got, err)
	}
}

// TestBrokenSchemes: parts that do not fit are rejected by the scope, with the tensor's name.
func TestBrokenSchemes(t *testing.T) {
	t.Parallel()
	w := func(d dtype.DType, shape ...int) weights.Entry { return bytesEntry("l.weight", d, "", shape...) }
	for name, c := range map[string]struct {
		file []weights.Entry
		want string
	}{
		"no scale":     {[]weights.Entry{w(dtype.I8, 4, 8), description("l", `{"format": "int8_tensorwise"}`)}, "scale is missing"},
		"no blocks":    {[]weights.Entry{w(dtype.U8, 4, 8), description("l", `{"format": "nvfp4"}`), float32Entry("l.weight_scale_2", nil, 1)}, "block scales weight_scale are missing"},
		"few blocks":   {[]weights.Entry{w(dtype.F8E4M3, 4, 32), description("l", `{"format": "mxfp8"}`), bytesEntry("l.weight_scale", dtype.U8, "", 4, 1)}, "wanted 512 bytes"},
		"few scales":   {[]weights.Entry{w(dtype.I8, 4, 8), description("l", `{"format": "int8_tensorwise"}`), bytesEntry("l.weight_scale", dtype.F32, "", 3)}, "one for each of 4 rows"},
		"whole scales": {[]weights.Entry{w(dtype.I8, 4, 8), description("l", `{"format": "int8_tensorwise"}`), bytesEntry("l.weight_scale", dtype.I32, "")}, "one for each of 4 rows"},
		"odd rotation": {int8Layer(`{"format": "int8_tensorwise", "convrot": true, "convrot_groupsize": 8}`), "rotation in groups of 8"},
		"no group":     {int8Layer(`{"format": "int8_tensorwise", "convrot": true, "convrot_groupsize": 0}`), "rotation in groups of 0"},
		"half a group": {int8Layer(`{"format": "int8_tensorwise", "convrot": true, "convrot_groupsize": 4.5}`), "rotation in groups of 4.5"},
		"vast group":   {int8Layer(`{"format": "int8_tensorwise", "convrot": true, "convrot_groupsize": 1e300}`), "rotation in groups of 1e+300"},
		"large group": {[]weights.Entry{
			w(dtype.I8, 1, 1024), float32Entry("l.weight_scale", nil, 1), description("l", `{"format": "int8_tensorwise", "convrot": true, "convrot_groupsize": 1024}`),
		}, "rotation in groups of 1024"},
		"no scales of four bits": {[]weights.Entry{w(dtype.I8, 4, 8), description("l", `{"format": "convrot_w4a4", "convrot_groupsize": 16}`)}, "scale is missing"},
		"default rotation":       {[]weights.Entry{w(dtype.I8, 4, 8), description("l", `{"format": "convrot_w4a4"}`), bytesEntry("l.weight_scale", dtype.F32, "", 4)}, "rotation in groups of 256"},
		"odd groups":             {[]weights.Entry{w(dtype.I8, 4, 8), description("l", `{"format": "asym_w4a8_int8", "group_size": 5}`)}, "groups of 5"},
		"few group scales":       {[]weights.Entry{w(dtype.I8, 4, 8), description("l", `{"format": "asym_w4a8_int8", "group_size": 4}`), bytesEntry("l.weight_s_rel", dtype.F8E4M3, "", 4, 1)}, "wanted 16 bytes"},
		"short codebook":         {[]weights.Entry{w(dtype.I8, 4, 8), description("l", `{"format": "asym_w4a8_int8"}`), bytesEntry("l.weight_s_rel", dtype.F8E4M3, "", 4, 1), bytesEntry("l.weight_codebook", dtype.F32, "", 4)}, "weight_codebook"},
		"one channel scale":      {[]weights.Entry{w(dtype.I8, 4, 8), description("l", `{"format": "asym_w4a8_int8"}`), bytesEntry("l.weight_s_rel", dtype.F8E4M3, "", 4, 1), bytesEntry("l.weight_s_channel", dtype.F32, "")}, "one for each of 4 rows"},
		"short factors":          {int8Layer(`{"format": "int8_tensorwise"}`, float32Entry("l.pre_quant_scale", []int{1}, 1)), "16 columns"},
		"other bytes":            {[]weights.Entry{w(dtype.F16, 4, 8), description("l", `{"format": "float8_e4m3fn"}`)}, "its elements are F16"},
	} {
		src, err := weights.Memory("file", c.file...)
		if err != nil {
			t.Fatal(err)
		}
		s := weights.NewScope(src)
		if r := s.Weight("l.weight"); !r.Missing() {
			t.Errorf("%s: the scope gives %v", name, r.Entry)
		}
		if err := s.Err(); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "l.weight") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
