package preview_test

import (
	"fmt"
	"image"
	"image/color"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comfygo/engine"
	"comfygo/engine/family/sd15"
	"comfygo/engine/preview"
	"comfygo/engine/safetensors"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/ortlib"
	"comfygo/tests/golden"
)

// runtime is the runtime of all tests: a process can have one library open.
var runtime *engine.Runtime

func TestMain(m *testing.M) {
	runtime = engine.New(engine.Config{
		Library: func() (string, error) { return ortlib.Find(ortlib.Options{}) },
		Log:     slog.New(slog.DiscardHandler),
	})
	code := m.Run()
	if err := runtime.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// decoder writes the decoder of the golden TAESD to a file of its own.
func decoder(t *testing.T) string {
	t.Helper()
	src, err := weights.Open(golden.Checkpoint(t, "taesd"))
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var tensors []safetensors.Tensor
	for _, name := range src.Names() {
		if rest, ok := strings.CutPrefix(name, "taesd_decoder."); ok {
			e, _ := src.Lookup(name)
			tensors = append(tensors, safetensors.Tensor{Name: rest, DType: e.DType, Shape: e.Shape, Data: e.Data})
		}
	}
	path := filepath.Join(t.TempDir(), "taesd_decoder.safetensors")
	if err := safetensors.Save(path, nil, tensors); err != nil {
		t.Fatal(err)
	}
	return path
}

// decoders finds the file at path under the name taesd_decoder; "" is none.
func decoders(path string) preview.Decoders {
	return preview.Decoders{Engine: runtime, Find: func(start string) (string, bool) { return path, path != "" && start == "taesd_decoder" }}
}

func makeImage(t *testing.T, m *preview.Maker, x *tensor.Tensor) *image.RGBA {
	t.Helper()
	img, err := m.Image(t.Context(), x)
	if err != nil {
		t.Fatal(err)
	}
	return img.(*image.RGBA)
}

func TestLatentToRGB(t *testing.T) {
	t.Parallel()
	m := preview.New(preview.Settings{Method: preview.Auto}, sd15.Latent, decoders(""), slog.New(slog.DiscardHandler))
	// A batch of two, of which the first counts, two pixels wide: all zeros is middle grey; ten times the first channel is
	// red 3.512, green 2.297, blue 3.227, beyond white. The second batch is black.
	x := tensor.New(2, 4, 1, 3)
	x.Data[1], x.Data[2] = 10, 1
	for i := 12; i < 24; i++ {
		x.Data[i] = -100
	}
	img := makeImage(t, m, x)
	want := []color.RGBA{{127, 127, 127, 255}, {255, 255, 255, 255}, {172, 156, 168, 255}} // (1+0.3512)/2*255 = 172.3, 156.8, 168.6: cut off
	if img.Bounds() != image.Rect(0, 0, 3, 1) {
		t.Fatalf("the image is %v", img.Bounds())
	}
	for i, w := range want {
		if got := img.RGBAAt(i, 0); got != w {
			t.Errorf("pixel %d is %v, want %v", i, got, w)
		}
	}
}

func TestVideoShowsItsFirstFrame(t *testing.T) {
	t.Parallel()
	f := sampling.LatentFormat{Channels: 1, Video: true, RGB: [][3]float32{{1, 0, -1}}}
	m := preview.New(preview.Settings{Method: preview.LatentToRGB}, f, decoders(""), slog.New(slog.DiscardHandler))
	x := tensor.New(1, 1, 2, 1, 1)
	x.Data[0], x.Data[1] = 1, -1
	if got, want := makeImage(t, m, x).RGBAAt(0, 0), (color.RGBA{255, 127, 0, 255}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTAESD(t *testing.T) {
	t.Parallel()
	m := preview.New(preview.Settings{Method: preview.TAESD}, sd15.Latent, decoders(decoder(t)), slog.New(slog.DiscardHandler))
	vae, err := runtime.LoadVAE(golden.Checkpoint(t, "taesd"))
	if err != nil {
		t.Fatal(err)
	}
	z := golden.Normal("preview", 1, 4, 6, 5)
	want, err := vae.Decode(t.Context(), z)
	if err != nil {
		t.Fatal(err)
	}
	img := makeImage(t, m, sd15.Latent.In(z)) // as the network sees it
	if img.Bounds() != image.Rect(0, 0, 40, 48) {
		t.Fatalf("the image is %v", img.Bounds())
	}
	for i := range 48 * 40 {
		for k := range 3 {
			// The way there and back of the latent's scale may move a value across a byte's border.
			if d := int(img.Pix[4*i+k]) - int(want.Data[3*i+k]*255); d < -1 || d > 1 {
				t.Fatalf("value %d of pixel %d is %d, the VAE gives %v", k, i, img.Pix[4*i+k], want.Data[3*i+k]*255)
			}
		}
	}
}

// TestVideosMove: previews by a video's decoder show the frames that it makes of the first ones of the latent, as many as the time before pays
// for; the first of a run is one image.
func TestVideosMove(t *testing.T) {
	t.Parallel()
	var g struct {
		Cases []struct {
			ID, DType string
			Channels  int
			Weights   [][2]any
		}
	}
	golden.JSON(t, "vae/taehv", &g)
	c := g.Cases[1]
	path := golden.TinyVideoVAE(t, c.ID, c.DType, c.Weights)
	vae, err := runtime.LoadVAE(path)
	if err != nil {
		t.Fatal(err)
	}
	format := sampling.LatentFormat{Channels: c.Channels, Scale: 1, Video: true, TinyVAE: "taesd_decoder"}
	m := preview.New(preview.Settings{Method: preview.TAESD}, format, decoders(path), slog.New(slog.DiscardHandler))
	const frames, h, w = 5, 3, 5
	x := golden.Normal("clip", 1, c.Channels, frames, h, w)
	for i, latents := range []int{1, frames} {
		m.Wait(time.Hour)
		if !m.Due(x) {
			t.Fatal("no preview is due")
		}
		var clip preview.Clip
		m.Make(func() { clip, err = m.Clip(t.Context(), x) })
		if err != nil {
			t.Fatal(err)
		}
		if n := vae.Frames(latents); len(clip.Frames) != n || clip.Coarse || clip.Each != time.Second/16 {
			t.Fatalf("preview %d has %d frames of %v, want %d", i+1, len(clip.Frames), clip.Each, n)
		}
		z := tensor.New(1, c.Channels, latents, h, w)
		for k := range c.Channels {
			copy(z.Data[k*latents*h*w:(k+1)*latents*h*w], x.Data[k*frames*h*w:])
		}
		want, err := vae.Decode(t.Context(), z)
		if err != nil {
			t.Fatal(err)
		}
		for at, img := range clip.Frames {
			for p := range img.Rect.Dx() * img.Rect.Dy() {
				for k, got := range img.Pix[4*p : 4*p+3] {
					if v := min(max(want.Index(at).Data[3*p+k], 0), 1) * 255; int(got) != int(v) {
						t.Fatalf("preview %d, frame %d, pixel %d: %d, the VAE gives %v", i+1, at, p, got, v)
					}
				}
			}
		}
	}
}

func TestChoice(t *testing.T) {
	t.Parallel()
	blind := sampling.LatentFormat{Channels: 4}
	for _, c := range []struct {
		name   string
		method string
		format sampling.LatentFormat
		path   string
		none   bool
		warns  bool
	}{
		{"none", preview.None, sd15.Latent, "", true, false},
		{"unset", "", sd15.Latent, "", true, false},
		{"auto", preview.Auto, sd15.Latent, "", false, false},
		{"no colours known", preview.Auto, blind, "", true, false},
		{"taesd missing", preview.TAESD, sd15.Latent, "", false, true},
		{"taesd broken", preview.TAESD, sd15.Latent, "nowhere.safetensors", false, true},
		{"taesd of no such latents", preview.TAESD, blind, "", true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var said strings.Builder
			m := preview.New(preview.Settings{Method: c.method}, c.format, decoders(c.path), slog.New(slog.NewTextHandler(&said, nil)))
			if (m == nil) != c.none {
				t.Errorf("previews: %v, want none: %v", m != nil, c.none)
			}
			if (said.Len() > 0) != c.warns {
				t.Errorf("the log says %q", said.String())
			}
		})
	}
}

func TestOverride(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		asked any
		want  string
	}{{nil, preview.Auto}, {"default", preview.Auto}, {"nonsense", preview.Auto}, {3, preview.Auto}, {"none", preview.None}, {"taesd", preview.TAESD}} {
		if got := (preview.Settings{Method: preview.Auto, Size: 7}).Override(c.asked); got.Method != c.want || got.Size != 7 {
			t.Errorf("%v gives %+v", c.asked, got)
		}
	}
}

func TestLatentsOfOtherChannels(t *testing.T) {
	t.Parallel()
	m := preview.New(preview.Settings{Method: preview.Auto}, sd15.Latent, decoders(""), slog.New(slog.DiscardHandler))
	for _, shape := range [][]int{{1, 3, 2, 2}, {4, 2, 2}, {0, 4, 2, 2}, {1, 4, 2, 2, 2, 2}} {
		if _, err := m.Image(t.Context(), tensor.New(shape...)); err == nil {
			t.Errorf("shape %v was accepted", shape)
		}
	}
}
