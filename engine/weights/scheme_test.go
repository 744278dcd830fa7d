package weights_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	_ "comfygo/engine/ort" // decodes quantized weights
	"comfygo/engine/quant"
	"comfygo/engine/safetensors"
	"comfygo/engine/weights"
)

// bytesEntry is a tensor of zeros, or of the given text.
func bytesEntry(name string, d dtype.DType, text string, shape ...int) weights.Entry {
	n := d.Size()
	for _, s := range shape {
		n *= s
	}
	data := make([]byte, n)
	copy(data, text)
	return weights.Entry{Name: name, DType: d, Shape: shape, Data: data}
}

func description(layer, text string) weights.Entry {
	return bytesEntry(layer+".comfy_quant", dtype.U8, text, len(text))
}

func TestSchemes(t *testing.T) {
	t.Parallel()
	weight := func(d dtype.DType, shape ...int) weights.Entry { return bytesEntry("l.weight", d, "", shape...) }
	scale := func(name string, shape ...int) weights.Entry { return bytesEntry(name, dtype.F32, "", shape...) }
	for name, c := range map[string]struct {
		file       []weights.Entry
		format     string
		shape      []int
		companions []string
	}{
		"plain":          {[]weights.Entry{weight(dtype.F8E4M3, 4, 8)}, "", []int{4, 8}, nil},
		"scale alone":    {[]weights.Entry{weight(dtype.F8E4M3, 4, 8), scale("l.weight_scale")}, "", []int{4, 8}, nil},
		"fp8":            {[]weights.Entry{weight(dtype.F8E4M3, 4, 8), description("l", `{"format": "float8_e4m3fn"}`), scale("l.weight_scale"), scale("l.input_scale")}, "float8_e4m3fn", []int{4, 8}, []string{"input_scale", "weight_scale"}},
		"nvfp4":          {[]weights.Entry{weight(dtype.U8, 4, 8), description("l", `{"format": "nvfp4"}`), bytesEntry("l.weight_scale", dtype.U8, "", 128, 4), scale("l.weight_scale_2")}, "nvfp4", []int{4, 16}, []string{"weight_scale", "weight_scale_2"}},
		"mxfp8":          {[]weights.Entry{weight(dtype.F8E4M3, 4, 32), description("l", `{"format": "mxfp8"}`), bytesEntry("l.weight_scale", dtype.U8, "", 128, 4)}, "mxfp8", []int{4, 32}, []string{"weight_scale"}},
		"int8":           {[]weights.Entry{weight(dtype.I8, 4, 8), description("l", `{"format": "int8_tensorwise", "params": {"convrot": true, "convrot_groupsize": 4}}`), scale("l.weight_scale", 4, 1)}, "int8_tensorwise", []int{4, 8}, []string{"weight_scale"}},
		"w4a4":           {[]weights.Entry{weight(dtype.I8, 4, 8), description("l", `{"format": "convrot_w4a4", "convrot_groupsize": 16}`), scale("l.weight_scale", 4)}, "convrot_w4a4", []int{4, 16}, []string{"weight_scale"}},
		"w4a8":           {[]weights.Entry{weight(dtype.I8, 4, 8), description("l", `{"format": "asym_w4a8_int8", "convrot_groupsize": 4}`), bytesEntry("l.weight_s_rel", dtype.F8E4M3, "", 4, 1), scale("l.weight_s_channel", 4), scale("l.weight_codebook", 16)}, "asym_w4a8_int8", []int{4, 16}, []string{"weight_codebook", "weight_s_channel", "weight_s_rel"}},
		"unknown format": {[]weights.Entry{weight(dtype.U8, 4, 8), description("l", `{"format": "of tomorrow"}`)}, "of tomorrow", []int{4, 8}, nil},
		"old fp8":        {[]weights.Entry{weight(dtype.F8E5M2, 4, 8), bytesEntry("scaled_fp8", dtype.F8E4M3, "", 2), scale("l.scale_weight"), scale("l.scale_input")}, "float8_e4m3fn", []int{4, 8}, []string{"input_scale", "weight_scale"}},
		"old, no scale":  {[]weights.Entry{weight(dtype.F8E4M3, 4, 8), bytesEntry("scaled_fp8", dtype.F8E4M3, "", 0)}, "", []int{4, 8}, nil},
		"old, elsewhere": {[]weights.Entry{weight(dtype.F8E4M3, 4, 8), bytesEntry("m.scaled_fp8", dtype.F8E4M3, "", 0), scale("l.scale_weight")}, "", []int{4, 8}, nil},
	} {
		src, err := weights.Memory("file", c.file...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		e, ok := src.Lookup("l.weight")
		if !ok || !slices.Equal(e.Shape, c.shape) {
			t.Errorf("%s: %v, want shape %v", name, e, c.shape)
		}
		if c.format == "" {
			if e.Scheme != nil {
				t.Errorf("%s: scheme %v", name, e.Scheme)
			}
			continue
		}
		if e.Scheme == nil || e.Scheme.Format != c.format {
			t.Errorf("%s: scheme %v, want %s", name, e.Scheme, c.format)
			continue
		}
		var roles []string
		for r, e := range e.Scheme.Companions {
			roles = append(roles, r)
			if len(e.Data) == 0 {
				t.Errorf("%s: companion %s is %v", name, r, e)
			}
		}
		if slices.Sort(roles); !slices.Equal(roles, c.companions) {
			t.Errorf("%s: companions %v, want %v", name, roles, c.companions)
		}
		if _, known := quant.Parse(c.format); !known && c.format != quant.GroupedName {
			refused(t, name, src, e)
		} else if got, err := weights.Float32s(e); err != nil || len(got) != e.Count() {
			t.Errorf("%s: %d values, %v", name, len(got), err)
		}
	}
}

// refused checks that a quantized weight is never read as a plain one, and the error messages.
func refused(t *testing.T, name string, src weights.Source, e weights.Entry) {
	t.Helper()
	s := weights.NewScope(src)
	if r := s.Weight("l.weight"); !r.Missing() {
		t.Errorf("%s: the scope gives %v", name, r.Entry)
	}
	s.Weight("l.weight")
	_, floats := weights.Float32s(e)
	_, rows := e.Rows(0, 1)
	_, transposed := e.Transpose()
	for what, err := range map[string]error{
		"scope": s.Err(), "strict": s.ErrStrict(), "floats": floats, "range": weights.Range(make([]float32, 1), e, 0), "rows": rows, "transposed": transposed,
	} {
		if err == nil {
			t.Errorf("%s: %s: no error", name, what)
			continue
		}
		for _, want := range []string{"l.weight", "file", e.Scheme.Format, "F16"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %s: the error %q does not say %q", name, what, err, want)
			}
		}
	}
	var keys *weights.KeysError
	if err := s.Err(); !errors.As(err, &keys) || len(keys.Quantized[e.Scheme.Format]) != 1 {
		t.Errorf("%s: %v", name, err)
	}
	var scheme *weights.SchemeError
	if !errors.As(floats, &scheme) || scheme.Tensor != "l.weight" {
		t.Errorf("%s: %v", name, floats)
	}
}

