package codec_test

import (
	"testing"

	"comfygo/internal/imaging/codec"
)

// TestOrientations shows the pixels of an image of three by two, by number, for each orientation of EXIF: the even ones mirror, as the standard
// says, where Pillow's transposition in ComfyUI only turns (docs/conformance.md).
func TestOrientations(t *testing.T) {
	t.Parallel()
	const w, h = 3, 2 // stored as 0 1 2 and 3 4 5
	for orientation, want := range map[int][][]int{
		0: {{0, 1, 2}, {3, 4, 5}},
		1: {{0, 1, 2}, {3, 4, 5}},
		2: {{2, 1, 0}, {5, 4, 3}},
		3: {{5, 4, 3}, {2, 1, 0}},
		4: {{3, 4, 5}, {0, 1, 2}},
		5: {{0, 3}, {1, 4}, {2, 5}},
		6: {{3, 0}, {4, 1}, {5, 2}},
		7: {{5, 2}, {4, 1}, {3, 0}},
		8: {{2, 5}, {1, 4}, {0, 3}},
		9: {{0, 1, 2}, {3, 4, 5}}, // of no meaning
	} {
		tw, th := codec.Turned(orientation, w, h)
		if tw != len(want[0]) || th != len(want) {
			t.Errorf("orientation %d: %dx%d, want %dx%d", orientation, tw, th, len(want[0]), len(want))
			continue
		}
		for i := range w * h {
			x, y := codec.Shown(orientation, i%w, i/w, w, h)
			if x < 0 || y < 0 || x >= tw || y >= th || want[y][x] != i {
				t.Errorf("orientation %d: pixel %d is shown at %d, %d; want %v", orientation, i, x, y, want)
			}
		}
	}
}
