package depthanything_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	_ "comfygo/engine/family/all"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/depthmap"
	inner "comfygo/internal/golden"
	"comfygo/nodes"
	"comfygo/nodes/depthanything"
	"comfygo/tests/golden"
	"comfygo/tests/nodetest"
)

// runtime is the one of all tests: a process can have one library open.
var runtime *engine.Runtime

func TestMain(m *testing.M) { os.Exit(nodetest.Main(m, &runtime, nil)) }

// place returns a context whose folders have the recorded models.
func place(t *testing.T) *nodes.Context {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "models", "geometry_estimation")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"views": "depthanything", "sky": "depthanything", "plain": "moge"} {
		nodetest.Save(t, filepath.Join(dir, name+".safetensors"), nodetest.Recorded(t, from, name))
	}
	if err := os.WriteFile(filepath.Join(dir, "other.safetensors"), []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	return nodetest.Context(t, runtime, base)
}

// run returns the first output of a node.
func run[T any](t *testing.T, ctx *nodes.Context, n nodes.Node) T {
	t.Helper()
	return nodetest.Run(t, ctx, n)[0].(T)
}

// image are the recording's images.
func image(n int) *tensor.Tensor {
	x := golden.Normal("depthanything/image", 3, 45, 70, 3)
	for i, v := range x.Data {
		x.Data[i] = min(max(v/6+0.5, 0), 1)
	}
	return x.Slice(0, n)
}

// check compares values with those recorded: all of a short list, or one of every so many.
func check(t *testing.T, stored *inner.Tensors, name string, got []float32, tolerance golden.Tolerance) {
	t.Helper()
	const short, every = 200, 53
	want, err := stored.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) >= short {
		got = golden.Strided(got, every)
	}
	golden.Compare(t, name, got, want.Data, tolerance)
}

// The tolerances. Depth is an exponential of sums in float32 (2e-5); images stretch its range, and vertices multiply it by the pixels' rays.
var (
	near   = golden.Tolerance{RMSRel: 2e-5}
	shades = golden.Tolerance{MaxAbs: 2e-4}
	places = golden.Tolerance{RMSRel: 1e-4}
)

// TestEqualsUpstream runs each node as ComfyUI's class ran, on a small model of each form.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	ctx := place(t)
	mono := nodes.Choice{Key: "mono"}
	scene := func(anchor string) nodes.Choice {
		return nodes.Choice{Key: "multiview", Inputs: &depthanything.Scene{RefViewStrategy: anchor, PoseMethod: "cam_dec"}}
	}
	for _, name := range []string{"views", "sky"} {
		stored, err := inner.ReadTensors("testdata/" + name + ".safetensors")
		if err != nil {
			t.Fatal(err)
		}
		m := run[*engine.DepthModel](t, ctx, &depthanything.LoadDA3Model{ModelName: name + ".safetensors", WeightDtype: "fp32"})
		calls := map[string]depthanything.DA3Inference{
			"upper": {Image: image(2), Resolution: 70, ResizeMethod: "upper_bound_resize", Mode: mono},
			"lower": {Image: image(1), Resolution: 42, ResizeMethod: "lower_bound_resize", Mode: mono},
		}
		if name == "views" {
			calls["scene"] = depthanything.DA3Inference{Image: image(3), Resolution: 56, Mode: scene("saddle_balanced")}
			calls["single"] = depthanything.DA3Inference{Image: image(1), Resolution: 56, Mode: scene("middle")}
		}
		for key, n := range calls {
			n.DA3Model = m
			g := run[*depthmap.Map](t, ctx, &n)
			for part, x := range map[string]*tensor.Tensor{"depth": g.Depth, "confidence": g.Confidence, "sky": g.Sky, "extrinsics": g.Extrinsics, "intrinsics": g.Intrinsics} {
				if want := stored.Has(key + " " + part); want != (x != nil) {
					t.Errorf("%s: %s is there: %v", key, part, !want)
				} else if want && strings.HasSuffix(part, "trinsics") {
					check(t, stored, key+" "+part, x.Data, places)
				} else if want {
					check(t, stored, key+" "+part, x.Data, near)
				}
			}
			if key != "lower" {
				checkShown(t, ctx, stored, key, g)
				checkMesh(t, ctx, stored, key, g)
			}
		}
	}
}

