package nodes_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"testing"

	"golang.org/x/image/draw"

	"comfygo/nodes"
)

// gradient is an opaque image of smooth colours with a sharp edge.
func gradient(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{uint8(255 * x / w), uint8(255 * y / h), uint8(40 * ((x + y) % 7)), 255}
			if x > w/2 {
				c.G = 255 - c.G
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func TestPreviewSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ w, h, size, wantW, wantH int }{
		{64, 64, 512, 512, 512},
		{8, 5, 128, 128, 80},
		{5, 8, 128, 80, 128},
		{96, 64, 24, 24, 16},
		{10, 10, 0, 10, 10},
		{1, 1, 3, 3, 3},
		{400, 1, 100, 100, 1},
	} {
		p := nodes.Preview{Format: "PNG", Image: gradient(c.w, c.h), MaxSize: c.size}
		data, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if got := img.Bounds().Size(); got != image.Pt(c.wantW, c.wantH) {
			t.Errorf("%dx%d at most %d becomes %v", c.w, c.h, c.size, got)
		}
	}
}

// TestEnlargingIsBilinear compares the quick way with the general scaler, which computes in floating point.
func TestEnlargingIsBilinear(t *testing.T) {
	t.Parallel()
	for _, size := range []image.Point{{64, 64}, {7, 5}, {31, 64}, {1, 9}} {
		src := gradient(size.X, size.Y)
		p := nodes.Preview{Format: "PNG", Image: src, MaxSize: 200}
		data, err := p.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		want := image.NewRGBA(got.Bounds())
		draw.BiLinear.Scale(want, want.Bounds(), src, src.Bounds(), draw.Src, nil)
		for y := range got.Bounds().Dy() {
			for x := range got.Bounds().Dx() {
				a, b := color.RGBAModel.Convert(got.At(x, y)).(color.RGBA), want.RGBAAt(x, y)
				for _, d := range []int{int(a.R) - int(b.R), int(a.G) - int(b.G), int(a.B) - int(b.B)} {
					if d < -2 || d > 2 { // weights in 256ths, between neighbours up to 255 apart
						t.Fatalf("%v at %d,%d: %v, want %v", size, x, y, a, b)
					}
				}
			}
		}
	}
}

func TestPreviewFormats(t *testing.T) {
	t.Parallel()
	p := nodes.Preview{Format: "JPEG", Image: gradient(16, 8), MaxSize: 16}
	data, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jpeg.Decode(bytes.NewReader(data)); err != nil {
		t.Error(err)
	}
	ready := nodes.Preview{Format: "JPEG", Data: []byte("done")}
	if got, err := ready.Encode(); err != nil || string(got) != "done" {
		t.Errorf("an image that was ready gave %q, %v", got, err)
	}
	if _, err := (&nodes.Preview{Format: "JPEG"}).Encode(); err == nil {
		t.Error("no image gives no error")
	}
}

func BenchmarkPreview(b *testing.B) {
	p := nodes.Preview{Format: "JPEG", Image: gradient(64, 64), MaxSize: 512}
	for b.Loop() {
		if _, err := p.Encode(); err != nil {
			b.Fatal(err)
		}
	}
}
