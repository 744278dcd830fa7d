package sam3

import (
	"context"
	"strconv"
	"strings"

	"comfygo/engine"
	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&VideoTrack{})
	nodes.Register(&TrackToMask{})
}

// VideoTrack follows objects through the frames of a video.
type VideoTrack struct {
	Images       *tensor.Tensor      `in:"images" type:"IMAGE" display_name:"images" tooltip:"Frames of the video."`
	Model        *engine.Model       `in:"model" type:"MODEL" display_name:"model"`
	InitialMask  *tensor.Tensor      `in:"initial_mask" type:"MASK" optional:"true" display_name:"initial_mask" tooltip:"Masks of the objects in the first frame, one for each object."`
	Conditioning engine.Conditioning `in:"conditioning" type:"CONDITIONING" optional:"true" display_name:"conditioning" tooltip:"Text of objects that are looked for while tracking, which SAM 3.1 can."`
	Threshold    float64             `in:"detection_threshold" display_name:"detection_threshold" default:"0.5" min:"0.0" max:"1.0" step:"0.01" tooltip:"Score from which on an object of the text counts."`
	MaxObjects   int                 `in:"max_objects" display_name:"max_objects" default:"4" min:"0" max:"64" tooltip:"Maximum number of objects, those of the masks included; 0 is 64."`
	Interval     int                 `in:"detect_interval" display_name:"detect_interval" default:"1" min:"1" tooltip:"Look for new objects in every Nth frame: higher values are faster."`
}

// Spec implements nodes.Node.
func (*VideoTrack) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SAM3_VideoTrack", DisplayName: "Run SAM3 Video Track", Category: category, Module: module, V3: true,
		Outputs:       []nodes.Output{{Type: trackType, Name: "track_data"}},
		Description:   "Tracks objects through a video with SAM 3: those of masks in the first frame, and those that a text describes.",
		SearchAliases: []string{"sam3", "video", "track", "propagate"},
		Uses:          nodes.UsesDevice,
	}
}

// Run implements nodes.Node.
func (n *VideoTrack) Run(ctx *nodes.Context) (nodes.Result, error) {
	if n.Images == nil || len(n.Images.Shape) != 4 || len(n.Images.Data) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "the input images is no image")
	}
	s, err := segmenter(n.Model)
	if err != nil {
		return nodes.Result{}, err
	}
	list, err := texts(n.Conditioning)
	if err != nil {
		return nodes.Result{}, err
	}
	if n.InitialMask != nil && (len(n.InitialMask.Shape) != 3 || len(n.InitialMask.Data) == 0) {
		return nodes.Result{}, nodes.Errorf("ValueError", "the input initial_mask is no mask [objects, height, width]")
	}
	if n.InitialMask == nil && len(list) == 0 {
		return nodes.Result{}, nodes.Errorf("ValueError", "tracking objects: connect initial_mask or conditioning")
	}
	side, frames := s.Side(), n.Images.Dim(0)
	found, err := s.Track(ctx, family.TrackCall{
		Frames: frames, Initial: n.InitialMask, Texts: list, Threshold: float32(n.Threshold), Most: n.MaxObjects, Interval: n.Interval,
		Frame: func(i int) (*tensor.Tensor, error) {
			frame, err := channels("images", n.Images.Slice(i, i+1))
			if err != nil {
				return nil, err
			}
			return imaging.Upscale(frame, side, side, "bicubic", "")
		},
		Room: func(objects int) error {
			// Each mask is packed, joined with the others, and converted to numbers of 4 bytes; of one frame there are logits at some stages.
			const bytes, stages = 6, 4
			return imaging.CheckSize("the masks of tracked objects", objects, max(frames*bytes/4, 1)+8*stages, side, (side+7)/8)
		},
		Progress: func(done int) { ctx.Progress(float64(done), float64(frames)) },
	})
	if err != nil {
		return nodes.Result{}, err
	}
	scores := []any{}
	for _, v := range found.Scores {
		scores = append(scores, float64(v))
	}
	var packed any
	if found.Masks != nil {
		t := tensor.New(found.Frames, found.Objects, found.Side, found.Side/8)
		t.Type = "uint8"
		for i, b := range found.Masks {
			t.Data[i] = float32(b)
		}
		packed = t
	}
	size := pyjson.Tuple{int64(n.Images.Dim(1)), int64(n.Images.Dim(2))}
	return nodes.Out(pyjson.NewObject("packed_masks", packed, "n_frames", int64(frames), "scores", scores, "orig_size", size)), nil
}

// TrackToMask gives the masks of tracked objects.
type TrackToMask struct {
	TrackData any    `in:"track_data" type:"SAM3_TRACK_DATA" display_name:"track_data"`
	Indices   string `in:"object_indices" display_name:"object_indices" default:"" tooltip:"Objects to take, such as 0,2,3; empty takes all."`
}

// Spec implements nodes.Node.
func (*TrackToMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SAM3_TrackToMask", DisplayName: "SAM3 Track to Mask", Category: category, Module: module, V3: true,
		Outputs:     []nodes.Output{{Type: "MASK", Name: "masks"}},
		Description: "Gives the union of tracked objects as a mask for each frame.",
		Uses:        nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer: the size is part of the tracks.
func (*TrackToMask) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// Run implements nodes.Node.
func (n *TrackToMask) Run(ctx *nodes.Context) (nodes.Result, error) {
	t, err := tracksOf(n.TrackData)
	if err != nil {
		return nodes.Result{}, err
	}
	if err := imaging.CheckSize("the masks of tracked objects", t.frames, t.height, t.width); err != nil {
		return nodes.Result{}, err
	}
	out := tensor.New(t.frames, t.height, t.width)
	objects := n.objects(t.objects())
	if len(objects) == 0 {
		return nodes.Out(out), nil
	}
	for i := range t.frames {
		if err := context.Cause(ctx); err != nil {
			return nodes.Result{}, err
		}
		m := t.mask(i, objects...)
		m.Shape = []int{1, 1, m.Dim(0), m.Dim(1)}
		if m, err = resized(m, t.width, t.height); err != nil {
			return nodes.Result{}, err
		}
		copy(out.Index(i).Data, m.Data)
	}
	return nodes.Out(out), nil
}

// objects are those of count that are taken.
func (n *TrackToMask) objects(count int) []int {
	var out []int
	if pystr.Strip(n.Indices) == "" {
		for i := range count {
			out = append(out, i)
		}
		return out
	}
	for part := range strings.SplitSeq(n.Indices, ",") {
		if i, err := strconv.ParseUint(pystr.Strip(part), 10, 32); err == nil && int(i) < count {
			out = append(out, int(i))
		}
	}
	return out
}
