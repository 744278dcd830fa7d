package imaging_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/tests/golden"
)

// TestExtremeAgainstWindows compares with a search through every window.
func TestExtremeAgainstWindows(t *testing.T) {
	t.Parallel()
	img := golden.Image("extreme", 2, 11, 8, 3)
	for _, side := range []int{1, 2, 3, 4, 7, 30} {
		for _, least := range []bool{false, true} {
			got, err := imaging.Extreme(t.Context(), img, side, least)
			if err != nil {
				t.Fatal(err)
			}
			for i := range got.Data {
				c, x, y, n := i%3, i/3%8, i/24%11, i/264
				if want := searched(img, n, y, x, c, side, least); got.Data[i] != want {
					t.Fatalf("side %d, least %v, value %d: %g, want %g", side, least, i, got.Data[i], want)
				}
			}
		}
	}
}

func searched(img *tensor.Tensor, n, y, x, c, side int, least bool) float32 {
	best, first := float32(0), true
	before := side / 2
	if !least {
		before = (side - 1) / 2
	}
	for sy := y - before; sy < y-before+side; sy++ {
		for sx := x - before; sx < x-before+side; sx++ {
			if sy < 0 || sx < 0 || sy >= img.Shape[1] || sx >= img.Shape[2] {
				continue
			}
			v := img.Data[((n*img.Shape[1]+sy)*img.Shape[2]+sx)*3+c]
			if first || least && v < best || !least && v > best {
				best, first = v, false
			}
		}
	}
	return best
}

// TestExtremeOfEvenSides wants what kornia 0.9 makes of one bright and of one dark place with a square of 4.
func TestExtremeOfEvenSides(t *testing.T) {
	t.Parallel()
	for least, want := range map[bool][]float32{
		false: {0, 0, 1, 1, 1, 1, 0, 0, 0},
		true:  {1, 1, 1, 0, 0, 0, 0, 1, 1},
	} {
		img := tensor.New(1, 1, 9, 1)
		for i := range img.Data {
			if (i == 4) != least {
				img.Data[i] = 1
			}
		}
		got, err := imaging.Extreme(t.Context(), img, 4, least)
		if err != nil || !slices.Equal(got.Data, want) {
			t.Errorf("least %v: %v (%v), want %v", least, got, err, want)
		}
	}
}

func TestFiltersEndWithTheirContext(t *testing.T) {
	t.Parallel()
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	img := tensor.New(1, 64, 64, 3)
	if _, err := imaging.Extreme(ctx, img, 3, true); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
	if _, err := imaging.Convolve(ctx, img, make([]float32, 9), 1); !errors.Is(err, stop) {
		t.Errorf("got %v", err)
	}
}

func TestFiltersRefuse(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	img := tensor.New(1, 4, 4, 3)
	for name, run := range map[string]func() error{
		"side 0":         func() error { _, err := imaging.Extreme(ctx, img, 0, true); return err },
		"a mask":         func() error { _, err := imaging.Extreme(ctx, tensor.New(1, 2, 2), 3, true); return err },
		"wrong kernel":   func() error { _, err := imaging.Convolve(ctx, img, make([]float32, 8), 1); return err },
		"small image":    func() error { _, err := imaging.Convolve(ctx, img, make([]float32, 81), 4); return err },
		"empty image":    func() error { _, err := imaging.UpscaleImage(tensor.New(1, 0, 4, 3), 4, 4, "area", ""); return err },
		"no target":      func() error { _, err := imaging.UpscaleImage(img, 0, 4, "area", ""); return err },
		"unknown method": func() error { _, err := imaging.UpscaleImage(img, 4, 4, "magic", ""); return err },
		"five channels":  func() error { _, err := imaging.UpscaleImage(tensor.New(1, 4, 4, 5), 8, 8, "lanczos", ""); return err },
		"huge target":    func() error { _, err := imaging.UpscaleImage(img, 1<<20, 1<<20, "area", ""); return err },
		"other sizes":    func() error { _, err := imaging.Concat(0, img, tensor.New(1, 4, 5, 3)); return err },
		"no such axis":   func() error { _, err := imaging.Flip(img, 4); return err },
		"box outside":    func() error { _, err := imaging.Crop(img, 1, 0, 5, 0, 4); return err },
		"off the edge":   func() error { _, err := imaging.Composite(img, img, nil, -1, 0, true); return err },
		"empty mask":     func() error { _, err := imaging.ResizeMask(tensor.New(0, 4, 4), 4, 4); return err },
	} {
		if run() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestFramesScaleAlone: videos are scaled frame by frame, by every method.
func TestFramesScaleAlone(t *testing.T) {
	t.Parallel()
	video := golden.Normal("video", 2, 4, 3, 6, 8)
	for _, method := range append([]string{"lanczos"}, imaging.LatentMethods...) {
		got, err := imaging.Upscale(video, 12, 5, method, "center")
		if err != nil {
			t.Fatal(err)
		}
		for f := range 3 {
			frame := tensor.New(2, 4, 6, 8)
			for i := range 8 {
				copy(frame.Data[i*48:][:48], video.Data[(i*3+f)*48:])
			}
			want, err := imaging.Upscale(frame, 12, 5, method, "center")
			if err != nil {
				t.Fatal(err)
			}
			for i := range 8 {
				golden.Compare(t, method, got.Data[(i*3+f)*60:][:60], want.Data[i*60:][:60], golden.Tolerance{MaxAbs: 1e-9})
			}
		}
	}
}
