package video

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
)

// Made is a video of images and audio in memory.
type Made struct {
	Images *tensor.Tensor // [N,H,W,C]
	Audio  *media.Audio   // nil for none
	Rate   *big.Rat
	// Depth is the bit depth with which it is encoded, 8 or 10.
	Depth int
}

// MemoryBytes is the size in host memory.
func (m *Made) MemoryBytes() int64 {
	if m.Images == nil {
		return m.Audio.MemoryBytes()
	}
	return 4*int64(len(m.Images.Data)) + m.Audio.MemoryBytes()
}

// shape is that of the images; a video without images has no frames.
func (m *Made) shape() []int {
	if m.Images == nil {
		return []int{0, 0, 0, 3}
	}
	return m.Images.Shape
}

// Components implements Video.
func (m *Made) Components(context.Context, Env) (*Components, error) {
	return &Components{Images: m.Images, Audio: m.Audio, Rate: m.Rate}, nil
}

// Size implements Video.
func (m *Made) Size(context.Context, Env) (width, height int, err error) {
	return m.shape()[2], m.shape()[1], nil
}

// BitDepth implements Video.
func (m *Made) BitDepth(context.Context, Env) (int, error) { return m.Depth, nil }

// ColorSpace implements Video.
func (*Made) ColorSpace(context.Context, Env) (string, error) { return SRGB, nil }

// Duration implements Video.
func (m *Made) Duration(context.Context, Env) (float64, error) { return m.duration(), nil }

func (m *Made) duration() float64 {
	d, _ := new(big.Rat).Quo(big.NewRat(int64(m.shape()[0]), 1), m.Rate).Float64()
	return d
}

// FrameCount implements Video.
func (m *Made) FrameCount(context.Context, Env) (int, error) { return m.shape()[0], nil }

// FrameRate implements Video.
func (m *Made) FrameRate(context.Context, Env) (*big.Rat, error) { return m.Rate, nil }

// Frames implements Video.
func (m *Made) Frames(_ context.Context, env Env, numbers []int) (*tensor.Tensor, error) {
	shape := append([]int{len(numbers)}, m.shape()[1:]...)
	if err := env.charge("video frames", 4*int64(tensor.Count(shape))); err != nil {
		return nil, err
	}
	out := tensor.New(shape...)
	for i, n := range numbers {
		if n < 0 || n >= m.Images.Shape[0] {
			return nil, &Error{"KeyError", fmt.Errorf("frame %d of a video of %d", n, m.Images.Shape[0])}
		}
		copy(out.Index(i).Data, m.Images.Index(n).Data)
	}
	return out, nil
}

// Trimmed implements Video. Frames and samples are taken as they are. The part has to lie within the video even where strict is not set.
func (m *Made) Trimmed(_ context.Context, _ Env, start, duration float64, _ bool) (Video, error) {
	if m.duration() < start+duration || m.Images == nil {
		return nil, nil
	}
	if start < 0 {
		start = max(0, m.duration()+start)
	}
	first := m.frameAt(start)
	end := m.Images.Shape[0]
	if duration > 0 {
		end = min(end, m.frameAt(start+duration))
	}
	t := &Made{Images: m.Images.Slice(min(first, end), end), Rate: m.Rate, Depth: m.Depth}
	if m.Audio.Valid() {
		t.Audio = trimmedAudio(m.Audio, start, duration)
	}
	return t, nil
}

// frameAt is the first frame that begins at or after a time, which is cut to the units of an MP4 file as upstream's is.
func (m *Made) frameAt(seconds float64) int {
	const least = 10000 // units a second
	units := new(big.Rat).Set(m.Rate)
	for units.Num().Int64() < least {
		units.Mul(units, big.NewRat(2, 1))
	}
	scale := float64(units.Num().Int64()) // of the time base; a frame takes the denominator times the doublings
	rate, _ := m.Rate.Float64()
	perFrame := scale / rate
	return min(int(math.Ceil(math.Floor(seconds*scale)/perFrame-1e-9)), m.Images.Shape[0])
}

// trimmedAudio is the audio from start seconds on; nil where nothing is left.
func trimmedAudio(a *media.Audio, start, duration float64) *media.Audio {
	n := a.Samples()
	from := min(int(start*float64(a.SampleRate)), n)
	to := n
	if duration > 0 {
		to = min(n, from+int(duration*float64(a.SampleRate)))
	}
	if from >= to {
		return nil
	}
	channels := a.Channels()
	t := tensor.New(1, channels, to-from)
	for c := range channels {
		copy(t.Data[c*(to-from):(c+1)*(to-from)], a.Waveform.Data[c*n+from:c*n+to])
	}
	return &media.Audio{Waveform: t, SampleRate: a.SampleRate}
}

// Save implements Video.
func (m *Made) Save(ctx context.Context, env Env, o SaveOptions, w io.Writer) error {
	return m.encode(ctx, env, o, w)
}

// sortedUnique returns the numbers in order, each once.
func sortedUnique(numbers []int) []int {
	out := slices.Clone(numbers)
	slices.Sort(out)
	return slices.Compact(out)
}

var _ Video = (*Made)(nil)
