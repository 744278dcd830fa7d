package video

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strconv"
	"strings"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/engine/vec"
	"comfygo/internal/audio"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/imaging/codec"
)

// layout is the layout of frames from ffmpeg.
type layout struct {
	width, height int  // of a frame as it comes, padding included
	keepW, keepH  int  // what is kept of it
	deep          bool // 16-bit planes G, B, R(, A), else 8-bit RGB(A)
	alpha         bool
	turns         int    // quarter turns counter-clockwise
	chroma        string // options of the scaler
}

// chromaPlaces are where chroma samples lie, in 256ths of the distance of luma samples.
var chromaPlaces = map[string][2]int{
	"left": {0, 128}, "center": {128, 128}, "topleft": {0, 0}, "top": {128, 0}, "bottomleft": {0, 256}, "bottom": {128, 256},
}

// thinned are the beginnings of the names of pixel formats that have fewer chroma samples than luma samples, in width and in height.
var thinned = []struct {
	name          string
	width, height bool
}{
	{"yuv420", true, true},
	{"yuvj420", true, true},
	{"yuva420", true, true},
	{"nv12", true, true},
	{"nv21", true, true},
	{"p01", true, true},
	{"yuv410", true, true},
	{"yuv422", true, false},
	{"yuvj422", true, false},
	{"yuva422", true, false},
	{"nv16", true, false},
	{"nv20", true, false},
	{"p21", true, false},
	{"yuyv422", true, false},
	{"yvyu422", true, false},
	{"uyvy422", true, false},
	{"y21", true, false},
	{"yuv411", true, false},
	{"yuvj411", true, false},
	{"uyyvyy411", true, false},
	{"yuv440", false, true},
	{"yuvj440", false, true},
}

// chromaOptions are the options of FFmpeg's scaler for where chroma samples lie, which it does not take from the stream before version 7. They would
// shift the chroma of formats that have all samples.
func chromaOptions(s *ffmpeg.Stream) (text string) {
	place, known := chromaPlaces[s.ChromaLocation]
	if !known {
		return ""
	}
	for _, t := range thinned {
		if !strings.HasPrefix(s.PixelFormat, t.name) {
			continue
		}
		if t.width {
			text += fmt.Sprintf(":in_h_chr_pos=%d", place[0])
		}
		if t.height {
			text += fmt.Sprintf(":in_v_chr_pos=%d", place[1])
		}
		break
	}
	return text
}

// frameBytes is the size of a frame as it comes.
func (l layout) frameBytes() int {
	channels := 3
	if l.alpha {
		channels = 4
	}
	if l.deep {
		channels *= 2
	}
	return channels * l.width * l.height
}

// shown is the size of a frame after turning.
func (l layout) shown() (w, h int) {
	if l.turns%2 != 0 {
		return l.keepH, l.keepW
	}
	return l.keepW, l.keepH
}

// eightBit are the pixel formats whose frames upstream reads with 8 bits; all others are read with 16.
var eightBit = map[string]bool{"yuvj420p": true, "yuvj422p": true, "yuvj444p": true, "rgb24": true, "rgba": true, "pal8": true}

func layoutOf(s *ffmpeg.Stream) layout {
	l := layout{width: s.Width, height: s.Height, keepW: s.Width, keepH: s.Height, deep: !eightBit[s.PixelFormat], alpha: hasAlpha(s.PixelFormat)}
	// Upstream pads both sides if the width is not a multiple of 32, so that the chroma of the last columns does not depend on the memory behind.
	if l.deep && s.Width%align != 0 {
		l.width, l.height = (s.Width+align-1)/align*align, (s.Height+align-1)/align*align
	}
	l.turns, l.chroma = turns(s.Rotation), chromaOptions(s)
	return l
}

const align = 32

// turns is the number of quarter turns counter-clockwise of a rotation in degrees.
func turns(degrees float64) int {
	return ((int(math.Floor(degrees/90)) % 4) + 4) % 4
}

