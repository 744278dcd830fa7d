package minimaxh3

import (
	"fmt"
	"math"
	"slices"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
)

// axes are time, row and column.
const axes = 3

// FrameTime is the time of a frame of the video, in frames of the latent of audio.
const FrameTime = 5.0 / 3

// framesOf are the numbers of frames of latent frames, in turns.
var framesOf = [5]int{1, 4, 4, 4, 4}

// Frames is the number of frames of a video whose latent has n frames.
func Frames(n int) int {
	total := 0
	for i := range n {
		total += framesOf[i%len(framesOf)]
	}
	return total
}

// The levels of conditions: of images and of audio. One below 1 mixes noise into the condition.
const (
	levelVisual = 0.999
	levelAudio  = 1
)

// tag is the kind of a token that a network tells apart.
type tag int

const (
	tagVideo tag = iota
	tagText
	tagAudio
)

// kinds of segments: the text, conditions, and what is made.
type segment struct {
	tag   tag
	count int
	// given reports that the tokens are a condition.
	given bool
}

// sequence is the order of the tokens of a call and what does not depend on the noisy latent.
type sequence struct {
	segments []segment
	// places are the positions of the tokens: time, row, column.
	places [][axes]float64
	// tags are the kinds of the text's tokens, nil for text.
	tags []float32
	// video and audio are the tokens of conditions [1,n,values], or nil.
	video, audio *tensor.Tensor
	// order is the place of each token among text, video and audio one after the other.
	order []int64
	// text, madeVideo and madeAudio are numbers of tokens.
	text, madeVideo, madeAudio int
	// masks are the noise masks of the tokens that are made, [rows,tokens] each, or nil.
	videoMask, audioMask *tensor.Tensor
	// visual and sound are the levels of conditions.
	visual, sound float64
}

// The rows and columns of a frame's tokens: the middle of the frame is at 16, and its sides are 32 long on average. Upstream: _frame_grid.
func frameAxes(height, width int) (rows, cols []float64) {
	area := math.Sqrt(float64(height * width))
	axis := func(n int) []float64 {
		ratio, count := float64(n)/area, n/patchSide
		out := make([]float64, count)
		for i := range out {
			out[i] = (float64(i)*(ratio/float64(count)) + (1-ratio)/2) * 32
		}
		return out
	}
	return axis(height), axis(width)
}

// addVideo appends the tokens of a video whose latent has the given size. It begins at a time.
func (s *sequence) addVideo(at float64, frames, height, width int, given bool) {
	rows, cols := frameAxes(height, width)
	for i := range frames {
		for _, r := range rows {
			for _, c := range cols {
				s.places = append(s.places, [axes]float64{at, r, c})
			}
		}
		at += FrameTime * float64(framesOf[i%len(framesOf)])
	}
	s.segments = append(s.segments, segment{tagVideo, frames * len(rows) * len(cols), given})
}

// addAudio appends the tokens of audio of n latent frames, one channel after the other, which stand at the sides of a frame of the given
// size.
func (s *sequence) addAudio(at float64, n, height, width int, given bool) {
	_, cols := frameAxes(height, width)
	for _, side := range []float64{cols[0], cols[len(cols)-1]} {
		for i := range n {
			s.places = append(s.places, [axes]float64{at + float64(i), 0, side})
		}
	}
	s.segments = append(s.segments, segment{tagAudio, stereo * n, given})
}

// spanOf is the time that a video of n latent frames takes.
func spanOf(n int) float64 { return FrameTime * float64(Frames(n)) }

// The names of the inputs beside the text encoding.
const (
	inputTags       = "text_tags"  // [1,T], the kind of each token of the text
	inputKeyframes  = "keyframes"  // [k,4]: frame, latent frames, and audio frames of each keyframe, and 1
	inputReferences = "references" // [k,4]: latent frames, height and width, and audio frames of each reference
	inputVideo      = "given_video"
	inputAudio      = "given_audio"
	inputVideoMask  = "video_mask"
	inputAudioMask  = "audio_mask"
	inputLevels     = "levels" // [2], those of visual conditions and of audio
)

