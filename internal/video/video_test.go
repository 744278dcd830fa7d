package video_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/video"
)

// made has n frames of 32x32, each of one gray that rises with its number, at 24 frames a second, and audio at 8000 Hz that is a frame shorter.
func made(n int) *video.Made {
	images := tensor.New(n, 32, 32, 3)
	for i := range n {
		for k := range images.Index(i).Data {
			images.Index(i).Data[k] = gray(i, n)
		}
	}
	audio := &media.Audio{Waveform: tensor.New(1, 1, 8000*(n-1)/24), SampleRate: 8000}
	for i := range audio.Waveform.Data {
		audio.Waveform.Data[i] = float32(0.4 * math.Sin(2*math.Pi*220*float64(i)/8000))
	}
	return &video.Made{Images: images, Rate: big.NewRat(24, 1), Depth: 8, Audio: audio}
}

func gray(i, n int) float32 { return 0.1 + 0.8*float32(i)/float32(n-1) }

// saved makes a video file of 25 frames; without ffmpeg the test is skipped, which tools/untested reports.
func saved(t *testing.T) *video.File {
	t.Helper()
	if err := (*ffmpeg.Tool)(nil).Available(); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	var b bytes.Buffer
	if err := made(25).Save(t.Context(), video.Env{Dir: filepath.Join(dir, "temp")}, video.SaveOptions{Format: "mp4", Codec: "h264"}, &b); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "temp")); err != nil || len(left) > 0 {
		t.Errorf("saving leaves %v, %v", left, err)
	}
	path := filepath.Join(dir, "-i %d.mp4") // a name that must be neither an option nor a pattern
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return &video.File{Path: path}
}

// TestFile: the duration is that of the streams, not the header's thousandths, and trimming counts from either end.
func TestFile(t *testing.T) {
	t.Parallel()
	f := saved(t)
	for _, c := range []struct {
		start, length, duration float64
		frames                  []int // numbers of those that are left
		samples                 int
	}{
		{0, 0, 1.041667, span(0, 25), 8000},
		{0.5, 0, 0.541667, span(12, 25), 4000},
		{0.25, 0.25, 0.25, span(6, 12), 2000},
		{-0.25, 0, 0.25, span(19, 25), 1667},
	} {
		v, err := f.Trimmed(t.Context(), video.Env{}, c.start, c.length, true)
		if err != nil || v == nil {
			t.Errorf("%+v: %v, %v", c, v, err)
			continue
		}
		d, err := v.Duration(t.Context(), video.Env{})
		if err != nil || math.Abs(d-c.duration) > 1e-9 {
			t.Errorf("from %g s for %g: a duration of %.9g, want %g (%v)", c.start, c.length, d, c.duration, err)
		}
		n, err := v.FrameCount(t.Context(), video.Env{})
		if err != nil || n != len(c.frames) {
			t.Errorf("from %g s for %g: %d frames, want %d (%v)", c.start, c.length, n, len(c.frames), err)
		}
		parts, err := v.Components(t.Context(), video.Env{})
		if err != nil {
			t.Errorf("from %g s for %g: %v", c.start, c.length, err)
			continue
		}
		if got := numbers(parts.Images); !slices.Equal(got, c.frames) {
			t.Errorf("from %g s for %g: the frames %v, want %v", c.start, c.length, got, c.frames)
		}
		const block = 1024 // of the encoder, which fills its last one
		if got := parts.Audio.Samples(); got < c.samples-2 || got > c.samples+block {
			t.Errorf("from %g s for %g: %d samples, want %d", c.start, c.length, got, c.samples)
		}
	}
	if v, err := f.Trimmed(t.Context(), video.Env{}, 0.5, 0.6, true); v != nil || err != nil {
		t.Errorf("more than there is: %v, %v", v, err)
	}
}

// TestFrames: frames come in the order of the numbers, each one as often as its number occurs; numbers beyond the video are errors.
func TestFrames(t *testing.T) {
	t.Parallel()
	f := saved(t)
	images, err := f.Frames(t.Context(), video.Env{}, []int{20, 3, 3, 24})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := numbers(images), []int{20, 3, 3, 24}; !slices.Equal(got, want) {
		t.Errorf("the frames %v, want %v", got, want)
	}
	for _, n := range []int{-1, 25} {
		if got, err := f.Frames(t.Context(), video.Env{}, []int{n, 3}); err == nil {
			t.Errorf("frame %d: %v", n, got.Shape)
		}
	}
}

func span(from, to int) (list []int) {
	for i := from; i < to; i++ {
		list = append(list, i)
	}
	return list
}

// numbers finds the numbers of frames by their gray, which encoding changes by less than half a step.
func numbers(images *tensor.Tensor) (list []int) {
	for i := range images.Shape[0] {
		list = append(list, int(math.Round(float64((images.Index(i).Data[0]-0.1)/0.8*24))))
	}
	return list
}

// TestWithoutFFmpeg: the error names the program to install.
func TestWithoutFFmpeg(t *testing.T) {
	t.Parallel()
	env := video.Env{FFmpeg: &ffmpeg.Tool{Path: filepath.Join(t.TempDir(), "ffmpeg")}, Dir: t.TempDir()}
	v := &video.File{Path: "some.mp4"}
	if _, err := v.Components(t.Context(), env); !errors.Is(err, ffmpeg.ErrMissing) {
		t.Errorf("decoding: %v", err)
	}
	if err := made(2).Save(t.Context(), env, video.SaveOptions{Format: "auto", Codec: "auto"}, io.Discard); !errors.Is(err, ffmpeg.ErrMissing) {
		t.Errorf("encoding: %v", err)
	}
}

// TestMadeTrimmed cuts images and samples without encoding them.
func TestMadeTrimmed(t *testing.T) {
	t.Parallel()
	images := tensor.New(24, 2, 2, 3)
	for i := range images.Data {
		images.Data[i] = float32(i / 12)
	}
	m := &video.Made{Images: images, Rate: big.NewRat(24, 1), Depth: 8, Audio: &media.Audio{Waveform: tensor.New(1, 1, 8000), SampleRate: 8000}}
	for _, c := range []struct {
		start, duration      float64
		first, frames, sound int
	}{
		{0, 0, 0, 24, 8000}, {0.5, 0, 12, 12, 4000}, {0.25, 0.25, 6, 6, 2000}, {-0.25, 0, 18, 6, 2000}, {1.0 / 24, 2.0 / 24, 1, 2, 666},
	} {
		v, err := m.Trimmed(t.Context(), video.Env{}, c.start, c.duration, false)
		if err != nil || v == nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		got := v.(*video.Made)
		if got.Images.Shape[0] != c.frames || got.Images.Data[0] != float32(c.first) || got.Audio.Samples() != c.sound {
			t.Errorf("%+v: %d frames from %g, %d samples", c, got.Images.Shape[0], got.Images.Data[0], got.Audio.Samples())
		}
	}
	if v, err := m.Trimmed(t.Context(), video.Env{}, 0.5, 0.6, false); v != nil || err != nil {
		t.Errorf("more than there is: %v, %v", v, err)
	}
}
