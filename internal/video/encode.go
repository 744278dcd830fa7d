package video

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/ffmpeg"
)

// colors are the tags of a color space by FFmpeg's names.
type colors struct{ primaries, transfer, matrix string }

var colorTags = map[string]colors{
	SRGB:  {"bt709", "iec61966-2-1", "bt709"},
	HDR:   {"bt2020", "arib-std-b67", "bt2020nc"},
	HDRPQ: {"bt2020", "smpte2084", "bt2020nc"},
}

// arguments set the tags of the output.
func (c colors) arguments(colorRange string) []string {
	var args []string
	for _, a := range [][2]string{{"-color_primaries", c.primaries}, {"-color_trc", c.transfer}, {"-colorspace", c.matrix}, {"-color_range", colorRange}} {
		if a[1] != "" {
			args = append(args, a[0], a[1])
		}
	}
	return args
}

// check refuses combinations that no file can have.
func (o SaveOptions) check() error {
	if Extension(o.Format) == "" {
		return &Error{"ValueError", fmt.Errorf("saving the video: unknown format %q", o.Format)}
	}
	switch c := o.codec(); {
	case c != "h264" && c != "av1":
		return &Error{"ValueError", fmt.Errorf("saving the video: unknown codec %q", c)}
	case o.Format == "webm" && c != "av1":
		return &Error{"ValueError", fmt.Errorf("saving the video: WebM files need the codec av1")}
	}
	if _, ok := colorTags[o.ColorSpace]; !ok && o.ColorSpace != "" {
		return &Error{"ValueError", fmt.Errorf("saving the video: unknown color space %q", o.ColorSpace)}
	}
	return nil
}

