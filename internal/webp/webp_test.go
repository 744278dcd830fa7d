package webp_test

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	decoder "golang.org/x/image/webp"

	"comfygo/internal/webp"
)

// gradient is a smooth image with a coloured disc and alpha that varies.
func gradient(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.NRGBA{uint8(x * 255 / max(1, w-1)), uint8(y * 255 / max(1, h-1)), 90, uint8(255 - x*255/w)}
			if dx, dy := x-w/2, y-h/2; dx*dx+dy*dy < w*h/16 {
				c = color.NRGBA{220, 40, 30, 255}
			}
			img.SetNRGBA(x, y, c)
		}
	}
	return img
}

func noise(w, h int) *image.NRGBA {
	r := rand.New(rand.NewPCG(1, 2))
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = uint8(r.IntN(256))
	}
	return img
}

func encode(t testing.TB, img *image.NRGBA, quality int, alpha bool) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := webp.Encode(&b, img, quality, alpha); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// luma is the BT.601 luma of the format.
func luma(c color.NRGBA) float64 {
	return 16 + (65.738*float64(c.R)+129.057*float64(c.G)+25.064*float64(c.B))/256
}

// psnr compares the luma of a decoded image with the original's.
func psnr(t *testing.T, want *image.NRGBA, got image.Image) float64 {
	t.Helper()
	y, ok := got.(*image.YCbCr)
	if a, is := got.(*image.NYCbCrA); is {
		y, ok = &a.YCbCr, true
	}
	if !ok || y.Rect.Size() != want.Rect.Size() {
		t.Fatalf("decoded %T of %v, want %v", got, got.Bounds(), want.Rect)
	}
	sum := 0.0
	for j := range want.Rect.Dy() {
		for i := range want.Rect.Dx() {
			d := luma(want.NRGBAAt(i, j)) - float64(y.Y[y.YOffset(i, j)])
			sum += d * d
		}
	}
	return 10 * math.Log10(255*255/(sum/float64(want.Rect.Dx()*want.Rect.Dy())+1e-9))
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{1, 1}, {5, 4}, {16, 16}, {17, 15}, {64, 48}, {33, 200}, {300, 33}} {
		for _, alpha := range []bool{false, true} {
			img := gradient(size[0], size[1])
			got, err := decoder.Decode(bytes.NewReader(encode(t, img, 95, alpha)))
			if err != nil {
				t.Fatalf("%v alpha %v: %v", size, alpha, err)
			}
			// Small images of this kind are nearly all edges, which half the chroma cannot hold; luma can.
			if db := psnr(t, img, got); db < 32 {
				t.Errorf("%v alpha %v: %.1f dB, want 32 or more", size, alpha, db)
			}
			if a, is := got.(*image.NYCbCrA); is != alpha {
				t.Errorf("%v: decoded %T", size, got)
			} else if is {
				checkAlpha(t, img, a)
			}
		}
	}
}

func checkAlpha(t *testing.T, want *image.NRGBA, got *image.NYCbCrA) {
	t.Helper()
	for y := range want.Rect.Dy() {
		for x := range want.Rect.Dx() {
			if a := got.A[got.AOffset(x, y)]; a != want.NRGBAAt(x, y).A {
				t.Fatalf("alpha at %d,%d is %d, want %d", x, y, a, want.NRGBAAt(x, y).A)
			}
		}
	}
}

func TestAlphaIsExact(t *testing.T) {
	t.Parallel()
	opaque := gradient(40, 30)
	for i := 3; i < len(opaque.Pix); i += 4 {
		opaque.Pix[i] = 255
	}
	two := gradient(70, 50)
	for i := 3; i < len(two.Pix); i += 4 {
		two.Pix[i] = uint8(i / 777 % 2 * 255)
	}
	// Counts that grow like Fibonacci numbers make the longest codes.
	skewed := image.NewNRGBA(image.Rect(0, 0, 300, 300))
	a, b, at := 1, 1, 0
	for v := range 22 {
		for range a {
			if i := 4*at + 3; i < len(skewed.Pix) {
				skewed.Pix[i] = uint8(v)
			}
			at++
		}
		a, b = b, a+b
	}
	for name, img := range map[string]*image.NRGBA{"opaque": opaque, "two": two, "noise": noise(65, 33), "skewed": skewed} {
		got, err := decoder.Decode(bytes.NewReader(encode(t, img, 50, true)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		checkAlpha(t, img, got.(*image.NYCbCrA))
	}
}

func TestQualityCountsAndSizeFalls(t *testing.T) {
	t.Parallel()
	img := gradient(128, 128)
	lastSize, lastDB := math.MaxInt, math.Inf(1)
	for _, q := range []int{100, 75, 40, 10} {
		file := encode(t, img, q, false)
		got, err := decoder.Decode(bytes.NewReader(file))
		if err != nil {
			t.Fatal(err)
		}
		db := psnr(t, img, got)
		if len(file) >= lastSize || db > lastDB {
			t.Errorf("quality %d: %d bytes, %.1f dB after %d bytes, %.1f dB", q, len(file), db, lastSize, lastDB)
		}
		if db < 20 {
			t.Errorf("quality %d: %.1f dB", q, db)
		}
		lastSize, lastDB = len(file), db
	}
	if db := lastDB; db > 45 {
		t.Errorf("quality 10 looks like the original: %.1f dB", db)
	}
}

func TestNoise(t *testing.T) {
	t.Parallel()
	for _, q := range []int{1, 50, 100} {
		img := noise(100, 70)
		got, err := decoder.Decode(bytes.NewReader(encode(t, img, q, false)))
		if err != nil {
			t.Fatalf("quality %d: %v", q, err)
		}
		if db := psnr(t, img, got); q == 100 && db < 40 {
			t.Errorf("quality 100 of noise: %.1f dB, want 40 or more", db)
		}
	}
}

func TestRefusesSizes(t *testing.T) {
	t.Parallel()
	for _, size := range [][2]int{{0, 5}, {16384, 1}, {1, 16384}} {
		if err := webp.Encode(&bytes.Buffer{}, image.NewNRGBA(image.Rect(0, 0, size[0], size[1])), 90, false); err == nil {
			t.Errorf("%v: want an error", size)
		}
	}
}

func FuzzEncode(f *testing.F) {
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8}, uint8(2), uint8(90), true)
	f.Fuzz(func(t *testing.T, pix []byte, width, quality uint8, alpha bool) {
		w := int(width)%40 + 1
		h := len(pix) / 4 / w
		if h < 1 || h > 100 {
			return
		}
		img := &image.NRGBA{Pix: pix[:4*w*h], Stride: 4 * w, Rect: image.Rect(0, 0, w, h)}
		got, err := decoder.Decode(bytes.NewReader(encode(t, img, int(quality), alpha)))
		if err != nil {
			t.Fatalf("%dx%d: %v", w, h, err)
		}
		if a, ok := got.(*image.NYCbCrA); ok {
			checkAlpha(t, img, a)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	for _, n := range []int{512, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			img := gradient(n, n)
			for b.Loop() {
				encode(b, img, 90, false)
			}
		})
	}
}
