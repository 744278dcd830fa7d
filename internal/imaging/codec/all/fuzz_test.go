package all_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"comfygo/internal/imaging/codec"
	_ "comfygo/internal/imaging/codec/all"
)

// fuzz decodes variations of the test images of one format within small limits: no panic, no row outside of a frame, no
// more frames than announced.
func fuzz(f *testing.F, format string) {
	files, err := filepath.Glob("../../testdata/[plu]*/*") // images, load and upstream
	if err != nil {
		f.Fatal(err)
	}
	seeds := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		if opened, err := codec.Open(data, codec.DefaultLimits); err == nil && opened.Format == format {
			f.Add(data)
			seeds++
		}
	}
	if seeds == 0 || !slices.Contains(codec.Names(), format) {
		f.Fatalf("%d files of %s", seeds, format)
	}
	limits := codec.Limits{Pixels: 1 << 14, Frames: 8, Passes: 12, Pieces: 1 << 10, Work: 1 << 17}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := codec.Open(data, limits)
		if err != nil || file.Format != format || file.Working > 1<<24 {
			return
		}
		n := 0
		scratch := &codec.Scratch{}
		rgb, alpha, bytes := make([]float32, 3*file.Width), make([]float32, file.Width), make([]byte, 4*file.Width)
		err = file.Decode(context.Background(), func(frame *codec.Frame) error {
			if n++; frame.Width != file.Width || frame.Height != file.Height {
				t.Fatalf("a frame of %dx%d, announced as %dx%d", frame.Width, frame.Height, file.Width, file.Height)
			}
			if !frame.Layout.Alpha() {
				alpha = nil
			}
			for y := range frame.Height {
				frame.Floats(y, rgb, alpha, scratch)
				frame.RGBA(y, bytes, scratch)
			}
			return nil
		})
		if n > file.Frames || err == nil && n == 0 || errors.Is(err, context.Canceled) {
			t.Fatalf("%d frames of %d, %v", n, file.Frames, err)
		}
	})
}

func FuzzAVIF(f *testing.F) { fuzz(f, "avif") }
func FuzzBMP(f *testing.F)  { fuzz(f, "bmp") }
func FuzzGIF(f *testing.F)  { fuzz(f, "gif") }
func FuzzJPEG(f *testing.F) { fuzz(f, "jpeg") }
func FuzzPCX(f *testing.F)  { fuzz(f, "pcx") }
func FuzzPNG(f *testing.F)  { fuzz(f, "png") }
func FuzzPNM(f *testing.F)  { fuzz(f, "pnm") }
func FuzzTGA(f *testing.F)  { fuzz(f, "tga") }
func FuzzTIFF(f *testing.F) { fuzz(f, "tiff") }
func FuzzWebP(f *testing.F) { fuzz(f, "webp") }

// TestFormats lists what is decoded; docs/conformance.md names the same.
func TestFormats(t *testing.T) {
	t.Parallel()
	want := []string{"avif", "bmp", "gif", "jpeg", "pcx", "png", "pnm", "tga", "tiff", "webp"}
	if got := codec.Names(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
