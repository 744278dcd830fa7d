package golden

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// TinyVideoVAE writes a file of a TAEHV by the recipe of the golden vae/taehv: the case's id, the type of its weights, F16 or F32, and their names and
// shapes. It returns the file's path.
func TinyVideoVAE(tb testing.TB, id, kind string, named [][2]any) string {
	tb.Helper()
	var tensors []safetensors.Tensor
	for _, w := range named {
		key := w[0].(string)
		var shape []int
		for _, n := range w[1].([]any) {
			shape = append(shape, int(n.(float64)))
		}
		amp := 0.05
		if !strings.HasSuffix(key, ".bias") {
			amp = math.Sqrt(3/float64(tensor.Count(shape[1:]))) * 1.2
		}
		x := Uniform("taehv "+id+" "+key, amp, 0, shape...)
		e := safetensors.Tensor{Name: key, DType: dtype.F32, Shape: shape}
		for _, v := range x.Data {
			if kind == "F16" {
				e.DType = dtype.F16
				e.Data = binary.LittleEndian.AppendUint16(e.Data, weights.F32ToF16(v))
			} else {
				e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(v))
			}
		}
		tensors = append(tensors, e)
	}
	path := filepath.Join(tb.TempDir(), "tae.safetensors")
	if err := safetensors.Save(path, nil, tensors); err != nil {
		tb.Fatal(err)
	}
	return path
}
