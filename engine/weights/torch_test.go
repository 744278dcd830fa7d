package weights_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/weights"
)

// TestTorchFiles reads files that testdata/make_torch_files.py wrote: the zip format as stored and as compressed
// members, and the format before it.
func TestTorchFiles(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/expect.json")
	if err != nil {
		t.Fatal(err)
	}
	var expect map[string]struct {
		DType  string
		Shape  []int
		Values []float32
	}
	if err := json.Unmarshal(b, &expect); err != nil {
		t.Fatal(err)
	}
	for file, missing := range map[string]int{"new.ckpt": 0, "deflated.ckpt": 0, "legacy.pth": 1} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("testdata", file)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			src, err := weights.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = src.Close() }()
			if len(src.Names()) != len(expect)-missing || src.Names()[0] != "whole" {
				t.Errorf("tensors %q", src.Names())
			}
			for _, name := range src.Names() {
				e, _ := src.Lookup(name)
				want := expect[name]
				got, err := weights.Float32s(e)
				if err != nil {
					t.Error(err)
				}
				if e.DType.String() != want.DType || !slices.Equal(e.Shape, want.Shape) || !slices.Equal(got, want.Values) {
					t.Errorf("%v is %v, want %v", e, got, want)
				}
				if e.Offset >= 0 && !bytes.Equal(raw[e.Offset:int(e.Offset)+len(e.Data)], e.Data) {
					t.Errorf("%v does not lie at offset %d", e, e.Offset)
				}
				mapped := file != "deflated.ckpt" && name != "transposed" && name != "every.second" && name != "expanded" && name != "empty"
				if mapped != (e.Offset >= 0) {
					t.Errorf("%v: offset %d", e, e.Offset)
				}
				e.Release()
				if again, _ := weights.Float32s(e); !slices.Equal(again, want.Values) {
					t.Errorf("%v changed by its release", e)
				}
			}
		})
	}
}

// archive makes a zip container of torch.save around a pickle. data holds further members by name; those that start
// with "forged:" and "short:" state a wrong size.
func archive(t testing.TB, pkl string, data map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	add := func(name, content string, method uint16) {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	raw := func(name string, size uint64) { // a compressed member that claims to unpack to size bytes
		w, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, CompressedSize64: 2, UncompressedSize64: size})
		if err == nil {
			_, err = w.Write([]byte{3, 0}) // deflate's form of nothing
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	add("x/data.pkl", pkl, zip.Store)
	for k, v := range data {
		switch form, name, _ := strings.Cut(k, ":"); form {
		case "forged":
			raw("x/"+name, 100<<20)
		case "short":
			raw("x/"+name, 16)
		default:
			add("x/"+k, v, zip.Store)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// str is the instruction that pushes a string, and num the one that pushes an integer of 8 bytes.
func str(s string) string { return "X" + le32(len(s)) + s }

func num(n int64) string {
	b := []byte{0x8a, 8}
	for i := range 8 {
		b = append(b, byte(uint64(n)>>(8*i)))
	}
	return string(b)
}

func le32(n int) string { return string([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}) }

// ref is the instruction sequence of a storage, tens of a tensor over it, and dictOf of {"w": value} with the end.
func ref(class, key string, count int64) string {
	return "(" + str("storage") + "c" + class + "\n" + str(key) + str("cpu") + num(count) + "tQ"
}

func tens(storage string, offset int64, size, stride []int64) string {
	s := "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + num(offset)
	for _, list := range [][]int64{size, stride} {
		s += "("
		for _, n := range list {
			s += num(n)
		}
		s += "t"
	}
	return s + "\x89}tR"
}

func dictOf(value string) string { return "\x80\x02}" + str("w") + value + "s." }

const float = "torch\nFloatStorage"

// TestNothingIsExecuted opens files whose pickles call functions of the system. The functions must not be called, and the
// error must name them.
func TestNothingIsExecuted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"os.system", "posix.system", "nt.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "__builtin__.eval",
		"builtins.getattr", "torch.load", "torch.hub.load", "torch._utils._rebuild_wrapper_subclass", "numpy.load", "pty.spawn",
		"webbrowser.open", "torch.FloatStorage.from_file", "operator.attrgetter", "functools.partial", "collections.namedtuple",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			victim := filepath.Join(t.TempDir(), "executed")
			cut := strings.LastIndex(name, ".")
			module, function := name[:cut], name[cut+1:]
			args := "(" + str("touch "+victim) + "t"
			for form, pkl := range map[string]string{
				"reduce":       dictOf("c" + module + "\n" + function + "\n" + args + "R"),
				"newobj":       dictOf("c" + module + "\n" + function + "\n" + args + "\x81"),
				"inst":         dictOf("(" + str("touch "+victim) + "i" + module + "\n" + function + "\n"),
				"obj":          dictOf("(c" + module + "\n" + function + "\n" + str("touch "+victim) + "o"),
				"stack global": dictOf(str(module) + str(function) + "\x93" + args + "R"),
				"before proto": "c" + module + "\n" + function + "\n" + args + "R.",
			} {
				for container, file := range map[string][]byte{
					"zip":    archive(t, pkl, nil),
					"legacy": []byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}." + pkl),
					"bare":   []byte("\x80\x02" + pkl),
				} {
					path := filepath.Join(t.TempDir(), "evil.ckpt")
					if err := os.WriteFile(path, file, 0o644); err != nil {
						t.Fatal(err)
					}
					src, err := weights.Open(path)
					if err == nil {
						_ = src.Close()
						t.Fatalf("%s, %s: opened", form, container)
					}
					if !strings.Contains(err.Error(), "refusing "+name) || !strings.Contains(err.Error(), path) {
						t.Errorf("%s, %s: error %q does not name %s and the file", form, container, err, name)
					}
				}
			}
			if _, err := os.Stat(victim); err == nil {
				t.Error("the payload was executed")
			}
		})
	}
}

