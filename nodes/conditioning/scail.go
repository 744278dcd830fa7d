package conditioning

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&SCAIL2ColoredMask{})
}

// SCAIL2ColoredMask colors tracked objects for SCAIL-2.
type SCAIL2ColoredMask struct {
	DrivingTrackData any    `in:"driving_track_data" type:"SAM3_TRACK_DATA" tooltip:"Tracked objects of the video that gives the poses."`
	ObjectIndices    string `in:"object_indices" default:"" tooltip:"Objects to take, such as 0,2,3; empty takes all. Counts in the order of sort_by."`
	SortBy           string `in:"sort_by" options:"none|left_to_right|area" default:"left_to_right" tooltip:"Order in which objects get their colors. Objects of earlier frames come first; within a frame left_to_right goes by the center of an object, area takes the largest first. none keeps the order of the tracks."`
	ReplacementMode  bool   `in:"replacement_mode" default:"false" tooltip:"Off (animation): black background in the video's mask, white in that of the reference. On (replacement): the other way round."`
	RefTrackData     any    `in:"ref_track_data" type:"SAM3_TRACK_DATA,MASK" optional:"true" display_name:"reference_masks" tooltip:"Tracked objects of the reference images, or a mask of one subject."`
}

// Spec implements nodes.Node.
func (*SCAIL2ColoredMask) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "SCAIL2ColoredMask", DisplayName: "Create SCAIL-2 Colored Mask", Category: "model/conditioning/wan/scail",
		Module: "comfy_extras.nodes_scail", V3: true,
		Outputs:      []nodes.Output{{Type: "IMAGE", Name: "pose_video_mask"}, {Type: "IMAGE", Name: "reference_image_mask"}},
		Experimental: true,
		Uses:         nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer: the size is part of the tracks.
func (*SCAIL2ColoredMask) Sizes(*nodes.Sizing) nodes.Images { return nodes.UnknownImages() }

// scailColors are those that the model was trained with.
var scailColors = [][3]float32{{0, 0, 1}, {1, 0, 0}, {0, 1, 0}, {1, 0, 1}, {0, 1, 1}, {1, 1, 0}}

// Run implements nodes.Node.
func (n *SCAIL2ColoredMask) Run(ctx *nodes.Context) (nodes.Result, error) {
	driving, err := n.prepared("driving_track_data", n.DrivingTrackData)
	if err != nil {
		return nodes.Result{}, err
	}
	var background, refBackground float32 = 0, 1
	if n.ReplacementMode {
		background, refBackground = 1, 0
	}
	video, err := driving.render(ctx, background)
	if err != nil {
		return nodes.Result{}, err
	}
	var reference *tensor.Tensor
	switch ref := n.RefTrackData.(type) {
	case nil:
		if err := imaging.CheckSize("a mask", driving.height, driving.width, 3); err != nil {
			return nodes.Result{}, err
		}
		reference = tensor.New(1, driving.height, driving.width, 3)
		fill(reference.Data, refBackground)
	case *tensor.Tensor:
		reference, err = subjectMask(ref, refBackground)
	default:
		var t *objectTracks
		if t, err = n.prepared("ref_track_data", ref); err == nil {
			reference, err = t.render(ctx, refBackground)
		}
	}
	if err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(video, reference), nil
}

func fill(values []float32, v float32) {
	for i := range values {
		values[i] = v
	}
}

// subjectMask colors one subject, given by masks [B,H,W] or [H,W].
func subjectMask(mask *tensor.Tensor, background float32) (*tensor.Tensor, error) {
	shape := mask.Shape
	if len(shape) == 2 {
		shape = []int{1, shape[0], shape[1]}
	}
	if len(shape) != 3 || len(mask.Data) == 0 {
		return nil, nodes.Errorf("ValueError", "coloring a mask: ref_track_data has the shape %v, want [batch, height, width]", mask.Shape)
	}
	if err := imaging.CheckSize("colored masks", append(shape, 3)...); err != nil {
		return nil, err
	}
	out := tensor.New(append(slices.Clone(shape), 3)...)
	fill(out.Data, background)
	for i, v := range mask.Data {
		if v > 0.5 {
			copy(out.Data[3*i:], scailColors[0][:])
		}
	}
	return out, nil
}

// objectTracks are tracked objects: their masks in every frame, eight pixels of a row to a byte, the first in the lowest bit.
type objectTracks struct {
	packed        *tensor.Tensor // [frames, objects, H, W/8]; nil when there is no object
	objects       []int          // those that are taken, in order
	frames        int            // without masks
	width, height int            // of the video
}

