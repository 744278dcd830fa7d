package tensor_test

import (
	"math"
	"testing"

	"comfygo/engine/tensor"
)

// The wanted texts are what torch 2.x prints for the same values (torch.set_printoptions at its defaults).
func TestString(t *testing.T) {
	t.Parallel()
	nan := float32(math.NaN())
	for _, c := range []struct {
		shape []int
		data  []float32
		want  string
	}{
		{[]int{2, 3}, []float32{0, 0, 0, 0, 0, 0}, "tensor([[0., 0., 0.],\n        [0., 0., 0.]])"},
		{[]int{3}, []float32{1, 2.5, -3}, "tensor([ 1.0000,  2.5000, -3.0000])"},
		{[]int{3}, []float32{1, 20, -3}, "tensor([ 1., 20., -3.])"},
		{[]int{2}, []float32{1e-5, 1}, "tensor([1.0000e-05, 1.0000e+00])"},
		{[]int{2}, []float32{nan, float32(math.Inf(-1))}, "tensor([nan, -inf])"},
		{[]int{0}, nil, "tensor([])"},
		{[]int{1, 0}, nil, "tensor([], size=(1, 0))"},
		{nil, []float32{2}, "tensor(2.)"},
		{[]int{1, 2, 1, 2}, []float32{1, 0, 0, 1}, "tensor([[[[1., 0.]],\n\n         [[0., 1.]]]])"},
	} {
		x, err := tensor.From(c.data, c.shape...)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.String(); got != c.want {
			t.Errorf("%v: have\n%s\nwant\n%s", c.shape, got, c.want)
		}
	}
	long := tensor.New(1200)
	for i := range long.Data {
		long.Data[i] = float32(i)
	}
	if got, want := long.String(), "tensor([0.0000e+00, 1.0000e+00, 2.0000e+00,  ..., 1.1970e+03, 1.1980e+03,\n        1.1990e+03])"; got != want {
		t.Errorf("have %s, want %s", got, want)
	}
}
