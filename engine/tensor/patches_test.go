package tensor_test

import (
	"slices"
	"testing"

	"comfygo/engine/tensor"
)

// counted is a tensor whose elements are their indexes.
func counted(shape ...int) *tensor.Tensor {
	t := tensor.New(shape...)
	for i := range t.Data {
		t.Data[i] = float32(i)
	}
	return t
}

func TestPatches(t *testing.T) {
	t.Parallel()
	// Two channels of 2x4 cells in patches of 2: elements of the first token, by order.
	for order, want := range map[tensor.PatchOrder][]float32{
		tensor.ChannelsFirst: {0, 1, 4, 5, 8, 9, 12, 13}, tensor.ChannelsLast: {0, 8, 1, 9, 4, 12, 5, 13},
	} {
		x := counted(1, 2, 2, 4)
		tokens, err := tensor.ToPatches(x, 2, order)
		if err != nil || !slices.Equal(tokens.Shape, []int{1, 2, 8}) || !slices.Equal(tokens.Data[:8], want) {
			t.Fatalf("order %d: %+v, %v, want %v", order, tokens, err, want)
		}
	}
	for _, shape := range [][]int{{2, 3, 4, 6}, {1, 1, 2, 2}, {3, 2, 6, 2}} {
		for _, order := range []tensor.PatchOrder{tensor.ChannelsFirst, tensor.ChannelsLast} {
			x := counted(shape...)
			tokens, err := tensor.ToPatches(x, 2, order)
			if err != nil {
				t.Fatal(err)
			}
			back, err := tensor.FromPatches(tokens, 2, order, shape[2], shape[3])
			if err != nil || !slices.Equal(back.Data, x.Data) {
				t.Errorf("%v comes back as %v, %v", x, back, err)
			}
		}
	}
}

func TestWrapAndCrop(t *testing.T) {
	t.Parallel()
	x := counted(1, 1, 2, 3)
	y, err := tensor.WrapTo(x, 2)
	if err != nil || !slices.Equal(y.Data, []float32{0, 1, 2, 0, 3, 4, 5, 3}) {
		t.Fatalf("%v, %v", y, err)
	}
	tall, err := tensor.WrapTo(counted(1, 1, 3, 2), 2)
	if err != nil || !slices.Equal(tall.Data, []float32{0, 1, 2, 3, 4, 5, 0, 1}) {
		t.Fatalf("%v, %v", tall, err)
	}
	back, err := tensor.Crop(y, 2, 3)
	if err != nil || !slices.Equal(back.Data, x.Data) {
		t.Fatalf("%v, %v", back, err)
	}
	if same, err := tensor.WrapTo(back, 1); err != nil || same != back {
		t.Errorf("%v, %v", same, err)
	}
}

func TestPatchErrors(t *testing.T) {
	t.Parallel()
	_, err1 := tensor.ToPatches(counted(1, 1, 3, 2), 2, tensor.ChannelsFirst)
	_, err2 := tensor.FromPatches(counted(1, 1, 8), 2, tensor.ChannelsFirst, 4, 4)
	_, err3 := tensor.WrapTo(counted(1, 2, 2), 2)
	_, err4 := tensor.Crop(counted(1, 1, 2, 2), 3, 1)
	for i, err := range []error{err1, err2, err3, err4} {
		if err == nil {
			t.Errorf("case %d: no error", i)
		}
	}
}
