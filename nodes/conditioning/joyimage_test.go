package conditioning_test

import (
	"testing"

	"comfygo/nodes/conditioning"
)

// TestJoySize compares sizes with ComfyUI's for seven images.
func TestJoySize(t *testing.T) {
	t.Parallel()
	for in, want := range map[[2]int][2]int{
		{100, 100}: {1024, 1024}, {720, 1280}: {768, 1344}, {1280, 720}: {1344, 768}, {300, 2000}: {512, 2048}, {2000, 300}: {2048, 512},
		{768, 1000}: {896, 1152}, {1000, 769}: {1152, 896},
	} {
		if h, w := conditioning.JoySize(in[0], in[1]); h != want[0] || w != want[1] {
			t.Errorf("%v: %dx%d, want %v", in, h, w, want)
		}
	}
}
