package image_test

import (
	"testing"

	"comfygo/engine/tensor"
	"comfygo/nodes/image"
	"comfygo/tests/golden"
)

// TestYUVThereAndBack wants the image back to the last bits of float32.
func TestYUVThereAndBack(t *testing.T) {
	t.Parallel()
	img := golden.Image("yuv", 2, 9, 7, 3)
	parts, err := (&image.ImageRGBToYUV{Image: img}).Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	part := func(i int) *tensor.Tensor { return parts.Values[i].(*tensor.Tensor) }
	back, err := (&image.ImageYUVToRGB{Y: part(0), U: part(1), V: part(2)}).Run(nil)
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "yuv", back.Values[0].(*tensor.Tensor).Data, img.Data, golden.Tolerance{MaxAbs: 1e-6})
}