// filters are the steps from decoded frames to the layout.
func (l layout) filters() []string {
	f := []string{}
	if l.width != l.keepW || l.height != l.keepH {
		f = append(f,
			fmt.Sprintf("pad=%d:%d:0:0", l.width, l.height),
			fmt.Sprintf("fillborders=left=0:right=%d:top=0:bottom=%d:mode=smear", l.width-l.keepW, l.height-l.keepH))
	}
	format := map[[2]bool]string{{true, false}: "gbrp16le", {true, true}: "gbrap16le", {false, false}: "rgb24", {false, true}: "rgba"}[[2]bool{l.deep, l.alpha}]
	return append(f, fmt.Sprintf("scale=%d:%d:flags=bilinear%s", l.width, l.height, l.chroma), "format="+format)
}

// decodeMemory bounds the address space of a decoder: its libraries and stacks, and the frames that it may hold.
func decodeMemory(s *ffmpeg.Stream) int64 {
	const base, frames, bytesPerPixel = 4 << 30, 64, 8
	return base + frames*bytesPerPixel*int64(s.Width)*int64(s.Height)
}

// decoderBytes estimates the memory of a decoder: reference frames and those of its threads.
func decoderBytes(s *ffmpeg.Stream) int64 {
	const frames, bytesPerPixel, base = 24, 3, 64 << 20
	return base + frames*bytesPerPixel*int64(s.Width)*int64(s.Height)
}

// input opens the file at the last key frame before start seconds. Times stay those of the file, and frames come as they are stored.
func (f *File) input(start float64) []string {
	args := []string{"-threads", strconv.Itoa(ffmpeg.Threads()), "-copyts", "-noautorotate"}
	if start > 0 {
		args = append(args, "-seek_timestamp", "1", "-noaccurate_seek", "-ss", strconv.FormatFloat(start, 'f', 6, 64))
	}
	return append(args, ffmpeg.Input(f.Path)...)
}

// trim is the filter that keeps frames by their time, in units of the stream; "" keeps all that are not before 0.
func trim(s *ffmpeg.Stream, start, length float64) string {
	unit, _ := s.TimeBase.Float64()
	text := fmt.Sprintf("trim=start_pts=%d", int64(start/unit))
	if length > 0 {
		text += fmt.Sprintf(":end_pts=%d", int64((start+length)/unit))
	}
	return text
}

