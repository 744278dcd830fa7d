package imaging_test

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"comfygo/internal/imaging"
)

// TestResize8EqualsPillow wants every byte of Pillow 13's Image.resize.
func TestResize8EqualsPillow(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/resize.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Filter                 string
		Channels, W, H, OW, OH int
		Src, Want              string
	}
	if err := json.NewDecoder(z).Decode(&cases); err != nil {
		t.Fatal(err)
	}
	filters := map[string]imaging.Filter{
		"nearest": imaging.Nearest, "box": imaging.Box, "bilinear": imaging.Bilinear, "hamming": imaging.Hamming,
		"bicubic": imaging.Bicubic, "lanczos": imaging.Lanczos,
	}
	if len(cases) != 216 {
		t.Errorf("%d cases, want 216", len(cases))
	}
	for _, c := range cases {
		src, err := hex.DecodeString(c.Src)
		if err != nil {
			t.Fatal(err)
		}
		got, err := imaging.Resize8(src, c.W, c.H, c.Channels, c.OW, c.OH, filters[c.Filter])
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(c.Want)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s, %d channels, %dx%d to %dx%d: other bytes", c.Filter, c.Channels, c.W, c.H, c.OW, c.OH)
		}
	}
}

func TestResize8Refuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string][6]int{
		"no channels": {4, 2, 2, 0, 1, 1}, "five channels": {20, 2, 2, 5, 1, 1}, "no target": {12, 2, 2, 3, 0, 1},
		"too few bytes": {11, 2, 2, 3, 1, 1},
	} {
		if _, err := imaging.Resize8(make([]byte, c[0]), c[1], c[2], c[3], c[4], c[5], imaging.Lanczos); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func BenchmarkResize8(b *testing.B) {
	pix := make([]byte, 1024*1024*3)
	for b.Loop() {
		if _, err := imaging.Resize8(pix, 1024, 1024, 3, 1536, 1536, imaging.Lanczos); err != nil {
			b.Fatal(err)
		}
	}
}
