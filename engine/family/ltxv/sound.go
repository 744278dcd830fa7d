package ltxv

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// The frames of a mel spectrogram: the number of samples per frame at a rate in Hz, and the number of frames per latent
// value.
const (
	melRate = 16000
	melHop  = 160
	melPace = 4
)

// soundStart is when latent value i of audio begins, in seconds; the first one is a single frame. Upstream: AudioPatchifier.
func soundStart(i int) float32 {
	frame := max(float32(i*melPace)+1-melPace, 0)
	return frame * melHop / melRate
}

// sounds are the values of an audio latent in time as the network reads them.
type sounds struct {
	// tokens are [N,S,C], places when they begin and end, times their timesteps [N,1 or S].
	tokens *tensor.Tensor
	places [][2]float32
	times  *tensor.Tensor
	// before is the number of tokens of a reference before them.
	before int
}

// soundsOf takes the tokens out of the audio latent [N,8,T,16] of a call, with those of the reference before them.
func (m *avModel) soundsOf(c family.Call, x *tensor.Tensor) (*sounds, error) {
	if len(x.Shape) != 4 || x.Dim(1) != audioChannels || x.Dim(3) != audioBins || x.Dim(2) == 0 {
		return nil, fmt.Errorf("the audio latent has shape %v, the model reads %d channels, a time axis and %d frequencies", x.Shape, audioChannels, audioBins)
	}
	rows, n := x.Dim(0), x.Dim(2)
	s := &sounds{}
	reference := c.Inputs.Get(inputReference)
	if without, _ := c.Inputs.Options[sampling.OptionWithoutReference].(bool); without {
		reference = nil
	}
	if reference != nil {
		s.before = reference.Dim(1)
		shift := soundStart(s.before) + float32(float64(melHop)*melPace/melRate)
		for i := range s.before {
			s.places = append(s.places, [2]float32{soundStart(i) - shift, soundStart(i+1) - shift})
		}
	}
	for i := range n {
		s.places = append(s.places, [2]float32{soundStart(i), soundStart(i + 1)})
	}
	s.tokens = tensor.New(rows, s.before+n, audioWidth)
	for b := range rows {
		to := s.tokens.Index(b).Data
		if s.before > 0 {
			to = to[copy(to, reference.Index(b%reference.Dim(0)).Data):]
		}
		from := x.Index(b).Data
		for i := range to {
			t, ch, f := i/audioWidth, i/audioBins%audioChannels, i%audioBins
			to[i] = from[(ch*n+t)*audioBins+f]
		}
	}
	return s, s.timed(c, rows, n)
}

// timed sets the timesteps of the tokens: those of a reference have none.
func (s *sounds) timed(c family.Call, rows, n int) error {
	noise := c.Inputs.Get(inputAudioNoise)
	if noise != nil && (noise.Dim(0) != rows || noise.Dim(1) != n) {
		return fmt.Errorf("a noise mask of shape %v does not fit %d values of audio in %d rows", noise.Shape, n, rows)
	}
	each := tensor.New(rows, s.before+n)
	for b, time := range c.T {
		row := each.Index(b).Data[s.before:]
		for i := range row {
			row[i] = time
			if noise != nil {
				row[i] *= noise.Data[b*n+i]
			}
		}
	}
	if s.times = grouped(each, 1); s.times == nil {
		s.times = each
	}
	return nil
}

// latent puts tokens [N,S,C] back into an audio latent of a shape, without those of the reference.
func (s *sounds) latent(y *tensor.Tensor, shape []int) *tensor.Tensor {
	out := tensor.New(shape...)
	n := shape[2]
	for b := range shape[0] {
		from, to := y.Index(b).Data[s.before*audioWidth:], out.Index(b).Data
		for i := range n * audioWidth {
			t, ch, f := i/audioWidth, i/audioBins%audioChannels, i%audioBins
			to[(ch*n+t)*audioBins+f] = from[i]
		}
	}
	return out
}
