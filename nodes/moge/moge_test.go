package moge_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine"
	_ "comfygo/engine/family/all"
	"comfygo/engine/tensor"
	"comfygo/internal/geometry"
	"comfygo/internal/geometry/pointmap"
	inner "comfygo/internal/golden"
	"comfygo/nodes"
	"comfygo/nodes/moge"
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
	for _, name := range []string{"first", "second"} {
		nodetest.Save(t, filepath.Join(dir, name+".safetensors"), nodetest.Recorded(t, "moge", name))
	}
	if err := os.WriteFile(filepath.Join(dir, "other.safetensors"), []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	return nodetest.Context(t, runtime, base)
}

// image is one of the recording's.
func image(name string, shape ...int) *tensor.Tensor {
	x := golden.Normal("moge/"+name, shape...)
	for i, v := range x.Data {
		x.Data[i] = min(max(v/6+0.5, 0), 1)
	}
	return x
}

// check compares values with those recorded: all of a short list, or one of every so many. What is infinite has to be so in both.
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
	if len(got) != len(want.Data) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want.Data))
		return
	}
	a, b, differ := make([]float32, len(got)), make([]float32, len(got)), 0
	for i := range got {
		if far := math.IsInf(float64(got[i]), 0); far != math.IsInf(float64(want.Data[i]), 0) {
			differ++
		} else if !far {
			a[i], b[i] = got[i], want.Data[i]
		}
	}
	if differ > 0 {
		t.Errorf("%s: %d of %d values are infinite in one alone", name, differ, len(got))
	}
	golden.Compare(t, name, a, b, tolerance)
}

// TestEqualsUpstream runs each node as ComfyUI's class ran, on small models of both versions. Points are exponentials, and solutions end at a
// tolerance of their own: 1e-4 of the values' size is allowed.
func TestEqualsUpstream(t *testing.T) {
	t.Parallel()
	tolerance, colors := golden.Tolerance{RMSRel: 1e-4}, golden.Tolerance{MaxAbs: 1e-4}
	ctx := place(t)
	for _, version := range []string{"first", "second"} {
		stored, err := inner.ReadTensors("testdata/" + version + ".safetensors")
		if err != nil {
			t.Fatal(err)
		}
		m := nodetest.Run(t, ctx, &moge.LoadMoGeModel{ModelName: version + ".safetensors"})[0].(*engine.PointMapper)
		for name, n := range map[string]moge.MoGeInference{"found ": {ForceProjection: true, ApplyMask: true}, "given ": {FovXDegrees: 50}} {
			n.MogeModel, n.Image, n.BatchSize = m, image("image", 2, 20, 33, 4), 1
			g := nodetest.Run(t, ctx, &n)[0].(*pointmap.Map)
			for part, x := range map[string]*tensor.Tensor{"points": g.Points, "depth": g.Depth, "intrinsics": g.Intrinsics, "mask": g.Mask, "normal": g.Normals} {
				if x != nil {
					check(t, stored, name+part, x.Data, tolerance)
				} else if part != "normal" || version == "second" {
					t.Errorf("%s%s: none", name, part)
				}
			}
			for _, kind := range []string{"depth", "depth_colored", "normal_opengl", "normal_directx", "mask"} {
				x := nodetest.Run(t, ctx, &moge.MoGeRender{MogeGeometry: g, Output: kind})[0].(*tensor.Tensor)
				check(t, stored, name+"show "+kind, x.Data, colors)
			}
			mesh := nodetest.Run(t, ctx, &moge.MoGePointMapToMesh{MogeGeometry: g, BatchIndex: 1, Decimation: 2, Texture: true})[0].(*geometry.Mesh)
			if mesh.Texture == nil || mesh.Texture.Dim(0) != 1 {
				t.Errorf("%s: no texture", name)
			}
			checkMesh(t, stored, name, mesh, tolerance)
			var fov []float32
			for _, f := range [][2]string{{"vertical", "degrees"}, {"horizontal", "radians"}, {"diagonal", "degrees"}} {
				for _, v := range nodetest.Run(t, ctx, &moge.MoGeGeometryToFOV{MogeGeometry: g, Axis: f[0], Unit: f[1]}) {
					fov = append(fov, float32(v.(float64)))
				}
			}
			check(t, stored, name+"fov", fov, tolerance)
		}
		p := nodetest.Run(t, ctx, &moge.MoGePanoramaInference{MogeModel: m, Image: image("panorama", 1, 150, 300, 3), SplitResolution: 24, MergeResolution: 280, BatchSize: 12})[0].(*pointmap.Map)
		joined := golden.Tolerance{RMSRel: 1e-3} // the solution of a panorama ends at a relative error of 1e-5 of its equations
		check(t, stored, "panorama points", p.Points.Data, joined)
		check(t, stored, "panorama mask", p.Mask.Data, tolerance)
		checkMesh(t, stored, "panorama ", nodetest.Run(t, ctx, &moge.MoGePointMapToMesh{MogeGeometry: p, Decimation: 3, DiscontinuityThreshold: 0.5})[0].(*geometry.Mesh), joined)
	}
}

