package familytest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

// Recorded returns what a script beside path recorded of upstream's modules with small weights, path.safetensors, and these
// weights, whose names and shapes path.json lists, with its metadata. The weight KEY is golden.Normal(salt/KEY), divided by the square root of
// the fan-in where it has two axes or more, 1 + it²/8 for running variances, 1 + it/8 for other weights, and a tenth of it for the rest.
func Recorded(t *testing.T, path, salt string) (*inner.Tensors, weights.Source) {
	t.Helper()
	var doc struct {
		Shapes   [][2]any          `json:"shapes"`
		Metadata map[string]string `json:"metadata"`
	}
	if err := inner.ReadJSON(path+".json", &doc); err != nil {
		t.Fatal(err)
	}
	stored, err := inner.ReadTensors(path + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	var list []weights.Entry
	for _, s := range doc.Shapes {
		key := s[0].(string)
		shape := []int{}
		for _, n := range s[1].([]any) {
			shape = append(shape, int(n.(float64)))
		}
		v := golden.Normal(salt+"/"+key, shape...)
		switch {
		case strings.HasSuffix(key, "running_var"):
			for i, x := range v.Data {
				v.Data[i] = float32(1 + float64(x)*float64(x)/8)
			}
		case len(shape) > 1:
			inner.Over(v, math.Sqrt(float64(tensor.Count(shape[1:]))))
		case strings.HasSuffix(key, "weight"):
			for i, x := range v.Data {
				v.Data[i] = float32(1 + float64(x)/8)
			}
		default:
			inner.Over(v, 10)
		}
		data := inner.Bytes(v.Data)
		list = append(list, weights.Entry{Name: key, DType: dtype.F32, TypeName: "F32", Shape: shape, Data: data})
	}
	return stored, described{dryrun.Described(list), doc.Metadata}
}

// described is a list of tensors with metadata.
type described struct {
	weights.Source
	metadata map[string]string
}

// Metadata implements weights.Source.
func (d described) Metadata() map[string]string { return d.metadata }

// every is the distance of the values that record.py in engine/family/chunked keeps.
const every = 97

// CompareSome compares a value of a shape with what record.py in engine/family/chunked recorded under a name, where it kept some values.
func CompareSome(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, shape []int, tolerance golden.Tolerance) {
	t.Helper()
	want, err := stored.Get(fmt.Sprintf("%s_s%d", name, every))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Shape, shape) || len(want.Data) != (got.Len()+every-1)/every {
		t.Errorf("%s: shape %v, want %v and %d values", name, got.Shape, shape, len(want.Data))
		return
	}
	some := make([]float32, len(want.Data))
	for i := range some {
		some[i] = got.Data[i*every]
	}
	golden.Compare(t, name, some, want.Data, tolerance)
}

// CompareEvery compares every n-th element of a value of a shape with the elements recorded under a name.
func CompareEvery(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, shape []int, n int, tolerance golden.Tolerance) {
	t.Helper()
	if !slices.Equal(got.Shape, shape) {
		t.Errorf("%s: shape %v, want %v", name, got.Shape, shape)
		return
	}
	kept := golden.Strided(got.Data, n)
	Compare(t, stored, name, &tensor.Tensor{Shape: []int{len(kept)}, Data: kept}, tolerance)
}

// Compare compares a value with the one recorded under a name.
func Compare(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, tolerance golden.Tolerance) {
	t.Helper()
	want, err := stored.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	if !tensor.SameShape(got, want) {
		t.Errorf("%s: shape %v, want %v", name, got.Shape, want.Shape)
		return
	}
	golden.Compare(t, name, got.Data, want.Data, tolerance)
}
