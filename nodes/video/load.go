package video

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/big"
	"os"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	videofile "comfygo/internal/video"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LoadVideo{})
	nodes.Register(&CreateVideo{})
	nodes.Register(&GetVideoComponents{})
	nodes.Register(&VideoSlice{})
}

// LoadVideo refers to a video file of the input folder; its frames are decoded on demand.
type LoadVideo struct {
	File string `in:"file" files:"input:video" video_upload:"true"`
}

// Spec implements nodes.Node.
func (*LoadVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadVideo", DisplayName: "Load Video", Category: "video",
		Module: "comfy_extras.nodes_video", V3: true,
		EssentialsCategory: "Basics",
		Outputs:            nodes.Outputs("VIDEO"),
		Validates:          []string{"file"},
		Description:        "Loads a video file from the input folder. Needs ffmpeg.",
		SearchAliases:      []string{"import video", "open video", "video file"},
		Uses:               nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *LoadVideo) Run(ctx *nodes.Context) (nodes.Result, error) {
	path, err := ctx.Folders.Resolve(n.File)
	if err != nil {
		return nodes.Result{}, err
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nodes.Result{}, nodes.Errorf("FileNotFoundError", "loading the video %q: there is no such file in the folder", n.File)
	case err != nil:
		return nodes.Result{}, nodes.Errorf("OSError", "loading the video %q: %w", n.File, err)
	}
	if !info.Mode().IsRegular() {
		return nodes.Result{}, nodes.Errorf("OSError", "loading the video %q: it is not a regular file", n.File)
	}
	return nodes.Out(&videofile.File{Path: path}), nil
}

// Fingerprint is the time at which the file was changed, with its size: files of videos are large.
func (n *LoadVideo) Fingerprint(ctx *nodes.Context) (any, error) {
	path, err := ctx.Folders.Resolve(n.File)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", n.File, err)
	}
	return []any{info.ModTime().UnixNano(), info.Size()}, nil
}

// ValidateInputs refuses names that lead to no file.
func (n *LoadVideo) ValidateInputs(ctx *nodes.Context) error {
	if _, linked := ctx.Linked("file"); !linked && !ctx.Folders.Exists(n.File) {
		return nodes.Invalid("Invalid video file: %s", n.File)
	}
	return nil
}

var (
	_ nodes.Validator     = (*LoadVideo)(nil)
	_ nodes.Fingerprinter = (*LoadVideo)(nil)
)

// CreateVideo makes a video of images.
type CreateVideo struct {
	Images   *tensor.Tensor `in:"images" type:"IMAGE" tooltip:"Frames of the video."`
	FPS      float64        `in:"fps" default:"30.0" min:"1.0" max:"120.0" step:"1.0" tooltip:"Frame rate in frames per second."`
	Audio    *media.Audio   `in:"audio" type:"AUDIO" optional:"true" tooltip:"Audio of the video."`
	BitDepth int            `in:"bit_depth" optional:"true" default:"8" min:"8" max:"10" step:"2" display:"number" tooltip:"Bits per color component of the encoded video. 10 bits show less banding in gradients; not every player supports them."`
}

// Spec implements nodes.Node.
func (*CreateVideo) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "CreateVideo", DisplayName: "Create Video", Category: "video",
		Module: "comfy_extras.nodes_video", V3: true,
		EssentialsCategory: "Video Tools",
		Outputs:            nodes.Outputs("VIDEO"),
		Description:        "Makes a video of images, with audio where there is some.",
		SearchAliases:      []string{"images to video"},
		Uses:               nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *CreateVideo) Run(*nodes.Context) (nodes.Result, error) {
	if n.Images == nil || len(n.Images.Shape) != 4 {
		return nodes.Result{}, nodes.Errorf("ValueError", "reading the input images: it is not an image [batch, height, width, channels]")
	}
	rate := new(big.Rat).SetFloat64(n.FPS)
	if rate == nil || rate.Sign() <= 0 || n.FPS > math.MaxInt32 {
		return nodes.Result{}, nodes.Errorf("ValueError", "making a video: a frame rate of %g", n.FPS)
	}
	return nodes.Out(&videofile.Made{Images: n.Images, Audio: n.Audio, Rate: rate, Depth: n.BitDepth}), nil
}

// GetVideoComponents decodes a video.
type GetVideoComponents struct {
	Video videofile.Video `in:"video" type:"VIDEO" tooltip:"Video to take apart."`
}

// Spec implements nodes.Node.
func (*GetVideoComponents) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GetVideoComponents", DisplayName: "Get Video Components", Category: "video",
		Module: "comfy_extras.nodes_video", V3: true,
		Outputs:       []nodes.Output{{Type: "IMAGE", Name: "images"}, {Type: "AUDIO", Name: "audio"}, {Type: "FLOAT", Name: "fps"}, {Type: "INT", Name: "bit_depth"}, {Type: "COMBO", Name: "color_space"}},
		Description:   "Gives the frames, the audio, the frame rate, the bit depth and the color space of a video.",
		SearchAliases: []string{"extract frames", "split video", "video to images", "demux"},
		Uses:          nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*GetVideoComponents) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *GetVideoComponents) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("video", n.Video); err != nil {
		return nodes.Result{}, err
	}
	env := Env(ctx)
	c, err := n.Video.Components(ctx, env)
	if err != nil {
		return nodes.Result{}, err
	}
	depth, err := n.Video.BitDepth(ctx, env)
	if err != nil {
		return nodes.Result{}, err
	}
	space, err := n.Video.ColorSpace(ctx, env)
	if err != nil {
		return nodes.Result{}, err
	}
	rate, _ := c.Rate.Float64()
	var sound any
	if c.Audio != nil {
		sound = c.Audio
	}
	return nodes.Out(c.Images, sound, rate, depth, space), nil
}

// VideoSlice trims a video.
type VideoSlice struct {
	Video    videofile.Video `in:"video" type:"VIDEO"`
	Start    float64         `in:"start_time" default:"0.0" min:"-100000.0" max:"100000.0" step:"0.001" tooltip:"Start time in seconds; a negative one counts from the end."`
	Duration float64         `in:"duration" default:"0.0" min:"0.0" step:"0.001" tooltip:"Duration in seconds; 0 goes to the end."`
	Strict   bool            `in:"strict_duration" default:"false" tooltip:"Fail where the video is shorter than the duration."`
}

// Spec implements nodes.Node.
func (*VideoSlice) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "Video Slice", DisplayName: "Trim Video", Category: "video",
		Module: "comfy_extras.nodes_video", V3: true,
		EssentialsCategory: "Video Tools",
		Outputs:            nodes.Outputs("VIDEO"),
		Description:        "Trims a video to a time range.",
		SearchAliases:      []string{"trim video duration", "skip first frames", "frame load cap", "start time"},
		Uses:               nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *VideoSlice) Run(ctx *nodes.Context) (nodes.Result, error) {
	if err := check("video", n.Video); err != nil {
		return nodes.Result{}, err
	}
	env := Env(ctx)
	t, err := n.Video.Trimmed(ctx, env, n.Start, n.Duration, n.Strict)
	if err != nil {
		return nodes.Result{}, err
	}
	if t == nil {
		have, err := n.Video.Duration(ctx, env)
		if err != nil {
			return nodes.Result{}, err
		}
		return nodes.Result{}, nodes.Errorf("ValueError", "trimming a video of %g s from %g s for %g s: it is too short", have, n.Start, n.Duration)
	}
	return nodes.Out(t), nil
}
