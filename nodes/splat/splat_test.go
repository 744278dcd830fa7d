package splat_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/binary"
	"io"
	"math"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// TestCalls compares with upstream's results; cases.py says where they may differ.
func TestCalls(t *testing.T) {
	t.Parallel()
	options := nodecalls.Options{
		Described: described(t),
		Makers: map[string]func(*pyjson.Object, func(any) any) any{
			"file": func(recipe *pyjson.Object, _ func(any) any) any {
				data, err := base64.StdEncoding.DecodeString(recipe.String("data"))
				if err != nil {
					t.Fatal(err)
				}
				return geometry.Memory(data, recipe.String("format"))
			},
		},
	}
	for _, name := range []string{"calls.json.gz", "calls_random.json.gz"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodecalls.Run(t, name, options)
		})
	}
}

// described turns values into what cases.py makes of upstream's.
func described(t *testing.T) func(v any) (any, bool) {
	t.Helper()
	return func(v any) (any, bool) {
		switch v := v.(type) {
		case *geometry.Splats:
			list := []any{}
			for i := range v.Items {
				it := &v.Items[i]
				list = append(list, pyjson.NewObject("positions", rows(it.Positions, 3), "scales", rows(it.Scales, 3), "rotations", rows(it.Rotations, 4),
					"opacities", &tensor.Tensor{Shape: []int{it.Count()}, Data: it.Opacities}, "sh", &tensor.Tensor{Shape: []int{it.Count(), it.K, 3}, Data: it.SH}))
			}
			return pyjson.NewObject("splats", list), true
		case *geometry.Mesh:
			list := []any{}
			for i := range v.Items {
				it := &v.Items[i]
				list = append(list, pyjson.NewObject("vertices", rows(it.Vertices, 3), "faces", rows(it.Faces, 3), "colors", rows(it.Colors, 3)))
			}
			return pyjson.NewObject("meshes", list, "unlit", v.Unlit), true
		case *geometry.File:
			return describedFile(t, v), true
		}
		return nil, false
	}
}

func rows[T int32 | float32 | byte](values []T, columns int) *tensor.Tensor {
	out := tensor.New(len(values)/columns, columns)
	for i, v := range values {
		out.Data[i] = float32(v)
	}
	return out
}

func describedFile(t *testing.T, f *geometry.File) any {
	t.Helper()
	data, err := f.Bytes(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	flat := func(values []float32) *tensor.Tensor { return &tensor.Tensor{Shape: []int{len(values)}, Data: values} }
	floats := func(data []byte) (out []float32) {
		for i := 0; i < len(data); i += 4 {
			out = append(out, math.Float32frombits(binary.LittleEndian.Uint32(data[i:])))
		}
		return out
	}
	numbers := func(data []byte) *tensor.Tensor { return flat(rows(data, 1).Data) }
	switch f.Format() {
	case "ply":
		head, body, _ := bytes.Cut(data, []byte("end_header\n"))
		return pyjson.NewObject("format", "ply", "head", string(head), "floats", flat(floats(body)))
	case "ksplat":
		var head, records, colors []byte
		for i := 0; i < 5120; i += 4 {
			head = append(head, data[i])
		}
		for i := 5120; i < len(data); i += 44 {
			records, colors = append(records, data[i:i+40]...), append(colors, data[i+40:i+44]...)
		}
		return pyjson.NewObject("format", "ksplat", "head", numbers(head), "floats", rows(floats(records), 10), "colors", rows(colors, 4))
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return pyjson.NewObject("format", f.Format(), "bytes", numbers(raw))
}
