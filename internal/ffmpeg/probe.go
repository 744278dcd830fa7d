package ffmpeg

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"
)

const (
	probeTime   = time.Minute // how long ffprobe may take
	probeOutput = 16 << 20    // bytes that it may print
	// probeMemory bounds its address space; most of it is libraries and stacks.
	probeMemory = 4 << 30
)

// Info holds the data of a file's headers. None of it may be trusted before it has been checked.
type Info struct {
	// Format are the names of the container format, as "mov,mp4,m4a,3gp,3g2,mj2".
	Format string
	// Duration is in seconds; HasDuration is false if the container has no duration.
	Duration    float64
	HasDuration bool
	Tags        []Tag
	Streams     []Stream
}

// Stream is one stream of a file.
type Stream struct {
	Index int
	// Type is video, audio, subtitle, data or attachment; Codec is "" if no decoder is known.
	Type, Codec string
	// Width and Height are in pixels; Rotation is the display rotation in the file, in degrees counter-clockwise.
	Width, Height int
	Rotation      float64
	PixelFormat   string
	// Color properties by FFmpeg's names, "" if unspecified.
	ColorRange, ColorSpace, ColorTransfer, ColorPrimaries string
	// ChromaLocation is the position of chroma samples between luma samples, by FFmpeg's names; "" if unspecified.
	ChromaLocation string
	// Rate is the average frame rate, nil where unknown; TimeBase is the unit of Start and Duration in seconds.
	Rate, TimeBase *big.Rat
	Start          int64
	Duration       int64
	HasDuration    bool
	// Frames is the number of frames in the container's header, 0 if it is missing.
	Frames int64
	// SampleRate is in Hz; of audio.
	SampleRate, Channels int
	// AttachedPicture is a cover image.
	AttachedPicture bool
	Tags            []Tag
}

// probed is ffprobe's answer.
type probed struct {
	Format struct {
		Name     string            `json:"format_name"`
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
	Streams []probedStream `json:"streams"`
}

type probedStream struct {
	Index          int               `json:"index"`
	Type           string            `json:"codec_type"`
	Codec          string            `json:"codec_name"`
	Width          int               `json:"width"`
	Height         int               `json:"height"`
	PixelFormat    string            `json:"pix_fmt"`
	ColorRange     string            `json:"color_range"`
	ColorSpace     string            `json:"color_space"`
	ColorTransfer  string            `json:"color_transfer"`
	ColorPrimaries string            `json:"color_primaries"`
	ChromaLocation string            `json:"chroma_location"`
	Rate           string            `json:"avg_frame_rate"`
	TimeBase       string            `json:"time_base"`
	Start          *int64            `json:"start_pts"`
	Duration       *int64            `json:"duration_ts"`
	Frames         string            `json:"nb_frames"`
	SampleRate     string            `json:"sample_rate"`
	Channels       int               `json:"channels"`
	Disposition    map[string]int    `json:"disposition"`
	Tags           map[string]string `json:"tags"`
	SideData       []struct {
		Rotation float64 `json:"rotation"`
	} `json:"side_data_list"`
}

// Probe reads a file's headers. Errors are those of the file, of the context, or ErrMissing.
func (t *Tool) Probe(ctx context.Context, path string) (*Info, error) {
	programs, err := t.find()
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeoutCause(ctx, probeTime, fmt.Errorf("ffprobe took longer than %v", probeTime))
	defer cancel()
	args := append([]string{"-hide_banner", "-v", "error"}, Input(path)...)
	args = append(args, "-of", "json=compact=1", "-show_format", "-show_streams")
	p, err := start(limited, programs.ffprobe, args, Command{File: path, Memory: probeMemory})
	if err != nil {
		return nil, err
	}
	data, readErr := io.ReadAll(io.LimitReader(p.Stdout, probeOutput))
	if len(data) == probeOutput {
		p.Stop()
		return nil, errors.New("the file's headers are too long")
	}
	if err := p.Wait(); err != nil {
		return nil, err
	}
	if readErr != nil {
		return nil, readErr
	}
	var answer probed
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("reading ffprobe's answer: %w", err)
	}
	return answer.info(), nil
}

func (a *probed) info() *Info {
	i := &Info{Format: a.Format.Name, Tags: tagList(a.Format.Tags)}
	if d, ok := new(big.Rat).SetString(a.Format.Duration); ok {
		i.Duration, _ = d.Float64()
		i.HasDuration = true
	}
	for _, s := range a.Streams {
		i.Streams = append(i.Streams, s.stream())
	}
	return i
}

func (s *probedStream) stream() Stream {
	known := func(v string) string {
		if v == "unknown" || v == "unspecified" || v == "reserved" {
			return ""
		}
		return v
	}
	out := Stream{
		Index: s.Index, Type: s.Type, Codec: known(s.Codec), Width: s.Width, Height: s.Height, PixelFormat: s.PixelFormat,
		ColorRange: known(s.ColorRange), ColorSpace: known(s.ColorSpace), ColorTransfer: known(s.ColorTransfer), ColorPrimaries: known(s.ColorPrimaries), ChromaLocation: known(s.ChromaLocation),
		Rate: rational(s.Rate), TimeBase: rational(s.TimeBase), Frames: whole(s.Frames), SampleRate: int(whole(s.SampleRate)), Channels: s.Channels,
		AttachedPicture: s.Disposition["attached_pic"] == 1, Tags: tagList(s.Tags),
	}
	if s.Start != nil {
		out.Start = *s.Start
	}
	if s.Duration != nil {
		out.Duration, out.HasDuration = *s.Duration, true
	}
	for _, d := range s.SideData {
		if d.Rotation != 0 {
			out.Rotation = d.Rotation
		}
	}
	return out
}

// rational reads "30000/1001"; it returns nil for 0 and for text that is not a number.
func rational(s string) *big.Rat {
	num, den, ok := strings.Cut(s, "/")
	if !ok || strings.TrimLeft(den, "0") == "" {
		return nil
	}
	r, ok := new(big.Rat).SetString(num + "/" + den)
	if !ok || r.Sign() <= 0 {
		return nil
	}
	return r
}

func whole(s string) int64 {
	var n int64
	if _, err := fmt.Sscan(s, &n); err != nil || n < 0 {
		return 0
	}
	return n
}

func tagList(m map[string]string) []Tag {
	var list []Tag
	for _, k := range slices.Sorted(maps.Keys(m)) { // so that files that are written with them come out alike
		list = append(list, Tag{k, m[k]})
	}
	return list
}

// First returns the first stream of a type, or nil.
func (i *Info) First(kind string) *Stream {
	for n := range i.Streams {
		if i.Streams[n].Type == kind {
			return &i.Streams[n]
		}
	}
	return nil
}

// Tag returns a tag of the container or of its first streams, whatever the case of its name.
func (i *Info) Tag(key string) (string, bool) {
	lists := [][]Tag{i.Tags}
	for _, s := range i.Streams {
		lists = append(lists, s.Tags)
	}
	for _, list := range lists {
		for _, t := range list {
			if strings.EqualFold(t.Key, key) {
				return t.Value, true
			}
		}
	}
	return "", false
}
