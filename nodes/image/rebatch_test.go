package image_test

import (
	"testing"

	"comfygo/engine/tensor"
	"comfygo/nodes"
	"comfygo/nodes/image"
)

func TestRebatchImages(t *testing.T) {
	t.Parallel()
	a, b := tensor.New(2, 1, 1, 3), tensor.New(1, 1, 1, 3)
	for i := range a.Data {
		a.Data[i] = float32(i)
	}
	b.Data[0] = 9
	r, err := (&image.RebatchImages{Images: []*tensor.Tensor{a, b}, BatchSize: []int{2}}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err != nil {
		t.Fatal(err)
	}
	out := r.Values[0].([]*tensor.Tensor)
	if len(out) != 2 || out[0].Dim(0) != 2 || out[0].Data[4] != 4 || out[1].Dim(0) != 1 || out[1].Data[0] != 9 {
		t.Errorf("have %v", out)
	}
	_, err = (&image.RebatchImages{Images: []*tensor.Tensor{a, tensor.New(1, 2, 1, 3)}, BatchSize: []int{4}}).Run(nodes.TestContext(t.Context(), nodes.Services{}))
	if err == nil {
		t.Error("images of two sizes went into one batch")
	}
}