// checkShown compares every image of geometry.
func checkShown(t *testing.T, ctx *nodes.Context, stored *inner.Tensors, key string, g *depthmap.Map) {
	t.Helper()
	show := func(name string, c nodes.Choice) {
		if name = key + " show " + name; stored.Has(name) {
			check(t, stored, name, run[*tensor.Tensor](t, ctx, &depthanything.DA3Render{DA3Geometry: g, Output: c}).Data, shades)
		}
	}
	for _, clip := range []bool{false, true} {
		python := map[bool]string{false: "False", true: "True"}[clip]
		for _, normalization := range []string{"v2_style", "min_max", "raw"} {
			for _, kind := range []string{"depth", "depth_colored"} {
				show(kind+" "+normalization+" "+python, nodes.Choice{Key: kind, Inputs: &depthanything.Shades{Normalization: normalization, ApplySkyClip: clip}})
			}
		}
		show("sky_mask "+python, nodes.Choice{Key: "sky_mask", Inputs: &depthanything.SkyShades{Colored: clip}})
		show("confidence "+python, nodes.Choice{Key: "confidence", Inputs: &depthanything.ConfidenceShades{Colored: clip}})
	}
}

// checkMesh compares the mesh of the last image.
func checkMesh(t *testing.T, ctx *nodes.Context, stored *inner.Tensors, key string, g *depthmap.Map) {
	t.Helper()
	mesh := run[*geometry.Mesh](t, ctx, &depthanything.DA3GeometryToMesh{
		DA3Geometry: g, BatchIndex: g.Depth.Dim(0) - 1, Decimation: 2, DiscontinuityThreshold: 0.5, ConfidenceThreshold: 0.05, UseSkyMask: key != "scene", Texture: true,
	})
	if mesh.Texture == nil || mesh.Texture.Dim(0) != 1 {
		t.Errorf("%s: no texture", key)
	}
	it, faces := mesh.Items[0], []float32{}
	for _, f := range it.Faces {
		faces = append(faces, float32(f))
	}
	check(t, stored, key+" vertices", it.Vertices, places)
	check(t, stored, key+" faces", faces, golden.Tolerance{MaxAbs: 0.5})
	check(t, stored, key+" uvs", it.UVs, golden.Tolerance{MaxAbs: 1e-6})
}

// TestBrokenValues shows geometry and makes meshes of it where values are not finite: what is finite is shown.
func TestBrokenValues(t *testing.T) {
	t.Parallel()
	ctx := place(t)
	nan, far := float32(math.NaN()), float32(math.Inf(1))
	g := &depthmap.Map{Depth: tensor.New(1, 4, 4), Sky: tensor.New(1, 4, 4), Confidence: tensor.New(1, 4, 4)}
	for i := range g.Depth.Data {
		g.Depth.Data[i], g.Confidence.Data[i] = 1+float32(i)/100, float32(i)
	}
	g.Depth.Data[0], g.Depth.Data[3], g.Confidence.Data[0], g.Sky.Data[0] = nan, far, nan, nan
	for _, c := range []nodes.Choice{
		{Key: "depth", Inputs: &depthanything.Shades{Normalization: "v2_style", ApplySkyClip: true}},
		{Key: "depth", Inputs: &depthanything.Shades{Normalization: "min_max"}},
		{Key: "confidence", Inputs: &depthanything.ConfidenceShades{}},
	} {
		for i, v := range run[*tensor.Tensor](t, ctx, &depthanything.DA3Render{DA3Geometry: g, Output: c}).Data {
			if !(v >= 0 && v <= 1) {
				t.Errorf("%s: value %d is %v", c.Key, i, v)
			}
		}
	}
	mesh := run[*geometry.Mesh](t, ctx, &depthanything.DA3GeometryToMesh{DA3Geometry: g, Decimation: 1, UseSkyMask: true})
	for _, v := range mesh.Items[0].Vertices {
		if v != v || math.IsInf(float64(v), 0) {
			t.Error("a vertex is not finite")
		}
	}
	x := image(1)
	for i := range x.Data {
		x.Data[i] = nan
	}
	m := run[*engine.DepthModel](t, ctx, &depthanything.LoadDA3Model{ModelName: "sky.safetensors"})
	if _, err := (&depthanything.DA3Inference{DA3Model: m, Image: x, Resolution: 42, Mode: nodes.Choice{Key: "mono"}}).Run(ctx); err == nil || !strings.Contains(err.Error(), "pixels that are not numbers") {
		t.Errorf("an image of NaN: %v", err)
	}
}

