package facemesh_test

import (
	"context"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/facemesh"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// recorded returns what record.py stored, and its file: indices and weights are not random, scores are small.
func recorded(t *testing.T) (*inner.Tensors, weights.Source) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/net", "facemesh")
	var list []weights.Entry
	for _, name := range src.Names() {
		e, _ := src.Lookup(name)
		v := make([]float32, e.Count())
		for i := range v {
			switch {
			case name == "procrustes_indices":
				v[i] = float32(15 * i)
			case name == "procrustes_weights":
				v[i] = 1 / float32(1+i)
			case strings.HasPrefix(name, "topology."):
				v[i] = float32(i)
			}
		}
		switch {
		case v[len(v)-1] != 0:
			e.Data = inner.Bytes(v)
		case strings.Contains(name, ".cls_") && !strings.Contains(name, "cls_dw"):
			if err := weights.Range(v, e, 0); err != nil {
				t.Fatal(err)
			}
			for i := range v {
				v[i] *= 0.05
			}
			e.Data = inner.Bytes(v)
		}
		list = append(list, e)
	}
	return stored, dryrun.Described(list)
}

// read returns the network of a file.
func read(t *testing.T, src weights.Source) family.FaceNetwork {
	t.Helper()
	n, err := family.Open(family.Default, src).Faces()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// strided are the values of the last axis or two that record.py keeps, of rows of x.
func strided(x *tensor.Tensor, down, across int) *tensor.Tensor {
	h, w := x.Dim(-2), x.Dim(-1)
	var out []float32
	rows := 0
	for i := range x.Len() / w {
		if i%h%down != 0 {
			continue
		}
		rows++
		for k := 0; k < w; k += across {
			out = append(out, x.Data[i*w+k])
		}
	}
	shape := slices.Clone(x.Shape)
	shape[len(shape)-1], shape[len(shape)-2] = (w+across-1)/across, (h+down-1)/down
	return &tensor.Tensor{Shape: shape, Data: out}
}

// between are values of a recording within bounds.
func between(name string, low, high float32, scale, shift float64, shape ...int) *tensor.Tensor {
	x := golden.Normal("facemesh/"+name, shape...)
	for i, v := range x.Data {
		x.Data[i] = min(max(float32(float64(v)/scale+shift), low), high)
	}
	return x
}

// photo is the recording's image [3,60,91] in 0…255.
func photo() *tensor.Tensor {
	x := golden.Normal("facemesh/photo", 60, 91, 3)
	out := tensor.New(3, 60, 91)
	for i := range 60 * 91 {
		for c := range 3 {
			out.Data[c*60*91+i] = float32(math.Trunc(float64(min(max(x.Data[3*i+c]*40+128, 0), 255))))
		}
	}
	return out
}

// TestEqualsUpstream compares the networks; float32 sums of up to sixteen blocks are right to 2e-5 of their size.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := recorded(t)
	n, run, tolerance := read(t, src), familytest.Runner{}, golden.Tolerance{RMSRel: 2e-5}
	for name, c := range map[string]struct {
		far   bool
		image string
		side  int
		every int
	}{"near": {false, "small", 128, 7}, "far": {true, "large", 192, 19}} {
		got, err := facemesh.Detect(t.Context(), run, n, c.far, between(c.image, -1, 1, 1, 0, 1, 3, c.side, c.side))
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, strided(got, c.every, 1), tolerance)
	}
	res, err := facemesh.Mesh(t.Context(), run, n, between("faces", 0, 1, 6, 0.5, 2, 3, 192, 192))
	if err != nil {
		t.Fatal(err)
	}
	var mesh []float32
	for i := range 2 {
		for k := 0; k < 478*3; k += 7 {
			mesh = append(mesh, res["marks"].Data[i*478*3+k])
		}
		mesh = append(append(mesh, res["presence"].Data[i]), res["shapes"].Data[52*i:52*(i+1)]...)
	}
	familytest.Compare(t, stored, "mesh", &tensor.Tensor{Shape: []int{2, len(mesh) / 2}, Data: mesh}, tolerance)
	if n.Memory() <= 0 {
		t.Error("no estimate of memory")
	}
	familytest.CheckCUDA(t, src, 1)
}

