package wan

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/family/latents"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/nodes"
)

func texts() engine.Conditioning {
	return engine.Conditioning{{Tokens: tensor.New(1, 3, 8)}}
}

// TestWithoutImages holds what the nodes give when nothing is connected that has to be encoded.
func TestWithoutImages(t *testing.T) {
	t.Parallel()
	seen := family.ImageEncoding{Penultimate: tensor.New(1, 2, 4)}
	rays := tensor.New(1, 24, 3, 32, 48)
	for name, c := range map[string]struct {
		node  nodes.Node
		shape []int
		keys  []string
	}{
		"image": {&WanImageToVideo{Width: 48, Height: 32, Length: 9, BatchSize: 2, Positive: texts(), Negative: texts(), VisionOutput: seen}, []int{2, 16, 3, 4, 6}, []string{sampling.KeyVisionOutput}},
		"control": {
			&WanFunControlToVideo{Width: 48, Height: 32, Length: 9, BatchSize: 1, Positive: texts(), Negative: texts()}, []int{1, 16, 3, 4, 6}, []string{sampling.KeyConcatLatent},
		},
		"camera":   {&WanCameraImageToVideo{Width: 48, Height: 32, Length: 9, BatchSize: 1, Positive: texts(), Negative: texts(), CameraConditions: rays}, []int{1, 16, 3, 4, 6}, []string{"camera_conditions"}},
		"subjects": {&WanPhantomSubjectToVideo{Width: 48, Height: 32, Length: 9, BatchSize: 1, Positive: texts(), Negative: texts()}, []int{1, 16, 3, 4, 6}, nil},
		"5B":       {&Wan22ImageToVideoLatent{Width: 64, Height: 32, Length: 9, BatchSize: 3}, []int{1, 48, 3, 2, 4}, nil},
	} {
		r, err := c.node.Run(&nodes.Context{Context: t.Context()})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		l, ok := r.Values[len(r.Values)-1].(engine.Latent)
		if !ok || !slices.Equal(l.Samples.Shape, c.shape) {
			t.Errorf("%s: %+v, want a latent of shape %v", name, l.Samples, c.shape)
		}
		if len(r.Values) == 1 {
			continue
		}
		for _, side := range r.Values[:2] {
			for _, key := range c.keys {
				if side.(engine.Conditioning)[0].Values[key] == nil {
					t.Errorf("%s: there is no %s", name, key)
				}
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	image := tensor.New(1, 8, 8, 3)
	for name, c := range map[string]struct {
		node nodes.Node
		want string
	}{
		"no VAE":        {&WanImageToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1, StartImage: image}, "there is no VAE"},
		"frames":        {&WanFirstLastFrameToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1}, "there is no VAE"},
		"reference":     {&Wan22FunControlToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1}, "there is no VAE"},
		"control video": {&WanVaceToVideo{Width: 16, Height: 16, Length: 5, BatchSize: 1}, "there is no VAE"},
		"sides":         {&WanVaceToVideo{Width: 17, Height: 16, Length: 5, BatchSize: 1}, "multiples of 8"},
		"size":          {&WanImageToVideo{Width: 16384, Height: 16384, Length: 16384, BatchSize: 4096}, "video latents"},
		"rows":          {&WanImageToVideo{Width: 16, Height: 16, Length: 5, BatchSize: -1}, "negative size"},
		"encoders": {&WanFirstLastFrameToVideo{
			VisionStartImage: family.ImageEncoding{Penultimate: tensor.New(1, 2, 4)}, VisionEndImage: family.ImageEncoding{Penultimate: tensor.New(1, 2, 5)},
		}, "different encoders"},
	} {
		_, err := c.node.Run(&nodes.Context{Context: t.Context()})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestPixelSpace runs the nodes with a VAE whose latents have no time axis.
func TestPixelSpace(t *testing.T) {
	t.Parallel()
	c := canvas{&engine.VAE{}, 16, 16, 5}
	for name, images := range map[string]*tensor.Tensor{"no axes": tensor.New(3, 3), "none": tensor.New(0, 8, 8, 3), "gray": tensor.New(1, 8, 8, 1)} {
		var e *nodes.Error
		if _, err := c.first("start_image", images); !errors.As(err, &e) || e.Type != "ValueError" {
			t.Errorf("%s: %v", name, err)
		}
	}
	frames, err := c.first("start_image", tensor.New(9, 8, 8, 4))
	if err != nil || !slices.Equal(frames.Shape, []int{5, 16, 16, 3}) {
		t.Errorf("%v, %v", frames, err)
	}
}

// TestFramesMask holds that four values of a latent frame are those of its frames of the video, the first one four times.
func TestFramesMask(t *testing.T) {
	t.Parallel()
	m, err := framesMask(2, 1, 1, func(frame int) bool { return frame < 5 })
	if err != nil {
		t.Fatal(err)
	}
	if want := []float32{0, 0, 0, 1, 0, 1, 0, 1}; !slices.Equal(m.Data, want) { // [channel, frame]
		t.Errorf("%v, want %v", m.Data, want)
	}
}

func TestCells(t *testing.T) {
	t.Parallel()
	mask := tensor.New(5, 1, 16, 8)
	for i := range mask.Data {
		mask.Data[i] = float32(i)
	}
	out := (&WanVaceToVideo{Width: 8, Height: 16, Length: 5}).cells(mask, 2)
	if want := []int{1, 64, 2, 2, 1}; !slices.Equal(out.Shape, want) {
		t.Fatalf("%v, want %v", out.Shape, want)
	}
	// Channel 9 is the pixel in row 1 and column 1 of a cell; frames 1 and 3 of five represent two.
	const size, row = 16 * 8, 8
	if got, want := out.Index(0).Index(9).Data, []float32{size + row + 1, size + 9*row + 1, 3*size + row + 1, 3*size + 9*row + 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestLatents(t *testing.T) {
	t.Parallel()
	empty, err := blank([]int{1, 16, 2, 1, 1}, 2)
	if err != nil || !slices.Equal(empty.Shape, []int{1, 32, 2, 1, 1}) || empty.Data[2] != latents.Wan21.Mean[1] || empty.Data[32] != latents.Wan21.Mean[0] {
		t.Fatalf("%v, %v", empty, err)
	}
	z := tensor.New(1, 16, 1, 1, 1)
	z.Data[3] = 7
	if err := lay(empty, z, 16); err != nil || empty.Data[2*19] != 7 || empty.Data[2*19+1] != latents.Wan21.Mean[3] {
		t.Errorf("%v, %v", empty.Data[32:], err)
	}
	if err := lay(empty, tensor.New(1, 16, 1, 2, 1), 0); err == nil {
		t.Error("another height: no error")
	}
	both := behind(tensor.New(1, 1, 1, 1, 2), &tensor.Tensor{Shape: []int{1, 1, 1, 1, 2}, Data: []float32{1, 2}})
	if !slices.Equal(both.Data, []float32{0, 0, 1, 2}) {
		t.Errorf("%v", both.Data)
	}
	x := family.ImageEncoding{Penultimate: &tensor.Tensor{Shape: []int{2, 1, 1}, Data: []float32{1, 2}}}
	seen, err := joined(x, x)
	if err != nil || !slices.Equal(seen.(family.ImageEncoding).Penultimate.Data, []float32{1, 1, 2, 2}) {
		t.Errorf("%v, %v", seen, err)
	}
}
