package weights_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/weights"
)

// TestAbsurdShapes opens a file of each format with a shape that its bytes do not bound: all are refused in the same words.
func TestAbsurdShapes(t *testing.T) {
	t.Parallel()
	type shape []int64
	formats := map[string]func(s shape) []byte{
		"safetensors": func(s shape) []byte { return emptySafetensors(s) },
		"pickle": func(s shape) []byte {
			return archive(t, dictOf(tens(ref(float, "0", 4), 0, s, make([]int64, len(s)))), map[string]string{"data/0": string(make([]byte, 16))})
		},
		"gguf": func(s shape) []byte {
			h := header(3, 1, 0).put("w", uint32(len(s)))
			for i := range s {
				h = h.put(uint64(s[len(s)-1-i]))
			}
			return h.put(uint32(0), uint64(0), make([]byte, 64)).Bytes()
		},
	}
	for name, c := range map[string]struct {
		shape shape
		want  string // "" is allowed
	}{
		"empty":                  {shape{0}, ""},
		"empty of a layer":       {shape{0, 1 << 20}, ""},
		"longest":                {shape{1 << 24, 0}, ""},
		"one longer":             {shape{1<<24 + 1, 0}, "an axis of 16777217"},
		"long, the other way":    {shape{0, 1 << 30}, "an axis of 1073741824"},
		"beyond integers":        {shape{0, 1 << 22, 1 << 22, 1 << 22}, "an axis of 4194304"},
		"many empty, many wide":  {shape{0, 0, 1 << 15, 1 << 15}, "an axis of 32768"},
		"wide within the bounds": {shape{1 << 14, 0, 1 << 14}, ""},
	} {
		for format, of := range formats {
			path := filepath.Join(t.TempDir(), "x.bin")
			if err := os.WriteFile(path, of(c.shape), 0o600); err != nil {
				t.Fatal(err)
			}
			src, err := weights.Open(path)
			if err == nil {
				_ = src.Close()
			}
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s, %s: %v", name, format, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `"w"`)):
				t.Errorf("%s, %s: %v, want %q", name, format, err, c.want)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, emptySafetensors(make([]int64, 65)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := weights.Open(path); err == nil || !strings.Contains(err.Error(), "65 axes") {
		t.Errorf("65 axes: %v", err) // GGUF and pickle files have their own limits: see TestWrongGGUF and TestHostileTorchFiles
	}
}

func emptySafetensors(shape []int64) []byte {
	text := fmt.Sprintf(`{"w":{"dtype":"F32","shape":%s,"data_offsets":[0,0]}}`, strings.ReplaceAll(fmt.Sprint(shape), " ", ","))
	var b bytes.Buffer
	b.Write([]byte{byte(len(text)), byte(len(text) >> 8), 0, 0, 0, 0, 0, 0})
	b.WriteString(text)
	return b.Bytes()
}
