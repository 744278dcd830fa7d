package weights_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/weights"
	"comfygo/tests/golden"
)

// TestGGUFEqualsGolden reads a file with a tensor of every type that gguf-py 0.19.0 wrote.
func TestGGUFEqualsGolden(t *testing.T) {
	t.Parallel()
	stored := golden.Load(t, "quant/gguf", nil)
	src, err := weights.Open(golden.Path(t, "quant/gguf.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	if len(src.Names()) != 26 || src.Metadata()["general.architecture"] != "test" {
		t.Errorf("%d tensors, metadata %v", len(src.Names()), src.Metadata())
	}
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		want := stored.Get(t, strings.TrimPrefix(name, "t.")+"/value")
		got, err := weights.Float32s(e)
		if err != nil || !slices.Equal(e.Shape, want.Shape) {
			t.Errorf("%v: %v", e, err)
			continue
		}
		// gguf-py computes the same products in float32 in the same order; one rounding may differ.
		golden.Compare(t, name, got, want.Data, golden.Tolerance{RMSRel: 1e-7})
	}
}

// ggufFile builds files for tests.
type ggufFile struct{ bytes.Buffer }

func (g *ggufFile) put(vs ...any) *ggufFile {
	for _, v := range vs {
		if s, ok := v.(string); ok {
			_ = binary.Write(g, binary.LittleEndian, uint64(len(s)))
			g.WriteString(s)
			continue
		}
		_ = binary.Write(g, binary.LittleEndian, v)
	}
	return g
}

// header begins a file.
func header(version uint32, tensors, pairs uint64) *ggufFile {
	g := &ggufFile{}
	g.WriteString("GGUF")
	return g.put(version, tensors, pairs)
}

func openBytes(t testing.TB, data []byte) (weights.Source, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.gguf")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return weights.Open(path)
}

// smallGGUF is a file of a tensor [2,32] in Q8_0 with pairs of every kind.
func smallGGUF(kind uint32, shape ...int32) []byte {
	pairs := uint64(4)
	if len(shape) > 0 {
		pairs++
	}
	g := header(3, 1, pairs).put("general.alignment", uint32(4), uint32(64), "a", uint32(8), "text", "list", uint32(9), uint32(8), uint64(2), "x", "yy").
		put("f", uint32(6), float32(0.5))
	if len(shape) > 0 {
		g.put("comfy.gguf.orig_shape.w", uint32(9), uint32(5), uint64(len(shape)), shape)
	}
	g.put("w", uint32(2), uint64(32), uint64(2), kind, uint64(0))
	for g.Len()%64 != 0 {
		g.WriteByte(0)
	}
	for range 2 {
		g.put(uint16(0x3c00)) // a scale of one
		for i := range 32 {
			g.WriteByte(byte(i))
		}
	}
	return g.Bytes()
}

func TestGGUF(t *testing.T) {
	t.Parallel()
	src, err := openBytes(t, smallGGUF(8, 2, 1, 32))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = src.Close() })
	e, _ := src.Lookup("w")
	got, err := weights.Float32s(e)
	if err != nil || !slices.Equal(e.Shape, []int{2, 1, 32}) || got[33] != 1 || e.Scheme.Format != "GGUF Q8_0" {
		t.Errorf("%v: %v, %v", e, got, err)
	}
	if m := src.Metadata(); m["a"] != "text" || m["f"] != "0.5" || m["list"] != "" {
		t.Errorf("metadata %v", m)
	}
	unknown, err := openBytes(t, smallGGUF(99))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unknown.Close() })
	if e, _ = unknown.Lookup("w"); e.Usable() == nil || !strings.Contains(e.Usable().Error(), "GGUF type 99") {
		t.Errorf("an unknown type is %v", e.Usable())
	}
}

func TestWrongGGUF(t *testing.T) {
	t.Parallel()
	whole := smallGGUF(8)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"version":       {header(1, 0, 0).Bytes(), "version 1"},
		"many tensors":  {header(3, 1<<40, 0).Bytes(), "over the limits"},
		"cut header":    {whole[:70], "truncated"},
		"cut data":      {whole[:len(whole)-1], "truncated"},
		"long name":     {header(3, 0, 1).put(strings.Repeat("x", 2000)).Bytes(), "over the limit"},
		"unknown value": {header(3, 0, 1).put("a", uint32(77)).Bytes(), "type 77"},
		"many axes":     {header(3, 1, 0).put("w", uint32(9)).Bytes(), "9 axes"},
		"large axis":    {header(3, 1, 0).put("w", uint32(1), uint64(1)<<40, uint32(0), uint64(0)).Bytes(), "an axis of"},
		"large product": {header(3, 1, 0).put("w", uint32(3), uint64(1)<<30, uint64(1)<<30, uint64(1)<<30, uint32(0), uint64(0)).Bytes(), "overflows"},
		"broken block":  {header(3, 1, 0).put("w", uint32(1), uint64(33), uint32(8), uint64(0)).Bytes(), "blocks of 32"},
		"far offset":    {header(3, 1, 0).put("w", uint32(1), uint64(1), uint32(0), uint64(1)<<63).Bytes(), "truncated"},
		"twice":         {header(3, 2, 0).put("w", uint32(1), uint64(0), uint32(0), uint64(0), "w", uint32(1), uint64(0), uint32(0), uint64(0), make([]byte, 64)).Bytes(), "occurs twice"},
		"alignment":     {header(3, 0, 1).put("general.alignment", uint32(4), uint32(0)).Bytes(), "alignment"},
		"deep arrays":   {header(3, 0, 1).put("a", uint32(9), bytes.Repeat([]byte{9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, 50)).Bytes(), "too deep"},
	} {
		src, err := openBytes(t, c.data)
		if err == nil {
			_ = src.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "x.gguf") {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestLongGGUFHeader opens a sparse file whose first pair is an array that is longer than headers may be.
func TestLongGGUFHeader(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.gguf")
	const size = 300 << 20
	if err := os.WriteFile(path, header(3, 0, 1).put("a", uint32(9), uint32(0), uint64(size-100)).Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	if src, err := weights.Open(path); err == nil || !strings.Contains(err.Error(), "over the limit of 268435456 bytes") {
		t.Errorf("%v, %v", src, err)
	}
}

// FuzzGGUF: every file is either rejected or read.
func FuzzGGUF(f *testing.F) {
	f.Add(smallGGUF(8)[4:])
	f.Add(smallGGUF(0, 64)[4:])
	f.Add(header(3, 1, 0).put("w", uint32(1), uint64(1), uint32(0), uint64(1)<<63).Bytes()[4:])
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		src, err := openBytes(t, append([]byte("GGUF"), data...))
		if err != nil {
			return
		}
		for _, n := range src.Names() {
			e, _ := src.Lookup(n)
			if e.Count() < 1<<16 {
				_, _ = weights.Float32s(e)
			}
			_ = fmt.Sprint(e, e.Key())
		}
		_ = src.Close()
	})
}
