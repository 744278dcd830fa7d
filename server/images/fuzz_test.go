package images

import (
	"testing"
)

func FuzzPicture(f *testing.F) {
	f.Add([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89"), true)
	f.Add([]byte("GIF89a\x01\x00\x01\x00"), false)
	f.Fuzz(func(_ *testing.T, data []byte, rgb bool) {
		p, err := Decode(data)
		if err != nil || p.img.Bounds().Dx()*p.img.Bounds().Dy() > 1<<16 {
			return
		}
		_, _ = p.Preview("webp", 50, rgb)
		_, _ = p.Channel("rgb")
	})
}
