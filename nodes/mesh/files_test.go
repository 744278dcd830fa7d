package mesh_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/nodecalls"
)

func place(t *testing.T) *folders.Folders {
	t.Helper()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func triangle() *geometry.Mesh {
	return &geometry.Mesh{Items: []geometry.Item{{Vertices: []float32{0, 0, 0, 1, 0, 0, 0, 1, 0}, Faces: []int32{0, 1, 2}}}}
}

// ui returns a UI output as JSON.
func ui(t *testing.T, r nodes.Result, key string) string {
	t.Helper()
	v, ok := r.UI.Get(key)
	if !ok {
		t.Fatalf("there is no UI output %s", key)
	}
	text, err := pyjson.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestSave saves a batch with an empty item, a file, and counts on.
func TestSave(t *testing.T) {
	t.Parallel()
	f := place(t)
	m := triangle()
	m.Items = append(m.Items, geometry.Item{Vertices: []float32{}, Faces: []int32{}}, m.Items[0])
	save := func(class string, v any, prefix string) nodes.Result {
		key := "mesh"
		if class != "SaveGLB" {
			key = "model_3d"
		}
		r, err := nodecalls.CallIn(t, f, class, pyjson.NewObject(key, v, "filename_prefix", prefix, "viewport_state", pyjson.NewObject("camera_info", "c")))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if got, want := ui(t, save("SaveGLB", m, "3d/a"), "3d"), `[{"filename": "a_00001_.glb", "subfolder": "3d", "type": "output"}, {"filename": "a_00002_.glb", "subfolder": "3d", "type": "output"}]`; got != want {
		t.Errorf("3d is %s, want %s", got, want)
	}
	if got, want := ui(t, save("SaveGLB", geometry.Memory([]byte("x"), "ply"), "3d/a"), "3d"), `[{"filename": "a_00003_.ply", "subfolder": "3d", "type": "output"}]`; got != want {
		t.Errorf("3d is %s, want %s", got, want)
	}
	r := save("Save3DAdvanced", geometry.Memory([]byte("x"), "obj"), "b")
	if got, want := ui(t, r, "result"), `["b_00001.obj", "c", []]`; got != want {
		t.Errorf("result is %s, want %s", got, want)
	}
	for _, name := range []string{"3d/a_00001_.glb", "3d/a_00002_.glb", "3d/a_00003_.ply", "b_00001.obj"} {
		if _, err := os.Stat(filepath.Join(f.Output(), name)); err != nil {
			t.Error(err)
		}
	}
}

// TestPreview shows files from the folders where the front end looks for them.
func TestPreview(t *testing.T) {
	t.Parallel()
	f := place(t)
	model := geometry.Memory([]byte("glTF"), "glb")
	for _, c := range []struct{ class, key, dir, prefix string }{
		{"Preview3D", "model_file", f.Output(), "preview3d_"},
		{"Preview3DAdvanced", "model_3d", f.Temp(), "preview3d_advanced_"},
	} {
		r, err := nodecalls.CallIn(t, f, c.class, pyjson.NewObject(c.key, model, "camera_info", "c", "bg_image", tensor.New(1, 2, 2, 3)))
		if err != nil {
			t.Fatal(err)
		}
		list, _ := r.UI.Get("result")
		name := list.([]any)[0].(string)
		if !strings.HasPrefix(name, c.prefix) || !strings.HasSuffix(name, ".glb") || list.([]any)[1] != "c" {
			t.Errorf("%s shows %v", c.class, list)
		}
		if data, err := os.ReadFile(filepath.Join(c.dir, name)); err != nil || string(data) != "glTF" {
			t.Errorf("%s wrote %q, error %v", c.class, data, err)
		}
		if background, ok := list.([]any)[2].(string); c.class == "Preview3D" && ok {
			if _, err := os.Stat(filepath.Join(f.Temp(), strings.TrimPrefix(background, "temp/"))); err != nil {
				t.Error(err)
			}
		}
	}
	r, err := nodecalls.CallIn(t, f, "Preview3D", pyjson.NewObject("model_file", "3d/a.glb"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := ui(t, r, "result"), `["3d/a.glb", null, null]`; got != want {
		t.Errorf("result is %s, want %s", got, want)
	}
}

// TestLoad lists and loads files below input/3d.
func TestLoad(t *testing.T) {
	t.Parallel()
	f := place(t)
	if err := os.MkdirAll(filepath.Join(f.Input(), "3d", "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"3d/b.GLB", "3d/sub/a.obj", "3d/c.ply", "3d/notes.txt"} {
		if err := os.WriteFile(filepath.Join(f.Input(), name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for class, want := range map[string]string{"Load3D": `["none", "3d/b.GLB", "3d/c.ply", "3d/sub/a.obj"]`, "Load3DAdvanced": `["none", "3d/b.GLB", "3d/sub/a.obj"]`} {
		c, _ := nodes.Default().Get(class)
		in, _ := c.Input("model_file")
		if got, _ := pyjson.Marshal(in.Choices(nodes.Env{Folders: f})); string(got) != want {
			t.Errorf("%s offers %s, want %s", class, got, want)
		}
	}
	r, err := nodecalls.CallIn(t, f, "Load3DAdvanced", pyjson.NewObject("model_file", "3d/b.GLB", "viewport_state", ""))
	if err != nil {
		t.Fatal(err)
	}
	if file, ok := r.Values[0].(*geometry.File); !ok || file.Format() != "glb" {
		t.Errorf("the file is %v", r.Values[0])
	}
	for _, name := range []string{"a.png", "m.png", "n.png"} {
		var err error
		var data []byte
		if data, err = os.ReadFile(filepath.Join("testdata", "pixel.png")); err == nil {
			err = os.WriteFile(filepath.Join(f.Input(), name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	state := pyjson.NewObject("image", "a.png", "mask", "m.png", "normal", "n.png", "camera_info", pyjson.NewObject("zoom", int64(1)), "recording", "")
	r, err = nodecalls.CallIn(t, f, "Load3D", pyjson.NewObject("model_file", "none", "image", state))
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Values) != 8 || r.Values[2] != "" || r.Values[5] != nil || r.Values[6] != nil {
		t.Errorf("the outputs are %v", r.Values)
	}
}

// TestBadInputs: the errors of inputs that no link should deliver.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	nan := triangle()
	nan.Items[0].Vertices[1] = float32(math.NaN())
	index := triangle()
	index.Items[0].Faces = []int32{0, 1, 9}
	grid := func(v float32) *geometry.Voxels {
		return &geometry.Voxels{Grid: &tensor.Tensor{Shape: []int{1, 1, 1, 1}, Data: []float32{v}}}
	}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"SaveGLB", pyjson.NewObject("mesh", "text"), "want a mesh or a 3D file"},
		{"SaveGLB", pyjson.NewObject("mesh", &geometry.Mesh{}), "batch is empty"},
		{"SaveGLB", pyjson.NewObject("mesh", nan), "finite"},
		{"SaveGLB", pyjson.NewObject("mesh", index), "refers to vertex 9"},
		{"SaveGLB", pyjson.NewObject("mesh", triangle(), "filename_prefix", "../../x"), "leads out of the output folder"},
		{"SaveGLB", pyjson.NewObject("mesh", geometry.Memory(nil, "a/b")), "letters and digits"},
		{"SaveGLB", pyjson.NewObject("mesh", geometry.Disk("/nonexistent/a.glb")), "no such file"},
		{"MeshToFile3D", pyjson.NewObject("mesh", nil), "batch is empty"},
		{"MeshToFile3D", pyjson.NewObject("mesh", tensor.New(1)), "want *geometry.Mesh"},
		{"RotateMesh", pyjson.NewObject("mesh", triangle(), "mode", "spin"), "unknown"},
		{"RotateMesh", pyjson.NewObject("mesh", nan, "mode", "quaternion"), "finite"},
		{"MergeMeshes", pyjson.NewObject("meshes.mesh0", triangle(), "meshes.mesh1", "x"), "meshes.mesh1: want a mesh"},
		{"MergeMeshes", pyjson.NewObject(), "no mesh is connected"},
		{"GetMeshInfo", pyjson.NewObject("mesh", &geometry.Mesh{}), "batch is empty"},
		{"Save3DAdvanced", pyjson.NewObject("model_3d", nil), "there is no 3D file"},
		{"Preview3D", pyjson.NewObject("model_file", int64(3)), "want a 3D file or a path"},
		{"Preview3D", pyjson.NewObject("model_file", "a", "bg_image", tensor.New(1, 0, 1, 3)), "bg_image"},
		{"Preview3DAdvanced", pyjson.NewObject("model_3d", nil), "there is no 3D file"},
		{"Load3D", pyjson.NewObject("model_file", "none", "image", "x"), "what the 3D viewer sends"},
		{"Load3D", pyjson.NewObject("model_file", "none", "image", pyjson.NewObject()), "image is missing"},
		{"Load3DAdvanced", pyjson.NewObject("model_file", "3d"), "3d"},
		{"Load3DAdvanced", pyjson.NewObject("model_file", "../x.glb"), "leaves its folder"},
		{"VoxelToMesh", pyjson.NewObject("voxel", grid(float32(math.NaN())), "algorithm", "basic"), "finite"},
		{"VoxelToMesh", pyjson.NewObject("voxel", grid(1), "algorithm", "cubes"), "unknown"},
		{"VoxelToMesh", pyjson.NewObject("voxel", nil, "algorithm", "basic"), "no voxels"},
		{"VoxelToMeshBasic", pyjson.NewObject("voxel", &geometry.Voxels{Cells: []int32{0, 0, 0}}), "dense volume"},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.class, err, c.want)
		}
	}
}

// TestInterrupted: an interrupt ends the classes that work for long.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	stop := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	f := place(t)
	many := &geometry.Mesh{Items: []geometry.Item{{Vertices: textured().Items[0].Vertices, UVs: textured().Items[0].UVs}}}
	for range 1000 {
		many.Items[0].Faces = append(many.Items[0].Faces, 0, 1, 2)
	}
	for _, c := range []struct {
		class  string
		values *pyjson.Object
	}{
		{"WeldVertices", pyjson.NewObject("mesh", &geometry.Mesh{Items: []geometry.Item{{Vertices: make([]float32, 9), Faces: []int32{0, 1, 2}}}}, "epsilon_abs", 1.0)},
		{"FillHoles", pyjson.NewObject("mesh", many, "max_perimeter", 1.0)},
		{"MeshSmoothNormals", pyjson.NewObject("mesh", many)},
		{"MeshSmoothNormals", pyjson.NewObject("mesh", many, "crease_angle", 30.0)},
		{"DecimateMesh", pyjson.NewObject("mesh", many, "target_face_count", 1, "placement_mode", "midpoint")},
		{"RemeshMesh", pyjson.NewObject("mesh", many, "sign_mode", "udf", "resolution", 32)},
		{"UnwrapMesh", pyjson.NewObject("mesh", many)},
		{"RenderUVAtlas", pyjson.NewObject("mesh", many)},
		{"PaintMesh", pyjson.NewObject("mesh", many, "voxel_colors", cells())},
		{"BakeTextureFromVoxel", pyjson.NewObject("mesh", many, "voxel_colors", cells())},
		{"BakeNormalMapFromMesh", pyjson.NewObject("low_poly", textured(), "high_poly", many)},
		{"BakeAmbientOcclusion", pyjson.NewObject("low_poly", textured(), "high_poly", many)},
		{"SaveGLB", pyjson.NewObject("mesh", triangle(), "filename_prefix", "a")},
		{"SaveGLB", pyjson.NewObject("mesh", geometry.Memory([]byte("x"), "ply"), "filename_prefix", "a")},
		{"VoxelToMesh", pyjson.NewObject("voxel", &geometry.Voxels{Grid: tensor.New(1, 2, 2, 2)}, "algorithm", "surface net")},
		{"VoxelToMeshBasic", pyjson.NewObject("voxel", &geometry.Voxels{Grid: tensor.New(1, 2, 2, 2)})},
	} {
		class, _ := nodes.Default().Get(c.class)
		node, err := class.Bind(c.values, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = node.Run(nodes.TestContext(ctx, nodes.Services{Folders: f})); !errors.Is(err, stop) {
			t.Errorf("%s: error %v, want the interrupt", c.class, err)
		}
	}
}

// cells are voxels with one color.
func cells() *geometry.Voxels {
	return &geometry.Voxels{Cells: []int32{0, 0, 0}, Colors: tensor.New(1, 3), Resolution: 2}
}

// textured is a triangle with texture coordinates.
func textured() *geometry.Mesh {
	m := triangle()
	m.Items[0].UVs = []float32{0, 0, 1, 0, 0, 1}
	return m
}

// empty is a mesh without vertices and faces.
func empty() *geometry.Mesh {
	return &geometry.Mesh{Items: []geometry.Item{{Vertices: []float32{}, Faces: []int32{}, UVs: []float32{}}}}
}

// TestBadMeshes: each class refuses meshes that no node makes.
func TestBadMeshes(t *testing.T) {
	t.Parallel()
	nan := textured()
	nan.Items[0].Vertices[1] = float32(math.NaN())
	index := textured()
	index.Items[0].Faces = []int32{0, 1, 9}
	image := tensor.New(1, 2, 2, 3)
	for class, with := range map[string]func(m any) *pyjson.Object{
		"FillHoles":             func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m) },
		"WeldVertices":          func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m) },
		"MeshSmoothNormals":     func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m, "crease_angle", 30.0) },
		"DecimateMesh":          func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m, "placement_mode", "midpoint") },
		"RemeshMesh":            func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m, "sign_mode", "udf", "resolution", 32) },
		"UnwrapMesh":            func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m) },
		"RenderUVAtlas":         func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m) },
		"PaintMesh":             func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m, "voxel_colors", cells()) },
		"BakeTextureFromVoxel":  func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m, "voxel_colors", cells()) },
		"MeshTextureToImage":    func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m) },
		"ApplyTextureToMesh":    func(m any) *pyjson.Object { return pyjson.NewObject("mesh", m, "base_color", image) },
		"BakeNormalMapFromMesh": func(m any) *pyjson.Object { return pyjson.NewObject("low_poly", textured(), "high_poly", m) },
		"BakeAmbientOcclusion":  func(m any) *pyjson.Object { return pyjson.NewObject("low_poly", textured(), "high_poly", m) },
	} {
		for want, m := range map[string]any{"finite": nan, "refers to vertex 9": index, "batch is empty": &geometry.Mesh{}, "want *geometry.Mesh": "text"} {
			_, err := nodecalls.CallIn(t, nil, class, with(m))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want %q", class, err, want)
			}
		}
	}
}

