package codec

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// TestThroughYUV compares with what testdata/record.py has seen FFmpeg make of the colors of GIF and BMP files: equal.
func TestThroughYUV(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/yuv.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct{ Colours, Want [][4]int }
	if err := json.Unmarshal(data, &cases); err != nil || len(cases.Colours) < 64 {
		t.Fatalf("%d colors, %v", len(cases.Colours), err)
	}
	f := NewFrame(Aligned, 1, PackedAlpha8)
	for i, c := range cases.Colours {
		for k, v := range c {
			f.Pix[k] = byte(v)
		}
		rgb, alpha := make([]float32, 3*Aligned), make([]float32, Aligned)
		f.Floats(0, rgb, alpha, &Scratch{})
		for n, v := range append(rgb[:3:3], alpha[0]) {
			if got := int(math.Round(float64(v) * 65535)); got != cases.Want[i][n] {
				t.Errorf("channel %d of %v is %d, want %d", n, c, got, cases.Want[i][n])
			}
		}
	}
}
