// Package video holds the values of VIDEO links: files whose frames are decoded on demand, and videos made of images. Files are read and written by
// the programs ffmpeg and ffprobe.
//
// It must not depend on nodes or folders.
package video

import (
	"context"
	"io"
	"math/big"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/ffmpeg"
)

// Env holds the parameters of videos' methods beside the context.
type Env struct {
	FFmpeg *ffmpeg.Tool
	// Charge reserves memory, and fails if there is not enough; nil charges nothing.
	Charge func(what string, bytes int64) error
	// Dir is a folder for files that are in the making.
	Dir string
}

func (e Env) charge(what string, bytes int64) error {
	if e.Charge == nil {
		return nil
	}
	return e.Charge(what, bytes)
}

// Components is a decoded video.
type Components struct {
	// Images is [N,H,W,3] in 0…1, Alpha [N,H,W,1] or nil.
	Images, Alpha *tensor.Tensor
	// Audio is nil for a video without audio.
	Audio *media.Audio
	// Rate is in frames per second.
	Rate *big.Rat
}

// Video is the value of VIDEO links.
type Video interface {
	// Components decodes frames and audio.
	Components(ctx context.Context, env Env) (*Components, error)
	// Size is in pixels, as the frames are stored.
	Size(ctx context.Context, env Env) (width, height int, err error)
	// BitDepth is the number of bits of a color component.
	BitDepth(ctx context.Context, env Env) (int, error)
	// ColorSpace is "sRGB", "HDR" (HLG) or "HDR PQ".
	ColorSpace(ctx context.Context, env Env) (string, error)
	// Duration is in seconds.
	Duration(ctx context.Context, env Env) (float64, error)
	// FrameCount may be an estimate from the duration.
	FrameCount(ctx context.Context, env Env) (int, error)
	// FrameRate is the average rate in frames per second.
	FrameRate(ctx context.Context, env Env) (*big.Rat, error)
	// Frames decodes the frames with the given numbers, counted from the beginning, as 8-bit RGB.
	Frames(ctx context.Context, env Env, numbers []int) (*tensor.Tensor, error)
	// Trimmed is the video from start seconds on for duration seconds; a negative start counts from the end, a duration of 0 goes to the end. It is nil
	// where the video is too short and strict is set.
	Trimmed(ctx context.Context, env Env, start, duration float64, strict bool) (Video, error)
	// Save encodes the video.
	Save(ctx context.Context, env Env, o SaveOptions, w io.Writer) error
}

// Color spaces of videos.
const (
	SRGB  = "sRGB"
	HDR   = "HDR"
	HDRPQ = "HDR PQ"
)

// SaveOptions configure how a video is saved.
type SaveOptions struct {
	// Format is auto, mp4, mkv or webm; Codec is auto, h264 or av1.
	Format, Codec string
	// CRF is the constant rate factor; nil means the encoder's default.
	CRF *float64
	// ColorSpace is "" for that of the source.
	ColorSpace string
	// Tags are the metadata.
	Tags []ffmpeg.Tag
}

// Extension returns the ending of files of a format, or "" for an unknown one.
func Extension(format string) string {
	switch format {
	case "auto", "mp4":
		return ".mp4"
	case "mkv", "webm":
		return "." + format
	}
	return ""
}

// container is FFmpeg's name of the format.
func (o SaveOptions) container() string {
	switch o.Format {
	case "mkv":
		return "matroska"
	case "webm":
		return "webm"
	}
	return "mp4"
}

// codec resolves auto.
func (o SaveOptions) codec() string {
	switch {
	case o.Codec != "auto" && o.Codec != "":
		return o.Codec
	case o.Format == "webm":
		return "av1"
	}
	return "h264"
}