// sequence orders the tokens of a call. Upstream: PackedLayout.
func (m *model) sequence(in sampling.Inputs, text int, video, audio []int) (*sequence, error) {
	height, width := (video[3]+1)/patchSide*patchSide, (video[4]+1)/patchSide*patchSide
	s := &sequence{
		text: text, madeVideo: video[2] * height / patchSide * width / patchSide, madeAudio: stereo * audio[3],
		video: in.Get(inputVideo), audio: in.Get(inputAudio), videoMask: in.Get(inputVideoMask), audioMask: in.Get(inputAudioMask),
		visual: levelVisual, sound: levelAudio,
	}
	if levels := in.Get(inputLevels); levels != nil {
		s.visual, s.sound = float64(levels.Data[0]), float64(levels.Data[1])
	}
	if tags := in.Get(inputTags); tags != nil {
		if tags.Dim(1) != text {
			return nil, fmt.Errorf("the text encoding has %d tokens and %d kinds of tokens (%s): take both from one text encoder", text, tags.Dim(1), KeyTags)
		}
		s.tags = tags.Data[:text]
	}
	for i := range text {
		s.places = append(s.places, [axes]float64{float64(i)})
	}
	s.segments = append(s.segments, segment{tag: tagText, count: text})
	references := in.Get(inputReferences)
	start := float64(text)
	if references != nil {
		for i := range references.Dim(0) {
			start += referenceOf(references.Index(i).Data).span()
		}
	}
	if keyframes := in.Get(inputKeyframes); keyframes != nil {
		for i := range keyframes.Dim(0) {
			k := keyframes.Index(i).Data
			at := start + FrameTime*float64(k[0])
			if k[1] > 0 {
				s.addVideo(at, int(k[1]), height, width, true)
			}
			if k[2] > 0 {
				s.addAudio(at, int(k[2]), height, width, true)
			}
		}
	}
	if references != nil {
		at := float64(text)
		for i := range references.Dim(0) {
			r := referenceOf(references.Index(i).Data)
			if r.audio > 0 && r.frames > 0 {
				s.addAudio(at, r.audio, r.height, r.width, true)
			} else if r.audio > 0 {
				s.addAudio(at, r.audio, height, width, true)
			}
			if r.frames > 0 {
				s.addVideo(at, r.frames, r.height, r.width, true)
			}
			at += r.span()
		}
	}
	s.addAudio(start, audio[3], height, width, false)
	s.addVideo(start, video[2], height, width, false)
	return s, s.arrange()
}

// reference is the size of a latent that the prompt refers to: no frames for audio alone. A still image takes one unit of time.
type reference struct{ frames, height, width, audio int }

func referenceOf(v []float32) reference {
	return reference{int(v[0]), int(v[1]), int(v[2]), int(v[3])}
}

// still marks a reference image: its latent has one frame and no audio. A video of one latent frame cannot be a reference.
func (r reference) still() bool { return r.frames == 1 && r.audio == 0 }

func (r reference) span() float64 {
	if r.still() {
		return 1
	}
	return max(float64(r.audio), spanOf(r.frames))
}

// arrange computes the order and checks the conditions.
func (s *sequence) arrange() error {
	video, audio := s.givenTokens(tagVideo), s.givenTokens(tagAudio)
	for name, pair := range map[string][2]int{"images": {video, tokensOf(s.video)}, "audio": {audio, tokensOf(s.audio)}} {
		if pair[0] != pair[1] {
			return fmt.Errorf("the given %s take %d tokens of the sequence and have %d: they are not of the size of the video that is made", name, pair[0], pair[1])
		}
	}
	next := map[tag]int64{tagText: 0, tagVideo: int64(s.text), tagAudio: int64(s.text + video + s.madeVideo)}
	for _, seg := range s.segments {
		for range seg.count {
			s.order = append(s.order, next[seg.tag])
			next[seg.tag]++
		}
	}
	return nil
}

