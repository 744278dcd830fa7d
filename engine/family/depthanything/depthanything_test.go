package depthanything_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/depthanything"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// read returns the network of a file.
func read(t *testing.T, src weights.Source) family.DepthNetwork {
	t.Helper()
	n, err := family.Open(family.Default, src).Geometry()
	if err != nil {
		t.Fatal(err)
	}
	return n.(family.DepthNetwork)
}

// pixels are images of the recording.
func pixels(name string, n, h, w int) *tensor.Tensor {
	x := golden.Normal("depthanything/"+name, n, 3, h, w)
	for i, v := range x.Data {
		x.Data[i] = min(max(v/6+0.5, 0), 1)
	}
	return x
}

// compare compares a value with all of a few recorded values, or one of every so many.
func compare(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor, shape []int, tolerance golden.Tolerance) {
	t.Helper()
	const short, every = 200, 17
	if got == nil {
		t.Errorf("%s: none", name)
		return
	}
	if got.Len() >= short {
		familytest.CompareEvery(t, stored, name, got, shape, every, tolerance)
		return
	}
	familytest.Compare(t, stored, name, &tensor.Tensor{Shape: shape, Data: got.Data}, tolerance)
}

// near is torch's own error in float32 where depths are exponentials.
var near = golden.Tolerance{RMSRel: 2e-5}

// TestEqualsUpstream compares networks of each form on single images whose patches are those of the table of positions, and other ones.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ confidence, sky, decoder, rays bool }{
		"views": {confidence: true, decoder: true, rays: true}, "sky": {sky: true}, "confident": {confidence: true},
	} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "depthanything")
		n := read(t, src)
		if decoder, rays := n.Cameras(); decoder != c.decoder || rays != c.rays {
			t.Errorf("%s: cameras by a decoder %v, by rays %v", name, decoder, rays)
		}
		for shape, x := range map[string]*tensor.Tensor{"one": pixels("one", 1, 56, 56), "wide": pixels("wide", 1, 42, 84)} {
			y, err := n.Depths(t.Context(), familytest.Runner{}, family.DepthCall{Images: x, Resolution: x.Dim(3)})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			size := []int{1, x.Dim(2), x.Dim(3)}
			compare(t, stored, shape+" depth", y.Depth, size, near)
			if c.confidence {
				compare(t, stored, shape+" depth_conf", y.Confidence, size, near)
			}
			if c.sky {
				compare(t, stored, shape+" sky", y.Sky, size, near)
			}
			if (y.Confidence != nil) != c.confidence || (y.Sky != nil) != c.sky || y.Extrinsics != nil || y.Intrinsics != nil {
				t.Errorf("%s: %+v", name, y)
			}
		}
		if n.Memory(1, 512, 512, family.DepthCall{Resolution: 504}) <= 0 {
			t.Errorf("%s: no estimate of memory", name)
		}
		if name != "confident" { // whose layers the others have
			familytest.CheckCUDA(t, src, 1)
		}
	}
}

// TestCellsEqualUpstream compares sizes with those of ComfyUI's compute_target_size, where the order of a product and a quotient decides among them.
func TestCellsEqualUpstream(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/sky", "depthanything")
	n := read(t, src)
	for _, c := range []struct{ h, w, resolution, rows, columns int }{
		{280, 190, 154, 11, 8}, {1368, 2016, 154, 8, 11}, {720, 1280, 504, 20, 36}, {1000, 3, 140, 10, 1},
	} {
		rows, columns := depthanything.Cells(n, c.h, c.w, family.DepthCall{Resolution: c.resolution})
		if rows != c.rows || columns != c.columns {
			t.Errorf("an image of %dx%d pixels at %d is %dx%d patches, want %dx%d", c.h, c.w, c.resolution, rows, columns, c.rows, c.columns)
		}
	}
}

// TestScenes compares views that look at each other, placed by each kind of anchor. Poses are sums of many features: 1e-4 of their size is allowed.
func TestScenes(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/views", "depthanything")
	n, scene := read(t, src), pixels("scene", 4, 42, 56)
	pose := golden.Tolerance{RMSRel: 1e-4}
	for key, c := range map[string]family.DepthCall{
		"first": {Anchor: "first"}, "middle": {Anchor: "middle"}, "balanced": {Anchor: "saddle_balanced"}, "two": {Anchor: "saddle_balanced"},
	} {
		c.Images, c.Resolution, c.Scene = scene, 56, true
		if key == "two" {
			c.Images = scene.Slice(0, 2)
		}
		y, err := n.Depths(t.Context(), familytest.Runner{}, c)
		if err != nil {
			t.Fatalf("%s: %v", key, err)
		}
		views := c.Images.Dim(0)
		compare(t, stored, key+" depth", y.Depth, []int{views, 42, 56}, near)
		compare(t, stored, key+" extrinsics", y.Extrinsics, []int{1, views, 3, 4}, pose)
		compare(t, stored, key+" intrinsics", y.Intrinsics, []int{1, views, 3, 3}, pose)
		if key != "two" {
			compare(t, stored, key+" depth_conf", y.Confidence, []int{views, 42, 56}, near)
		}
	}
}

