package imaging_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"comfygo/internal/imaging"
	"comfygo/internal/imaging/codec"
)

// TestOpenEqualsUpstream compares animations with the frames that ComfyUI loads (testdata/recordframes.py): equal except
// for JPEG of odd height, whose chroma swscale filters in fewer bits.
func TestOpenEqualsUpstream(t *testing.T) {
	t.Parallel()
	wanted := readWanted[[]struct{ RGB, Alpha string }](t, "testdata/upstream.json.gz")
	if len(wanted) < 20 {
		t.Fatalf("%d images", len(wanted))
	}
	allowed := map[string]int{".jpg": 2}
	for name, frames := range wanted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata/upstream", name))
			if err != nil {
				t.Fatal(err)
			}
			l, err := load(data)
			if err != nil {
				t.Fatal(err)
			}
			images, alpha := l.Images, l.Alpha
			f, err := codec.Open(data, codec.DefaultLimits)
			if err != nil {
				t.Fatal(err)
			}
			if images.Shape[0] != len(frames) || f.Frames != len(frames) || (alpha != nil) != (frames[0].Alpha != "") {
				t.Fatalf("%d frames, %d announced, alpha %v; want %d", images.Shape[0], f.Frames, alpha != nil, len(frames))
			}
			for i, want := range frames {
				sameBytes(t, i, imaging.ToBytes(images.Index(i).Data), want.RGB, allowed[filepath.Ext(name)])
				if alpha != nil {
					sameBytes(t, i, imaging.ToBytes(alpha.Index(i).Data), want.Alpha, 0)
				}
			}
		})
	}
}

func sameBytes(t *testing.T, frame int, have []byte, want string, tolerance int) {
	t.Helper()
	pix, err := hex.DecodeString(want)
	if err != nil || len(pix) != len(have) {
		t.Fatalf("frame %d: %d bytes, want %d (%v)", frame, len(have), len(pix), err)
	}
	for i, b := range have {
		if d := int(b) - int(pix[i]); max(d, -d) > tolerance {
			t.Fatalf("frame %d, byte %d: %d, want %d", frame, i, b, pix[i])
		}
	}
}
