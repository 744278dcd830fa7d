package video

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"comfygo/internal/ffmpeg"
)

// File is a video file, or a part of one. It is decoded again for each request of its frames.
type File struct {
	// Path is absolute.
	Path string
	// Start and Length are in seconds. A negative Start counts from the end; a Length of 0 extends to the end.
	Start, Length float64

	mu   sync.Mutex
	info *ffmpeg.Info
}

// Error is an error of a file, with the exception type that clients see.
type Error struct {
	Type string
	Err  error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExceptionType is the name that clients see.
func (e *Error) ExceptionType() string { return e.Type }

// failed makes an error of ffmpeg one of the file, unless it is the context's or that of missing programs.
func failed(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if _, typed := err.(interface{ ExceptionType() string }); typed {
		return err
	}
	if strings.HasSuffix(err.Error(), "End of file") {
		return &Error{"av.error.EOFError", fmt.Errorf("%s: %w", what, err)}
	}
	return &Error{"av.error.InvalidDataError", fmt.Errorf("%s: %w", what, err)}
}

// probe reads the file's headers the first time.
func (f *File) probe(ctx context.Context, env Env) (*ffmpeg.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.info != nil {
		return f.info, nil
	}
	if err := env.FFmpeg.Available(); err != nil {
		return nil, &Error{"RuntimeError", fmt.Errorf("reading the video: %w", err)}
	}
	info, err := env.FFmpeg.Probe(ctx, f.Path)
	if err != nil {
		return nil, failed(ctx, "reading the video", err)
	}
	f.info = info
	return info, nil
}

// maxSide bounds the width and height that headers may announce.
const maxSide = 1 << 14

// stream returns the first video stream.
func (f *File) stream(ctx context.Context, env Env) (*ffmpeg.Info, *ffmpeg.Stream, error) {
	info, err := f.probe(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	s := info.First("video")
	if s == nil {
		return nil, nil, &Error{"ValueError", fmt.Errorf("reading the video: the file has no video stream")}
	}
	if s.Width < 1 || s.Height < 1 || s.Width > maxSide || s.Height > maxSide || s.TimeBase == nil {
		return nil, nil, &Error{"ValueError", fmt.Errorf("reading the video: frames of %dx%d pixels; want 1 to %d", s.Width, s.Height, maxSide)}
	}
	return info, s, nil
}

// Size implements Video.
func (f *File) Size(ctx context.Context, env Env) (width, height int, err error) {
	_, s, err := f.stream(ctx, env)
	if err != nil {
		return 0, 0, err
	}
	return s.Width, s.Height, nil
}

// BitDepth implements Video.
func (f *File) BitDepth(ctx context.Context, env Env) (int, error) {
	info, err := f.probe(ctx, env)
	if err != nil {
		return 0, err
	}
	if s := info.First("video"); s != nil {
		return bitDepth(s.PixelFormat), nil
	}
	return defaultDepth, nil
}

const defaultDepth = 8

// depths finds the bits of a component in the names of pixel formats that have more or less than 8.
var depths = []*regexp.Regexp{
	regexp.MustCompile(`^(?:yuva?|gbra?|y)[a-z]*\d{0,3}p(\d+)(?:le|be)$`), // yuv420p10le, gbrap12be
	regexp.MustCompile(`^(?:gray|ya)f?(\d+)(?:le|be)$`),                   // gray10le, ya16be
	regexp.MustCompile(`^gbra?pf(\d+)(?:le|be)$`),
	regexp.MustCompile(`^p\d(\d\d)(?:le|be)$`), // p010le, p216le
	regexp.MustCompile(`^x2(?:rgb|bgr)(10)(?:le|be)$`),
	regexp.MustCompile(`^(?:y|xv)\d?(\d\d)(?:le|be)$`), // y210le, xv30le is of 10 bits
	regexp.MustCompile(`^xyz(12)(?:le|be)$`),
}

// packedDepths are formats whose names do not contain the bits of their largest component.
var packedDepths = map[string]int{
	"monow": 1, "monob": 1, "rgb8": 3, "bgr8": 3, "rgb4": 2, "bgr4": 2, "rgb4_byte": 2, "bgr4_byte": 2,
	"rgb565le": 6, "rgb565be": 6, "bgr565le": 6, "bgr565be": 6, "rgb555le": 5, "rgb555be": 5, "bgr555le": 5, "bgr555be": 5,
	"rgb444le": 4, "rgb444be": 4, "bgr444le": 4, "bgr444be": 4,
	"rgb48le": 16, "rgb48be": 16, "bgr48le": 16, "bgr48be": 16, "rgba64le": 16, "rgba64be": 16, "bgra64le": 16, "bgra64be": 16, "ayuv64le": 16, "ayuv64be": 16,
	"xv30le": 10, "xv36le": 12,
}

// bitDepth is the number of bits of the largest component of a pixel format.
func bitDepth(format string) int {
	if n, ok := packedDepths[format]; ok {
		return n
	}
	for _, re := range depths {
		if m := re.FindStringSubmatch(format); m != nil {
			if n, err := strconv.Atoi(m[1]); err == nil {
				return n
			}
		}
	}
	return defaultDepth
}

// hasAlpha reports whether a pixel format has transparency; a palette may have.
func hasAlpha(format string) bool {
	for _, prefix := range []string{"yuva", "gbrap", "rgba", "bgra", "argb", "abgr", "ya8", "ya16", "ayuv", "vuya", "pal8"} {
		if strings.HasPrefix(format, prefix) {
			return true
		}
	}
	return false
}

// ColorSpace implements Video.
func (f *File) ColorSpace(ctx context.Context, env Env) (string, error) {
	info, err := f.probe(ctx, env)
	if err != nil {
		return "", err
	}
	if space := colorSpace(info.First("video")); space != "" {
		return space, nil
	}
	return SRGB, nil
}

// colorSpace returns the color space of a stream, or "" if its transfer function is unknown.
func colorSpace(s *ffmpeg.Stream) string {
	if s == nil {
		return ""
	}
	switch s.ColorTransfer {
	case "bt709", "iec61966-2-1":
		return SRGB
	case "arib-std-b67":
		return HDR
	case "smpte2084":
		return HDRPQ
	}
	return ""
}

// whole is the duration of the untrimmed file in seconds.
func (f *File) whole(ctx context.Context, env Env) (float64, error) {
	info, err := f.probe(ctx, env)
	if err != nil {
		return 0, err
	}
	if len(info.Streams) == 0 { // of a file that was cut behind its first headers
		return 0, &Error{"ValueError", fmt.Errorf("reading the video: the file has no streams")}
	}
	if d, ok := streamsDuration(info); ok {
		return d, nil
	}
	if info.HasDuration {
		return info.Duration, nil
	}
	s := info.First("video")
	if s == nil || s.Rate == nil {
		return 0, &Error{"ValueError", fmt.Errorf("reading the video: its duration is unknown")}
	}
	rate, _ := s.Rate.Float64()
	if s.Frames > 0 {
		return float64(s.Frames) / rate, nil
	}
	n, err := env.FFmpeg.CountPackets(ctx, f.Path, s.Index, 0, math.Inf(1))
	if err != nil {
		return 0, failed(ctx, "counting the video's frames", err)
	}
	if n == 0 {
		return 0, &Error{"ValueError", fmt.Errorf("reading the video: its duration is unknown")}
	}
	return float64(n) / rate, nil
}

// streamsDuration is the duration of an MP4 or QuickTime file by its streams: the header has it in thousandths only, which FFmpeg 7 and later do not
// take.
func streamsDuration(info *ffmpeg.Info) (float64, bool) {
	if !strings.HasPrefix(info.Format, "mov") {
		return 0, false
	}
	first, last := math.Inf(1), math.Inf(-1)
	for _, s := range info.Streams {
		if s.Type != "video" && s.Type != "audio" {
			continue
		}
		if !s.HasDuration || s.TimeBase == nil {
			return 0, false
		}
		unit, _ := s.TimeBase.Float64()
		first, last = min(first, float64(s.Start)*unit), max(last, float64(s.Start+s.Duration)*unit)
	}
	const precision = 1e6 // FFmpeg's
	return math.Round((last-first)*precision) / precision, last > first
}

// Duration implements Video.
func (f *File) Duration(ctx context.Context, env Env) (float64, error) {
	whole, err := f.whole(ctx, env)
	if err != nil {
		return 0, err
	}
	return f.within(whole), nil
}

// within returns the part of a duration that trimming leaves.
func (f *File) within(whole float64) float64 {
	left := whole - f.Start
	if f.Start < 0 {
		left = min(whole, -f.Start)
	}
	if f.Length != 0 {
		return min(f.Length, left)
	}
	return left
}

// window returns the selected part, in seconds from the beginning; a length of 0 extends to the end.
func (f *File) window(ctx context.Context, env Env) (start, length float64, err error) {
	start = f.Start
	if start < 0 {
		whole, err := f.whole(ctx, env)
		if err != nil {
			return 0, 0, err
		}
		start = max(whole+start, 0)
	}
	return start, f.Length, nil
}

// FrameCount implements Video. The count of a trimmed video is estimated from its duration if the stream has one. Matroska has only the duration of
// the whole file, which may be that of the audio.
func (f *File) FrameCount(ctx context.Context, env Env) (int, error) {
	info, s, err := f.stream(ctx, env)
	if err != nil {
		return 0, err
	}
	if s.Frames > 0 && f.Start == 0 && f.Length == 0 {
		return int(min(s.Frames, math.MaxInt32)), nil
	}
	if s.HasDuration && s.Rate != nil && !strings.Contains(info.Format, "matroska") {
		unit, _ := s.TimeBase.Float64()
		rate, _ := s.Rate.Float64()
		if n := math.RoundToEven(f.within(float64(s.Duration)*unit) * rate); n > 0 {
			return int(min(n, math.MaxInt32)), nil
		}
	}
	start, length, err := f.window(ctx, env)
	if err != nil {
		return 0, err
	}
	end := math.Inf(1)
	if length > 0 {
		end = start + length
	}
	n, err := env.FFmpeg.CountPackets(ctx, f.Path, s.Index, start, end)
	if err != nil {
		return 0, failed(ctx, "counting the video's frames", err)
	}
	if n == 0 {
		return 0, &Error{"ValueError", fmt.Errorf("counting the video's frames: it has none from %g s on", start)}
	}
	return n, nil
}

// FrameRate implements Video.
func (f *File) FrameRate(ctx context.Context, env Env) (*big.Rat, error) {
	info, s, err := f.stream(ctx, env)
	if err != nil {
		return nil, err
	}
	if s.Rate != nil {
		return s.Rate, nil
	}
	if s.Frames > 0 && info.HasDuration && info.Duration > 0 {
		if r := new(big.Rat).SetFloat64(float64(s.Frames) / info.Duration); r != nil {
			return r, nil
		}
	}
	return big.NewRat(1, 1), nil
}

// Trimmed implements Video. The new duration takes the place of an older one.
func (f *File) Trimmed(ctx context.Context, env Env, start, duration float64, strict bool) (Video, error) {
	t := &File{Path: f.Path, Start: start + f.Start, Length: duration}
	info, err := f.probe(ctx, env)
	if err != nil {
		return nil, err
	}
	t.info = info
	have, err := t.Duration(ctx, env)
	if err != nil {
		return nil, err
	}
	if strict && have < duration {
		return nil, nil
	}
	return t, nil
}

// audioStream is the last audio stream that can be decoded, or nil.
func audioStream(info *ffmpeg.Info) *ffmpeg.Stream {
	for _, s := range slices.Backward(info.Streams) {
		if s.Type == "audio" && s.Codec != "" && s.SampleRate > 0 && s.Channels > 0 {
			return &s
		}
	}
	return nil
}

var _ Video = (*File)(nil)
