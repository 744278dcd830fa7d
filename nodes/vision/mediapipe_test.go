package vision_test

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
	inner "comfygo/internal/golden"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/nodes/vision"
	"comfygo/tests/golden"
	"comfygo/tests/nodetest"
)

// ring are n landmarks from first on, joined to a ring.
func ring(first, n int) (out [][2]int) {
	for i := range n {
		out = append(out, [2]int{first + i, first + (i+1)%n})
	}
	return out
}

// topology are the made-up lines of the recording.
func topology() map[string][][2]int {
	out := map[string][][2]int{"lips": append(ring(60, 8), ring(70, 5)...), "irises": append(ring(80, 4), ring(90, 4)...)}
	for i, name := range []string{"face_oval", "left_eye", "right_eye", "left_eyebrow", "right_eyebrow"} {
		out[name] = ring(10*i, 8)
	}
	for i := 100; i < 106; i++ {
		out["nose"] = append(out["nose"], [2]int{i, i + 1})
	}
	for i := 0; i < 120; i += 3 {
		out["tesselation"] = append(out["tesselation"], [2]int{i, i + 7})
	}
	return out
}

// calm stores lines and tables of the recording, of whole numbers where files have them, and small scores.
func calm(x *safetensors.Tensor) {
	whole := func(v []int) {
		x.DType, x.Data = dtype.I32, nil
		for _, n := range v {
			x.Data = binary.LittleEndian.AppendUint32(x.Data, uint32(n)) //nolint:gosec // small numbers
		}
	}
	switch part, lines := strings.CutPrefix(x.Name, "topology."); {
	case lines:
		var list []int
		for _, e := range topology()[part] {
			list = append(list, e[:]...)
		}
		whole(list)
	case x.Name == "procrustes_indices":
		var list []int
		for i := range 30 {
			list = append(list, 15*i)
		}
		whole(list)
	case x.Name == "procrustes_weights":
		var list []float32
		for i := range 30 {
			list = append(list, 1/float32(1+i))
		}
		x.Data = inner.Bytes(list)
	case strings.Contains(x.Name, ".cls_") && !strings.Contains(x.Name, "cls_dw"):
		v := make([]float32, len(x.Data)/4)
		for i := range v {
			v[i] = math.Float32frombits(binary.LittleEndian.Uint32(x.Data[4*i:])) * 0.05
		}
		x.Data = inner.Bytes(v)
	}
}

