package ltxv

import "testing"

// TestFramesOf compares numbers of frames with those of upstream's seconds_to_num_frames.
func TestFramesOf(t *testing.T) {
	t.Parallel()
	for in, want := range map[[4]float64]int{
		{3.7, 24, 1, 20}: 89, {0.2, 24, 1, 20}: 25, {90, 25, 1, 20}: 497, {1.02, 24, 1, 1.1}: 25, {2.5, 1, 2.5, 3}: 3, {5, 24, 20, 1}: 24, {4, 30, 0.5, 20}: 113,
	} {
		if got := framesOf(in[0], in[1], in[2], in[3]); got != want {
			t.Errorf("%v: %d frames, want %d", in, got, want)
		}
	}
}
