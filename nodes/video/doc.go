// Package video has the classes that load, make, trim and save videos: comfy_extras.nodes_video, and the video classes of other modules that run the
// program ffmpeg.
package video

import (
	"errors"
	"io"
	"math/big"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/pyjson"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
)

// Env returns the video environment of a call.
func Env(ctx *nodes.Context) videofile.Env {
	return videofile.Env{FFmpeg: ctx.FFmpeg, Charge: ctx.Reserve, Dir: ctx.Folders.Temp()}
}

// check refuses values that are not videos.
func check(input string, v videofile.Video) error {
	if v == nil {
		return nodes.Errorf("ValueError", "reading the input %s: there is no video", input)
	}
	return nil
}

// tags are the texts that a file carries: the prompt over what else has its name.
func tags(ctx *nodes.Context) ([]ffmpeg.Tag, error) {
	text, err := ctx.FileText()
	if err != nil {
		return nil, err
	}
	var list []ffmpeg.Tag
	for i, t := range text {
		if i > 0 && t.Key == "prompt" {
			continue
		}
		list = append(list, ffmpeg.Tag(t))
	}
	return list, nil
}

// Preview writes frames [N,H,W,3] as an H.264 video into the temp folder and returns its description for the client.
func Preview(ctx *nodes.Context, prefix string, frames *tensor.Tensor, rate *big.Rat) (*pyjson.Object, error) {
	made := &videofile.Made{Images: frames, Rate: rate, Depth: 8}
	return writeTo(ctx, ctx.Folders.Temp(), "temp", prefix, ".mp4", frames.Dim(2), frames.Dim(1), func(w io.Writer) error {
		return made.Save(ctx, Env(ctx), videofile.SaveOptions{Format: "mp4", Codec: "h264"}, w)
	})
}

// write saves one file in the output folder and returns its description for the client.
func write(ctx *nodes.Context, prefix, ext string, width, height int, encode func(io.Writer) error) (*pyjson.Object, error) {
	return writeTo(ctx, ctx.Folders.Output(), "output", prefix, ext, width, height, encode)
}

// writeTo is write for a folder, and its name for clients.
func writeTo(ctx *nodes.Context, dir, kind, prefix, ext string, width, height int, encode func(io.Writer) error) (*pyjson.Object, error) {
	to, err := ctx.Folders.SavePath(prefix, dir, width, height)
	if errors.Is(err, folders.ErrOutside) {
		return nil, nodes.Errorf("Exception", "saving a video with the prefix %q: it leads out of the output folder", prefix)
	}
	if err != nil {
		return nil, err
	}
	var failure error // without the folder's path
	name, err := to.Write(0, ext, func(w io.Writer) error {
		failure = encode(w)
		return failure
	})
	if failure != nil {
		return nil, failure
	}
	if err != nil {
		return nil, nodes.Errorf("OSError", "saving a video: %w", err)
	}
	file := pyjson.NewObject("filename", name, "subfolder", to.Subfolder, "type", kind)
	return pyjson.NewObject("images", []any{file}, "animated", []any{true}), nil
}
