package dataset

import (
	"math"
	"path/filepath"
	"strings"

	videofile "comfygo/internal/video"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&LoadVideoDataSetFromFolder{})
	nodes.Register(&LoadVideoTextDataSetFromFolder{})
}

var videoEndings = []string{".mp4", ".avi", ".mov", ".webm", ".mkv", ".flv"}

// LoadVideoDataSetFromFolder lists the videos of a folder.
type LoadVideoDataSetFromFolder struct {
	Folder string `in:"folder" choices:"folder" tooltip:"Folder to load videos from."`
}

// Spec implements nodes.Node.
func (*LoadVideoDataSetFromFolder) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadVideoDataSetFromFolder", DisplayName: "Load Video (from Folder)", Category: "video",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "VIDEO", Name: "videos", List: true, Tooltip: "The videos, in the order of their names; frames are decoded where they are needed."}},
		Experimental:  true,
		Description:   "Loads all videos of a folder below the input folder as a list. Reads MP4, AVI, MOV, WebM, MKV and FLV files.",
		SearchAliases: []string{"load folder", "load from folder", "load dataset", "load videos", "import dataset"},
	}
}

// Run implements nodes.Node.
func (n *LoadVideoDataSetFromFolder) Run(ctx *nodes.Context) (nodes.Result, error) {
	dir, err := inputFolder(ctx, n.Folder)
	if err != nil {
		return nodes.Result{}, err
	}
	paths, err := filesIn(dir, videoEndings)
	if err != nil {
		return nodes.Result{}, err
	}
	videos, err := videoFiles(paths)
	return nodes.Out(videos), err
}

// Choices implements nodes.Chooser.
func (*LoadVideoDataSetFromFolder) Choices(env nodes.Env, _ string) []any { return subfolders(env) }

// Fingerprint changes with the files of the folder.
func (n *LoadVideoDataSetFromFolder) Fingerprint(ctx *nodes.Context) (any, error) {
	return folderState(ctx, n.Folder)
}

// LoadVideoTextDataSetFromFolder lists the videos of a folder with their captions.
type LoadVideoTextDataSetFromFolder struct {
	Folder string `in:"folder" choices:"folder" tooltip:"Folder to load videos and captions from."`
}

// Spec implements nodes.Node.
func (*LoadVideoTextDataSetFromFolder) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LoadVideoTextDataSetFromFolder", DisplayName: "Load Video-Text (from Folder)", Category: "video",
		Module: "comfy_extras.nodes_dataset", V3: true,
		Outputs:       []nodes.Output{{Type: "VIDEO", Name: "videos", List: true, Tooltip: "The videos, in the order of their names; frames are decoded where they are needed."}, {Type: "STRING", Name: "texts", List: true, Tooltip: "The captions, one a video; empty where a video has no text file."}},
		Experimental:  true,
		Description:   "Loads all videos of a folder below the input folder with their captions from text files of the same names. Subfolders count as well; one whose name begins with a number and \"_\" is taken that many times. Reads MP4, AVI, MOV, WebM, MKV and FLV files.",
		SearchAliases: []string{"load folder", "load from folder", "load dataset", "load videos", "import dataset"},
	}
}

// Run implements nodes.Node.
func (n *LoadVideoTextDataSetFromFolder) Run(ctx *nodes.Context) (nodes.Result, error) {
	dir, err := inputFolder(ctx, n.Folder)
	if err != nil {
		return nodes.Result{}, err
	}
	paths, err := filesBelow(dir, videoEndings)
	if err != nil {
		return nodes.Result{}, err
	}
	videos, err := videoFiles(paths)
	if err != nil {
		return nodes.Result{}, err
	}
	texts := make([]string, len(paths))
	for i, path := range paths {
		if texts[i], err = caption(strings.TrimSuffix(path, filepath.Ext(path)) + ".txt"); err != nil {
			return nodes.Result{}, err
		}
	}
	return nodes.Out(videos, texts), nil
}

// Choices implements nodes.Chooser.
func (*LoadVideoTextDataSetFromFolder) Choices(env nodes.Env, _ string) []any { return subfolders(env) }

// Fingerprint changes with the files of the folder.
func (n *LoadVideoTextDataSetFromFolder) Fingerprint(ctx *nodes.Context) (any, error) {
	return folderState(ctx, n.Folder)
}

func videoFiles(paths []string) ([]any, error) {
	if len(paths) == 0 {
		return nil, nodes.Errorf("ValueError", "loading videos: the folder has no MP4, AVI, MOV, WebM, MKV or FLV file")
	}
	videos := make([]any, len(paths))
	for i, path := range paths {
		videos[i] = &videofile.File{Path: path}
	}
	return videos, nil
}

// videoEnv returns the video environment of a call.
func videoEnv(ctx *nodes.Context) videofile.Env {
	return videofile.Env{FFmpeg: ctx.FFmpeg, Charge: ctx.Reserve, Dir: ctx.Folders.Temp()}
}

// measure returns the number of frames and the frame rate of a video.
func measure(ctx *nodes.Context, v videofile.Video) (frames int, rate float64, err error) {
	if v == nil {
		return 0, 0, nodes.Errorf("ValueError", "reading the input video: there is no video")
	}
	env := videoEnv(ctx)
	if frames, err = v.FrameCount(ctx, env); err != nil {
		return 0, 0, err
	}
	r, err := v.FrameRate(ctx, env)
	if err != nil {
		return 0, 0, err
	}
	rate, _ = r.Float64()
	if frames < 1 || !(rate > 0) {
		return 0, 0, nodes.Errorf("ValueError", "reading the input video: it has no frames")
	}
	return frames, rate, nil
}

// cut keeps length frames of a video from start on.
func cut(ctx *nodes.Context, v videofile.Video, start, length int, rate float64) (nodes.Result, error) {
	t, err := v.Trimmed(ctx, videoEnv(ctx), float64(start)/rate, float64(length)/rate, false)
	if err != nil {
		return nodes.Result{}, err
	}
	if t == nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "cropping the video to %d frames from frame %d on: it is too short", length, start)
	}
	return nodes.Out(t), nil
}

// spread are count frame numbers of total, evenly spaced.
func spread(count, total int) []int {
	if count == 1 {
		return []int{total / 2}
	}
	out := make([]int, count)
	for i := range out {
		out[i] = int(math.RoundToEven(float64(i*(total-1)) / float64(count-1)))
	}
	return out
}
