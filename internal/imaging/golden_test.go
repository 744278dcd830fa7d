package imaging_test

import (
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/tests/golden"
)

type scaleCase struct {
	ID    string
	Class string
	Args  struct {
		Image, Samples struct {
			Name  string
			Shape []int
		}
		Method string `json:"upscale_method"`
		Crop   string
	}
}

// TestScalingGoldens compares with the results of torch 2.13 and Pillow for the same inputs. Nearest, area and
// Lanczos must be equal; the others may differ in the last bits of float32, where torch's vector code orders sums
// differently, and bislerp by the effect of such a difference on its arc cosine.
func TestScalingGoldens(t *testing.T) {
	t.Parallel()
	var file struct{ Cases []scaleCase }
	stored := golden.Load(t, "nodes/image", &file)
	tolerance := map[string]golden.Tolerance{
		"nearest-exact": {MaxAbs: 1e-9}, "area": {MaxAbs: 1e-7}, "lanczos": {MaxAbs: 1e-9},
		"bilinear": {MaxAbs: 3e-7}, "bicubic": {MaxAbs: 1e-6}, "bislerp": {RMSRel: 1e-5},
	}
	ran := map[string]int{}
	for _, c := range file.Cases {
		var got *tensor.Tensor
		var err error
		name := c.ID + "/0"
		if c.Class == "LatentUpscale" {
			name += ".samples"
		}
		if !stored.Has(name) {
			continue
		}
		want := stored.Get(t, name)
		switch c.Class {
		case "ImageScale":
			s := c.Args.Image.Shape
			got, err = imaging.UpscaleImage(golden.Image(c.Args.Image.Name, s[0], s[1], s[2], s[3]),
				want.Shape[2], want.Shape[1], c.Args.Method, c.Args.Crop)
		case "LatentUpscale":
			got, err = imaging.Upscale(golden.Normal(c.Args.Samples.Name, c.Args.Samples.Shape...),
				want.Shape[3], want.Shape[2], c.Args.Method, c.Args.Crop)
		default:
			continue
		}
		if err != nil {
			t.Errorf("%s %s %s: %v", c.ID, c.Class, c.Args.Method, err)
			continue
		}
		if !tensor.SameShape(got, want) {
			t.Errorf("%s %s: shape %v, want %v", c.ID, c.Class, got.Shape, want.Shape)
			continue
		}
		d := golden.Compare(t, c.ID+" "+c.Class+" "+c.Args.Method, got.Data, want.Data, tolerance[c.Args.Method])
		t.Logf("%s %s %s: %v", c.ID, c.Class, c.Args.Method, d)
		ran[c.Args.Method]++
	}
	for method := range tolerance {
		if ran[method] == 0 {
			t.Errorf("no case ran the method %s", method)
		}
	}
}