// TestSteps compares what lies between the networks: joined detections, images of squares and faces, and the matrix of a face. Sums of scores and places
// in float32 are right to 1e-5; the matrix is computed in float64 and stored in float32.
func TestSteps(t *testing.T) {
	t.Parallel()
	stored, src := recorded(t)
	n := read(t, src)
	scaled := func(name string, by float32, shape ...int) []float32 {
		x := golden.Normal("facemesh/"+name, shape...)
		for i := range x.Data {
			x.Data[i] *= by
		}
		return x.Data
	}
	for name, c := range map[string]struct {
		cells     int
		far       bool
		threshold float32
	}{"joined near": {896, false, 0.9}, "joined far": {2304, true, 0.97}} {
		got, err := facemesh.Joined(t.Context(), scaled("boxes", 30, c.cells, 16), scaled("logits", 2, c.cells, 1), c.far, c.threshold)
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, name, got, golden.Tolerance{MaxAbs: 1e-5})
	}
	colors := golden.Tolerance{MaxAbs: 5e-5} // of places of 1e-5 of a pixel, times differences of pixels
	box := []float32{0.2, 0.3, 0.7, 0.9, 0.3, 0.45, 0.62, 0.5, 0, 0, 0, 0, 0, 0, 0, 0}
	familytest.Compare(t, stored, "crop", strided(facemesh.Crop(photo(), box, [5]float64{}), 5, 3), colors)
	familytest.Compare(t, stored, "beyond", strided(facemesh.Crop(photo(), nil, [5]float64{-20, 70, 300, -80, 0.5}), 9, 7), colors)
	f := &family.Face{Marks: make([][2]float32, 478), Points: make([][3]float32, 478)}
	marks, points := golden.Normal("facemesh/marks", 478, 2).Data, golden.Normal("facemesh/points", 478, 3).Data
	for i := range f.Marks {
		for k := range 2 {
			f.Marks[i][k] = marks[2*i+k]*20 + 40
		}
		for k := range 3 {
			f.Points[i][k] = points[3*i+k]*30 + 90
		}
	}
	pose, err := n.Pose(f, 91, 60)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "pose", &tensor.Tensor{Shape: []int{4, 4}, Data: slices.Concat(pose[0][:], pose[1][:], pose[2][:], pose[3][:])}, golden.Tolerance{RMSRel: 1e-5})
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := facemesh.Joined(stopped, make([]float32, 896*16), make([]float32, 896), false, 0); err == nil {
		t.Error("a stopped run joined detections")
	}
}

// TestFind compares the faces that both detectors find in an image, whole; networks that were not trained place landmarks anywhere, which multiplies the
// errors of the steps before: 1e-4 of the values' size is allowed.
func TestFind(t *testing.T) {
	t.Parallel()
	stored, src := recorded(t)
	n := read(t, src)
	for name, o := range map[string]family.FaceOptions{"found": {Most: 3}, "found far": {Most: 2, Far: true}} {
		found, err := n.Find(t.Context(), familytest.Runner{}, photo(), o)
		if err != nil {
			t.Fatal(err)
		}
		var got []float32
		for _, f := range found {
			row := slices.Clone(f.Box[:])
			for _, p := range f.Marks {
				row = append(row, p[:]...)
			}
			for _, p := range f.Points {
				row = append(row, p[:]...)
			}
			row = append(append(row, f.Shapes...), f.Presence, f.Score)
			for i := 0; i < len(row); i += 5 {
				got = append(got, row[i])
			}
		}
		familytest.Compare(t, stored, name, &tensor.Tensor{Shape: []int{len(found), len(got) / max(len(found), 1)}, Data: got}, golden.Tolerance{RMSRel: 1e-4})
	}
	for _, shape := range [][]int{{3, 1, 1}, {3, 1, 300}} {
		if found, err := n.Find(t.Context(), familytest.Runner{}, tensor.New(shape...), family.FaceOptions{Threshold: 1}); err != nil || len(found) != 0 {
			t.Errorf("%v: %d faces, %v", shape, len(found), err)
		}
	}
	if _, err := n.Find(t.Context(), familytest.Runner{}, tensor.New(4, 8, 8), family.FaceOptions{}); err == nil || !strings.Contains(err.Error(), "wanted [3, height, width]") {
		t.Errorf("four channels: %v", err)
	}
}

