package imaging_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"comfygo/internal/imaging"
)

// TestOpenEqualsUpstream compares with what ComfyUI loads (testdata/recordframes.py): equal but for JPEG, whose transform and
// colours FFmpeg computes in fewer bits, and lossy WebP, whose colours it leaves in floats.
func TestOpenEqualsUpstream(t *testing.T) {
	t.Parallel()
	wanted := readWanted[[]struct{ RGB, Alpha string }](t, "testdata/upstream.json.gz")
	if len(wanted) < 20 {
		t.Fatalf("%d pictures", len(wanted))
	}
	allowed := map[string]int{".jpg": 3, ".webp": 2}
	for name, frames := range wanted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(filepath.Join("testdata/upstream", name))
			if err != nil {
				t.Fatal(err)
			}
			p, err := imaging.Open(data)
			if err != nil {
				t.Fatal(err)
			}
			images, alpha := p.Tensors()
			if n := imaging.Frames(data); len(p.Frames) != len(frames) || n != len(frames) || (alpha != nil) != (frames[0].Alpha != "") {
				t.Fatalf("%d frames, %d announced, alpha %v; want %d", len(p.Frames), n, alpha != nil, len(frames))
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
