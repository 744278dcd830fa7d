package dataset

import (
	"slices"

	videofile "comfygo/internal/video"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&VideoFrameSample{})
	nodes.Register(&VideoTemporalCrop{})
	nodes.Register(&VideoRandomTemporalCrop{})
}

// VideoFrameSample keeps some frames of a video.
type VideoFrameSample struct {
	Video     videofile.Video `in:"video" type:"VIDEO" tooltip:"Video to sample."`
	NumFrames int             `in:"num_frames" default:"16" min:"1" max:"9999" tooltip:"Number of frames to keep."`
	Strategy  string          `in:"strategy" options:"uniform|head|tail|random" default:"uniform" tooltip:"Which frames are kept: evenly spaced ones, the first, the last, or random ones in order."`
	Seed      uint64          `in:"seed" default:"0" min:"0" max:"18446744073709551615" tooltip:"Seed of the strategy random."`
}

// Spec implements nodes.Node.
func (*VideoFrameSample) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VideoFrameSample", DisplayName: "Sample Video Frame", Category: "video",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "VIDEO", Name: "video", Tooltip: "The frames that are kept."}},
		Experimental:  true,
		Description:   "Keeps a number of frames of a video.",
		SearchAliases: []string{"sample frames", "extract frames"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *VideoFrameSample) Run(ctx *nodes.Context) (nodes.Result, error) {
	total, rate, err := measure(ctx, n.Video)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.NumFrames < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "sampling the video: %d frames are asked for, at least one is needed", n.NumFrames)
	}
	count := min(n.NumFrames, total)
	var numbers []int
	switch n.Strategy {
	case "head":
		return cut(ctx, n.Video, 0, count, rate)
	case "tail":
		return cut(ctx, n.Video, total-count, count, rate)
	case "random":
		if total > mostDrawn {
			return nodes.Result{}, nodes.Errorf("ValueError", "sampling the video: it is said to have %d frames, and random ones are drawn from at most %d; crop it first, or choose uniform", total, mostDrawn)
		}
		numbers = newRandom(n.Seed).Permutation(total)[:count]
		slices.Sort(numbers)
	default:
		numbers = spread(count, total)
	}
	env := videoEnv(ctx)
	images, err := n.Video.Frames(ctx, env, numbers)
	if err != nil {
		return nodes.Result{}, err
	}
	r, err := n.Video.FrameRate(ctx, env)
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(&videofile.Made{Images: images, Rate: r, Depth: 8}), nil
}

// mostDrawn bounds what a file's header may have drawn from, at 24 frames a second eight days.
const mostDrawn = 1 << 24

// VideoTemporalCrop keeps a range of frames.
type VideoTemporalCrop struct {
	Video      videofile.Video `in:"video" type:"VIDEO" tooltip:"Video to crop."`
	StartFrame int             `in:"start_frame" default:"0" min:"0" max:"99999" tooltip:"First frame to keep."`
	Length     int             `in:"length" default:"16" min:"1" max:"99999" tooltip:"Number of frames to keep."`
}

// Spec implements nodes.Node.
func (*VideoTemporalCrop) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VideoTemporalCrop", DisplayName: "Crop Video (Temporal)", Category: "video/transform",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "VIDEO", Name: "video", Tooltip: "The range; frames are decoded where they are needed."}},
		Experimental:  true,
		Description:   "Crops a video to a range of frames.",
		SearchAliases: []string{"crop", "crop video", "temporal crop", "truncate video"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *VideoTemporalCrop) Run(ctx *nodes.Context) (nodes.Result, error) {
	total, rate, err := measure(ctx, n.Video)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.StartFrame < 0 || n.Length < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "cropping the video: %d frames from frame %d on", n.Length, n.StartFrame)
	}
	start := min(n.StartFrame, total-1)
	return cut(ctx, n.Video, start, min(n.Length, total-start), rate)
}

// VideoRandomTemporalCrop keeps a random range of frames.
type VideoRandomTemporalCrop struct {
	Video  videofile.Video `in:"video" type:"VIDEO" tooltip:"Video to crop."`
	Length int             `in:"length" default:"16" min:"1" max:"99999" tooltip:"Number of frames to keep."`
	Seed   uint64          `in:"seed" default:"0" min:"0" max:"18446744073709551615" tooltip:"Seed of the first frame."`
}

// Spec implements nodes.Node.
func (*VideoRandomTemporalCrop) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "VideoRandomTemporalCrop", DisplayName: "Crop Video (Temporal Random)", Category: "video/transform",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "VIDEO", Name: "video", Tooltip: "The range; frames are decoded where they are needed."}},
		Experimental:  true,
		Description:   "Crops a video to a random range of frames.",
		SearchAliases: []string{"crop", "crop video", "temporal crop", "truncate video", "random crop"},
		Uses:          nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *VideoRandomTemporalCrop) Run(ctx *nodes.Context) (nodes.Result, error) {
	total, rate, err := measure(ctx, n.Video)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.Length < 1 {
		return nodes.Result{}, nodes.Errorf("ValueError", "cropping the video: %d frames, at least one is needed", n.Length)
	}
	length := min(n.Length, total)
	return cut(ctx, n.Video, newRandom(n.Seed).Below(total-length+1), length, rate)
}