func (s *sequence) givenTokens(t tag) int {
	n := 0
	for _, seg := range s.segments {
		if seg.given && seg.tag == t {
			n += seg.count
		}
	}
	return n
}

func tokensOf(x *tensor.Tensor) int {
	if x == nil {
		return 0
	}
	return x.Dim(1)
}

// angles are the cosines and sines [1,S,3·turns] of the tokens' positions at frequencies.
func (s *sequence) angles(turns []float32) (cos, sin *tensor.Tensor) {
	n := len(turns)
	cos, sin = tensor.New(1, len(s.places), axes*n), tensor.New(1, len(s.places), axes*n)
	for i, place := range s.places {
		for a, at := range place {
			for k, f := range turns {
				angle := float64(float32(at) * f)
				to := (i*axes+a)*n + k
				cos.Data[to], sin.Data[to] = float32(math.Cos(angle)), float32(math.Sin(angle))
			}
		}
	}
	return cos, sin
}

// times returns the timesteps of a row of a call in rising order, and for each token three times the number of its timestep and its kind. timeV and
// timeA are one less the sigmas of video and audio.
func (s *sequence) times(timeV, timeA, sigmaV float32, row int) (times []float32, index []int64) {
	pinV, pinA := max(float64(timeV), levelVisual), max(float64(timeA), levelAudio)
	each := make([]float32, 0, len(s.order))
	for _, seg := range s.segments {
		switch {
		case seg.given && seg.tag == tagVideo:
			each = appendTimes(each, float32(max(float64(timeV), s.visual)), seg.count)
		case seg.given:
			each = appendTimes(each, float32(max(float64(timeA), s.sound)), seg.count)
		case seg.tag == tagAudio && s.audioMask != nil:
			each = appendMasked(each, s.audioMask, row, 1-timeA, float32(pinA))
		case seg.tag == tagAudio:
			each = appendTimes(each, timeA, seg.count)
		case seg.tag == tagVideo && s.videoMask != nil:
			each = appendMasked(each, s.videoMask, row, sigmaV, float32(pinV))
		default:
			each = appendTimes(each, timeV, seg.count)
		}
	}
	times = slices.Clone(each)
	slices.Sort(times)
	times = slices.Compact(times)
	numbers := make(map[float32]int64, len(times))
	for i, t := range times {
		numbers[t] = int64(i)
	}
	index = make([]int64, len(each))
	at := 0
	for _, seg := range s.segments {
		for i := range seg.count {
			kind := seg.tag
			if kind == tagText && s.tags != nil {
				kind = tag(s.tags[i])
			}
			index[at] = modalities*numbers[each[at]] + int64(kind)
			at++
		}
	}
	return times, index
}

func appendTimes(to []float32, t float32, n int) []float32 {
	for range n {
		to = append(to, t)
	}
	return to
}

// appendMasked appends the timesteps of tokens of which a mask keeps a part: a token with a mask of m is at m times the sigma.
func appendMasked(to []float32, mask *tensor.Tensor, row int, sigma, most float32) []float32 {
	for _, m := range mask.Index(min(row, mask.Dim(0)-1)).Data {
		to = append(to, min(1-float32(m*sigma), most))
	}
	return to
}

// made returns the places of the tokens of video or audio that are made, and the numbers of their timesteps: the audio and then the video end
// the sequence.
func (s *sequence) made(t tag, index []int64) (places, numbers []int64) {
	from, to := len(index)-s.madeVideo, len(index)
	if t == tagAudio {
		from, to = from-s.madeAudio, from
	}
	for i := from; i < to; i++ {
		places, numbers = append(places, int64(i)), append(numbers, index[i]/modalities)
	}
	return places, numbers
}

// symbols are the sizes of the graph's inputs.
func (s *sequence) symbols(times int) map[string]int {
	return map[string]int{
		"T": s.text, "V": s.givenTokens(tagVideo) + s.madeVideo, "A": s.givenTokens(tagAudio) + s.madeAudio, "N": s.madeVideo, "U": s.madeAudio, "M": times,
	}
}
