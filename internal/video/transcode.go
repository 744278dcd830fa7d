package video

import (
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"comfygo/internal/ffmpeg"
)

// Save implements Video. Streams that have the requested format are copied, else frames are encoded again one by one.
func (f *File) Save(ctx context.Context, env Env, o SaveOptions, w io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	info, err := f.probe(ctx, env)
	if err != nil {
		return err
	}
	s := info.First("video")
	if have := colorSpace(s); have != "" && o.ColorSpace != "" && have != o.ColorSpace {
		return &Error{"ValueError", fmt.Errorf("saving the video: it is in %s and cannot be saved as %s without a conversion of its colors; choose auto or %s", have, o.ColorSpace, have)}
	}
	if f.copied(info, s, o) {
		return f.copyStreams(ctx, env, info, o, w)
	}
	return f.transcode(ctx, env, o, w)
}

// webmCodecs are those that a WebM file may hold.
var webmCodecs = map[string][]string{"video": {"av1", "vp8", "vp9"}, "audio": {"opus", "vorbis"}, "subtitle": {"webvtt"}}

// copied reports whether the streams can be kept as they are.
func (f *File) copied(info *ffmpeg.Info, s *ffmpeg.Stream, o SaveOptions) bool {
	if f.Start != 0 || f.Length != 0 || o.CRF != nil || o.ColorSpace != "" {
		return false
	}
	if o.Format != "auto" && !slices.Contains(strings.Split(info.Format, ","), o.container()) {
		return false
	}
	if o.Format == "webm" {
		for _, s := range info.Streams {
			if allowed, ok := webmCodecs[s.Type]; ok && s.Codec != "" && !slices.Contains(allowed, s.Codec) {
				return false
			}
		}
	}
	return o.Codec == "auto" || o.Codec == "" || s == nil || o.Codec == s.Codec
}

// copyStreams writes the streams into a new container, with the file's own metadata and ours over it.
func (f *File) copyStreams(ctx context.Context, env Env, info *ffmpeg.Info, o SaveOptions, w io.Writer) error {
	e := ffmpeg.Encoding{Dir: env.Dir, Inputs: append([]string{"-copyts"}, ffmpeg.Input(f.Path)...), InputCount: 1, Tags: merged(info.Tags, o.Tags), File: f.Path}
	e.Frames = info.First("video") != nil
	for _, s := range info.Streams {
		if s.Codec != "" && slices.Contains([]string{"video", "audio", "subtitle"}, s.Type) {
			e.Output = append(e.Output, "-map", fmt.Sprintf("0:%d", s.Index))
		}
	}
	e.Output = append(append(e.Output, "-c", "copy", "-strict", "experimental"), o.containerArguments()...)
	return saved(ctx, env.FFmpeg.Encode(ctx, e, w))
}

// merged are the tags of a file with others over them.
func merged(own, over []ffmpeg.Tag) []ffmpeg.Tag {
	out := slices.DeleteFunc(slices.Clone(own), func(t ffmpeg.Tag) bool {
		return slices.ContainsFunc(over, func(o ffmpeg.Tag) bool { return strings.EqualFold(o.Key, t.Key) })
	})
	return append(out, over...)
}

