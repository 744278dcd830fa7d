package latent

import (
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

// TestWarpFrames checks that frames are halved by means of four pixels, of values cut to 8 bits.
func TestWarpFrames(t *testing.T) {
	t.Parallel()
	video := tensor.New(1, 2, 4, 3)
	for i := range video.Data {
		video.Data[i] = 0.5 // 127.5 of 255
	}
	video.Data[0] = 2
	got, err := warpFrames(video, 4, 2)
	if err != nil {
		t.Fatal(err)
	}
	const gray = float32(127) / 255
	if want := []float32{(1 + 3*gray) / 4, gray, gray, gray, gray, gray}; !slices.Equal(got.Shape, []int{1, 3, 1, 2}) || !closeTo(got.Data, want) {
		t.Errorf("%v %v, want %v", got.Shape, got.Data, want)
	}
}

func closeTo(got, want []float32) bool {
	return slices.EqualFunc(got, want, func(a, b float32) bool { return a-b < 1e-6 && b-a < 1e-6 })
}

// TestWarpLatent checks which frames become those of the latent, as torch.linspace cut to whole numbers gives them, and their sizes.
func TestWarpLatent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to int
		want     []int
	}{{45, 12, []int{0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44}}, {3, 3, []int{0, 1, 2}}, {5, 1, []int{0}}, {2, 4, []int{0, 0, 0, 1}}} {
		var got []int
		for i := range c.to {
			got = append(got, spaced(i, c.from, c.to))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%d of %d: %v, want %v", c.to, c.from, got, c.want)
		}
	}
	list := []*tensor.Tensor{{Shape: []int{1, 1, 2}, Data: []float32{1, 2}}, {Shape: []int{1, 1, 2}, Data: []float32{3, 4}}}
	z, err := warpLatent(list, 2, 1, 2, 2)
	if err != nil || !slices.Equal(z.Shape, []int{2, 1, 2, 1, 2}) || !slices.Equal(z.Data, []float32{1, 2, 3, 4, 1, 2, 3, 4}) {
		t.Errorf("%v, %v", z, err)
	}
	if z, err = warpLatent(list, 1, 1, 1, 1); err != nil || !slices.Equal(z.Data, []float32{1.5}) {
		t.Errorf("another size: %v, %v", z, err)
	}
}

func TestWrongWarp(t *testing.T) {
	t.Parallel()
	video := tensor.New(2, 8, 8, 3)
	for name, c := range map[string]struct {
		node nodes.Node
		want string
	}{
		"no model": {&VOIDWarpedNoise{Video: video, Width: 16, Height: 16, Length: 5, BatchSize: 1}, "OpticalFlowLoader"},
		"no video": {&VOIDWarpedNoise{OpticalFlow: &engine.OpticalFlow{}, Video: tensor.New(2, 8, 8, 1), Width: 16, Height: 16, Length: 5, BatchSize: 1}, "three channels"},
		"size":     {&VOIDWarpedNoise{OpticalFlow: &engine.OpticalFlow{}, Video: tensor.New(1, 8, 8, 3), Width: 16384, Height: 16384, Length: 5, BatchSize: 1}, "noise that moves"},
	} {
		if _, err := c.node.Run(&nodes.Context{Context: t.Context()}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
