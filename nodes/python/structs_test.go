package python

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/depthmap"
	"comfygo/internal/geometry/pointmap"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/vision"
)

// exported changes forms as Python's way back has them: tuples and sets as lists, arrays of numpy as tensors.
func exported(form any) any {
	switch v := form.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = exported(e)
		}
		return out
	case *pyjson.Object:
		switch v.String(mark) {
		case "tuple", "frozenset":
			items, _ := v.Get("items")
			return exported(items)
		case "array":
			return v.Object("tensor")
		}
		out := pyjson.NewObject()
		for k, e := range v.All() {
			out.Set(k, exported(e))
		}
		return out
	}
	return form
}

// returned is what a Python node gives that returns its input: sequences are lists then.
func returned(t *testing.T, f folder, form any) any {
	t.Helper()
	v, err := imported(f, exported(form))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestStructs gives values of comfygo's own types to Python, in the form of upstream's, and reads them back unchanged.
func TestStructs(t *testing.T) {
	t.Parallel()
	flat := func(n int) []float32 { return filled(n).Data }
	for name, c := range map[string]struct {
		value any
		read  nodes.FromPlain
		form  string // parts of the form
	}{
		"an audio encoding": {
			&family.AudioEncoding{Last: filled(1, 3, 2), Layers: []*tensor.Tensor{filled(1, 3, 2), filled(1, 3, 2)}, Samples: 960, Rate: 16000}, &family.AudioEncoding{},
			`"encoded_audio_all_layers": [{"$": "tensor"; "audio_samples": 960`,
		},
		"depth": {&depthmap.Map{Depth: filled(2, 2, 3), Image: filled(2, 2, 3, 3), Sky: filled(2, 2, 3)}, &depthmap.Map{}, `"mode": "mono"`},
		"depth of views": {
			&depthmap.Map{Depth: filled(2, 2, 3), Image: filled(2, 2, 3, 3), Confidence: filled(2, 2, 3), Extrinsics: filled(2, 3, 4), Intrinsics: filled(2, 3, 3)}, &depthmap.Map{},
			`"mode": "multiview"; "shape": [1, 2, 3, 4]; "shape": [1, 2, 3, 3]`,
		},
		"points": {
			&pointmap.Map{Points: filled(1, 2, 2, 3), Depth: filled(1, 2, 2), Image: filled(1, 2, 2, 3), Normals: filled(1, 2, 2, 3), Intrinsics: filled(1, 3, 3)}, &pointmap.Map{},
			`"normal": {"$": "tensor"`,
		},
		"faces": {
			&vision.FaceLandmarks{
				Frames: [][]family.Face{{{
					Box: [4]float32{1, 2, 3, 4}, Score: 0.5, Presence: 2, Marks: [][2]float32{{1, 2}, {3, 4}}, Points: [][3]float32{{1, 2, 3}, {4, 5, 6}},
					Shapes: []float32{0.25, 1}, Pose: [4][4]float32{{1, 0, 0, 5}, {0, 1, 0, 6}, {0, 0, 1, 7}, {0, 0, 0, 1}},
				}}, nil},
				Height: 8, Width: 9, Lines: map[string][][2]int{
					"lips": {{0, 1}, {1, 0}}, "face_oval": {{1, 2}}, "left_eye": {}, "right_eye": {}, "left_eyebrow": {}, "right_eyebrow": {}, "irises": {{3, 3}}, "nose": {},
				},
			}, &vision.FaceLandmarks{},
			`"image_size": {"$": "tuple", "items": [8, 9]}; "landmarks_xy": {"$": "array"; "blendshapes": {"_neutral": 0.25, "browDownLeft": 1.0}; {"$": "frozenset", "items": [{"$": "tuple", "items": [0, 1]}; "contours": {"$": "frozenset", "items": [{"$": "tuple", "items": [1, 2]}, {"$": "tuple", "items": [0, 1]}, {"$": "tuple", "items": [1, 0]}]}; "all"`,
		},
		"a mesh": {
			&geometry.Mesh{
				Items: []geometry.Item{
					{Vertices: flat(9), Faces: []int32{0, 1, 2}, Colors: flat(9), Channels: 3},
					{Vertices: flat(12), Faces: []int32{0, 1, 2, 1, 2, 3}, Colors: flat(12), Channels: 3},
				},
				Texture: filled(1, 2, 2, 3), Unlit: true,
				Material: &geometry.Material{BaseColor: []float64{1, 0, 0.5, 1}, Metallic: -1, Roughness: 0.25, EmissiveStrength: 2, NormalScale: 1, OcclusionStrength: 1},
			}, &geometry.Mesh{},
			`"class": "MESH"; "shape": [2, 4, 3]; "dtype": "int64"; "vertex_counts"; "base_color_factor": [1.0, 0.0, 0.5, 1.0]`,
		},
		"a volume": {&geometry.Voxels{Grid: filled(1, 2, 2, 2)}, &geometry.Voxels{}, `"class": "VOXEL"`},
		"cells":    {&geometry.Voxels{Cells: []int32{0, 1, 2, 3, 4, 5}, Colors: filled(2, 3), Resolution: 8}, &geometry.Voxels{}, `"dtype": "int32"; "resolution": 8`},
		"splats": {
			&geometry.Splats{Items: []geometry.SplatItem{
				{Positions: flat(6), Scales: flat(6), Rotations: flat(8), Opacities: flat(2), SH: flat(24), K: 4},
				{Positions: flat(3), Scales: flat(3), Rotations: flat(4), Opacities: flat(1), SH: flat(12), K: 4},
			}}, &geometry.Splats{},
			`"class": "SPLAT"; "shape": [2, 2, 4, 3]; "counts"`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := folder(t.TempDir())
			e := &encoder{shared: f}
			form, err := e.value(c.value)
			if err != nil {
				t.Fatal(err)
			}
			written := text(t, f, form)
			for part := range strings.SplitSeq(c.form, "; ") {
				if !strings.Contains(written, part) {
					t.Errorf("the form %s lacks %s", written, part)
				}
			}
			if err := c.read.FromPlain(returned(t, f, form)); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(c.read, c.value) {
				t.Errorf("read back it is %+v, want %+v", c.read, c.value)
			}
			if left, _ := os.ReadDir(string(f)); len(left) > 0 {
				t.Errorf("%d files are left", len(left))
			}
		})
	}
}