func TestHostileTorchFiles(t *testing.T) {
	t.Parallel()
	data := func(n int) map[string]string { return map[string]string{"data/0": string(make([]byte, n))} }
	ok := ref(float, "0", 4)
	cases := map[string]struct {
		file []byte
		want string
	}{
		"no data.pkl":        {archive(t, "", nil)[:0], "empty"},
		"cut zip":            {archive(t, dictOf(tens(ok, 0, []int64{4}, []int64{1})), data(16))[:200], "truncated"},
		"empty pickle":       {archive(t, "", nil), "data ends"},
		"cut pickle":         {archive(t, "\x80\x02}X", nil), "data ends"},
		"string over end":    {archive(t, "\x80\x02X\xff\xff\xff\xffab.", nil), "data ends"},
		"huge string":        {archive(t, "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffab.", nil), "data ends"},
		"huge integer":       {archive(t, "\x80\x02\x8b\x41\x00\x00\x00"+strings.Repeat("a", 65)+".", nil), "integer of 65 bytes"},
		"empty stack":        {archive(t, "\x80\x02.", nil), "stack is empty"},
		"no mark":            {archive(t, "\x80\x02t.", nil), "no mark"},
		"under the mark":     {archive(t, "\x80\x02}}}(s.", nil), "stack is empty"},
		"empty memo":         {archive(t, "\x80\x02h\x05.", nil), "memo 5"},
		"unknown op":         {archive(t, "\x80\x02\xff.", nil), "not known"},
		"extension":          {archive(t, "\x80\x02\x82\x01.", nil), "not known"},
		"protocol 9":         {archive(t, "\x80\x09}.", nil), "protocol 9"},
		"calling a dict":     {archive(t, dictOf("})R"), nil), "calling a dict"},
		"arguments no tuple": {archive(t, dictOf("ccollections\nOrderedDict\n]R"), nil), "a list instead of a tuple"},
		"filling a number":   {archive(t, "\x80\x02K\x01K\x02a.", nil), "filling the integer 1"},
		"odd dict":           {archive(t, "\x80\x02}(K\x01u.", nil), "filling a dict"},
		"no dict":            {archive(t, "\x80\x02K\x01.", nil), "no dict of tensors"},
		"no tensors":         {archive(t, dictOf("K\x01"), nil), "no tensors"},
		"state_dict a list":  {archive(t, "\x80\x02}"+str("state_dict")+"]s.", nil), "no tensors"},
		"storage missing":    {archive(t, dictOf(tens(ok, 0, []int64{4}, []int64{1})), nil), `storage "0": not in the file`},
		"storage short":      {archive(t, dictOf(tens(ok, 0, []int64{4}, []int64{1})), data(15)), "15 bytes in the file, 16 expected"},
		"storage long":       {archive(t, dictOf(tens(ok, 0, []int64{4}, []int64{1})), data(17)), "17 bytes in the file, 16 expected"},
		"storage huge":       {archive(t, dictOf(tens(ref(float, "0", 1<<62), 0, []int64{4}, []int64{1})), data(16)), "too many"},
		"storage negative":   {archive(t, dictOf(tens(ref(float, "0", -4), 0, []int64{4}, []int64{1})), data(16)), "malformed"},
		"storage type":       {archive(t, dictOf(tens(ref("torch\nfloat32", "0", 4), 0, []int64{4}, []int64{1})), data(16)), "not known"},
		"two types": {archive(t, "\x80\x02}"+str("a")+tens(ok, 0, []int64{4}, []int64{1})+"s"+str("b")+
			tens(ref("torch\nHalfStorage", "0", 4), 0, []int64{4}, []int64{1})+"s.", data(16)), "two ways"},
		"no reference":     {archive(t, dictOf("K\x01Q"), nil), "no storage"},
		"beyond":           {archive(t, dictOf(tens(ok, 1, []int64{4}, []int64{1})), data(16)), `tensor "w": reaches element 4 of storage "0", which has 4`},
		"beyond by stride": {archive(t, dictOf(tens(ok, 0, []int64{2}, []int64{4})), data(16)), "reaches element 4"},
		"offset huge":      {archive(t, dictOf(tens(ok, 1<<62, []int64{1}, []int64{1})), data(16)), "reaches element"},
		"offset negative":  {archive(t, dictOf(tens(ok, -1, []int64{1}, []int64{1})), data(16)), "make no tensor"},
		"negative size":    {archive(t, dictOf(tens(ok, 0, []int64{-1}, []int64{1})), data(16)), "make no tensor"},
		"negative stride":  {archive(t, dictOf(tens(ok, 3, []int64{2}, []int64{-1})), data(16)), "make no tensor"},
		"shape overflows":  {archive(t, dictOf(tens(ok, 0, []int64{1 << 40, 1 << 40}, []int64{0, 0})), data(16)), "overflows"},
		"strides overflow": {archive(t, dictOf(tens(ok, 0, []int64{1 << 30, 2}, []int64{1 << 60, 1})), data(16)), "overflow"},
		"rank differs":     {archive(t, dictOf(tens(ok, 0, []int64{2, 2}, []int64{1})), data(16)), "make no tensor"},
		"rank bomb":        {archive(t, dictOf(tens(ok, 0, make([]int64, 65), make([]int64, 65))), data(16)), "make no tensor"},
		"expansion bomb":   {archive(t, dictOf(tens(ok, 0, []int64{1 << 34}, []int64{0})), data(16)), "far more memory"},
		"deflate bomb":     {archive(t, dictOf(tens(ref(float, "0", 25<<20), 0, []int64{4}, []int64{1})), map[string]string{"forged:data/0": ""}), "far more memory"},
		"deflate lie":      {archive(t, dictOf(tens(ref(float, "0", 4), 0, []int64{4}, []int64{1})), map[string]string{"short:data/0": ""}), `storage "0"`},
		"big endian":       {archive(t, dictOf(tens(ok, 0, []int64{4}, []int64{1})), map[string]string{"byteorder": "big", "data/0": string(make([]byte, 16))}), "byte order"},
		"other zip":        {bytes.ReplaceAll(archive(t, "", nil), []byte("data.pkl"), []byte("word.doc")), "without data.pkl"},
		"other pickle":     {[]byte("\x80\x02}q\x00."), "magic number"},
		"legacy version":   {[]byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xea\x03."), "version"},
		"legacy cut": {[]byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}." +
			dictOf(tens(ok, 0, []int64{4}, []int64{1})) + "\x80\x02]" + str("0") + "a.\x04\x00\x00\x00\x00\x00\x00\x00abc"), "truncated"},
		"legacy count": {[]byte("\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}." +
			dictOf(tens(ok, 0, []int64{4}, []int64{1})) + "\x80\x02]" + str("0") + "a.\x05\x00\x00\x00\x00\x00\x00\x00" + string(make([]byte, 20))), "5 elements in the file, 4 expected"},
		"LFS pointer":       {[]byte("version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"},
		"GGUF":              {[]byte("GGUF\x03\x00\x00\x00aaaaaaaaaaaaaaaa"), "GGUF"},
		"HTML":              {[]byte("<!DOCTYPE html><html></html>"), "HTML page"},
		"nested deeper":     {archive(t, dictOf(strings.Repeat("}"+str("a"), 40)+tens(ok, 0, []int64{4}, []int64{1})+strings.Repeat("s", 40)), data(16)), "no tensors"},
		"holds itself":      {archive(t, "\x80\x02}q\x00"+str("a")+"h\x00s.", nil), "no tensors"},
		"names without end": {archive(t, "\x80\x02"+branching(12, tens(ok, 0, []int64{4}, []int64{1}))+".", data(16)), "more than"},
		"foreign only":      {archive(t, dictOf("cconfigs\nSettings\n)\x81"), nil), "refusing configs.Settings"},
		"text":              {[]byte("hello, these are no weights"), "over the limit"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x.ckpt")
			if err := os.WriteFile(path, c.file, 0o644); err != nil {
				t.Fatal(err)
			}
			src, err := weights.Open(path)
			if err == nil {
				_ = src.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not name the file and %q", err, c.want)
			}
		})
	}
}