// TestMediaPipeFaceLandmarker runs the classes as ComfyUI's ran. Networks that were not trained place landmarks far outside of the image, so that boxes
// are right to 2e-4 of their size, of some thousand pixels; the matrix follows from them.
func TestMediaPipeFaceLandmarker(t *testing.T) {
	t.Parallel()
	ctx := place(t, "detection", "facemesh", "net", calm)
	stored, err := inner.ReadTensors("testdata/faces.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("testdata/faces.json")
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := pyjson.UnmarshalObject(raw)
	if err != nil {
		t.Fatal(err)
	}
	m := nodetest.Run(t, ctx, &vision.LoadMediaPipeFaceLandmarker{ModelName: "net.safetensors"})[0].(*engine.FaceFinder)
	images := image("facemesh", "images", 2, 40, 61, 4)
	for name, n := range map[string]vision.MediaPipeFaceLandmarker{
		"near": {DetectorVariant: "short", NumFaces: 3}, "far": {DetectorVariant: "full", NumFaces: 1}, "both": {DetectorVariant: "both", MinConfidence: 0.7}, "nothing": {DetectorVariant: "short", NumFaces: 1, MinConfidence: 1},
	} {
		n.FaceDetectionModel, n.Image, n.MissingFrameFallback = m, images, "empty"
		out := nodetest.Run(t, ctx, &n)
		want, _ := recorded.Get(name)
		compareBoxes(t, name, out[1], want, 0.2)
		marks := out[0].(*vision.FaceLandmarks)
		if marks.Height != 40 || marks.Width != 61 || len(marks.Frames) != 2 {
			t.Errorf("%s: %d images of %dx%d", name, len(marks.Frames), marks.Width, marks.Height)
		}
		if !stored.Has("pose " + name) {
			continue
		}
		var poses []float32
		for _, frame := range marks.Frames {
			for _, f := range frame {
				for _, row := range f.Pose {
					poses = append(poses, row[:]...)
				}
			}
		}
		check(t, stored, "pose "+name, poses, 1, golden.Tolerance{RMSRel: 1e-3})
	}
	nan := tensor.New(1, 4, 4, 3)
	nan.Data[13] = float32(math.NaN())
	for want, n := range map[string]nodes.Node{
		"there is no file":         &vision.LoadMediaPipeFaceLandmarker{ModelName: "absent.safetensors"},
		"holds no face landmark":   &vision.LoadMediaPipeFaceLandmarker{ModelName: "other.safetensors"},
		"broken.safetensors":       &vision.LoadMediaPipeFaceLandmarker{ModelName: "broken.safetensors"},
		"connect LoadMediaPipe":    &vision.MediaPipeFaceLandmarker{Image: nan},
		"column 0 of row 1":        &vision.MediaPipeFaceLandmarker{FaceDetectionModel: m, Image: nan},
		"not an image batch":       &vision.MediaPipeFaceLandmarker{FaceDetectionModel: m, Image: tensor.New(0, 4, 4, 3)},
		"and three channels":       &vision.MediaPipeFaceLandmarker{FaceDetectionModel: m, Image: tensor.New(1, 4, 4, 1)},
		"connect MediaPipeFaceLan": &vision.MediaPipeFaceMask{},
		"there are no landmarks":   &vision.MediaPipeFaceMeshVisualize{},
		"no tensor topology.":      &vision.MediaPipeFaceMask{FaceLandmarks: &vision.FaceLandmarks{Frames: make([][]family.Face, 1), Height: 4, Width: 4}},
		"of no image: connect":     &vision.MediaPipeFaceMeshVisualize{FaceLandmarks: &vision.FaceLandmarks{Height: 4, Width: 4}},
		"masks of faces":           &vision.MediaPipeFaceMask{FaceLandmarks: &vision.FaceLandmarks{Frames: make([][]family.Face, 1), Height: 1 << 30, Width: 1 << 30, Lines: topology()}},
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q", n, err, want)
		}
	}
	if faces, err := m.Find(t.Context(), tensor.New(1, 1, 3), family.FaceOptions{Threshold: 1}); err != nil || len(faces) != 0 {
		t.Errorf("one pixel: %d faces, %v", len(faces), err)
	}
}

// face is a made-up face of the recording, whose landmarks lie around a place.
func face(seed string, score, x, y, size float64) family.Face {
	f := family.Face{Score: float32(0.5 / (score + 1)), Presence: float32(score), Points: make([][3]float32, 478)}
	v := golden.Normal("facemesh/face "+seed, 478, 2).Data
	for i := range 478 {
		p := [2]float32{v[2*i]*float32(size) + float32(x), v[2*i+1]*float32(size) + float32(y)}
		if i < 100 {
			a := float64(i%10) * 2 * math.Pi / 8
			p = [2]float32{float32(x + size*(2-float64(i)/60)*math.Cos(a)), float32(y + size*(2-float64(i)/60)*math.Sin(a))}
		}
		f.Marks = append(f.Marks, p)
		if i == 0 {
			f.Box = [4]float32{p[0], p[1], p[0], p[1]}
		}
		f.Box = [4]float32{min(f.Box[0], p[0]), min(f.Box[1], p[1]), max(f.Box[2], p[0]), max(f.Box[3], p[1])}
	}
	return f
}

