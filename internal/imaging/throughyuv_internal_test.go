package imaging

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// TestThroughYUV compares with what testdata/record.py has seen FFmpeg make of the colours of GIF and BMP files: equal.
func TestThroughYUV(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/yuv.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct{ Colours, Want [][4]int }
	if err := json.Unmarshal(data, &cases); err != nil || len(cases.Colours) < 64 {
		t.Fatalf("%d colours, %v", len(cases.Colours), err)
	}
	for i, c := range cases.Colours {
		rgb, alpha := []float32{float32(c[0]) / 255, float32(c[1]) / 255, float32(c[2]) / 255}, make([]float32, enlarged)
		alpha[0] = float32(c[3]) / 255
		throughYUV(rgb, alpha)
		for n, v := range append(rgb, alpha[0]) {
			if got := int(math.Round(float64(v) * 65535)); got != cases.Want[i][n] {
				t.Errorf("channel %d of %v is %d, want %d", n, c, got, cases.Want[i][n])
			}
		}
	}
}
