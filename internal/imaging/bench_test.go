package imaging_test

import (
	"io"
	"testing"

	"comfygo/internal/imaging"
	"comfygo/tests/golden"
)

func BenchmarkUpscaleImage(b *testing.B) {
	img := golden.Image("bench", 1, 1024, 1024, 3)
	for _, method := range imaging.ImageMethods {
		b.Run(method, func(b *testing.B) {
			for b.Loop() {
				if _, err := imaging.UpscaleImage(img, 1536, 1536, method, "disabled"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWritePNG(b *testing.B) {
	pix := imaging.ToBytes(golden.Image("bench", 1, 1024, 1024, 3).Data)
	for b.Loop() {
		if err := imaging.WritePNG(io.Discard, pix, 1024, 1024, 3, imaging.PNGOptions{Level: 4}); err != nil {
			b.Fatal(err)
		}
	}
}
