package vision

import (
	"fmt"
	"maps"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/plain"
	"comfygo/internal/pyjson"
)

// shapeNames are the names of a face's movements, in the order of the network's outputs.
var shapeNames = []string{
	"_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight",
	"eyeBlinkLeft", "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft", "eyeLookOutRight",
	"eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight",
	"mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft",
	"mouthLowerDownRight", "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
	"mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft",
	"noseSneerRight",
}

// Sets that upstream makes of the parts. Classes here join the parts when they draw.
const joinedContours, joinedAll = "contours", "all"

// Plain is the landmarks as upstream's dictionary.
func (l *FaceLandmarks) Plain() any {
	if l == nil {
		return nil
	}
	frames := make([]any, len(l.Frames))
	for i, faces := range l.Frames {
		list := make([]any, len(faces))
		for k := range faces {
			list[k] = plainFace(&faces[k])
		}
		frames[i] = list
	}
	sets := pyjson.NewObject()
	for _, name := range slices.Sorted(maps.Keys(l.Lines)) {
		set := make(pyjson.Frozen, len(l.Lines[name]))
		for i, e := range l.Lines[name] {
			set[i] = pyjson.Tuple{int64(e[0]), int64(e[1])}
		}
		sets.Set(name, set)
	}
	joined := func(to string, parts ...string) {
		var all pyjson.Frozen
		for _, name := range parts {
			part, ok := sets.Get(name)
			if !ok {
				return // a file without a part has no union of them
			}
			all = append(all, part.(pyjson.Frozen)...)
		}
		sets.Set(to, all)
	}
	joined(joinedContours, contours...)
	joined(joinedAll, joinedContours, "irises", "nose")
	return pyjson.NewObject("frames", frames, "image_size", pyjson.Tuple{int64(l.Height), int64(l.Width)}, "connection_sets", sets)
}

func plainFace(f *family.Face) *pyjson.Object {
	marks, points, pose := tensor.New(len(f.Marks), 2), tensor.New(len(f.Points), 3), tensor.New(4, 4)
	for i, m := range f.Marks {
		copy(marks.Data[2*i:], m[:])
	}
	for i, p := range f.Points {
		copy(points.Data[3*i:], p[:])
	}
	for i, row := range f.Pose {
		copy(pose.Data[4*i:], row[:])
	}
	shapes := pyjson.NewObject()
	for i, v := range f.Shapes[:min(len(f.Shapes), len(shapeNames))] {
		shapes.Set(shapeNames[i], float64(v))
	}
	box := &tensor.Tensor{Shape: []int{4}, Data: slices.Clone(f.Box[:])}
	return pyjson.NewObject("bbox_xyxy", pyjson.Array{Tensor: box}, "blendshapes", shapes, "landmarks_xy", pyjson.Array{Tensor: marks}, "landmarks_3d", pyjson.Array{Tensor: points},
		"presence", float64(f.Presence), "score", float64(f.Score), "transformation_matrix", pyjson.Array{Tensor: pose})
}

// FromPlain implements nodes.FromPlain. A face without a pose gets one of zeros, which no class here reads.
func (l *FaceLandmarks) FromPlain(v any) error {
	o, err := plain.Dictionary(v)
	if err != nil {
		return err
	}
	out := FaceLandmarks{Lines: map[string][][2]int{}}
	size, _ := o.Get("image_size")
	sides, err := wholePair(size)
	if err != nil || sides[0] < 1 || sides[1] < 1 {
		return fmt.Errorf("image_size is %s, want a height and a width", pyjson.Repr(size))
	}
	out.Height, out.Width = sides[0], sides[1]
	frames, _ := o.Get("frames")
	list, ok := frames.([]any)
	if !ok {
		return fmt.Errorf("frames is a %s, want a list", pyjson.TypeName(frames))
	}
	for i, e := range list {
		faces, ok := e.([]any)
		if !ok {
			return fmt.Errorf("frame %d is a %s, want a list of faces", i, pyjson.TypeName(e))
		}
		var found []family.Face
		for k, face := range faces {
			f, err := faceOf(face)
			if err != nil {
				return fmt.Errorf("frame %d, face %d: %w", i, k, err)
			}
			found = append(found, f)
		}
		out.Frames = append(out.Frames, found)
	}
	for name, set := range o.Object("connection_sets").All() {
		if name == joinedContours || name == joinedAll {
			continue
		}
		edges, _ := set.([]any)
		out.Lines[name] = [][2]int{}
		for _, e := range edges {
			pair, err := wholePair(e)
			if err != nil {
				return fmt.Errorf("connection_sets, %s: %w", name, err)
			}
			out.Lines[name] = append(out.Lines[name], pair)
		}
		// Sets have no order in Python; lines are drawn in one that is always the same.
		slices.SortFunc(out.Lines[name], func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	}
	*l = out
	return nil
}

// wholePair reads two whole numbers that are not negative.
func wholePair(v any) (pair [2]int, err error) {
	list, _ := v.([]any)
	const most = 1 << 20
	for i := range pair {
		if len(list) != len(pair) {
			return pair, fmt.Errorf("%s is no pair of numbers", pyjson.Repr(v))
		}
		n, ok := list[i].(int64)
		if !ok || n < 0 || n > most {
			return pair, fmt.Errorf("%s is no pair of numbers of 0 to %d", pyjson.Repr(v), most)
		}
		pair[i] = int(n)
	}
	return pair, nil
}

func faceOf(v any) (family.Face, error) {
	var f family.Face
	o, err := plain.Dictionary(v)
	if err != nil {
		return f, err
	}
	box, err := plain.Needed(o, "bbox_xyxy", 4)
	if err != nil {
		return f, err
	}
	marks, err := plain.Needed(o, "landmarks_xy", -1, 2)
	if err != nil {
		return f, err
	}
	points, err := plain.Needed(o, "landmarks_3d", marks.Shape[0], 3)
	if err != nil {
		return f, err
	}
	pose, err := plain.Tensor(o, "transformation_matrix", 4, 4)
	if err != nil {
		return f, err
	}
	f.Box = [4]float32(box.Data)
	for i := range marks.Shape[0] {
		f.Marks = append(f.Marks, [2]float32(marks.Data[2*i:2*i+2]))
		f.Points = append(f.Points, [3]float32(points.Data[3*i:3*i+3]))
	}
	for i := range 4 {
		if pose != nil {
			f.Pose[i] = [4]float32(pose.Data[4*i : 4*i+4])
		}
	}
	for _, name := range shapeNames {
		shapes := o.Object("blendshapes")
		if !shapes.Has(name) {
			continue
		}
		x, err := plain.Number(shapes, name)
		if err != nil {
			return f, err
		}
		f.Shapes = append(f.Shapes, float32(x))
	}
	score, err := plain.Number(o, "score")
	if err != nil {
		return f, err
	}
	presence, err := plain.Number(o, "presence")
	f.Score, f.Presence = float32(score), float32(presence)
	return f, err
}
