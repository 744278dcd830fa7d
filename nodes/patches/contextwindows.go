package patches

import (
	"slices"
	"strconv"
	"strings"

	"comfygo/engine"
	es "comfygo/engine/sampling"
	"comfygo/nodes"
)

const (
	moduleWindows = "comfy_extras.nodes_context_windows"
	timeAxis      = 2 // of videos [N,C,T,H,W]
)

func init() {
	nodes.Register(&ContextWindowsManual{})
	nodes.Register(&WanContextWindowsManual{})
	nodes.Register(&LTXVContextWindows{})
}

// ContextWindowsManual samples long latents in windows along any axis.
type ContextWindowsManual struct {
	Model                 *engine.Model `in:"model" type:"MODEL" tooltip:"Model to sample in windows."`
	ContextLength         int           `in:"context_length" default:"16" min:"1" tooltip:"Length of a window in places of the axis."`
	ContextOverlap        int           `in:"context_overlap" default:"4" min:"0" tooltip:"What a window has in common with the next one."`
	ContextSchedule       string        `in:"context_schedule" options:"standard_static|standard_uniform|looped_uniform|batched" default:"standard_static" tooltip:"Where the windows are in each step."`
	ContextStride         int           `in:"context_stride" default:"1" min:"1" tooltip:"How far apart the frames of a window may be; for uniform schedules."`
	ClosedLoop            bool          `in:"closed_loop" default:"false" tooltip:"Lets windows go around from the end to the start; for the looped schedule."`
	FuseMethod            string        `in:"fuse_method" options:"pyramid|relative|flat|overlap-linear" default:"pyramid" tooltip:"How the predictions of windows that overlap are weighed."`
	Dim                   int           `in:"dim" default:"0" min:"0" max:"5" tooltip:"Axis of the latent that is cut into windows: 0 for frames in a batch, 2 for videos."`
	Freenoise             bool          `in:"freenoise" default:"false" tooltip:"Repeats the noise of the first window, in another order, in those behind it."`
	CondRetainIndexList   string        `in:"cond_retain_index_list" default:"" tooltip:"Places, such as 0, at which every window reads the start of the conditioning, as of a start image."`
	SplitCondsToWindows   bool          `in:"split_conds_to_windows" default:"false" tooltip:"Gives each window one of several conditionings, by where it lies."`
	LatentRetainIndexList string        `in:"latent_retain_index_list" default:"" tooltip:"Places at which every window reads the start of the latent."`
	CausalWindowFix       bool          `in:"causal_window_fix" default:"true" tooltip:"Puts the frame before a window in front of it, where the network has a first frame of another kind."`
}

// Spec implements nodes.Node.
func (*ContextWindowsManual) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "ContextWindowsManual", DisplayName: "Context Windows (Manual)", Category: "model/patch",
		Module: moduleWindows, V3: true,
		Outputs:      []nodes.Output{{Type: "MODEL", Tooltip: "The model, sampled in windows."}},
		Experimental: true,
		Description:  "Samples long latents in windows that overlap.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *ContextWindowsManual) Run(*nodes.Context) (nodes.Result, error) {
	keep, err := places("cond_retain_index_list", n.CondRetainIndexList)
	if err != nil {
		return nodes.Result{}, err
	}
	latent, err := places("latent_retain_index_list", n.LatentRetainIndexList)
	if err != nil {
		return nodes.Result{}, err
	}
	return windows(n.Model, es.Windows{
		Schedule: n.ContextSchedule, Fuse: n.FuseMethod, Length: n.ContextLength, Overlap: n.ContextOverlap, Stride: n.ContextStride, Dim: n.Dim, Closed: n.ClosedLoop,
		FreeNoise: n.Freenoise, KeepInputs: keep, KeepLatent: latent, Split: n.SplitCondsToWindows, Anchor: n.CausalWindowFix,
	})
}

// WanContextWindowsManual samples long videos of Wan in windows.
type WanContextWindowsManual struct {
	Model               *engine.Model `in:"model" type:"MODEL" tooltip:"Model to sample in windows."`
	ContextLength       int           `in:"context_length" default:"81" min:"1" max:"16384" step:"4" tooltip:"Length of a window in frames of the video, 4n+1."`
	ContextOverlap      int           `in:"context_overlap" default:"30" min:"0" tooltip:"Frames of the video that a window has in common with the next one."`
	ContextSchedule     string        `in:"context_schedule" options:"standard_static|standard_uniform|looped_uniform|batched" default:"standard_uniform" tooltip:"Where the windows are in each step."`
	ContextStride       int           `in:"context_stride" advanced:"true" default:"1" min:"1" tooltip:"How far apart the frames of a window may be; for uniform schedules."`
	ClosedLoop          bool          `in:"closed_loop" advanced:"true" default:"false" tooltip:"Lets windows go around from the end to the start; for the looped schedule."`
	FuseMethod          string        `in:"fuse_method" options:"pyramid|relative|flat|overlap-linear" default:"pyramid" tooltip:"How the predictions of windows that overlap are weighed."`
	Freenoise           bool          `in:"freenoise" advanced:"true" default:"true" tooltip:"Repeats the noise of the first window, in another order, in those behind it."`
	RetainFirstFrame    bool          `in:"retain_first_frame" default:"false" tooltip:"Has every window read the first frame of the conditioning."`
	SplitCondsToWindows bool          `in:"split_conds_to_windows" advanced:"true" default:"false" tooltip:"Gives each window one of several conditionings, by where it lies."`
}