// TestBadValues: the errors of other inputs that no link should deliver.
func TestBadValues(t *testing.T) {
	t.Parallel()
	image := tensor.New(1, 2, 2, 3)
	infinite := textured()
	infinite.Items[0].UVs[2] = float32(math.Inf(1))
	for _, c := range []struct {
		class  string
		values *pyjson.Object
		want   string
	}{
		{"RenderUVAtlas", pyjson.NewObject("mesh", triangle()), "no texture coordinates"},
		{"RenderUVAtlas", pyjson.NewObject("mesh", textured(), "resolution", 1<<20), "want 1 to"},
		{"RenderUVAtlas", pyjson.NewObject("mesh", infinite, "resolution", 64), ""},
		{"BakeNormalMapFromMesh", pyjson.NewObject("low_poly", infinite, "high_poly", triangle(), "resolution", 64), "texture coordinate"},
		{"PaintMesh", pyjson.NewObject("mesh", triangle(), "voxel_colors", nil), "no voxels"},
		{"PaintMesh", pyjson.NewObject("mesh", triangle(), "voxel_colors", &geometry.Voxels{Grid: tensor.New(1, 1, 1, 1)}), "dense volume"},
		{"BakeTextureFromVoxel", pyjson.NewObject("mesh", triangle(), "voxel_colors", cells()), "no texture coordinates"},
		{"BakeTextureFromVoxel", pyjson.NewObject("mesh", textured(), "voxel_colors", cells(), "texture_size", -1), "want 1 to"},
		{"BakeTextureFromVoxel", pyjson.NewObject("mesh", textured(), "voxel_colors", cells(), "texture_size", 64, "reference_mesh", empty()), "has no faces"},
		{"MeshTextureToImage", pyjson.NewObject("mesh", triangle()), "no base color texture"},
		{"ApplyTextureToMesh", pyjson.NewObject("mesh", textured(), "base_color", nil), "base_color"},
		{"ApplyTextureToMesh", pyjson.NewObject("mesh", textured(), "base_color", tensor.New(0, 2, 2, 3)), "base_color"},
		{"ApplyTextureToMesh", pyjson.NewObject("mesh", textured(), "base_color", image, "roughness", image, "metallic", tensor.New(2, 2, 2, 3)), "want equal ones"},
		{"BakeNormalMapFromMesh", pyjson.NewObject("low_poly", triangle(), "high_poly", triangle()), "no texture coordinates"},
		{"BakeNormalMapFromMesh", pyjson.NewObject("low_poly", textured(), "high_poly", empty(), "resolution", 64), "has no faces"},
		{"BakeAmbientOcclusion", pyjson.NewObject("low_poly", textured(), "high_poly", triangle(), "samples", 1<<30), "samples"},
		{"RemeshMesh", pyjson.NewObject("mesh", empty(), "sign_mode", "udf"), "no faces"},
		{"RemeshMesh", pyjson.NewObject("mesh", triangle(), "sign_mode", "udf", "resolution", 1<<20), "resolution"},
		{"RemeshMesh", pyjson.NewObject("mesh", triangle(), "sign_mode", "udf", "band", math.NaN()), "band"},
		{"RemeshMesh", pyjson.NewObject("mesh", triangle(), "sign_mode", "x"), "unknown"},
		{"UnwrapMesh", pyjson.NewObject("mesh", triangle(), "segmenter", "x"), "unknown"},
		{"UnwrapMesh", pyjson.NewObject("mesh", triangle(), "resolution", 1<<20), "resolution"},
		{"UnwrapMesh", pyjson.NewObject("mesh", triangle(), "padding", 1<<20), "padding"},
		{"UnwrapMesh", pyjson.NewObject("mesh", triangle(), "weld_distance", math.NaN()), "weld_distance"},
		{"UnwrapMesh", pyjson.NewObject("mesh", empty()), ""},
		{"DecimateMesh", pyjson.NewObject("mesh", empty(), "target_face_count", 1, "placement_mode", "qem"), ""},
		{"FillHoles", pyjson.NewObject("mesh", empty()), ""},
		{"WeldVertices", pyjson.NewObject("mesh", empty(), "epsilon_abs", math.NaN()), ""},
	} {
		_, err := nodecalls.CallIn(t, nil, c.class, c.values)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.class, err, c.want)
		}
	}
}
