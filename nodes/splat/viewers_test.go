package splat_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// TestViewers saves files and shows them.
func TestViewers(t *testing.T) {
	t.Parallel()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for class, c := range map[string]struct{ dir, name string }{
		"SaveGaussianSplat":    {f.Output(), "3d/a_00001.ply"},
		"SavePointCloud":       {f.Output(), "3d/a_00001.ply"},
		"PreviewGaussianSplat": {f.Temp(), "preview_splat_"},
		"PreviewPointCloud":    {f.Temp(), "preview_pointcloud_"},
	} {
		prefix := "3d/a"
		if class == "SavePointCloud" {
			prefix, c.name = "3d/b", "3d/b_00001.ply"
		}
		r, err := nodecalls.CallIn(t, f, class, pyjson.NewObject("model_3d", geometry.Memory([]byte("ply"), "ply"), "filename_prefix", prefix,
			"viewport_state", pyjson.NewObject("camera_info", "c"), "model_3d_info", []any{"i"}, "width", int64(5), "height", int64(6)))
		if err != nil {
			t.Fatal(err)
		}
		shown, _ := r.UI.Get("result")
		list := shown.([]any)
		name := list[0].(string)
		if !strings.HasPrefix(name, c.name) || !strings.HasSuffix(name, ".ply") || list[1] != "c" || r.Values[2] != "c" || r.Values[3] != int64(5) {
			t.Errorf("%s shows %v and gives %v", class, list, r.Values)
		}
		if data, err := os.ReadFile(filepath.Join(c.dir, name)); err != nil || string(data) != "ply" {
			t.Errorf("%s wrote %q: %v", class, data, err)
		}
		if _, err := nodecalls.CallIn(t, f, class, pyjson.NewObject("filename_prefix", "x")); err == nil || !strings.Contains(err.Error(), "no 3D file") {
			t.Errorf("%s without a file: %v", class, err)
		}
	}
}

// TestBadInputs: splats that no link should deliver.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	item := func() geometry.SplatItem {
		return geometry.SplatItem{Positions: make([]float32, 3), Scales: []float32{1, 1, 1}, Rotations: []float32{1, 0, 0, 0}, Opacities: []float32{1}, SH: make([]float32, 3), K: 1}
	}
	good, torn, nan, none := item(), item(), item(), geometry.SplatItem{K: 1}
	torn.Scales = torn.Scales[1:]
	nan.Scales[1] = float32(math.NaN())
	batch := func(items ...geometry.SplatItem) *geometry.Splats { return &geometry.Splats{Items: items} }
	render := func(pairs ...any) *pyjson.Object {
		o := pyjson.NewObject("splat", batch(good), "width", int64(8), "height", int64(8), "splat_scale", 1.0, "sharpen", 2.0, "render_style", "color", "background", "#000000")
		for i := 0; i < len(pairs); i += 2 {
			o.Set(pairs[i].(string), pairs[i+1])
		}
		return o
	}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"SplatToFile3D", pyjson.NewObject("splat", batch(torn), "format", "ply"), "do not belong"},
		{"SplatToFile3D", pyjson.NewObject("splat", batch(none), "format", "ply"), "no splats"},
		{"SplatToFile3D", pyjson.NewObject("splat", batch(good), "format", "obj"), "no format"},
		{"SplatToFile3D", pyjson.NewObject("splat", batch(), "format", "ply"), "batch is empty"},
		{"File3DToSplat", pyjson.NewObject(), "no 3D file"},
		{"File3DToSplat", pyjson.NewObject("model_3d", geometry.Disk(filepath.Join(t.TempDir(), "x.ply"))), "no such file"},
		{"File3DToSplat", pyjson.NewObject("model_3d", geometry.Memory([]byte("x"), "zip")), "not a PLY"},
		{"GetSplatCount", pyjson.NewObject("splat", batch()), "batch is empty"},
		{"TransformSplat", pyjson.NewObject("splat", batch(torn)), "do not belong"},
		{"MergeSplat", pyjson.NewObject(), "none are connected"},
		{"MergeSplat", pyjson.NewObject("splats.splat0", batch(good), "splats.splat1", "x"), "want splats"},
		{"MergeSplat", pyjson.NewObject("splats.splat0", batch(good), "splats.splat1", batch(good, good)), "has 1 items"},
		{"RenderSplat", render("splat", batch(nan)), "finite"},
		{"RenderSplat", render("background", "#12345z"), "not a color"},
		{"RenderSplat", render("camera_info", int64(1)), "want an object"},
		{"RenderSplat", render("bg_image", tensor.New(1, 0, 2, 3)), "bg_image"},
		{"RenderSplat", render("width", int64(1<<20), "height", int64(1<<20)), "rendered images"},
		{"SplatToMesh", pyjson.NewObject("splat", batch(nan)), "finite"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.class, err, c.want)
		}
	}
}
