package audio

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
)

// Charge reserves memory for bytes that are about to be allocated, and fails if there is not enough. nil charges nothing.
type Charge func(bytes int64) error

// piece is the number of values that a Collector allocates at a time.
const piece = 1 << 20

// Collector gathers decoded samples whose number is unknown or cannot be trusted.
type Collector struct {
	// Channels is the number of channels, at least 1.
	Channels int
	// Charge is called before memory is allocated.
	Charge Charge

	full [][]float32 // interleaved
	last []float32
}

// Add appends interleaved samples; their number is a multiple of the channels.
func (c *Collector) Add(samples []float32) error {
	for len(samples) > 0 {
		if len(c.last) == cap(c.last) {
			if err := c.grow(); err != nil {
				return err
			}
		}
		n := min(len(samples), cap(c.last)-len(c.last))
		c.last = append(c.last, samples[:n]...)
		samples = samples[n:]
	}
	return nil
}

func (c *Collector) grow() error {
	size := piece / c.Channels * c.Channels
	if c.Charge != nil {
		const copies = 2 // the pieces and the waveform made of them
		if err := c.Charge(copies * 4 * int64(size)); err != nil {
			return err
		}
	}
	if c.last != nil {
		c.full = append(c.full, c.last)
	}
	c.last = make([]float32, 0, size)
	return nil
}

// Waveform returns what was added as [1,C,T], and forgets it.
func (c *Collector) Waveform() *tensor.Tensor {
	total := len(c.last)
	for _, p := range c.full {
		total += len(p)
	}
	n := total / c.Channels
	out := tensor.New(1, c.Channels, n)
	at := 0
	for i, p := range append(c.full, c.last) {
		if i < len(c.full) {
			c.full[i] = nil // freed one by one
		}
		for ch := range c.Channels {
			row := out.Data[ch*n+at : ch*n+at+len(p)/c.Channels]
			for j := range row {
				row[j] = p[j*c.Channels+ch]
			}
		}
		at += len(p) / c.Channels
	}
	c.full, c.last = nil, nil
	return out
}

// Pack16 turns a waveform [C,T] into interleaved 16-bit samples, rounded to the nearest and limited; NaN becomes silence.
func Pack16(waveform *tensor.Tensor) []int16 {
	channels, n := waveform.Shape[0], waveform.Shape[1]
	out := make([]int16, channels*n)
	for ch := range channels {
		for i, v := range waveform.Data[ch*n : (ch+1)*n] {
			out[i*channels+ch] = sample16(v)
		}
	}
	return out
}

func sample16(v float32) int16 {
	s := v * (1 << 15)
	switch {
	case s >= math.MaxInt16:
		return math.MaxInt16
	case s <= math.MinInt16:
		return math.MinInt16
	case s != s:
		return 0
	}
	const whole = 3 << 22 // adding it leaves no bits for fractions: the sum is rounded to even
	return int16(int32(math.Float32bits(s+whole)) - int32(math.Float32bits(whole)))
}

// checkFormat refuses channel counts and sample rates that no audio has.
func checkFormat(channels, rate int) error {
	const mostChannels, mostRate = 64, 1 << 22
	if channels < 1 || channels > mostChannels || rate < 1 || rate > mostRate {
		return fmt.Errorf("%d channels at %d Hz", channels, rate)
	}
	return nil
}