func TestSchemeOptions(t *testing.T) {
	t.Parallel()
	src, err := weights.Memory("file", bytesEntry("l.weight", dtype.I8, "", 4, 8),
		description("l", `{"format": "int8_tensorwise", "a": 1, "params": {"a": 2, "b": "x"}}`))
	if err != nil {
		t.Fatal(err)
	}
	e, _ := src.Lookup("l.weight")
	for name, want := range map[string]any{"a": 1.0, "b": "x", "c": nil, "format": nil} {
		if got := e.Scheme.Option(name); got != want {
			t.Errorf("option %s is %v, want %v", name, got, want)
		}
	}
}

// withMetadata writes a file of one layer with the given metadata.
func withMetadata(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "m.safetensors")
	specs := []safetensors.Spec{{Name: "l.weight", DType: dtype.F8E4M3, Shape: []int{2, 2}}, {Name: "l.weight_scale", DType: dtype.F32, Shape: nil}}
	head, size, err := safetensors.EncodeHeader(map[string]string{"_quantization_metadata": text}, specs)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(head, make([]byte, size)...), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSchemesOfMetadata(t *testing.T) {
	t.Parallel()
	src, err := weights.Open(withMetadata(t, `{"format_version": "1.0", "layers": {"l": {"format": "float8_e5m2"}, "none": {"format": "nvfp4"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if e, _ := src.Lookup("l.weight"); e.Scheme == nil || e.Scheme.Format != "float8_e5m2" || len(e.Scheme.Companions) != 1 {
		t.Errorf("scheme %v", e.Scheme)
	}
	if e, _ := src.Lookup("l.weight_scale"); e.Scheme != nil {
		t.Errorf("the scale has the scheme %v", e.Scheme)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	if src, err = weights.OpenWhole(withMetadata(t, `{"layers": {}}`)); err != nil {
		t.Fatal(err)
	}
	if e, _ := src.Lookup("l.weight"); e.Scheme != nil {
		t.Errorf("scheme %v", e.Scheme)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
}

func TestWrongSchemes(t *testing.T) {
	t.Parallel()
	w := bytesEntry("l.weight", dtype.U8, "", 4, 8)
	for text, want := range map[string]string{
		"": "no JSON object", "{": "no JSON object", "[]": "no JSON object", "null": "has no format", "{}": "has no format", `{"format": 3}`: "has no format",
		strings.Repeat(" ", 1<<16+1): "at most 65536 bytes",
	} {
		_, err := weights.Memory("file", w, description("l", text))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "l.comfy_quant") || !strings.Contains(err.Error(), "file") {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
	if _, err := weights.Memory("file", w, bytesEntry("l.comfy_quant", dtype.F32, "", 4)); err == nil {
		t.Error("a description of floats is no error")
	}
	for _, text := range []string{"", "3", `{"layers": 3}`, `{"layers": {"l": 3}}`, `{"layers": {"l": {}}}`} {
		if _, err := weights.Open(withMetadata(t, text)); err == nil || !strings.Contains(err.Error(), "_quantization_metadata") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzSchemes: for every description of a quantization the weights are rejected or read, without a crash.
func FuzzSchemes(f *testing.F) {
	f.Add("l", `{"format": "nvfp4", "params": {"group_size": 16}}`)
	f.Add("", `{"format": "x"}`)
	f.Add(".", "[[[[")
	f.Add("l.weight", `{"format": null}`)
	f.Fuzz(func(t *testing.T, layer, text string) {
		if len(text) > 1<<10 {
			return
		}
		src, err := weights.Memory("file", bytesEntry("l.weight", dtype.U8, "", 4, 8), bytesEntry("l.weight_scale", dtype.F32, ""),
			bytesEntry(layer+".scale_weight", dtype.F32, ""), bytesEntry(layer+".scaled_fp8", dtype.F32, "", 2), description(layer, text))
		if err != nil {
			return
		}
		for _, n := range src.Names() {
			e, _ := src.Lookup(n)
			if _, err := weights.Float32s(e); err == nil && e.Scheme != nil && e.Usable() != nil {
				t.Fatalf("%v was read", e)
			}
			_ = fmt.Sprint(e, e.Key())
		}
	})
}
