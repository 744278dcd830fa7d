package inpaint

import (
	"fmt"
	"slices"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

// TestGrownAgainstConvolution compares with the definition: a convolution with ones, padded by ceil((side-1)/2), cut to
// the mask's size and clamped.
func TestGrownAgainstConvolution(t *testing.T) {
	t.Parallel()
	for _, side := range []int{0, 1, 2, 3, 6, 7, 64} {
		t.Run(fmt.Sprint(side), func(t *testing.T) {
			t.Parallel()
			mask := tensor.New(2, 9, 14)
			noise := golden.Uniform("grow", 0.5, 1<<23, mask.Shape...) // 0…1
			for i, v := range noise.Data {
				if v > 0.9 {
					mask.Data[i] = v
				}
			}
			mask.Data[0], mask.Data[1] = 0.5, 0.4999 // a half is rounded to the even 0
			got := grown(mask, side)
			for n := range 2 {
				for y := range 9 {
					for x := range 14 {
						if g, w := got.Data[(n*9+y)*14+x], windowed(mask.Index(n), side, y, x); g != w {
							t.Fatalf("mask %d at %d,%d: %v, want %v", n, y, x, g, w)
						}
					}
				}
			}
		})
	}
}

func windowed(mask *tensor.Tensor, side, y, x int) float32 {
	h, w := mask.Dim(0), mask.Dim(1)
	if side == 0 {
		return round(mask.Data[y*w+x])
	}
	padding := (side-1)/2 + (side-1)%2
	for ky := range side {
		for kx := range side {
			yy, xx := y+ky-padding, x+kx-padding
			if yy >= 0 && yy < h && xx >= 0 && xx < w && round(mask.Data[yy*w+xx]) > 0 {
				return 1
			}
		}
	}
	return 0
}

func TestFitCutsAtTheCentre(t *testing.T) {
	t.Parallel()
	pixels := tensor.New(1, 19, 21, 3)
	for i := range pixels.Data {
		pixels.Data[i] = float32(i)
	}
	mask := tensor.New(1, 19, 21)
	for i := range mask.Data {
		mask.Data[i] = float32(i)
	}
	m, err := fit(pixels, mask, 8)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(m.pixels.Shape, []int{1, 16, 16, 3}) || !slices.Equal(m.mask.Shape, []int{1, 16, 16}) {
		t.Fatalf("got %v and %v", m.pixels.Shape, m.mask.Shape)
	}
	// 19 leaves 3, 1 of them above; 21 leaves 5, 2 of them on the left.
	if first := float32(1*21 + 2); m.mask.Data[0] != first || m.pixels.Data[0] != 3*first {
		t.Errorf("the first pixel is %v, its mask %v, want pixel %v", m.pixels.Data[0]/3, m.mask.Data[0], first)
	}
	if last := float32(16*21 + 17); m.mask.Data[255] != last {
		t.Errorf("the last pixel's mask is %v, want %v", m.mask.Data[255], last)
	}
}

func TestGreyed(t *testing.T) {
	t.Parallel()
	m := masked{
		pixels: &tensor.Tensor{Shape: []int{2, 1, 2, 4}, Data: []float32{0, 1, 0.25, 0.9, 1, 0, 0.75, 0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}},
		mask:   &tensor.Tensor{Shape: []int{1, 1, 2}, Data: []float32{1, 0.2}},
	}
	got, err := m.greyed()
	if err != nil {
		t.Fatal(err)
	}
	want := []float32{0.5, 0.5, 0.5, 0.9, 1, 0, 0.75, 0.1, 0.5, 0.5, 0.5, 0.4, 0.5, 0.6, 0.7, 0.8}
	golden.Compare(t, "greyed", got.Data, want, golden.Tolerance{MaxAbs: 6e-8}) // minus a half and back
	if m.pixels.Data[0] != 0 {
		t.Error("the image was changed in place")
	}
	m.mask = tensor.New(3, 1, 2)
	if _, err := m.greyed(); err == nil {
		t.Error("three masks for two images were accepted")
	}
}

func TestImagesThatDoNotFit(t *testing.T) {
	t.Parallel()
	mask := tensor.New(1, 8, 8)
	for name, p := range map[string]*tensor.Tensor{"none": nil, "small": tensor.New(1, 7, 64, 3), "grey": tensor.New(1, 16, 16, 1), "flat": tensor.New(16, 16, 3)} {
		if _, err := fit(p, mask, 8); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for name, m := range map[string]*tensor.Tensor{"none": nil, "line": tensor.New(8), "empty": tensor.New(0, 8, 8)} {
		if _, err := fit(tensor.New(1, 16, 16, 3), m, 8); err == nil {
			t.Errorf("mask %s: no error", name)
		}
	}
}

func TestDifferentialMask(t *testing.T) {
	t.Parallel()
	m, err := sampling.NewModelSampling(sampling.EPS, sampling.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	sigmas := m.Sigmas()
	high, middle := sigmas[999], sigmas[500] // timesteps 999 and 500; the end at 0 counts as timestep 0
	mask := &tensor.Tensor{Shape: []int{1, 1, 1, 5}, Data: []float32{0, 0.4, 0.5, 0.51, 1}}
	info := sampling.MaskInfo{Sigma: middle, Sigmas: []float32{high, middle, 0}, Model: m}
	for _, c := range []struct {
		strength float64
		want     []float32
	}{
		{1, []float32{0, 0, 0, 1, 1}}, // 500/999 = 0.5005
		{0, []float32{0, 0, 0, 1, 1}},
		{0.5, []float32{0, 0.2, 0.25, 0.755, 1}},
	} {
		golden.Compare(t, fmt.Sprint(c.strength), maskAt(info, mask, c.strength).Data, c.want, golden.Tolerance{MaxAbs: 6e-8})
	}
	info.Sigma = high
	if got := maskAt(info, mask, 1).Data; !slices.Equal(got, []float32{0, 0, 0, 0, 1}) {
		t.Errorf("at first %v may change, want only what is white", got)
	}
}