// transcode encodes the part of the file that is kept.
func (f *File) transcode(ctx context.Context, env Env, o SaveOptions, w io.Writer) error {
	info, s, err := f.stream(ctx, env)
	if err != nil {
		return err
	}
	start, length, err := f.window(ctx, env)
	if err != nil {
		return err
	}
	if err := env.charge("encoding video", decoderBytes(s)); err != nil {
		return err
	}
	if s.Width%2 != 0 || s.Height%2 != 0 {
		return &Error{"ValueError", fmt.Errorf("saving the video: encoding needs an even width and height; it has %dx%d", s.Width, s.Height)}
	}
	source := colorSpace(s)
	depth := bitDepth(s.PixelFormat)
	if o.ColorSpace == HDR || o.ColorSpace == HDRPQ || source == HDR || source == HDRPQ {
		depth = max(depth, 10)
	}
	pixels := "yuv420p"
	if depth >= 10 {
		pixels = "yuv420p10le"
	}
	e := ffmpeg.Encoding{Dir: env.Dir, Inputs: f.input(start), InputCount: 1, File: f.Path, Memory: decodeMemory(s) + encoderMemory, Frames: true}
	// ffmpeg rotates the frames by the file's rotation, before these filters.
	e.Inputs = slices.DeleteFunc(e.Inputs, func(a string) bool { return a == "-noautorotate" })
	filters := []string{trim(s, start, length), rangeFilter(s, source), "format=" + pixels, "setpts=PTS-STARTPTS"}
	e.Output = []string{"-map", fmt.Sprintf("0:%d", s.Index), "-vf", strings.Join(filters, ","), "-fps_mode", "vfr", "-enc_time_base", "-1"}
	e.Output = append(append(e.Output, f.colorArguments(s, source, o)...), o.encoder(pixels)...)
	if o.codec() == "h264" {
		e.Output = append(e.Output, "-bf", "0") // frames in the order of their times: an MP4 file's durations follow that of decoding
	}
	if a := audioStream(info); a != nil {
		rate := a.SampleRate
		if err := o.checkAudio(layoutChannels(a.Channels), rate); err != nil {
			return err
		}
		args, _ := o.audioEncoder(rate)
		e.Output = append(e.Output, "-map", fmt.Sprintf("0:%d", a.Index), "-af", audioTrim(s, a, start, length))
		e.Output = append(append(e.Output, args...), "-ac", strconv.Itoa(layoutChannels(a.Channels)))
	}
	e.Tags = merged(info.Tags, o.Tags)
	e.Output = append(e.Output, o.containerArguments()...)
	return saved(ctx, env.FFmpeg.Encode(ctx, e, w))
}

// encoderMemory is the address space that an encoder may take beside the decoder.
const encoderMemory = 16 << 30

// layoutChannels are the channels that a layout is converted to: all but mono and 5.1 become stereo.
func layoutChannels(channels int) int {
	if channels == 1 || channels == 6 {
		return channels
	}
	return 2
}

// rangeFilter converts full range to limited range where the color space is not known, as players expect it.
func rangeFilter(s *ffmpeg.Stream, source string) string {
	if source == "" && (s.ColorRange == "pc" || strings.HasPrefix(s.PixelFormat, "yuvj")) {
		return "scale=flags=bilinear:in_range=pc:out_range=tv" + chromaOptions(s)
	}
	return "scale=flags=bilinear" + chromaOptions(s)
}

// colorArguments returns the tags of the output: the requested ones, else those of the source if its color space is known.
func (f *File) colorArguments(s *ffmpeg.Stream, source string, o SaveOptions) []string {
	switch {
	case source != "":
		return colors{s.ColorPrimaries, s.ColorTransfer, s.ColorSpace}.arguments(s.ColorRange)
	case o.ColorSpace != "":
		return colorTags[o.ColorSpace].arguments("tv")
	}
	return nil
}

// audioTrim keeps the audio from start seconds on, no longer than the video.
func audioTrim(v, a *ffmpeg.Stream, start, length float64) string {
	rate := float64(a.SampleRate)
	from := sampleAt(start, a.SampleRate)
	text := fmt.Sprintf("atrim=start_pts=%d", from)
	most := length
	if v.HasDuration {
		unit, _ := v.TimeBase.Float64()
		if left := float64(v.Duration)*unit - start; left > 0 && (most == 0 || left < most) {
			most = left
		}
	}
	if most > 0 {
		text += fmt.Sprintf(":end_pts=%d", from+int64(math.Ceil(most*rate)))
	}
	return text + ",asetpts=PTS-STARTPTS"
}
