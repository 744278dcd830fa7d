package audio

import (
	"context"
	"math"
	"sync"

	"comfygo/engine/tensor"
)

// Biquad is a second-order filter with torchaudio's single precision coefficients, not yet divided by a0.
type Biquad struct{ b0, b1, b2, a0, a1, a2 float32 }

// shelf holds the terms that the two shelving filters share. Source: R. Bristow-Johnson, Audio EQ Cookbook, as torchaudio's bass_biquad and
// treble_biquad compute it.
type shelf struct{ a, cos, root float32 }

func newShelf(sampleRate int, gain, frequency, q float64) shelf {
	w0 := angular(sampleRate, frequency)
	alpha := sin32(w0) / 2 / float32(q)
	a := amplitude(gain)
	return shelf{a: a, cos: cos32(w0), root: 2 * sqrt32(a) * alpha}
}

// LowShelf raises or lowers the band below a frequency in Hz by gain dB.
func LowShelf(sampleRate int, gain, frequency, q float64) Biquad {
	s := newShelf(sampleRate, gain, frequency, q)
	minus, plus := float32((s.a-1)*s.cos), float32((s.a+1)*s.cos)
	f := Biquad{
		b0: s.a * ((s.a + 1) - minus + s.root),
		b1: 2 * s.a * ((s.a - 1) - plus),
		b2: s.a * ((s.a + 1) - minus - s.root),
		a0: (s.a + 1) + minus + s.root,
		a1: -2 * ((s.a - 1) + plus),
		a2: (s.a + 1) + minus - s.root,
	}
	// torchaudio divides here already, and once more where it filters.
	return Biquad{b0: f.b0 / f.a0, b1: f.b1 / f.a0, b2: f.b2 / f.a0, a0: 1, a1: f.a1 / f.a0, a2: f.a2 / f.a0}
}

// HighShelf raises or lowers the band above a frequency in Hz by gain dB.
func HighShelf(sampleRate int, gain, frequency, q float64) Biquad {
	s := newShelf(sampleRate, gain, frequency, q)
	minus, plus := float32((s.a-1)*s.cos), float32((s.a+1)*s.cos)
	return Biquad{
		b0: s.a * ((s.a + 1) + minus + s.root),
		b1: -2 * s.a * ((s.a - 1) + plus),
		b2: s.a * ((s.a + 1) + minus - s.root),
		a0: (s.a + 1) - minus + s.root,
		a1: 2 * ((s.a - 1) - plus),
		a2: (s.a + 1) - minus - s.root,
	}
}

// Peak raises or lowers the band around a frequency in Hz by gain dB. Source: torchaudio's equalizer_biquad.
func Peak(sampleRate int, gain, frequency, q float64) Biquad {
	w0 := angular(sampleRate, frequency)
	a := amplitude(gain)
	alpha := sin32(w0) / 2 / float32(q)
	cos := cos32(w0)
	up, down := float32(alpha*a), float32(alpha/a)
	return Biquad{b0: 1 + up, b1: -2 * cos, b2: 1 - up, a0: 1 + down, a1: -2 * cos, a2: 1 - down}
}

// angular is the frequency in radians a sample.
func angular(sampleRate int, frequency float64) float32 {
	return float32(float32(frequency)*float32(2*math.Pi)) / float32(sampleRate)
}

// amplitude is the square root of the gain's factor.
func amplitude(gain float64) float32 {
	return float32(math.Exp(float64(float32(float32(gain)/40) * float32(math.Log(10)))))
}

func sin32(x float32) float32  { return float32(math.Sin(float64(x))) }
func cos32(x float32) float32  { return float32(math.Cos(float64(x))) }
func sqrt32(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// Apply filters every row of a waveform [...,T] from rest and limits the result to -1…1, as torchaudio's biquad does. NaN stays NaN.
func (f Biquad) Apply(ctx context.Context, waveform *tensor.Tensor) (*tensor.Tensor, error) {
	out := tensor.New(waveform.Shape...)
	n := waveform.Dim(-1)
	var wg sync.WaitGroup
	for at := 0; at < len(out.Data); at += n {
		wg.Go(func() { f.row(ctx, out.Data[at:at+n], waveform.Data[at:at+n]) })
	}
	wg.Wait()
	return out, context.Cause(ctx)
}

// row filters one channel. The state is kept unlimited; only the output is limited.
func (f Biquad) row(ctx context.Context, out, in []float32) {
	b0, b1, b2, a1, a2 := f.b0/f.a0, f.b1/f.a0, f.b2/f.a0, f.a1/f.a0, f.a2/f.a0
	var x1, x2, y1, y2 float32
	for i, x := range in {
		if i&0xfffff == 0 && ctx.Err() != nil {
			return
		}
		y := float32(float32(float32(b2*x2)+float32(b1*x1)) + float32(b0*x))
		y = float32(y - float32(a2*y2))
		y = float32(y - float32(a1*y1))
		x2, x1, y2, y1 = x1, x, y1, y
		switch {
		case y > 1:
			y = 1
		case y < -1:
			y = -1
		}
		out[i] = y
	}
}
