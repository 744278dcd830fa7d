package rtdetr_test

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/rtdetr"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// read returns the network of a file.
func read(t *testing.T, src weights.Source) family.Detector {
	t.Helper()
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	return d.(family.Detector)
}

// TestEqualsUpstream compares what small networks find, with an encoder as wide as the decoder and a wider one: 5e-5 is allowed for values of about
// one, because places are read and moved again by several layers in float32. Candidates whose scores differ by less than that may change places.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	x := golden.Normal("rtdetr/x", 2, 3, 640, 640)
	for i, v := range x.Data {
		x.Data[i] = min(max(v/6+0.5, 0), 1)
	}
	for _, name := range []string{"small", "wide"} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "rtdetr")
		n := read(t, src)
		logits, boxes, err := n.Detect(t.Context(), familytest.Runner{}, x)
		if err != nil {
			t.Fatal(err)
		}
		checkFound(t, name, stored, logits, boxes)
		if n.Side() != 640 || n.Classes() != 80 || n.Activations(2) <= n.Activations(1) || n.Activations(1) <= 0 {
			t.Errorf("%d pixels, %d classes, %d bytes for one image and %d for two", n.Side(), n.Classes(), n.Activations(1), n.Activations(2))
		}
		familytest.CheckCUDA(t, src, 1)
		checkTables(t, stored)
		without := familytest.Without(familytest.Without(familytest.Without(src, "anchors"), "project"), "num_points_scale")
		if _, _, err := read(t, familytest.Without(without, "reg_scale")).Detect(t.Context(), familytest.Runner{}, x); err != nil {
			t.Errorf("%s without tables: %v", name, err)
		}
	}
}

// checkFound compares candidates with recorded ones, each of which is one of those next to its place.
func checkFound(t *testing.T, name string, stored *inner.Tensors, logits, boxes *tensor.Tensor) {
	t.Helper()
	const every, classes, values, tolerance, near = 10, 80, 12, 5e-5, 2
	want, err := stored.Get("found")
	if err != nil {
		t.Fatal(err)
	}
	n := boxes.Dim(1)
	if !slices.Equal(want.Shape, []int{boxes.Dim(0), n, values}) || !slices.Equal(logits.Shape, []int{boxes.Dim(0), n, classes}) {
		t.Fatalf("%s: boxes %v and logits %v, want %v", name, boxes.Shape, logits.Shape, want.Shape)
	}
	used := make([]bool, want.Dim(0)*n)
	for i := range used {
		row := slices.Concat(boxes.Data[4*i:4*i+4], golden.Strided(logits.Data[classes*i:classes*(i+1)], every))
		found := false
		for k := max(i-near, i/n*n); k <= min(i+near, i/n*n+n-1) && !found; k++ {
			close := !used[k]
			for at, v := range want.Data[values*k : values*(k+1)] {
				close = close && math.Abs(float64(v-row[at])) <= tolerance
			}
			if close {
				used[k], found = true, true
			}
		}
		if !found {
			t.Fatalf("%s: candidate %d is %v, want %v or one beside", name, i, row, want.Data[values*i:values*(i+1)])
		}
	}
}

// checkTables compares the tables of files that have none; logarithms of float32 values are right to 1e-6.
func checkTables(t *testing.T, stored *inner.Tensors) {
	t.Helper()
	boxes, valid := rtdetr.Anchors()
	want, err := stored.Get("anchors")
	if err != nil {
		t.Fatal(err)
	}
	const every, far = 29, 1e9
	for i := range len(valid) / every {
		for k, v := range boxes[4*i*every : 4*i*every+4] {
			w := want.Data[4*i+k]
			if outside := math.IsInf(float64(v), 1); outside != (w == far) || outside == (valid[i*every] == 1) || !outside && math.Abs(float64(v-w)) > 2e-6 {
				t.Fatalf("the box %d is %v, want %v", i*every, boxes[4*i*every:4*i*every+4], want.Data[4*i:4*i+4])
			}
		}
	}
	project, err := stored.Get("project")
	if err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "project", rtdetr.Distances(len(project.Data)), project.Data, golden.Tolerance{MaxAbs: 2e-6})
}

// restated is a file whose tensor of a name has another shape.
func restated(src weights.Source, name string, shape ...int) weights.Source {
	var list []weights.Entry
	for _, n := range src.Names() {
		e, _ := src.Lookup(n)
		if n == name {
			e.Shape, e.Data = shape, nil
		}
		list = append(list, e)
	}
	return dryrun.Described(list)
}

// TestDetection passes near misses, and what the network does not do.
func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/small", "rtdetr")
	if d := family.Open(family.Default, src).Describe(); d.Family != "RT-DETR v4" || !d.Runs {
		t.Errorf("%+v", d)
	}
	for name, c := range map[string]struct {
		src  weights.Source
		want string
	}{
		"no fine block":                 {familytest.Without(src, "pan_blocks.1.cv4"), "holds no diffusion model"},
		"no scores":                     {familytest.Without(src, "enc_score_head"), "enc_score_head.weight []"},
		"few stages":                    {familytest.Without(src, "backbone.stages.3"), "its backbone has 3 stages"},
		"no layers":                     {familytest.Without(src, "decoder.decoder.layers"), "its decoder 0 layers"},
		"an empty encoder":              {dryrun.List("encoder.pan_blocks.1.cv4.conv.weight 0 0 1 1\n"), "cv4.conv.weight is [0 0 1 1]"},
		"a wide encoder without values": {restated(src, "encoder.pan_blocks.1.cv4.conv.weight", 1<<31, 0, 1, 1), "cv4.conv.weight is [2147483648 0 1 1]"},
		"a wide decoder without values": {restated(src, "decoder.enc_output.proj.weight", 1<<31, 0), "proj.weight [2147483648 0]"},
		"distances without values":      {restated(src, "decoder.dec_bbox_head.0.layers.2.weight", 1<<31, 0), "layers.2.weight [2147483648 0]"},
	} {
		if _, _, err := family.Open(family.Default, c.src).Diffusion(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	n := read(t, src)
	if _, err := n.Predict(t.Context(), familytest.Runner{}, family.Call{}); err == nil || !strings.Contains(err.Error(), "RTDETR_detect") {
		t.Errorf("predicting: %v", err)
	}
	if _, err := n.Inputs(&sampling.Cond{}, sampling.Request{}); err == nil || !strings.Contains(err.Error(), "RTDETR_detect") {
		t.Errorf("inputs: %v", err)
	}
	for _, shape := range [][]int{{1, 3, 64, 64}, {0, 3, 640, 640}, {1, 4, 640, 640}, {3, 640, 640}} {
		if _, _, err := n.Detect(t.Context(), familytest.Runner{}, tensor.New(shape...)); err == nil || !strings.Contains(err.Error(), "wanted [images, 3, 640, 640]") {
			t.Errorf("%v: %v", shape, err)
		}
	}
}