func checkMesh(t *testing.T, stored *inner.Tensors, name string, m *geometry.Mesh, tolerance golden.Tolerance) {
	t.Helper()
	it, faces := m.Items[0], []float32{}
	for _, f := range it.Faces {
		faces = append(faces, float32(f))
	}
	check(t, stored, name+"vertices", it.Vertices, tolerance)
	check(t, stored, name+"faces", faces, golden.Tolerance{MaxAbs: 0.5})
	if stored.Has(name + "uvs") {
		check(t, stored, name+"uvs", it.UVs, golden.Tolerance{MaxAbs: 1e-6})
	}
}

// TestErrors passes what does not fit.
func TestErrors(t *testing.T) {
	t.Parallel()
	ctx := place(t)
	flat := &pointmap.Map{Points: tensor.New(1, 2, 2, 3), Depth: tensor.New(1, 2, 2)}
	nothing := &pointmap.Map{Points: tensor.New(1, 2, 2, 3)}
	for i := range nothing.Points.Data {
		nothing.Points.Data[i] = float32(math.Inf(1))
	}
	for want, n := range map[string]nodes.Node{
		"there is no file":              &moge.LoadMoGeModel{ModelName: "absent.safetensors"},
		"other.safetensors":             &moge.LoadMoGeModel{ModelName: "other.safetensors"},
		"connect LoadMoGeModel":         &moge.MoGeInference{},
		"there is no model: connect":    &moge.MoGePanoramaInference{},
		"connect MoGeInference":         &moge.MoGeRender{Output: "depth"},
		"it has no mask":                &moge.MoGeRender{MogeGeometry: flat, Output: "mask"},
		"no normals, and no points":     &moge.MoGeRender{MogeGeometry: &pointmap.Map{Depth: flat.Depth}, Output: "normal_opengl"},
		"is unknown":                    &moge.MoGeRender{MogeGeometry: flat, Output: "x"},
		"the geometry has 1 images":     &moge.MoGePointMapToMesh{MogeGeometry: flat, BatchIndex: 1},
		"has no points":                 &moge.MoGePointMapToMesh{MogeGeometry: &pointmap.Map{Depth: flat.Depth}},
		"no four neighbouring points":   &moge.MoGePointMapToMesh{MogeGeometry: nothing, Decimation: 1},
		"the geometry has no camera":    &moge.MoGeGeometryToFOV{MogeGeometry: flat, Axis: "vertical"},
		"a part has shape [1 2] and 2 ": &moge.MoGeRender{MogeGeometry: &pointmap.Map{Depth: tensor.New(1, 2)}, Output: "depth"},
	} {
		if _, err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%T: %v, want %q", n, err, want)
		}
	}
}
