package seedvr2

import (
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// window is a part of a video in which tokens attend to each other: from and to on the axes time, row and column.
type window struct{ from, to [3]int }

// size is the number of tokens along an axis.
func (w window) size(axis int) int { return w.to[axis] - w.from[axis] }

func (w window) tokens() int { return w.size(0) * w.size(1) * w.size(2) }

// layout are the windows of even blocks and of odd blocks, each of which covers a video.
type layout [2][]window

// prefixes are those of the inputs and the symbols of the graph for the windows of even and of odd blocks.
var prefixes = [2]string{"even", "odd"}

// tokens is the number of tokens of the video.
func (l layout) tokens() int {
	n := 0
	for _, w := range l[0] {
		n += w.tokens()
	}
	return n
}

// longest is the largest number of tokens in a window.
func longest(list []window) int {
	n := 0
	for _, w := range list {
		n = max(n, w.tokens())
	}
	return n
}

// layoutOf cuts a video of so many tokens along time, rows and columns: an image of 45x80 tokens is cut three times along each side, and
// images of other proportions into windows of the same area. The windows of odd blocks are moved by half. Upstream: make_720Pwindows_bysize
// and make_shifted_720Pwindows_bysize.
func layoutOf(frames, rows, columns int) layout {
	const (
		area       = 45 * 80
		mostFrames = 30
	)
	windows := [3]int{4, 3, 3}
	scale := math.Sqrt(area / float64(rows*columns))
	parts := func(n, count int) int { return (n + count - 1) / count }
	scaled := func(n int) int { return int(math.RoundToEven(float64(n) * scale)) }
	sizes := [3]int{frames, rows, columns}
	steps := [3]int{
		parts(min(frames, mostFrames), windows[0]), max(1, parts(scaled(rows), windows[1])), max(1, parts(scaled(columns), windows[2])),
	}
	var l layout
	for i := range l {
		var spans [3][][2]int
		for axis := range spans {
			spans[axis] = cuts(sizes[axis], steps[axis], i == 1)
		}
		for _, t := range spans[0] {
			for _, y := range spans[1] {
				for _, x := range spans[2] {
					l[i] = append(l[i], window{from: [3]int{t[0], y[0], x[0]}, to: [3]int{t[1], y[1], x[1]}})
				}
			}
		}
	}
	return l
}

// cuts cuts an axis of size tokens into pieces of step tokens. Moved ones begin with half of a piece, if there is more than one.
func cuts(size, step int, moved bool) [][2]int {
	var out [][2]int
	at := 0
	if moved && step < size {
		at = step / 2
		if at > 0 {
			out = append(out, [2]int{0, at})
		}
	}
	// A piece ends at half a step, one and a half and so on, each rounded down.
	for k := 1; at < size; k++ {
		end := k * step
		if moved && step < size {
			end = (2*k + 1) * step / 2
		}
		end = min(end, size)
		if end > at {
			out = append(out, [2]int{at, end})
		}
		at = end
	}
	return out
}

// turns are the frequencies by which pairs of a head's elements turn with a position, for the windows of even and of odd blocks.
type turns [2][]float32

// turns returns the frequencies: those of the file, or those that the network was trained with. Upstream: RotaryEmbedding.
func (m *model) turns(run family.Runner) (turns, error) {
	src, err := run.Patched(m.Source)
	if err != nil {
		return turns{}, err
	}
	var out turns
	for i := range out {
		key := fmt.Sprintf("blocks.%d.attn.rope.rope.freqs", i)
		e, stored := src.Lookup(key)
		switch {
		case !m.joint && stored:
			out[i] = pixelTurns(e.Count())
		case !m.joint: // a third of half of a head goes to each axis
			out[i] = pixelTurns(m.head / 2 / 3 / 2)
		case stored:
			if out[i], err = weights.Float32s(e); err != nil {
				return turns{}, fmt.Errorf("reading %s: %w", key, err)
			}
		default:
			out[i] = m.textTurns()
		}
		if 3*len(out[i]) > m.head/2 {
			return turns{}, fmt.Errorf("%s has %d frequencies for each of three axes, and a head has %d pairs", key, len(out[i]), m.head/2)
		}
	}
	return out, nil
}

// theta is the base of the frequencies of 3B.
const theta = 10000

// textTurns are the frequencies of 3B: a third of a head goes to each axis.
func (m *model) textTurns() []float32 {
	width := m.head / 3
	out := make([]float32, width/2)
	for i := range out {
		out[i] = 1 / float32(math.Pow(theta, float64(float32(2*i)/float32(width))))
	}
	return out
}

// pixelTurns are the n frequencies of 7B, from pi on to half of mostTurns times as much.
func pixelTurns(n int) []float32 {
	const mostTurns = 256
	out := line(1, mostTurns/2, n)
	for i := range out {
		out[i] *= math.Pi
	}
	return out
}

// line returns n numbers from one to another, as torch.linspace does in float32.
func line(from, to float32, n int) []float32 {
	out := make([]float32, n)
	if n == 1 {
		out[0] = from
		return out
	}
	step := (to - from) / float32(n-1)
	for i := range out {
		if i < n/2 {
			out[i] = from + float32(step*float32(i))
		} else {
			out[i] = to - float32(step*float32(n-1-i))
		}
	}
	return out
}

// positions are those of the tokens of a window along an axis.
func (m *model) positions(axis, size, text int) []float32 {
	if !m.joint {
		return line(-1, 1, size)
	}
	out := make([]float32, size)
	for i := range out {
		out[i] = float32(i)
		if axis == 0 { // behind the text
			out[i] = float32(text + i)
		}
	}
	return out
}

// windowValues are the inputs of the graph for windows, each of the text and then its tokens, filled up to one length: index, where the tokens
// are among those of text and video; mask, which of them are not fill; places, where each token of the video is among those of the
// windows; cos and sin, the angles of all of them.
func (m *model) windowValues(prefix string, list []window, video, text int, frequencies []float32) []family.Value {
	length, pairs := text+longest(list), m.head/2
	index, places := make([]int64, len(list)*length), make([]int64, video)
	mask := tensor.New(len(list), length)
	cos, sin := tensor.New(1, len(list)*length, pairs), tensor.New(1, len(list)*length, pairs)
	for i := range cos.Data {
		cos.Data[i] = 1
	}
	set := func(row, axis int, position float32) {
		at := row*pairs + axis*len(frequencies)
		for i, f := range frequencies {
			s, c := math.Sincos(float64(position * f))
			cos.Data[at+i], sin.Data[at+i] = float32(c), float32(s)
		}
	}
	size := sizeOf(list)
	for i, w := range list {
		row := i * length
		for k := range text {
			index[row], mask.Data[row] = int64(k), 1
			if m.joint {
				for axis := range 3 {
					set(row, axis, float32(k))
				}
			}
			row++
		}
		var at [3][]float32
		for axis := range at {
			at[axis] = m.positions(axis, w.size(axis), text)
		}
		for t := range w.size(0) {
			for y := range w.size(1) {
				for x := range w.size(2) {
					token := ((w.from[0]+t)*size[1]+w.from[1]+y)*size[2] + w.from[2] + x
					index[row], mask.Data[row], places[token] = int64(text+token), 1, int64(row)
					for axis, k := range [3]int{t, y, x} {
						set(row, axis, at[axis][k])
					}
					row++
				}
			}
		}
	}
	return []family.Value{
		family.Ints(prefix+".index", index, len(index)), family.Floats(prefix+".mask", mask), family.Ints(prefix+".places", places, video),
		family.Floats(prefix+".cos", cos), family.Floats(prefix+".sin", sin),
	}
}

// sizeOf is the size of the video that windows cover.
func sizeOf(list []window) [3]int {
	var out [3]int
	for _, w := range list {
		for axis := range out {
			out[axis] = max(out[axis], w.to[axis])
		}
	}
	return out
}
