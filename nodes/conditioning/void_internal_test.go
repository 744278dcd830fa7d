package conditioning

import (
	"slices"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/nodes/latent"
)

// TestVOIDFrames holds numbers of frames, as upstream rounds them, and how frames are masked, cut and repeated.
func TestVOIDFrames(t *testing.T) {
	t.Parallel()
	for length, want := range map[int]int{49: 45, 45: 45, 48: 48, 44: 37, 1: 5, 5: 5, 9: 5, 13: 13} {
		if got := latent.VOIDLength(length); got != want {
			t.Errorf("%d frames become %d, want %d", length, got, want)
		}
	}
	mask := &tensor.Tensor{Shape: []int{1, 1, 2, 1}, Data: []float32{0.25, 1}}
	video := &tensor.Tensor{Shape: []int{2, 1, 2, 4}, Data: []float32{4, 8, 12, 9, 1, 1, 1, 9, 8, 16, 24, 9, 2, 2, 2, 9}}
	if got := masked(video, mask); !slices.Equal(got.Data, []float32{3, 6, 9, 0, 0, 0, 6, 12, 18, 0, 0, 0}) {
		t.Errorf("masked: %v", got.Data)
	}
	if got := kept(mask); !slices.Equal(got.Data, []float32{0.75, 0.75, 0.75, 0, 0, 0}) {
		t.Errorf("kept: %v", got.Data)
	}
	z := &tensor.Tensor{Shape: []int{1, 2, 2, 1, 1}, Data: []float32{1, 2, 3, 4}}
	if got := fitTime(z, 3); !slices.Equal(got.Data, []float32{1, 2, 2, 3, 4, 4}) {
		t.Errorf("longer: %v", got.Data)
	}
	if got := fitTime(z, 1); !slices.Equal(got.Data, []float32{1, 3}) {
		t.Errorf("shorter: %v", got.Data)
	}
}
