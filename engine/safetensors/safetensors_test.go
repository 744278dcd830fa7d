package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
)

// file joins a header and data bytes into a file.
func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestHostileHeaders(t *testing.T) {
	t.Parallel()
	one := func(members string) string { return `{"a":{` + members + `}}` }
	cases := []struct {
		name string
		file []byte
		want string // part of the error
	}{
		{"empty file", nil, "too short"},
		{"seven bytes", make([]byte, 7), "too short"},
		{"huge length", binary.LittleEndian.AppendUint64(nil, 1<<63), "over the limit"},
		{"length over limit", binary.LittleEndian.AppendUint64(nil, safetensors.MaxHeader+1), "over the limit"},
		{"length over file", binary.LittleEndian.AppendUint64(nil, 100), "truncated"},
		{"empty header", file("", 0), "'{'"},
		{"space first", file(" {}", 0), "'{'"},
		{"array", file("[]", 0), "'{'"},
		{"not UTF-8", file("{\"a\xff\":1}", 0), "UTF-8"},
		{"not closed", file(`{"a":{"dtype":"F32"`, 0), "unexpected end"},
		{"not a record", file(`{"a":5}`, 0), `tensor "a"`},
		{"text after", file(`{} x`, 0), "after the closing brace"},
		{"zero after", file("{}\x00", 0), "after the closing brace"},
		{"same name twice", file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}`, 8), `"a": the name occurs twice`},
		{"same name by escape", file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"\u0061":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}`, 8), "twice"},
		{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), "twice"},
		{"metadata value cut", file(`{"__metadata__":{"a":tru}}`, 0), `__metadata__: value of "a"`},
		{"metadata cut", file(`{"__metadata__":[}`, 0), "__metadata__"},
		{"member twice", file(one(`"dtype":"F32","dtype":"F32","shape":[],"data_offsets":[0,4]`), 4), "dtype occurs twice"},
		{"no dtype", file(one(`"shape":[],"data_offsets":[0,4]`), 4), "dtype is missing"},
		{"no shape", file(one(`"dtype":"F32","data_offsets":[0,4]`), 4), "shape is missing"},
		{"no offsets", file(one(`"dtype":"F32","shape":[]`), 4), "data_offsets is missing"},
		{"unknown type", file(one(`"dtype":"F33","shape":[],"data_offsets":[0,4]`), 4), `unknown element type "F33"`},
		{"lower case type", file(one(`"dtype":"f32","shape":[],"data_offsets":[0,4]`), 4), "unknown element type"},
		{"type called INVALID", file(one(`"dtype":"INVALID","shape":[],"data_offsets":[0,0]`), 0), "unknown element type"},
		{"negative dimension", file(one(`"dtype":"F32","shape":[-1],"data_offsets":[0,4]`), 4), "negative"},
		{"fraction", file(one(`"dtype":"F32","shape":[1.0],"data_offsets":[0,4]`), 4), "not an integer"},
		{"exponent", file(one(`"dtype":"F32","shape":[1e0],"data_offsets":[0,4]`), 4), "not an integer"},
		{"leading zero", file(one(`"dtype":"F32","shape":[01],"data_offsets":[0,4]`), 4), "leading zero"},
		{"dimension as text", file(one(`"dtype":"F32","shape":["1"],"data_offsets":[0,4]`), 4), "not a number"},
		{"dimension over 63 bits", file(one(`"dtype":"F32","shape":[9223372036854775808],"data_offsets":[0,4]`), 4), "too large"},
		{"shape overflows", file(one(`"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]`), 0), "overflow"},
		{"shape wraps to zero", file(one(`"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,0]`), 0), "overflow"},
		{"size overflows", file(one(`"dtype":"F64","shape":[4611686018427387904],"data_offsets":[0,0]`), 0), "overflow"},
		{"one offset", file(one(`"dtype":"F32","shape":[],"data_offsets":[0]`), 4), "1 numbers"},
		{"three offsets", file(one(`"dtype":"F32","shape":[],"data_offsets":[0,4,8]`), 4), "more than two"},
		{"offsets backwards", file(one(`"dtype":"F32","shape":[],"data_offsets":[4,0]`), 4), "backwards"},
		{"wrong size", file(one(`"dtype":"F32","shape":[2],"data_offsets":[0,4]`), 4), "needs 8"},
		{"half a byte", file(one(`"dtype":"F4","shape":[3],"data_offsets":[0,1]`), 1), "whole bytes"},
		{"truncated", file(one(`"dtype":"F32","shape":[2],"data_offsets":[0,8]`), 7), "truncated"},
		{"truncated to nothing", file(one(`"dtype":"F32","shape":[2],"data_offsets":[0,8]`), 0), "truncated"},
		{"bytes after", file(one(`"dtype":"F32","shape":[2],"data_offsets":[0,8]`), 9), "1 bytes after"},
		{"hole first", file(one(`"dtype":"F32","shape":[],"data_offsets":[4,8]`), 8), "hole"},
		{"hole", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`, 3), `"b": data_offsets [2,3] leave a hole`},
		{"overlap", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, 3), `overlap tensor "a"`},
		{"same place", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 2), "overlap"},
		{"depth bomb", file(`{"a":{"x":`+strings.Repeat("[", 1<<20)+strings.Repeat("]", 1<<20)+`}}`, 0), "nested more than"},
		{"object bomb", file(`{"a":{"x":`+strings.Repeat(`{"a":`, 1<<16), 0), "nested more than"},
		{"bad escape", file(`{"a\x":{}}`, 0), "bad string"},
		{"escape at the end", file(`{"a\`, 0), "does not end"},
		{"control character", file("{\"a\n\":{}}", 0), "control character"},
		{"bad scalar", file(one(`"x":truth`), 0), "bad value"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.safetensors")
			if err := os.WriteFile(path, c.file, 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := safetensors.Open(path)
			if err == nil {
				_ = f.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not name the file and %q", err, c.want)
			}
		})
	}
}

func TestOpenRefusesNonFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none"), os.DevNull} {
		if f, err := safetensors.Open(path); err == nil {
			_ = f.Close()
			t.Errorf("%s: opened", path)
		} else if !strings.Contains(err.Error(), path) || strings.Count(err.Error(), path) > 1 && path == dir {
			t.Errorf("%s: error %q does not name it once", path, err)
		}
	}
}

func TestAcceptedHeaders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file  []byte
		names []string
	}{
		"no tensors":      {file("{}", 0), nil},
		"padding":         {file("{}   \n", 0), nil},
		"metadata number": {file(`{"__metadata__":{"a":1,"b":{"c":[true]}}}`, 0), nil},
		"metadata list":   {file(`{"__metadata__":[1,"a"]}`, 0), nil},
		"null metadata":   {file(`{"__metadata__":null}`, 0), nil},
		"spaces":          {file("{ \"a\" : { \"dtype\" : \"F32\" , \"shape\" : [ 1 , 1 ] , \"data_offsets\" : [ 0 , 4 ] } }", 4), []string{"a"}},
		"unknown member":  {file(`{"a":{"dtype":"F32","x":[{"y":-1.5e3},null,true,"z"],"shape":[],"data_offsets":[0,4]}}`, 4), []string{"a"}},
		"header order":    {file(`{"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2), []string{"a", "b"}},
		"empty tensors":   {file(`{"a":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"c":{"dtype":"F32","shape":[0],"data_offsets":[1,1]}}`, 1), []string{"a", "b", "c"}},
		"foreign types":   {file(`{"a":{"dtype":"U16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"F4","shape":[2],"data_offsets":[4,5]}}`, 5), []string{"a", "b"}},
		"escaped name":    {file(`{"\u00e9\n":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), []string{"é\n"}},
	} {
		got, _, err := safetensors.Parse(c.file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var names []string
		for _, g := range got {
			names = append(names, g.Name)
		}
		if !slices.Equal(names, c.names) {
			t.Errorf("%s: tensors %q, want %q", name, names, c.names)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	meta := map[string]string{"format": "pt", "note": "ä <&> \u007f 😀"}
	var tensors []safetensors.Tensor
	for d := dtype.F64; d <= dtype.Bool; d++ {
		data := make([]byte, 6*d.Size())
		for i := range data {
			data[i] = byte(i + int(d))
		}
		tensors = append(tensors, safetensors.Tensor{Name: "t." + d.String() + ".é", DType: d, Shape: []int{2, 3}, Data: data})
	}
	tensors = append(tensors, safetensors.Tensor{Name: "scalar", DType: dtype.F32, Shape: []int{}, Data: make([]byte, 4)})
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := safetensors.Save(path, meta, tensors); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if !maps.Equal(f.Metadata(), meta) {
		t.Errorf("metadata %v, want %v", f.Metadata(), meta)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range tensors {
		got, ok := f.Lookup(want.Name)
		if !ok || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("tensor %s: %v", want.Name, got)
		}
		if f.Tensors()[i].Name != want.Name || !bytes.Equal(raw[got.Offset:got.Offset+int64(len(got.Data))], want.Data) {
			t.Errorf("tensor %s is not number %d at offset %d", want.Name, i, got.Offset)
		}
	}
	var b bytes.Buffer
	if err := safetensors.Encode(&b, meta, tensors); err != nil || !bytes.Equal(b.Bytes(), raw) {
		t.Errorf("encoding in memory gave another file (%v)", err)
	}
	if h := binary.LittleEndian.Uint64(raw); h%8 != 0 {
		t.Errorf("data starts at %d, not at a multiple of 8", 8+h)
	}
}

func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	u8 := func(name string, n int) safetensors.Spec {
		return safetensors.Spec{Name: name, DType: dtype.U8, Shape: []int{n}}
	}
	for name, specs := range map[string][]safetensors.Spec{
		"twice":    {u8("a", 1), u8("a", 1)},
		"metadata": {u8("__metadata__", 1)},
		"negative": {u8("a", -1)},
		"no type":  {{Name: "a", Shape: []int{1}}},
		"overflow": {{Name: "a", DType: dtype.F64, Shape: []int{1 << 62}}},
		"sum":      {u8("a", 1<<62), u8("b", 1<<62)},
	} {
		if w, err := safetensors.Create(path, nil, specs); err == nil {
			w.Abort()
			t.Errorf("%s: accepted", name)
		}
	}
	if err := safetensors.Save(path, nil, []safetensors.Tensor{{Name: "a", DType: dtype.F16, Shape: []int{2}, Data: make([]byte, 3)}}); err == nil {
		t.Error("data of the wrong size was saved")
	}
	if err := os.WriteFile(path, []byte("before"), 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := safetensors.Create(path, nil, []safetensors.Spec{u8("a", 4)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 5)); err == nil {
		t.Error("more bytes than announced were written")
	}
	if _, err := w.Write(make([]byte, 3)); err != nil {
		t.Error(err)
	}
	if err := w.Commit(); err == nil || !strings.Contains(err.Error(), "1 bytes") {
		t.Errorf("an incomplete file was committed: %v", err)
	}
	if err := w.Commit(); err == nil {
		t.Error("a finished writer was committed again")
	}
	left, err := os.ReadDir(dir)
	if b, _ := os.ReadFile(path); err != nil || len(left) != 1 || string(b) != "before" {
		t.Errorf("a failed write left %v, content %q", left, b)
	}
}

// FuzzParse feeds arbitrary files. Whatever is accepted must be consistent and survive being written and read again.
func FuzzParse(f *testing.F) {
	f.Add(file(`{"__metadata__":{"a":"b"},"x":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"y":{"dtype":"BOOL","shape":[],"data_offsets":[12,13]}}  `, 13))
	f.Add(file(`{"a":{"dtype":"U16","x":[{"y":null}],"shape":[0],"data_offsets":[0,0]}}`, 0))
	f.Add(file(`{"\u0061\ud83d\ude00":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}`, 1))
	f.Add(file(`{"a":{"dtype":"F64","shape":[9223372036854775807,2],"data_offsets":[0,16]}}`, 16))
	f.Fuzz(func(t *testing.T, b []byte) {
		tensors, meta, err := safetensors.Parse(b)
		if err != nil {
			return
		}
		total := 0
		for _, e := range tensors {
			if !bytes.Equal(b[e.Offset:int(e.Offset)+len(e.Data)], e.Data) {
				t.Fatalf("%s: data is not at its offset", e.Name)
			}
			total += len(e.Data)
			if e.DType == dtype.Invalid {
				return
			}
		}
		if n := int(binary.LittleEndian.Uint64(b)); total+8+n != len(b) {
			t.Fatalf("%d bytes of data in a file of %d with a header of %d", total, len(b), n)
		}
		var out bytes.Buffer
		if err := safetensors.Encode(&out, meta, tensors); err != nil {
			t.Fatalf("writing what was read: %v", err)
		}
		again, meta2, err := safetensors.Parse(out.Bytes())
		if err != nil || len(again) != len(tensors) || !maps.Equal(meta, meta2) {
			t.Fatalf("reading what was written: %v", err)
		}
		for i := range again {
			if again[i].Name != tensors[i].Name || !slices.Equal(again[i].Shape, tensors[i].Shape) || !bytes.Equal(again[i].Data, tensors[i].Data) {
				t.Fatalf("%q came back as %q", tensors[i].Name, again[i].Name)
			}
		}
	})
}

func BenchmarkOpen1000(b *testing.B) {
	var tensors []safetensors.Tensor
	for i := range 1000 {
		tensors = append(tensors, safetensors.Tensor{
			Name:  fmt.Sprintf("model.diffusion_model.input_blocks.%d.1.transformer_blocks.0.attn1.to_q.weight", i),
			DType: dtype.F16, Shape: []int{32, 32}, Data: make([]byte, 2048),
		})
	}
	path := filepath.Join(b.TempDir(), "x.safetensors")
	if err := safetensors.Save(path, nil, tensors); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		f, err := safetensors.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		_ = f.Close()
	}
}
