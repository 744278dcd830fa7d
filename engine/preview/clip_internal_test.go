package preview

import (
	"image/color"
	"testing"
	"time"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// TestClipsShowWhatIsPaidFor: a preview of a video's latent has as many of its frames as the time before it pays for, from all of its length.
func TestClipsShowWhatIsPaidFor(t *testing.T) {
	t.Parallel()
	const frames = 8
	x := tensor.New(2, 1, frames, 1, 2)
	for i := range frames {
		x.Data[2*i], x.Data[2*i+1] = float32(i)/frames*2-1, 1
	}
	for passed, want := range map[time.Duration][]int{
		200 * time.Millisecond: nil, 500 * time.Millisecond: {0}, time.Second: {0, 4}, 2 * time.Second: {0, 2, 4, 6}, time.Hour: {0, 1, 2, 3, 4, 5, 6, 7},
	} {
		clock := time.Unix(0, 0)
		m := &Maker{format: sampling.LatentFormat{Channels: 1, Video: true, RGB: [][3]float32{{1, 0, -1}}}}
		m.gate = gate{now: func() time.Time { return clock }, cost: rgbCost, last: clock}
		clock = clock.Add(passed)
		if m.Due(x) != (want != nil) {
			t.Errorf("after %v a preview is due: %v", passed, want == nil)
		}
		if want == nil {
			continue
		}
		clip, err := m.Clip(t.Context(), x)
		if err != nil || len(clip.Frames) != len(want) || clip.Each*time.Duration(len(want)) != frames*latentTime || !clip.Coarse {
			t.Fatalf("after %v: %d frames of %v, %v", passed, len(clip.Frames), clip.Each, err)
		}
		for i, w := range want {
			if got := clip.Frames[i].RGBAAt(0, 0); got != (color.RGBA{toByte(float32(w) / frames), 127, toByte(1 - float32(w)/frames), 255}) || clip.Frames[i].Rect.Dx() != 2 {
				t.Errorf("after %v: frame %d is %v", passed, i, got)
			}
		}
		// A preview of four frames cost each a quarter.
		m.Make(func() { clock = clock.Add(time.Duration(len(want)) * 30 * time.Millisecond) })
		if m.gate.cost != 30*time.Millisecond {
			t.Errorf("after %d frames each costs %v", len(want), m.gate.cost)
		}
	}
}

func TestPowerOfTwo(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{-1: 0, 0: 0, 1: 1, 2: 2, 3: 2, 4: 4, 31: 16} {
		if got := powerOfTwo(n); got != want {
			t.Errorf("%d gives %d, want %d", n, got, want)
		}
	}
}