// Components implements Video.
func (f *File) Components(ctx context.Context, env Env) (*Components, error) {
	info, s, err := f.stream(ctx, env)
	if err != nil {
		return nil, err
	}
	start, length, err := f.window(ctx, env)
	if err != nil {
		return nil, err
	}
	l := layoutOf(s)
	args := append(f.input(start), "-map", fmt.Sprintf("0:%d", s.Index), "-vf", strings.Join(append([]string{trim(s, start, length)}, l.filters()...), ","))
	r := frameReader{layout: l, env: env, expect: f.expected(info, s)}
	c := &Components{Rate: big.NewRat(1, 1)}
	if s.Rate != nil {
		c.Rate = s.Rate
	}
	if err := r.run(ctx, f, s, args); err != nil {
		return nil, err
	}
	c.Images, c.Alpha = r.tensors()
	if a := audioStream(info); a != nil {
		if c.Audio, err = f.audio(ctx, env, a, start, length); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// expected returns the maximum number of frames according to the headers.
func (f *File) expected(info *ffmpeg.Info, s *ffmpeg.Stream) int {
	n := float64(s.Frames)
	if n == 0 && s.Rate != nil && info.HasDuration {
		rate, _ := s.Rate.Float64()
		n = math.Ceil(info.Duration * rate)
	}
	if f.Length > 0 && s.Rate != nil {
		rate, _ := s.Rate.Float64()
		n = min(n, math.Ceil(f.Length*rate))
	}
	return int(max(0, min(n, 1<<24)))
}

// Frames implements Video.
func (f *File) Frames(ctx context.Context, env Env, numbers []int) (*tensor.Tensor, error) {
	_, s, err := f.stream(ctx, env)
	if err != nil {
		return nil, err
	}
	start, length, err := f.window(ctx, env)
	if err != nil {
		return nil, err
	}
	l := layout{width: s.Width, height: s.Height, keepW: s.Width, keepH: s.Height, chroma: chromaOptions(s)}
	args := append(f.input(start), "-map", fmt.Sprintf("0:%d", s.Index), "-vf", strings.Join(append([]string{trim(s, start, length)}, l.filters()...), ","))
	wanted := map[int]int{} // number of the frame in the video: place among those that are kept
	order := make([]int, len(numbers))
	for _, n := range sortedUnique(numbers) {
		wanted[n] = len(wanted)
	}
	r := frameReader{layout: l, env: env, expect: len(wanted), wanted: wanted}
	if err := r.run(ctx, f, s, args); err != nil {
		return nil, err
	}
	images, _ := r.tensors()
	for i, n := range numbers {
		if wanted[n] >= images.Shape[0] {
			return nil, &Error{"KeyError", fmt.Errorf("decoding frame %d: the video has fewer frames than its header says", n)}
		}
		order[i] = wanted[n]
	}
	if len(order) == images.Shape[0] {
		return images, nil
	}
	out := tensor.New(append([]int{len(order)}, images.Shape[1:]...)...)
	for i, at := range order {
		copy(out.Index(i).Data, images.Index(at).Data)
	}
	return out, nil
}

// frameReader turns ffmpeg's output into tensors, which grow when more frames come than expected.
type frameReader struct {
	layout
	env    Env
	expect int
	wanted map[int]int // nil keeps all frames

	frames        int
	images, alpha []float32
}

// run starts ffmpeg and reads its frames to the end, or to the last wanted one.
func (r *frameReader) run(ctx context.Context, f *File, s *ffmpeg.Stream, args []string) error {
	if err := r.env.charge("decoding video", decoderBytes(s)+2*int64(r.frameBytes())); err != nil {
		return err
	}
	args = append(args, "-an", "-sn", "-dn", "-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1")
	p, err := r.env.FFmpeg.Start(ctx, ffmpeg.Command{Args: args, Memory: decodeMemory(s), File: f.Path})
	if err != nil {
		return failed(ctx, "decoding the video", err)
	}
	in := bufio.NewReaderSize(p.Stdout, 1<<20)
	frame := make([]byte, r.frameBytes())
	for seen := 0; ; seen++ {
		_, err := io.ReadFull(in, frame)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err == nil {
			err = r.add(seen, frame)
		}
		if err != nil {
			p.Stop()
			return failed(ctx, "decoding the video", err)
		}
		if r.wanted != nil && r.frames == len(r.wanted) {
			p.Stop()
			return context.Cause(ctx)
		}
	}
	if err := p.Wait(); err != nil && (r.frames == 0 || ctx.Err() != nil) {
		return failed(ctx, "decoding the video", err)
	}
	return nil
}

// add keeps a frame.
func (r *frameReader) add(number int, frame []byte) error {
	if r.wanted != nil {
		if _, ok := r.wanted[number]; !ok {
			return nil
		}
	}
	w, h := r.shown()
	n := 3 * w * h
	if err := r.reserve(n); err != nil {
		return err
	}
	at := len(r.images)
	r.images = r.images[:at+n]
	var alpha []float32
	if r.layout.alpha {
		at := len(r.alpha)
		r.alpha = r.alpha[:at+w*h]
		alpha = r.alpha[at:]
	}
	r.frames++
	r.convert(frame, r.images[at:], alpha)
	return nil
}

// reserve makes room for one more frame of n values. The expected number of frames is taken at once, so that nothing is copied.
func (r *frameReader) reserve(n int) error {
	if len(r.images)+n <= cap(r.images) {
		return nil
	}
	frames := max(r.expect, 1)
	if r.images != nil {
		frames = r.frames + max(r.frames/2, 1)
	}
	size := int64(n)
	if r.layout.alpha {
		size += int64(n) / 3
	}
	if err := r.env.charge(fmt.Sprintf("%d video frames of %dx%d", frames, r.keepW, r.keepH), 4*size*int64(frames)); err != nil {
		if r.images != nil || frames == 1 {
			return err
		}
		// The header may announce more than there is: begin small.
		r.expect = 1
		return r.reserve(n)
	}
	r.images = append(make([]float32, 0, n*frames), r.images...)
	if r.layout.alpha {
		r.alpha = append(make([]float32, 0, n/3*frames), r.alpha...)
	}
	return nil
}

func (r *frameReader) tensors() (images, alpha *tensor.Tensor) {
	w, h := r.shown()
	if r.frames == 0 {
		w, h = 0, 0
	}
	images = &tensor.Tensor{Shape: []int{r.frames, h, w, 3}, Data: r.images}
	if r.layout.alpha {
		alpha = &tensor.Tensor{Shape: []int{r.frames, h, w, 1}, Data: r.alpha}
	}
	return images, alpha
}

// convert writes a frame as values in 0…1, turned as it is to be shown.
func (r *frameReader) convert(frame []byte, images, alpha []float32) {
	shownW, shownH := r.shown()
	place := func(x, y int) int { // of a stored pixel among the shown ones
		switch r.turns {
		case 1:
			x, y = y, r.keepW-1-x
		case 2:
			x, y = r.keepW-1-x, r.keepH-1-y
		case 3:
			x, y = r.keepH-1-y, x
		}
		return y*shownW + x
	}
	_ = shownH
	codec.Parallel(r.keepH, r.keepW*16, func(from, to int) {
		for y := from; y < to; y++ {
			switch {
			case r.deep && r.turns == 0 && !r.layout.alpha:
				r.deepRow(frame, y, images[3*y*r.keepW:][:3*r.keepW])
			case r.deep:
				r.deepPixels(frame, y, images, alpha, place)
			default:
				r.bytePixels(frame, y, images, alpha, place)
			}
		}
	})
}

const (
	max16 = 1.0 / 65535
	max8  = 255
)

// deepRow converts a row of 16-bit planes.
func (r *frameReader) deepRow(frame []byte, y int, out []float32) {
	plane := 2 * r.width * r.height
	row := 2 * y * r.width
	n := 2 * r.keepW
	vec.Interleave16(out, frame[2*plane+row:][:n], frame[row:][:n], frame[plane+row:][:n], max16)
}

func (r *frameReader) deepPixels(frame []byte, y int, images, alpha []float32, place func(x, y int) int) {
	plane := 2 * r.width * r.height
	for x := range r.keepW {
		at, to := 2*(y*r.width+x), place(x, y)
		for c, p := range [3]int{2, 0, 1} {
			images[3*to+c] = float32(binary.LittleEndian.Uint16(frame[p*plane+at:])) * max16
		}
		if alpha != nil {
			alpha[to] = float32(binary.LittleEndian.Uint16(frame[3*plane+at:])) * max16
		}
	}
}

func (r *frameReader) bytePixels(frame []byte, y int, images, alpha []float32, place func(x, y int) int) {
	channels := 3
	if alpha != nil {
		channels = 4
	}
	for x := range r.keepW {
		at, to := channels*(y*r.width+x), place(x, y)
		for c := range 3 {
			images[3*to+c] = float32(frame[at+c]) / max8
		}
		if alpha != nil {
			alpha[to] = float32(frame[at+3]) / max8
		}
	}
}

// sampleAt is the sample that begins at a time. Times are quotients of frame numbers: what is missing of a whole sample is their rounding.
func sampleAt(seconds float64, rate int) int64 {
	const rounding = 1e-6
	return int64(seconds*float64(rate) + rounding)
}

// audio decodes an audio stream from start seconds on; nil where nothing is left of it.
func (f *File) audio(ctx context.Context, env Env, s *ffmpeg.Stream, start, length float64) (*media.Audio, error) {
	args := append(f.input(start), "-map", fmt.Sprintf("0:%d", s.Index), "-af", fmt.Sprintf("atrim=start_pts=%d", sampleAt(start, s.SampleRate)))
	args = append(args, "-vn", "-sn", "-dn", "-map_metadata", "-1", "-fflags", "+bitexact", "-c:a", "pcm_f32le", "-f", "wav", "pipe:1")
	p, err := env.FFmpeg.Start(ctx, ffmpeg.Command{Args: args, Memory: 4 << 30, File: f.Path})
	if err != nil {
		return nil, failed(ctx, "decoding the video's audio", err)
	}
	most := int64(math.MaxInt64)
	if length > 0 {
		most = int64(min(length*float64(s.SampleRate), 1<<60))
	}
	a, err := audio.ReadWAVUpTo(ctx, p.Stdout, most, func(n int64) error { return env.charge("decoded audio", n) })
	if err != nil {
		p.Stop()
		if errors.Is(err, audio.ErrNoSamples) && ctx.Err() == nil {
			return nil, nil
		}
		return nil, failed(ctx, "decoding the video's audio", err)
	}
	p.Stop()
	return a, context.Cause(ctx)
}
