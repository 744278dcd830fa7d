package imaging_test

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/internal/imaging/codec"
	_ "comfygo/internal/imaging/codec/all"
)

type wantFrame struct {
	W, H  int
	Alpha bool
	RGBA  string
}

// readWanted reads a packed golden file.
func readWanted[T any](t *testing.T, path string) map[string]T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var wanted map[string]T
	if err := json.NewDecoder(z).Decode(&wanted); err != nil {
		t.Fatal(err)
	}
	return wanted
}

// shown decodes all frames as 8-bit RGBA, rotated by the EXIF orientation, and reports whether the last one has alpha.
func shown(data []byte) (frames []*image.NRGBA, alpha bool, err error) {
	f, err := codec.Open(data, codec.DefaultLimits)
	if err != nil {
		return nil, false, err
	}
	w, h := codec.Turned(f.Orientation, f.Width, f.Height)
	err = f.Decode(context.Background(), func(frame *codec.Frame) error {
		img := image.NewNRGBA(image.Rect(0, 0, w, h))
		row, scratch := make([]byte, 4*frame.Width), &codec.Scratch{}
		for y := range frame.Height {
			frame.RGBA(y, row, scratch)
			for x := range frame.Width {
				sx, sy := codec.Shown(f.Orientation, x, y, frame.Width, frame.Height)
				copy(img.Pix[img.PixOffset(sx, sy):], row[4*x:4*x+4])
			}
		}
		frames, alpha = append(frames, img), frame.Layout.Alpha() && frame.Mode != "RGB" || frame.Clear != nil
		return nil
	})
	return frames, alpha, err
}

// lossy lists the files in formats that do not define decoding exactly, with the greatest allowed difference of a byte
// and of the mean: FFmpeg's inverse transform, which is the one here, rounds in other places than libjpeg's.
var lossy = map[string]struct{ most, mean float64 }{
	"smooth_64x48.jpg": {4, 1}, "cmyk_64x48.jpg": {4, 1.1}, "photo_64x48.jpg": {4, 1}, "rotated_exif6.jpg": {4, 1},
}

// TestFramesEqualPillow compares every image in testdata with Pillow 13's pixels.
func TestFramesEqualPillow(t *testing.T) {
	t.Parallel()
	wanted := readWanted[[]wantFrame](t, "testdata/pictures.json.gz")
	if len(wanted) < 30 {
		t.Fatalf("only %d images", len(wanted))
	}
	for name, want := range wanted {
		if name == "gray16_3x2.png" { // Pillow clips 16-bit values to 255 there; docs/conformance.md
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata/pictures", name))
			if err != nil {
				t.Fatal(err)
			}
			frames, alpha, err := shown(data)
			if err != nil {
				t.Fatal(err)
			}
			size := image.Pt(want[0].W, want[0].H)
			if len(frames) != len(want) || frames[0].Rect.Size() != size {
				t.Fatalf("%d frames of %v, want %d of %v", len(frames), frames[0].Rect.Size(), len(want), size)
			}
			if want := want[0].Alpha || strings.HasSuffix(name, ".gif"); alpha != want && !strings.HasPrefix(name, "cmyk") {
				t.Errorf("alpha is %v, want %v", alpha, want)
			}
			comparePixels(t, name, frames, want)
		})
	}
}

func comparePixels(t *testing.T, name string, frames []*image.NRGBA, want []wantFrame) {
	t.Helper()
	most, sum, n := 0.0, 0.0, 0
	for i, f := range want {
		pix, err := hex.DecodeString(f.RGBA)
		if err != nil {
			t.Fatal(err)
		}
		for j := 0; j < len(pix); j += 4 {
			have := frames[i].Pix[j : j+4]
			if have[3] != pix[j+3] {
				t.Fatalf("frame %d, pixel %d: alpha %d, want %d", i, j/4, have[3], pix[j+3])
			}
			for c := range 3 {
				if pix[j+3] == 0 {
					continue // the color of what cannot be seen
				}
				d := float64(have[c]) - float64(pix[j+c])
				most, sum = max(most, d, -d), sum+max(d, -d)
				n++
			}
		}
	}
	mean := sum / float64(max(n, 1))
	if allowed := lossy[name]; most > allowed.most || mean > allowed.mean {
		t.Errorf("bytes differ by up to %g, %.3g in the mean; allowed %v", most, mean, allowed)
	}
}