// TestAnchors compares which of five views is chosen, in eight scenes.
func TestAnchors(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/views", "depthanything")
	for _, kind := range []string{"saddle_balanced", "saddle_sim_range"} {
		const scenes, views, tokens, width = 8, 5, 2, 64
		found := tensor.New(scenes)
		for i := range scenes {
			at, err := depthanything.Choice(t.Context(), familytest.Runner{}, src, golden.Normal(fmt.Sprintf("depthanything/tokens %d", i), views, tokens, width), kind)
			if err != nil {
				t.Fatal(err)
			}
			found.Data[i] = float32(at)
		}
		familytest.Compare(t, stored, "chosen "+kind, found, golden.Tolerance{MaxAbs: 0.1})
	}
}

// runner keeps an output of the graph.
type runner struct {
	familytest.Runner
	kept map[string]*tensor.Tensor
}

// Run implements family.Runner.
func (r *runner) Run(ctx context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	res, err := r.Runner.Run(ctx, g, in, outputs...)
	r.kept = res
	return res, err
}

// TestRays compares the rays of pixels, which cameras are found from.
func TestRays(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/views", "depthanything")
	var run runner
	y, err := read(t, src).Depths(t.Context(), &run, family.DepthCall{Images: pixels("scene", 4, 42, 56), Resolution: 56, Scene: true, Anchor: "saddle_balanced", Rays: true})
	if err != nil {
		t.Fatal(err)
	}
	if y.Extrinsics == nil || y.Intrinsics == nil {
		t.Error("no cameras")
	}
	const views, h, w, values = 4, 24, 32, 6
	rays, trust := tensor.New(views, h, w, values), tensor.New(views, h, w)
	for v := range views {
		got := run.kept["rays"].Index(v).Data
		for i := range h * w {
			for k := range values {
				rays.Data[(v*h*w+i)*values+k] = got[k*h*w+i]
			}
			trust.Data[v*h*w+i] = float32(math.Exp(float64(got[values*h*w+i]))) + 1
		}
	}
	compare(t, stored, "rays ray", rays, rays.Shape, near)
	compare(t, stored, "rays ray_conf", trust, trust.Shape, near)
}

// field are rays of cameras that are turned and have focal lengths, with noise and some that fit nothing: those of record.py.
func field() *tensor.Tensor {
	const views, h, w, values = 2, 24, 32, 7
	turns := [views][9]float64{{0.36, 0.48, -0.8, -0.8, 0.6, 0, 0.48, 0.64, 0.6}, {1, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8}}
	lenses := [views][9]float64{{0.7, 0, 0.1, 0, 0.9, -0.05, 0, 0, 1}, {1.2, 0, 0, 0, 1.1, 0.2, 0, 0, 1}}
	normal := func(name string, shape ...int) []float32 { return golden.Normal("depthanything/"+name, shape...).Data }
	noise, places, trust := normal("noise", 1, views, h, w, 3), normal("places", 1, views, h, w, 3), normal("trust", 1, views, h, w)
	const down, across, rows, columns = 5, 3, 5, 11 // every so many rays fit nothing
	wrong := normal("wrong", 1, views, rows, columns, 3)
	times := func(m [9]float64, v [3]float64) (out [3]float64) {
		for i := range out {
			out[i] = m[3*i]*v[0] + m[3*i+1]*v[1] + m[3*i+2]*v[2]
		}
		return out
	}
	out := tensor.New(views, values, h, w)
	for v := range views {
		for i := range h * w {
			y, x := i/w, i%w
			ray := times(turns[v], times(lenses[v], [3]float64{(2*float64(x)+1)/w - 1, (2*float64(y)+1)/h - 1, 1}))
			at := (v*h*w + i) * 3
			to := func(k int) *float32 { return &out.Data[(v*values+k)*h*w+i] }
			for k := range 3 {
				*to(k) = float32(ray[k]) + noise[at+k]*1e-3
				if y%down == 0 && x%across == 0 {
					*to(k) = wrong[((v*rows+y/down)*columns+x/across)*3+k]
				}
				*to(3 + k) = places[at+k]*0.1 + []float32{0.3, -0.2, 1}[k]
			}
			*to(values - 1) = trust[v*h*w+i]
		}
	}
	return out
}

