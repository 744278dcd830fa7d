package ltxv

import (
	"math"
	"strings"
	"testing"
)

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

// TestFramesOfNoNumber refuses what a damaged head predicts and what links may bring; numbers far off end at the limits.
func TestFramesOfNoNumber(t *testing.T) {
	t.Parallel()
	nan, inf := math.NaN(), math.Inf(1)
	for want, in := range map[string][4]float64{
		"predicts NaN": {nan, 24, 1, 20}, "predicts +Inf": {inf, 24, 1, 20}, "frame_rate is NaN": {3, nan, 1, 20}, "min_seconds is -Inf": {3, 24, -inf, 20},
		"max_seconds is +Inf": {3, 24, 1, inf},
	} {
		n := LTXVDurationPredictor{Rate: in[1], Least: in[2], Most: in[3]}
		if _, err := n.frames(in[0]); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", in, err, want)
		}
	}
	for seconds, want := range map[float64]int{-1e300: 25, 1e300: 473} {
		if got := framesOf(seconds, 24, 1, 20); got != want {
			t.Errorf("%g seconds: %d frames, want %d", seconds, got, want)
		}
	}
}