// Spec implements nodes.Node.
func (*WanContextWindowsManual) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "WanContextWindowsManual", DisplayName: "Wan Context Windows", Category: "model/patch/wan",
		Module: moduleWindows, V3: true,
		Outputs:      []nodes.Output{{Type: "MODEL", Tooltip: "The model, sampled in windows."}},
		Experimental: true,
		Description:  "Samples long latents in windows that overlap.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *WanContextWindowsManual) Run(*nodes.Context) (nodes.Result, error) {
	const pace = 4
	return windows(n.Model, es.Windows{
		Schedule: n.ContextSchedule, Fuse: n.FuseMethod, Length: max((n.ContextLength-1)/pace+1, 1), Overlap: n.ContextOverlap / pace, Stride: n.ContextStride, Dim: timeAxis,
		Closed: n.ClosedLoop, FreeNoise: n.Freenoise, KeepInputs: firstPlace(n.RetainFirstFrame), Split: n.SplitCondsToWindows, Anchor: true,
	})
}

// LTXVContextWindows samples long videos of LTX-Video in windows.
type LTXVContextWindows struct {
	Model               *engine.Model `in:"model" type:"MODEL" tooltip:"Model to sample in windows."`
	ContextLength       int           `in:"context_length" default:"145" min:"1" max:"16384" step:"8" tooltip:"Length of a window in frames of the video, 8n+1."`
	ContextOverlap      int           `in:"context_overlap" default:"40" min:"0" step:"8" tooltip:"Frames of the video that a window has in common with the next one."`
	ContextSchedule     string        `in:"context_schedule" options:"standard_static|standard_uniform|looped_uniform|batched" default:"standard_uniform" tooltip:"Where the windows are in each step."`
	ContextStride       int           `in:"context_stride" advanced:"true" default:"1" min:"1" tooltip:"How far apart the frames of a window may be; for uniform schedules."`
	ClosedLoop          bool          `in:"closed_loop" advanced:"true" default:"false" tooltip:"Lets windows go around from the end to the start; for the looped schedule."`
	FuseMethod          string        `in:"fuse_method" options:"pyramid|relative|flat|overlap-linear" default:"pyramid" tooltip:"How the predictions of windows that overlap are weighed."`
	Freenoise           bool          `in:"freenoise" advanced:"true" default:"true" tooltip:"Repeats the noise of the first window, in another order, in those behind it."`
	RetainFirstFrame    bool          `in:"retain_first_frame" default:"false" tooltip:"Has every window read the first frame of the conditioning."`
	SplitCondsToWindows bool          `in:"split_conds_to_windows" advanced:"true" default:"false" tooltip:"Gives each window one of several conditionings, by where it lies."`
}

// Spec implements nodes.Node.
func (*LTXVContextWindows) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "LTXVContextWindows", DisplayName: "LTXV Context Windows", Category: "model/patch",
		Module: moduleWindows, V3: true,
		Outputs:      []nodes.Output{{Type: "MODEL", Tooltip: "The model, sampled in windows."}},
		Experimental: true,
		Description:  "Samples long latents in windows that overlap.",
		Uses:         nodes.UsesNothing,
	}
}

// Run implements nodes.Node.
func (n *LTXVContextWindows) Run(*nodes.Context) (nodes.Result, error) {
	const pace = 8
	return windows(n.Model, es.Windows{
		Schedule: n.ContextSchedule, Fuse: n.FuseMethod, Length: max((n.ContextLength-1)/pace+1, 1), Overlap: n.ContextOverlap / pace, Stride: n.ContextStride, Dim: timeAxis,
		Closed: n.ClosedLoop, FreeNoise: n.Freenoise, KeepInputs: firstPlace(n.RetainFirstFrame), KeepLatent: firstPlace(n.RetainFirstFrame), Split: n.SplitCondsToWindows, Anchor: true,
	})
}

// windows has a model sampled in windows.
func windows(m *engine.Model, w es.Windows) (nodes.Result, error) {
	if m == nil {
		return nodes.Result{}, errNoModel
	}
	if err := w.Check(); err != nil {
		return nodes.Result{}, nodes.Errorf("ValueError", "%v", err)
	}
	return nodes.Out(m.WithHooks(func(h es.Hooks) es.Hooks { return h.WithWindows(w) })), nil
}

func firstPlace(keep bool) []int {
	if keep {
		return []int{0}
	}
	return nil
}

// places reads places such as "0, 2".
func places(input, text string) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	var out []int
	for part := range strings.SplitSeq(text, ",") {
		v, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || v < 0 {
			return nil, nodes.Errorf("ValueError", "reading %s: %q is not a place: it lists numbers from 0, such as 0,4", input, part)
		}
		out = append(out, v)
	}
	slices.Sort(out)
	return out, nil
}
