package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"comfygo/engine/tensor"
	"comfygo/internal/ffmpeg"
)

// Recompress encodes an image [H,W,3] as one frame of H.264 with a constant rate factor and decodes it into out, which has even sides and is not
// larger.
func Recompress(ctx context.Context, env Env, out, in *tensor.Tensor, crf int) error {
	h, w := out.Shape[0], out.Shape[1]
	raw := make([]byte, 0, 3*h*w)
	for y := range h {
		for _, v := range in.Data[y*in.Shape[1]*3:][:3*w] {
			raw = append(raw, byte(int32(limited(v*255, 255))))
		}
	}
	var file bytes.Buffer
	e := ffmpeg.Encoding{
		Dir: env.Dir, InputCount: 1, Stdin: bytes.NewReader(raw),
		Inputs: []string{"-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", fmt.Sprintf("%dx%d", w, h), "-framerate", "1", "-i", "pipe:0"},
		Output: []string{"-map", "0:v", "-vf", "scale=flags=bilinear,format=yuv420p", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", strconv.Itoa(crf), "-preset", "veryfast", "-f", "mp4"},
	}
	if err := env.FFmpeg.Encode(ctx, e, &file); err != nil {
		return failed(ctx, "compressing an image", err)
	}
	if err := os.MkdirAll(env.Dir, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(env.Dir, ".decoding-")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "frame.mp4")
	err = os.WriteFile(path, file.Bytes(), 0o600)
	if err == nil {
		err = decodeFrame(ctx, env, path, out)
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// decodeFrame decodes the first frame of a file of our own with 8 bits.
func decodeFrame(ctx context.Context, env Env, path string, out *tensor.Tensor) error {
	args := append(ffmpeg.Input(path), "-map", "0:v", "-frames:v", "1", "-vf", "scale=flags=bilinear,format=rgb24", "-f", "rawvideo", "pipe:1")
	p, err := env.FFmpeg.Start(ctx, ffmpeg.Command{Args: args, File: path})
	if err != nil {
		return failed(ctx, "compressing an image", err)
	}
	frame := make([]byte, len(out.Data))
	if _, err := io.ReadFull(p.Stdout, frame); err != nil {
		p.Stop()
		return failed(ctx, "compressing an image", err)
	}
	p.Stop()
	for i, v := range frame {
		out.Data[i] = float32(v) / max8
	}
	return context.Cause(ctx)
}