// TestCameras compares the cameras that rays tell: the trials draw the same samples, so that the same pixels fit. torch solves in float32, by whose
// error of 1e-4 a thousandth of the focal length is off.
func TestCameras(t *testing.T) {
	t.Parallel()
	stored, _ := familytest.Recorded(t, "testdata/views", "depthanything")
	const h, w = 168, 224
	rays := field()
	extrinsics, intrinsics, err := depthanything.Cameras(t.Context(), rays, h, w)
	if err != nil {
		t.Fatal(err)
	}
	focal, centre := tensor.New(1, 2, 2), tensor.New(1, 2, 2)
	for v := range 2 {
		k := intrinsics.Index(v).Data
		focal.Data[2*v], focal.Data[2*v+1] = k[0]*2/w, k[4]*2/h
		centre.Data[2*v], centre.Data[2*v+1] = k[2]*2/w, k[5]*2/h
	}
	tolerance := golden.Tolerance{RMSRel: 1e-4}
	compare(t, stored, "field extrinsics", extrinsics, []int{1, 2, 3, 4}, tolerance)
	compare(t, stored, "field focal", focal, focal.Shape, tolerance)
	compare(t, stored, "field centre", centre, centre.Shape, tolerance)
	rays.Data[5] = float32(math.NaN())
	if _, _, err := depthanything.Cameras(t.Context(), rays, h, w); err == nil || !strings.Contains(err.Error(), "not finite") {
		t.Errorf("rays that are not finite: %v", err)
	}
	if _, _, err := depthanything.Cameras(t.Context(), tensor.New(1, 7, 8, 8), h, w); err != nil {
		t.Errorf("rays without directions: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := depthanything.Cameras(ctx, field(), h, w); err == nil {
		t.Error("an interrupted search ended without an error")
	}
}

// TestDetection passes near misses of the family and of its neighbours, and calls that do not fit.
func TestDetection(t *testing.T) {
	t.Parallel()
	_, views := familytest.Recorded(t, "testdata/views", "depthanything")
	_, sky := familytest.Recorded(t, "testdata/sky", "depthanything")
	for name, c := range map[string]struct {
		src  weights.Source
		want string
	}{
		"no patches":      {familytest.Without(views, "patch_embeddings.projection.weight"), "holds no geometry model"},
		"no camera":       {familytest.Without(views, "camera_token"), "0 camera tokens"},
		"no norms":        {familytest.Without(views, "q_norm"), "from layer 12 of 12 on"},
		"few layers":      {familytest.Without(views, "layer.7."), "has 7 layers: wanted at least 12"},
		"no projection":   {familytest.Without(sky, "projects.2"), "projects.2.weight is []"},
		"no output":       {familytest.Without(sky, "scratch.output_conv2.2"), "output_conv2.2.weight []"},
		"no positions":    {familytest.Without(sky, "position_embeddings"), "position_embeddings []"},
		"another network": {dryrun.List("feature_encoder.conv.weight 2 2 1 1\n"), "holds no geometry model"},
	} {
		if _, err := family.Open(family.Default, c.src).Geometry(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, shape := range map[string][]int{"head.projects.1.weight": {1 << 31, 128, 0, 1}, "head.scratch.refinenet1.out_conv.weight": {1 << 31, 0, 1, 1}} { // empty, but wide
		var list []weights.Entry
		for _, n := range views.Names() {
			e, _ := views.Lookup(n)
			if n == name {
				e.Shape, e.Data = shape, nil
			}
			list = append(list, e)
		}
		if _, err := family.Open(family.Default, dryrun.Described(list)).Geometry(); err == nil || !strings.Contains(err.Error(), "reading the shape of the head") {
			t.Errorf("%s of %v: %v", name, shape, err)
		}
	}
	n := read(t, sky)
	for name, c := range map[string]family.DepthCall{
		"channels": {Images: tensor.New(1, 4, 8, 8), Resolution: 56}, "no image": {Resolution: 56}, "an empty batch": {Images: tensor.New(0, 3, 8, 8), Resolution: 56},
		"no resolution": {Images: tensor.New(1, 3, 8, 8)},
	} {
		if _, err := n.Depths(t.Context(), familytest.Runner{}, c); err == nil || !strings.Contains(err.Error(), "[images, 3, height, width]") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if bytes := n.Memory(1, 1, 100000, family.DepthCall{Resolution: 2520, Shorter: true}); bytes != math.MaxInt64 {
		t.Errorf("an image of one row whose shorter side is enlarged takes %d bytes", bytes)
	}
}

// TestNarrow looks at images with sides below a patch, of which upstream makes no patch: they have one here.
func TestNarrow(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/confident", "depthanything")
	for _, size := range [][2]int{{1, 1}, {200, 3}} {
		y, err := read(t, src).Depths(t.Context(), familytest.Runner{}, family.DepthCall{Images: tensor.New(1, 3, size[0], size[1]), Resolution: 28})
		if err != nil || fmt.Sprint(y.Depth.Shape) != fmt.Sprint([]int{1, size[0], size[1]}) {
			t.Errorf("%v: %v", size, err)
		}
	}
}
