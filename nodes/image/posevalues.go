package image

import (
	"math"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// poseFrame holds the people of a frame.
type poseFrame struct {
	width, height int
	people        []*pyjson.Object
}

// posesOf reads keypoints in OpenPose's form: a list of frames, each with the size of its canvas and people.
func posesOf(v any) ([]poseFrame, error) {
	list, ok := v.([]any)
	if !ok && pyjson.Truthy(v) {
		return nil, nodes.Errorf("TypeError", "reading keypoints: a %s, want a list of frames", pyjson.TypeName(v))
	}
	frames := make([]poseFrame, len(list))
	for i, e := range list {
		o, ok := e.(*pyjson.Object)
		if !ok {
			return nil, nodes.Errorf("TypeError", "reading keypoints: frame %d is a %s", i, pyjson.TypeName(e))
		}
		f := &frames[i]
		for _, side := range []struct {
			key string
			to  *int
		}{{"canvas_height", &f.height}, {"canvas_width", &f.width}} {
			v, there := o.Get(side.key)
			if !there {
				return nil, nodes.Errorf("KeyError", "reading keypoints: frame %d has no %s", i, side.key)
			}
			n, ok := v.(int64)
			if !ok || n < 1 || n > maxCoordinate {
				return nil, nodes.Errorf("TypeError", "reading keypoints: %s of frame %d is %s, want a positive integer", side.key, i, pyjson.Repr(v))
			}
			*side.to = int(n)
		}
		people, there := o.Get("people")
		if !there {
			return nil, nodes.Errorf("KeyError", "reading keypoints: frame %d has no people", i)
		}
		all, ok := people.([]any)
		if !ok {
			return nil, nodes.Errorf("TypeError", "reading keypoints: people of frame %d is a %s", i, pyjson.TypeName(people))
		}
		for _, p := range all {
			person, ok := p.(*pyjson.Object)
			if !ok {
				return nil, nodes.Errorf("AttributeError", "reading keypoints: a person of frame %d is a %s", i, pyjson.TypeName(p))
			}
			f.people = append(f.people, person)
		}
	}
	return frames, nil
}

// optionalPoints are the parts that a person need not have.
var optionalPoints = map[string]bool{"foot_keypoints_2d": true}

// keypoints reads a part of a person, count triples of x, y and score; a count below 0 means any, and for none where the
// part is missing.
func keypoints(person *pyjson.Object, key string, count int) ([]keypoint, error) {
	v, there := person.Get(key)
	if !there && count >= 0 && !optionalPoints[key] {
		return nil, nodes.Errorf("KeyError", "reading keypoints: a person has no %s", key)
	}
	if !pyjson.Truthy(v) && (count < 0 || optionalPoints[key]) {
		return make([]keypoint, max(count, 0)), nil
	}
	flat, ok := v.([]any)
	if !ok || len(flat)%3 != 0 || count >= 0 && len(flat) != 3*count {
		return nil, nodes.Errorf("ValueError", "reading keypoints: %s does not have x, y and a score for each of %d points", key, max(count, 0))
	}
	out := make([]keypoint, len(flat)/3)
	for i := range out {
		for k, to := range []*float32{&out[i].x, &out[i].y, &out[i].score} {
			f, ok := number(flat[3*i+k])
			if !ok {
				f = math.NaN()
				if flat[3*i+k] != nil { // numpy reads None as NaN
					return nil, nodes.Errorf("ValueError", "reading keypoints: %s has a %s, want numbers", key, pyjson.TypeName(flat[3*i+k]))
				}
			}
			*to = float32(f)
		}
	}
	return out, nil
}