func tracksFrom(input string, v any) (*objectTracks, error) {
	o, ok := v.(*pyjson.Object)
	if !ok {
		return nil, nodes.Errorf("TypeError", "reading %s: it is a %s, want tracked objects", input, pyjson.TypeName(v))
	}
	size, _ := o.Get("orig_size")
	sides, _ := size.([]any)
	if t, ok := size.(pyjson.Tuple); ok {
		sides = t
	}
	t := &objectTracks{frames: 1}
	if len(sides) == 2 {
		h, _ := sides[0].(int64)
		w, _ := sides[1].(int64)
		t.height, t.width = int(h), int(w)
	}
	const most = 1 << 20
	if t.height < 1 || t.width < 1 || t.height > most || t.width > most {
		return nil, nodes.Errorf("KeyError", "reading %s: the tracks have no orig_size", input)
	}
	if f, ok := o.Get("n_frames"); ok {
		count, _ := f.(int64)
		if count < 0 || count > most {
			return nil, nodes.Errorf("ValueError", "reading %s: n_frames is %s", input, pyjson.Repr(f))
		}
		t.frames = int(count)
	}
	masks, there := o.Get("packed_masks")
	if !there {
		return nil, nodes.Errorf("KeyError", "reading %s: the tracks have no packed_masks", input)
	}
	if masks == nil {
		return t, nil
	}
	packed, ok := masks.(*tensor.Tensor)
	if !ok || len(packed.Shape) != 4 {
		return nil, nodes.Errorf("ValueError", "reading %s: packed_masks is no tensor [frames, objects, height, width/8]", input)
	}
	t.frames = packed.Shape[0]
	if len(packed.Data) > 0 {
		t.packed = packed
		for i := range packed.Shape[1] {
			t.objects = append(t.objects, i)
		}
	}
	return t, nil
}

// prepared are the objects that are taken, in the order of their colors.
func (n *SCAIL2ColoredMask) prepared(input string, v any) (*objectTracks, error) {
	t, err := tracksFrom(input, v)
	if err != nil {
		return nil, err
	}
	switch n.SortBy {
	case "none":
	case "left_to_right", "area":
		if t.packed != nil {
			t.sort(n.SortBy == "area")
		}
	default:
		return nil, nodes.Errorf("ValueError", "coloring masks: there is no order %q", n.SortBy)
	}
	if pystr.Strip(n.ObjectIndices) == "" {
		return t, nil
	}
	var taken []int
	for part := range strings.SplitSeq(n.ObjectIndices, ",") {
		if i, err := strconv.ParseUint(pystr.Strip(part), 10, 32); err == nil && int(i) < len(t.objects) {
			taken = append(taken, t.objects[i])
		}
	}
	if t.objects = taken; len(taken) == 0 && t.packed != nil {
		t.packed, t.frames = nil, n.emptyFrames(v)
	}
	return t, nil
}

// emptyFrames is the number of frames of tracks from which all objects were left out.
func (*SCAIL2ColoredMask) emptyFrames(v any) int {
	f, ok := v.(*pyjson.Object).Get("n_frames")
	if count, isInt := f.(int64); ok && isInt {
		return int(count)
	}
	return 1
}

// sort orders the objects by their first frame, and in it by the column of their center or their area, the largest first.
func (t *objectTracks) sort(byArea bool) {
	frames, h, w := t.packed.Shape[0], t.packed.Shape[2], t.packed.Shape[3]
	type place struct {
		first int
		key   float32
	}
	places := make([]place, len(t.objects))
	for k := range places {
		places[k].first = frames
		for f := range frames {
			area, columns := 0, 0
			for i, v := range t.packed.Data[(f*len(t.objects)+k)*h*w:][:h*w] {
				for bit := range 8 {
					if uint8(v)>>bit&1 != 0 {
						area++
						columns += i%w*8 + bit
					}
				}
			}
			if area == 0 {
				continue
			}
			places[k].first = f
			if places[k].key = float32(columns) / float32(area) / float32(8*w); byArea {
				places[k].key = -float32(area) / float32(8*w*h)
			}
			break
		}
	}
	slices.SortStableFunc(t.objects, func(a, b int) int {
		if d := places[a].first - places[b].first; d != 0 {
			return d
		}
		switch x, y := places[a].key, places[b].key; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
}

// render colors the objects; of those that cover each other the first one shows.
func (t *objectTracks) render(ctx context.Context, background float32) (*tensor.Tensor, error) {
	if t.frames < 1 {
		return nil, nodes.Errorf("ValueError", "coloring masks: the tracks have no frame")
	}
	if err := imaging.CheckSize("colored masks", t.frames, t.height, t.width, 3); err != nil {
		return nil, err
	}
	out := tensor.New(t.frames, t.height, t.width, 3)
	fill(out.Data, background)
	if t.packed == nil {
		return out, nil
	}
	all, h, w := t.packed.Shape[1], t.packed.Shape[2], t.packed.Shape[3]
	rows, columns := nearestPlaces(h, t.height), nearestPlaces(8*w, t.width)
	for f := range t.frames {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		to := out.Index(f).Data
		for k := len(t.objects) - 1; k >= 0; k-- {
			color := scailColors[k%len(scailColors)]
			mask := t.packed.Data[(f*all+t.objects[k])*h*w:][:h*w]
			for y, row := range rows {
				for x, column := range columns {
					if uint8(mask[row*w+column/8])>>(column%8)&1 != 0 {
						copy(to[(y*t.width+x)*3:], color[:])
					}
				}
			}
		}
	}
	return out, nil
}

// nearestPlaces are the source places of torch's mode nearest.
func nearestPlaces(in, out int) []int {
	places, scale := make([]int, out), float32(in)/float32(out)
	for i := range places {
		places[i] = min(int(float32(i)*scale), in-1)
	}
	return places
}