// encoder are the arguments of the video encoder.
func (o SaveOptions) encoder(pixels string) []string {
	if o.codec() == "av1" {
		args := []string{"-c:v", "libsvtav1", "-pix_fmt", pixels}
		switch {
		case o.CRF == nil:
			return args
		case *o.CRF == 0:
			return append(args, "-svtav1-params", "lossless=1")
		}
		return append(args, "-crf", number(*o.CRF))
	}
	args := []string{"-c:v", "libx264", "-pix_fmt", pixels}
	if o.CRF != nil {
		args = append(args, "-crf", number(*o.CRF))
	}
	return args
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// container are the arguments of the container.
func (o SaveOptions) containerArguments() []string {
	args := []string{"-f", o.container()}
	if o.container() == "mp4" {
		args = append(args, "-movflags", "use_metadata_tags+faststart")
	}
	return args
}

// audioEncoder are the arguments of the audio encoder and the sample rate that it gets.
func (o SaveOptions) audioEncoder(rate int) ([]string, int) {
	if o.container() == "webm" {
		return []string{"-c:a", "libopus", "-sample_fmt", "s16", "-ar", "48000"}, 48000
	}
	return []string{"-c:a", "aac", "-ar", strconv.Itoa(rate)}, rate
}

// aacRates are the sample rates of AAC; FFmpeg would change others without a word.
var aacRates = []int{96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350}

// checkAudio refuses audio that the encoder cannot hold.
func (o SaveOptions) checkAudio(channels, rate int) error {
	if channels != 1 && channels != 2 && channels != 6 {
		return &Error{"ValueError", fmt.Errorf("saving the video: its audio has %d channels; a video's has 1, 2 or 6", channels)}
	}
	if o.container() != "webm" && !slices.Contains(aacRates, rate) {
		return &Error{"ValueError", fmt.Errorf("saving the video: its audio has a sample rate of %d Hz; AAC has %v", rate, aacRates)}
	}
	return nil
}

// rounded is a frame rate in thousandths, as upstream gives it to the encoder.
func rounded(rate *big.Rat) *big.Rat {
	f, _ := new(big.Rat).Mul(rate, big.NewRat(1000, 1)).Float64()
	return big.NewRat(int64(math.RoundToEven(f)), 1000)
}

// frames are the arguments of raw frames on the standard input.
func rawFrames(pixels string, t *tensor.Tensor, rate *big.Rat) []string {
	return []string{
		"-f", "rawvideo", "-pix_fmt", pixels, "-video_size", fmt.Sprintf("%dx%d", t.Shape[2], t.Shape[1]), "-framerate", rate.RatString(), "-i", "pipe:0",
	}
}

// encode writes a video of images.
func (m *Made) encode(ctx context.Context, env Env, o SaveOptions, w io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.ColorSpace == "" {
		o.ColorSpace = SRGB
	}
	if n, h, w := m.Images.Shape[0], m.Images.Shape[1], m.Images.Shape[2]; n == 0 || h%2 != 0 || w%2 != 0 || m.Images.Shape[3] != 3 {
		return &Error{"ValueError", fmt.Errorf("saving the video: %d frames of %dx%d with %d channels; want at least one frame, an even width and height, and 3 channels", n, w, h, m.Images.Shape[3])}
	}
	deep := m.Depth >= 10 || o.ColorSpace != SRGB
	from, to := "rgb24", "yuv420p"
	if deep {
		from, to = "rgb48le", "yuv420p10le"
	}
	tags := colorTags[o.ColorSpace]
	rate := rounded(m.Rate)
	matrix := map[bool]string{true: "bt709", false: "bt2020"}[o.ColorSpace == SRGB]
	e := ffmpeg.Encoding{
		Dir: env.Dir, Inputs: rawFrames(from, m.Images, rate), InputCount: 1, Tags: o.Tags,
		Stdin: &frameWriter{images: m.Images, deep: deep, channels: 3},
	}
	e.Output = []string{
		"-map", "0:v", "-vf", "scale=flags=bilinear:out_color_matrix=" + matrix + ":out_range=tv,format=" + to +
			",setparams=range=tv:color_primaries=" + tags.primaries + ":color_trc=" + tags.transfer + ":colorspace=" + tags.matrix,
	}
	e.Output = append(append(e.Output, tags.arguments("tv")...), o.encoder(to)...)
	if m.Audio != nil {
		if err := m.addAudio(&e, o, rate); err != nil {
			return err
		}
	}
	e.Output = append(e.Output, o.containerArguments()...)
	return saved(ctx, env.FFmpeg.Encode(ctx, e, w))
}

// addAudio gives the encoder the audio as far as the frames go.
func (m *Made) addAudio(e *ffmpeg.Encoding, o SaveOptions, rate *big.Rat) error {
	if !m.Audio.Valid() || m.Audio.Waveform.Shape[0] == 0 {
		return &Error{"ValueError", fmt.Errorf("saving the video: its audio is no waveform [batch, channels, samples] with a sample rate")}
	}
	if err := o.checkAudio(m.Audio.Channels(), m.Audio.SampleRate); err != nil {
		return err
	}
	f, _ := new(big.Rat).Quo(big.NewRat(int64(m.Audio.SampleRate)*int64(m.Images.Shape[0]), 1), rate).Float64()
	n := min(int(math.Ceil(f)), m.Audio.Samples())
	if n == 0 {
		return nil
	}
	e.Side = audioSamples(m.Audio, n)
	e.Inputs = append(e.Inputs, "-f", "f32le", "-ar", strconv.Itoa(m.Audio.SampleRate), "-ac", strconv.Itoa(m.Audio.Channels()), "-i", ffmpeg.SideFile)
	e.InputCount++
	args, _ := o.audioEncoder(m.Audio.SampleRate)
	e.Output = append(append(e.Output, "-map", "1:a"), args...)
	return nil
}

// audioSamples writes the first n samples of the first element of a batch.
func audioSamples(a *media.Audio, n int) func(io.Writer) error {
	return func(w io.Writer) error {
		t := a.Waveform.Index(0)
		channels, length := t.Shape[0], t.Shape[1]
		buf := make([]byte, 0, 1<<16)
		for i := range n {
			for c := range channels {
				v := t.Data[c*length+i]
				if v != v {
					v = 0 // a sample that is not a number is silence
				}
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			if len(buf) >= 1<<15 || i == n-1 {
				if _, err := w.Write(buf); err != nil {
					return err
				}
				buf = buf[:0]
			}
		}
		return nil
	}
}

// saved names what failed.
func saved(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if errors.Is(err, ffmpeg.ErrNoFrames) {
		return &Error{"ValueError", fmt.Errorf("saving the video: %w", err)}
	}
	return &Error{"RuntimeError", fmt.Errorf("saving the video: %w", err)}
}

// WebM are the options of SaveWEBM's files.
type WebM struct {
	// Codec is vp9 or av1.
	Codec     string
	Rate, CRF float64
	Tags      []ffmpeg.Tag
}

// WriteWebM encodes images [N,H,W,C] as a WebM file; with vp9 and 4 channels it keeps the transparency.
func WriteWebM(ctx context.Context, env Env, images *tensor.Tensor, o WebM, w io.Writer) error {
	n, height, width, channels := images.Shape[0], images.Shape[1], images.Shape[2], images.Shape[3]
	if n == 0 || height < 1 || width < 1 || channels < 3 {
		return &Error{"ValueError", fmt.Errorf("saving the video: %d images of %dx%d with %d channels; want at least one with 3 channels", n, width, height, channels)}
	}
	rate := big.NewRat(int64(math.RoundToEven(o.Rate*1000)), 1000)
	if rate.Sign() <= 0 {
		return &Error{"ValueError", fmt.Errorf("saving the video: a frame rate of %g", o.Rate)}
	}
	from, to := "rgb24", "yuv420p"
	var encoder []string
	switch {
	case o.Codec == "av1":
		to, encoder = "yuv420p10le", []string{"-c:v", "libsvtav1", "-preset", "6"}
	case channels == 4:
		from, to, encoder = "rgba", "yuva420p", []string{"-c:v", "libvpx-vp9"}
	default:
		encoder = []string{"-c:v", "libvpx-vp9"}
	}
	e := ffmpeg.Encoding{
		Dir: env.Dir, Inputs: rawFrames(from, images, rate), InputCount: 1, Tags: o.Tags,
		Stdin:  &frameWriter{images: images, channels: len(strings.TrimSuffix(from, "24"))},
		Output: slices.Concat([]string{"-map", "0:v", "-vf", "scale=flags=bilinear,format=" + to}, encoder, []string{"-pix_fmt", to, "-b:v", "0", "-crf", number(o.CRF), "-f", "webm"}),
	}
	return saved(ctx, env.FFmpeg.Encode(ctx, e, w))
}

// frameWriter gives images as raw frames, cut to bytes or 16-bit numbers; NaN as 0.
type frameWriter struct {
	images   *tensor.Tensor
	deep     bool
	channels int // that are kept
	at       int // the next frame
	buf      []byte
	rest     []byte
}

// Read implements io.Reader.
func (r *frameWriter) Read(b []byte) (int, error) {
	if len(r.rest) == 0 {
		if r.at == r.images.Shape[0] {
			return 0, io.EOF
		}
		r.fill(r.images.Index(r.at))
		r.at++
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *frameWriter) fill(frame *tensor.Tensor) {
	have, pixels := frame.Shape[2], frame.Shape[0]*frame.Shape[1]
	size := pixels * r.channels
	if r.deep {
		size *= 2
	}
	if len(r.buf) != size {
		r.buf = make([]byte, size)
	}
	at := 0
	for p := range pixels {
		for _, v := range frame.Data[p*have : p*have+r.channels] {
			if r.deep {
				binary.LittleEndian.PutUint16(r.buf[2*at:], uint16(limited(v*65535, 65535)))
			} else {
				r.buf[at] = byte(limited(v*255, 255))
			}
			at++
		}
	}
	r.rest = r.buf
}

func limited(v, most float32) float32 {
	if !(v > 0) {
		return 0
	}
	return min(v, most)
}
