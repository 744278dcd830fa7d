package audio_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/internal/audio"
)

// TestFLAC writes samples of every kind and reads them back to the bit.
func TestFLAC(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	kinds := map[string]func(i int) int16{
		"silence":  func(int) int16 { return 0 },
		"constant": func(int) int16 { return -32768 },
		"noise":    func(int) int16 { return int16(rng.Uint32()) },
		"soft":     func(int) int16 { return int16(rng.IntN(5) - 2) },
		"extremes": func(i int) int16 { return []int16{-32768, 32767}[i&1] },
		"tone":     func(i int) int16 { return int16(20000 * math.Sin(float64(i)*0.05)) },
		"pulse":    func(i int) int16 { return []int16{0, 32767}[min(1, i%1000/999)] },
		"ramp":     func(i int) int16 { return int16(i * 7) },
	}
	for name, f := range kinds {
		for _, channels := range []int{1, 2, 3, 8} {
			for _, n := range []int{1, 2, 5, 4095, 4096, 4097, 9000} {
				samples := make([]int16, n*channels)
				for i := range samples {
					samples[i] = f(i)
				}
				var b bytes.Buffer
				if err := audio.WriteFLAC(t.Context(), &b, samples, channels, 44100, []audio.Tag{{Key: "prompt", Value: "ä"}}); err != nil {
					t.Fatal(err)
				}
				a, err := audio.Read(t.Context(), b.Bytes(), nil)
				if err != nil || a.SampleRate != 44100 || a.Channels() != channels || a.Samples() != n {
					t.Fatalf("%s, %d channels of %d: %v", name, channels, n, err)
				}
				for i, s := range samples {
					if v := a.Waveform.Data[i%channels*n+i/channels] * (1 << 15); v != float32(s) {
						t.Fatalf("%s, %d channels of %d: sample %d is %g, want %d", name, channels, n, i, v, s)
					}
				}
			}
		}
	}
}

// TestManyFrames: frame numbers of several bytes.
func TestManyFrames(t *testing.T) {
	t.Parallel()
	samples := make([]int16, 4096*2100)
	for i := range samples {
		samples[i] = int16(i / 4096)
	}
	var b bytes.Buffer
	if err := audio.WriteFLAC(t.Context(), &b, samples, 1, 8000, nil); err != nil {
		t.Fatal(err)
	}
	a, err := audio.Read(t.Context(), b.Bytes(), nil)
	if err != nil || a.Samples() != len(samples) {
		t.Fatal(err)
	}
	for i, v := range a.Waveform.Data {
		if v*(1<<15) != float32(samples[i]) {
			t.Fatalf("sample %d is %g", i, v)
		}
	}
}

// TestWriteLimits: what the format has no room for.
func TestWriteLimits(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		channels, rate int
		tags           []audio.Tag
	}{{0, 44100, nil}, {9, 44100, nil}, {1, 0, nil}, {1, 1 << 20, nil}, {1, 8000, []audio.Tag{{Key: "a", Value: string(make([]byte, 1<<24))}}}} {
		if err := audio.WriteFLAC(t.Context(), &bytes.Buffer{}, []int16{1}, c.channels, c.rate, c.tags); err == nil {
			t.Errorf("%d channels, %d Hz went through", c.channels, c.rate)
		}
	}
}

// TestPack16 rounds to the nearest, halves to even, and limits.
func TestPack16(t *testing.T) {
	t.Parallel()
	in := []float32{0, 0.5 / 32768, 1.5 / 32768, -0.5 / 32768, -1.5 / 32768, 1, -1, 2, -2, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0.99999}
	want := []int16{0, 0, 2, 0, -2, 32767, -32768, 32767, -32768, 0, 32767, -32768, 32767}
	w, err := tensor.From(in, 1, len(in))
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range audio.Pack16(w) {
		if v != want[i] {
			t.Errorf("%g becomes %d, want %d", in[i], v, want[i])
		}
	}
}

// TestCharge checks that memory is reserved before it is allocated, whatever a header announces.
func TestCharge(t *testing.T) {
	t.Parallel()
	samples := make([]int16, 3<<20)
	var b bytes.Buffer
	if err := audio.WriteFLAC(t.Context(), &b, samples, 1, 8000, nil); err != nil {
		t.Fatal(err)
	}
	var asked int64
	_, err := audio.Read(t.Context(), b.Bytes(), func(n int64) error {
		if asked += n; asked > 10<<20 {
			return context.DeadlineExceeded
		}
		return nil
	})
	if err == nil || asked > 20<<20 {
		t.Errorf("%d bytes were asked for: %v", asked, err)
	}
}