// TestDrawFaces compares all pixels of what Pillow draws.
func TestDrawFaces(t *testing.T) {
	t.Parallel()
	ctx := nodes.TestContext(t.Context(), nodes.Services{})
	stored, err := inner.ReadTensors("testdata/faces.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	first := []family.Face{face("0", 0, 20.5, 15.25, 9)}
	last := []family.Face{face("1", 1, 30, 20, 6), face("2", 2, 70, 50, 30)}
	marks := &vision.FaceLandmarks{Frames: [][]family.Face{first, nil, last, nil}, Height: 40, Width: 61, Lines: topology()}
	drawn := image("facemesh", "drawn", 3, 40, 61, 3)
	for name, n := range map[string]vision.MediaPipeFaceMeshVisualize{
		"all":    {Connections: nodes.Choice{Key: "all"}, Color: "#12AB34", Thickness: 1, PointSize: 2, Image: drawn},
		"wide":   {Connections: nodes.Choice{Key: "all"}, Color: "red", Thickness: 4, Image: drawn},
		"two":    {Connections: nodes.Choice{Key: "all"}, Color: "no color", Thickness: 2, PointSize: 1},
		"fill":   {Connections: nodes.Choice{Key: "fill"}, Color: "#f08", Thickness: 3, PointSize: 5, Image: drawn},
		"mesh":   {Connections: nodes.Choice{Key: "custom", Inputs: &vision.DrawnParts{Tesselation: true, Nose: true}}, Color: "#0000ff", Thickness: 3, PointSize: 7},
		"points": {Connections: nodes.Choice{Key: "custom", Inputs: &vision.DrawnParts{Tesselation: true}}, Color: "#ffffff", PointSize: 16, Image: drawn},
		"eight":  {Connections: nodes.Choice{Key: "all"}, Color: "#fff", Thickness: 8, PointSize: 3, Image: drawn},
	} {
		n.FaceLandmarks = marks
		got := nodetest.Run(t, ctx, &n)[0].(*tensor.Tensor)
		want, err := stored.Get("draw " + name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Shape, want.Shape) {
			t.Errorf("%s: shape %v, want %v", name, got.Shape, want.Shape)
			continue
		}
		for i, v := range got.Data {
			if float32(math.Round(float64(v*255))) != want.Data[i] {
				t.Errorf("%s: value %d (image %d, row %d, column %d) is %v, want %v", name, i, i/3/61/40, i/3/61%40, i/3%61, v*255, want.Data[i])
				break
			}
		}
	}
	for name, c := range map[string]nodes.Choice{"all": {Key: "all"}, "parts": {Key: "custom", Inputs: &vision.MaskedParts{Lips: true, Irises: true}}} {
		got := nodetest.Run(t, ctx, &vision.MediaPipeFaceMask{FaceLandmarks: marks, Regions: c})[0].(*tensor.Tensor)
		want, err := stored.Get("mask " + name)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got.Data {
			if bit := int(want.Data[i/8]) >> (7 - i%8) & 1; float32(bit) != v {
				t.Errorf("mask of %s: value %d (row %d, column %d) is %v, want %d", name, i, i/61%40, i%61, v, bit)
				break
			}
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := (&vision.MediaPipeFaceMask{FaceLandmarks: marks, Regions: nodes.Choice{Key: "all"}}).Run(nodes.TestContext(stopped, nodes.Services{})); err == nil {
		t.Error("a stopped run gave masks")
	}
}

// TestFillFaces compares the faces that images without any get from images around them: means of float32 values.
func TestFillFaces(t *testing.T) {
	t.Parallel()
	stored, err := inner.ReadTensors("testdata/faces.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	first := []family.Face{face("0", 0, 20.5, 15.25, 9)}
	last := []family.Face{face("1", 1, 30, 20, 6), face("2", 2, 70, 50, 30)}
	for how, counts := range map[string][]int{"previous": {0, 1, 1, 1, 2, 2}, "interpolate": {1, 1, 1, 1, 2, 2}, "empty": {0, 1, 0, 0, 2, 0}} {
		frames := [][]family.Face{nil, first, nil, nil, last, nil}
		vision.Fill(frames, how)
		var got []float32
		for i, frame := range frames {
			if len(frame) != counts[i] {
				t.Errorf("%s: image %d has %d faces, want %d", how, i, len(frame), counts[i])
			}
			for _, f := range frame {
				got = append(got, f.Box[:]...)
				for k := 0; k < 2*478; k += 50 {
					got = append(got, f.Marks[k/2][k%2])
				}
				got = append(got, f.Score, f.Presence)
			}
		}
		if how != "empty" {
			check(t, stored, "fill "+how, got, 1, golden.Tolerance{MaxAbs: 1e-4})
		}
	}
}