// branching is a dict that holds four times a dict that holds four times … value: 4^levels paths in a few bytes for each level.
func branching(levels int, value string) string {
	s := value
	for i := range levels {
		memo := string([]byte{byte(i)})
		s += "q" + memo + "0}("
		for _, key := range []string{"a", "b", "c", "d"} {
			s += str(key) + "h" + memo
		}
		s += "u"
	}
	return s
}

// TestTorchMinimal shows that the building blocks of the invalid files form a valid file without their defects.
func TestTorchMinimal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.pt")
	file := archive(t, dictOf(tens(ref(float, "0", 4), 1, []int64{3}, []int64{1})), map[string]string{"data/0": "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40"})
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = src.Close() }()
	e, _ := src.Lookup("w")
	if got, err := weights.Float32s(e); err != nil || fmt.Sprint(got) != "[2 3 4]" {
		t.Errorf("tensor is %v, %v", got, err)
	}
}

// FuzzTorchPickle puts arbitrary pickles into an otherwise good file.
func FuzzTorchPickle(f *testing.F) {
	f.Add([]byte(dictOf(tens(ref(float, "0", 4), 0, []int64{2, 2}, []int64{1, 2}))))
	f.Add([]byte(dictOf("cos\nsystem\n(" + str("true") + "tR")))
	f.Add([]byte("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94]\x94(K\x01M\x00\x01J\x00\x00\x00\x80G?\xf0\x00\x00\x00\x00\x00\x00e\x8c\x01b\x94\x8f\x94(NN\x90\x85\x94u."))
	f.Add([]byte("(dp0\nS'w'\np1\nI01\nsV\xc3\xa9\nL7L\nsF1.5\nI2\ns."))
	for _, name := range []string{"new.ckpt", "deflated.ckpt"} {
		z, err := zip.OpenReader("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		r, err := z.Open("archive/data.pkl")
		if err != nil {
			f.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
		_ = z.Close()
	}
	path := filepath.Join(f.TempDir(), "x.ckpt") // each worker is a process and runs one input at a time
	f.Fuzz(func(t *testing.T, pkl []byte) {
		if err := os.WriteFile(path, archive(t, string(pkl), map[string]string{"data/0": string(make([]byte, 16)), "data/1": string(make([]byte, 96))}), 0o644); err != nil {
			t.Fatal(err)
		}
		openAndRead(t, path)
	})
}

// FuzzOpen feeds whole files.
func FuzzOpen(f *testing.F) {
	for _, name := range []string{"new.ckpt", "deflated.ckpt", "legacy.pth"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	path := filepath.Join(f.TempDir(), "x")
	f.Fuzz(func(t *testing.T, file []byte) {
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
		openAndRead(t, path)
	})
}

// openAndRead opens a file of unknown quality and converts whatever it claims to hold.
func openAndRead(t *testing.T, path string) {
	for _, open := range []func(string) (weights.Source, error){weights.Open, weights.OpenWhole} {
		if src, err := open(path); err == nil {
			readAll(t, src)
		}
	}
}

func readAll(t *testing.T, src weights.Source) {
	defer func() { _ = src.Close() }()
	for _, name := range src.Names() {
		e, ok := src.Lookup(name)
		if !ok {
			t.Fatalf("%q is listed and cannot be found", name)
		}
		if e.DType.Size() == 0 {
			continue
		}
		if _, err := weights.Float32s(e); err != nil {
			t.Fatalf("%v: %v", e, err)
		}
	}
}