// TestResample holds lengths and the shape of a tone, and that a kernel's size is bounded. Values are compared with torchaudio's in nodes/audio.
func TestResample(t *testing.T) {
	t.Parallel()
	in := tensor.New(1, 2, 44100)
	for i := range 44100 {
		in.Data[i] = float32(math.Sin(float64(i) * 2 * math.Pi * 440 / 44100))
	}
	out, err := audio.Resample(t.Context(), in, 44100, 48000)
	if err != nil || out.Dim(-1) != 48000 {
		t.Fatal(err)
	}
	for i := 100; i < 47900; i++ {
		if d := math.Abs(float64(out.Data[i]) - math.Sin(float64(i)*2*math.Pi*440/48000)); d > 1e-3 {
			t.Fatalf("sample %d is off by %g", i, d)
		}
	}
	for _, rates := range [][2]int{{0, 1}, {1, 0}, {-1, 1}, {1, 1 << 40}, {1<<40 + 1, 1 << 40}} {
		if _, err := audio.Resample(t.Context(), in, rates[0], rates[1]); err == nil {
			t.Errorf("from %d to %d Hz went through", rates[0], rates[1])
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := audio.Resample(ctx, in, 44100, 48000); err == nil {
		t.Error("an ended context goes through")
	}
}

// TestCutFLAC: a file that ends anywhere gives an error or the frames before, without a read beyond its bytes.
func TestCutFLAC(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := audio.WriteFLAC(t.Context(), &b, []int16{1, 2, 3, 4, 1000, -1000, 7, 8}, 2, 8000, nil); err != nil {
		t.Fatal(err)
	}
	whole := append(b.Bytes(), 0xff, 0xf8, 0xff) // and the beginning of another frame
	for n := range len(whole) + 1 {
		a, err := audio.Read(t.Context(), slices.Clip(slices.Clone(whole[:n])), func(int64) error { return nil })
		if (err == nil) != (n >= b.Len()) || err == nil && a.Waveform.Shape[2] != 4 {
			t.Errorf("the first %d of %d bytes: %v, %v", n, len(whole), a, err)
		}
	}
}

// FuzzRead: untrusted files.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	if err := audio.WriteFLAC(f.Context(), &b, []int16{1, 2, 3, 4, 1000, -1000, 7, 8}, 2, 8000, nil); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	wav := []byte("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x02\x00\x40\x1f\x00\x00\x00\x7d\x00\x00\x04\x00\x10\x00data")
	f.Add(append(binary.LittleEndian.AppendUint32(wav, 8), 1, 2, 3, 4, 5, 6, 7, 8))
	f.Fuzz(func(t *testing.T, data []byte) {
		var asked int64
		a, err := audio.Read(t.Context(), data, func(n int64) error {
			if asked += n; asked > 64<<20 {
				return context.DeadlineExceeded
			}
			return nil
		})
		if err == nil && !a.Valid() {
			t.Errorf("%d bytes give no audio and no error", len(data))
		}
	})
}

// TestFLACFrameRates writes each way of giving the sample rate in a frame's header, and has FFmpeg decode it and tell how long each frame
// lasts: without the rate it cannot, and browsers cannot seek.
func TestFLACFrameRates(t *testing.T) {
	t.Parallel()
	probe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("NOT TESTED: ffprobe is not installed")
	}
	samples := make([]int16, 5000)
	for i := range samples {
		samples[i] = int16(i * 7919)
	}
	for _, rate := range []int{8000, 44100, 96000, 192000, 12000, 11025, 65535, 655350, 500000} {
		file := filepath.Join(t.TempDir(), "rate.flac")
		var b bytes.Buffer
		if err := audio.WriteFLAC(t.Context(), &b, samples, 1, rate, nil); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := audio.Read(t.Context(), b.Bytes(), nil)
		if err != nil || got.SampleRate != rate || got.Samples() != len(samples) {
			t.Errorf("%d Hz: read again: %v, %v", rate, got, err)
		}
		out, err := exec.CommandContext(t.Context(), probe, "-v", "error", "-show_entries", "packet=duration:stream=sample_rate", "-of", "csv=p=0", file).CombinedOutput()
		if want := fmt.Sprintf("4096\n904\n%d\n", rate); err != nil || strings.ReplaceAll(string(out), ",", "") != want {
			t.Errorf("%d Hz: %v, %q, want %q", rate, err, out, want)
		}
	}
}