// TestDetection passes near misses and tables that do not fit.
func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := recorded(t)
	if d := family.Open(family.Default, src).Describe(); d.Family != "MediaPipe face landmarks" || !d.Runs || !slices.Equal(d.Kinds, []string{"face landmark model"}) {
		t.Errorf("%+v", d)
	}
	for name, c := range map[string]struct {
		src  weights.Source
		want string
	}{
		"no detectors": {familytest.Without(src, "detector_"), "holds no face landmark model"},
		"no mesh":      {familytest.Without(src, "mesh."), "holds no face landmark model"},
		"one detector": {familytest.Without(src, "detector_full"), "detector_full.reg_conv.weight is []"},
		"no shapes":    {familytest.Without(src, "blendshapes.head"), "blendshapes.head.weight is []"},
		"no outline":   {familytest.Without(src, "topology.face_oval"), "topology.face_oval is []"},
		"no weights":   {familytest.Without(src, "procrustes_weights"), "procrustes_weights is []"},
	} {
		if _, err := family.Open(family.Default, c.src).Faces(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	lines, err := read(t, src).Lines()
	if err != nil || len(lines) != 9 || !slices.Equal(lines["nose"], [][2]int{{0, 1}, {2, 3}, {4, 5}, {6, 7}, {8, 9}, {10, 11}}) {
		t.Errorf("lines %v, %v", lines["nose"], err)
	}
	for name, v := range map[string][]float32{"topology.nose": {478, 0}, "topology.lips": {float32(math.NaN()), 1}, "topology.irises": {-1, 2}} {
		bad := familytest.Without(src, name)
		e := weights.Entry{Name: name, DType: dtype.F32, TypeName: "F32", Shape: []int{1, 2}, Data: inner.Bytes(v)}
		if _, err := read(t, with(bad, e)).Lines(); err == nil || !strings.Contains(err.Error(), name+" joins the landmarks") {
			t.Errorf("%s: %v", name, err)
		}
	}
	far := weights.Entry{Name: "procrustes_indices", DType: dtype.F32, TypeName: "F32", Shape: []int{30}, Data: inner.Bytes(append(make([]float32, 29), 1e9))}
	f := &family.Face{Marks: make([][2]float32, 478), Points: make([][3]float32, 478)}
	for want, c := range map[string]struct {
		src  weights.Source
		face *family.Face
	}{
		"names the landmark 1e+09": {with(familytest.Without(src, "procrustes_indices"), far), f},
		"0 landmarks":              {src, &family.Face{}},
		"all its points are one":   {with(familytest.Without(src, "canonical_vertices"), weights.Entry{Name: "canonical_vertices", DType: dtype.F32, TypeName: "F32", Shape: []int{468, 3}, Data: make([]byte, 468*12)}), f},
	} {
		if _, err := read(t, c.src).Pose(c.face, 8, 8); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// with is a source with one more tensor.
func with(src weights.Source, e weights.Entry) weights.Source {
	list := []weights.Entry{e}
	for _, name := range src.Names() {
		o, _ := src.Lookup(name)
		list = append(list, o)
	}
	return dryrun.Described(list)
}