// TestErrors passes what does not fit.
func TestErrors(t *testing.T) {
	t.Parallel()
	ctx := place(t)
	sky := run[*engine.DepthModel](t, ctx, &depthanything.LoadDA3Model{ModelName: "sky.safetensors", WeightDtype: "bf16"})
	flat := &depthmap.Map{Depth: tensor.New(1, 2, 2)}
	part := func(change func(m *depthmap.Map)) *depthmap.Map {
		m := *flat
		change(&m)
		return &m
	}
	views := nodes.Choice{Key: "multiview", Inputs: &depthanything.Scene{RefViewStrategy: "first", PoseMethod: "ray_pose"}}
	for want, n := range map[string]nodes.Node{
		"there is no file":                  &depthanything.LoadDA3Model{ModelName: "absent.safetensors"},
		"other.safetensors":                 &depthanything.LoadDA3Model{ModelName: "other.safetensors"},
		"load it with LoadMoGeModel":        &depthanything.LoadDA3Model{ModelName: "plain.safetensors"},
		"connect LoadDA3Model":              &depthanything.DA3Inference{Image: image(1)},
		"it is not an image batch":          &depthanything.DA3Inference{DA3Model: sky},
		"with at least one pixel":           &depthanything.DA3Inference{DA3Model: sky, Image: tensor.New(0, 8, 8, 3)},
		"[B,H,W,3]":                         &depthanything.DA3Inference{DA3Model: sky, Image: tensor.New(1, 8, 8, 4)},
		"use a Small or Base model, or the": &depthanything.DA3Inference{DA3Model: sky, Image: image(1), Resolution: 42, Mode: views},
		"multiview has no inputs":           &depthanything.DA3Inference{DA3Model: sky, Image: image(1), Mode: nodes.Choice{Key: "multiview"}},
		"connect DA3Inference":              &depthanything.DA3Render{},
		"the output \"x\" is unknown":       &depthanything.DA3Render{DA3Geometry: flat, Output: nodes.Choice{Key: "x"}},
		"turn apply_sky_clip off":           &depthanything.DA3Render{DA3Geometry: flat, Output: nodes.Choice{Key: "depth", Inputs: &depthanything.Shades{ApplySkyClip: true}}},
		"showing the sky":                   &depthanything.DA3Render{DA3Geometry: flat, Output: nodes.Choice{Key: "sky_mask", Inputs: &depthanything.SkyShades{}}},
		"showing the confidence":            &depthanything.DA3Render{DA3Geometry: flat, Output: nodes.Choice{Key: "confidence", Inputs: &depthanything.ConfidenceShades{}}},
		"the geometry has 1 images":         &depthanything.DA3GeometryToMesh{DA3Geometry: flat, BatchIndex: 1},
		"no four neighbouring points":       &depthanything.DA3GeometryToMesh{DA3Geometry: flat},
		"have no inverse":                   &depthanything.DA3GeometryToMesh{DA3Geometry: part(func(m *depthmap.Map) { m.Intrinsics = tensor.New(1, 3, 3) })},
		"its sky has shape [1 2 1]":         &depthanything.DA3Render{DA3Geometry: part(func(m *depthmap.Map) { m.Sky = tensor.New(1, 2, 1) })},
		"its depth has shape [2 2]":         &depthanything.DA3Render{DA3Geometry: &depthmap.Map{Depth: tensor.New(2, 2)}},
		"its extrinsics has shape":          &depthanything.DA3GeometryToMesh{DA3Geometry: part(func(m *depthmap.Map) { m.Extrinsics = tensor.New(2, 3, 4) })},
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q", n, err, want)
		}
	}
}

// TestStopped shows geometry after the run was stopped.
func TestStopped(t *testing.T) {
	t.Parallel()
	stopped, stop := context.WithCancel(t.Context())
	stop()
	n := &depthanything.DA3Render{DA3Geometry: &depthmap.Map{Depth: tensor.New(2, 4, 4)}, Output: nodes.Choice{Key: "depth", Inputs: &depthanything.Shades{}}}
	if _, err := n.Run(nodes.TestContext(stopped, nodes.Services{})); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