// TestStructsRefused has values of Python that are not what they should be.
func TestStructsRefused(t *testing.T) {
	t.Parallel()
	mesh := func(key string, v any) any {
		o := pyjson.NewObject("vertices", filled(1, 3, 3), "faces", tensor.New(1, 1, 3)).Set(key, v)
		return pyjson.Instance{Class: "MESH", Attributes: o}
	}
	far := tensor.New(1, 1, 3)
	far.Data[0] = 3
	for name, c := range map[string]struct {
		read nodes.FromPlain
		v    any
		want string
	}{
		"a number":              {&geometry.Mesh{}, int64(1), "want an object of the class MESH, have int"},
		"another class":         {&geometry.Mesh{}, pyjson.Instance{Class: "SPLAT", Attributes: pyjson.NewObject()}, "have one of SPLAT"},
		"parts of a triangle":   {&geometry.Mesh{}, mesh("faces", filled(1, 1, 3)), "want whole numbers"},
		"an index out of range": {&geometry.Mesh{}, mesh("faces", far), "item 0"},
		"too long an item":      {&geometry.Mesh{}, mesh("vertex_counts", &tensor.Tensor{Shape: []int{1}, Data: []float32{4}}), "vertex_counts has the value 4"},
		"no depth":              {&depthmap.Map{}, pyjson.NewObject(), "there is no depth"},
		"a sky of another size": {&depthmap.Map{}, pyjson.NewObject("depth", filled(1, 2, 2), "sky", filled(1, 2, 3)), "sky has the shape [1 2 3]"},
		"no points":             {&pointmap.Map{}, pyjson.NewObject("depth", filled(1, 2, 2)), "there is no points"},
		"layers of text":        {&family.AudioEncoding{}, pyjson.NewObject("encoded_audio", filled(1, 1, 1), "encoded_audio_all_layers", []any{"x"}), "layer 0"},
		"a flat volume":         {&geometry.Voxels{}, pyjson.Instance{Class: "VOXEL", Attributes: pyjson.NewObject("data", filled(2))}, "want a dense volume"},
		"no harmonics":          {&geometry.Splats{}, pyjson.Instance{Class: "SPLAT", Attributes: pyjson.NewObject("positions", filled(1, 1, 3))}, "there is no sh"},
	} {
		if err := c.read.FromPlain(c.v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want %q", name, err, c.want)
		}
	}
}
