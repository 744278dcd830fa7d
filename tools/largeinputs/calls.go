package main

import (
	"fmt"
	"strings"

	"comfygo/internal/geometry"
	"comfygo/internal/pyjson"
)

// call is a class with inputs that are made for a size.
type call struct {
	Class string
	// About describes the inputs; %d stands for the size.
	About string
	// Make returns names and values in turn.
	Make func(n int) ([]any, error)
}

func (c call) name() string { return c.Class + " " + c.About }

func (c call) describe(size int) string {
	return strings.ReplaceAll(c.About, "%d", thousands(size))
}

func thousands(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return fmt.Sprintf("%g million", float64(n)/1e6)
	case n >= 1000 && n%100 == 0:
		return fmt.Sprintf("%g thousand", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}

// inputs makes the values.
func (c call) inputs(size int) (*pyjson.Object, error) {
	pairs, err := c.Make(size)
	if err != nil {
		return nil, err
	}
	values := pyjson.NewObject()
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i].(string), pairs[i+1])
	}
	return values, nil
}

// plain is the Make of a call whose inputs need no error.
func plain(f func(n int) []any) func(n int) ([]any, error) {
	return func(n int) ([]any, error) { return f(n), nil }
}

// coarse is the number of triangles of the coarse meshes beside a dense one.
const coarse = 20_000

var calls = append(append(append([]call{}, meshCalls...), splatCalls...), tensorCalls...)

func unwrapCall(about, segmenter string, mesh func(n int) *geometry.Mesh) call {
	return call{"UnwrapMesh", about + " of %d triangles, " + segmenter, plain(func(n int) []any {
		return []any{"mesh", mesh(n), "segmenter", segmenter, "resolution", int64(1024), "padding", int64(1), "weld_distance", 0.0}
	})}
}

func smooth(n int) *geometry.Mesh { return grid(n, 0, false) }
func wavy(n int) *geometry.Mesh   { return grid(n, 0.2, false) }
func rough(n int) *geometry.Mesh  { return grid(n, 2, false) }
func mapped(n int) *geometry.Mesh { return grid(n, 0.2, true) }

var meshCalls = []call{
	unwrapCall("bumpy grid", "pec", smooth),
	unwrapCall("sphere", "pec", sphere),
	unwrapCall("grid with noise of 0.2 cells", "pec", wavy),
	unwrapCall("grid with noise of 2 cells", "pec", rough),
	unwrapCall("loose triangles, a grid", "pec", loose),
	unwrapCall("bumpy grid", "adaptive", smooth),
	unwrapCall("grid with noise of 0.2 cells", "adaptive", wavy),
	unwrapCall("grid with noise of 2 cells", "adaptive", rough),
	{"DecimateMesh", "grid of %d triangles to a tenth, midpoint", plain(func(n int) []any {
		return []any{"mesh", wavy(n), "target_face_count", int64(n / 10), "placement_mode", "midpoint"}
	})},
	{"DecimateMesh", "grid of %d triangles to a tenth, qem", plain(func(n int) []any {
		return []any{
			"mesh", wavy(n), "target_face_count", int64(n / 10), "placement_mode", "qem", "placement_mode.line_quadric_weight", 1.0,
			"placement_mode.feature_edge_quadric_weight", 10.0, "placement_mode.feature_edge_min_dihedral_deg", 30.0, "placement_mode.clamp_v_to_edge", true,
		}
	})},
	{"RemeshMesh", "grid of %d triangles, resolution 512", plain(func(n int) []any {
		return []any{
			"mesh", wavy(n), "resolution", int64(512), "sign_mode", "udf", "sign_mode.qef", true, "sign_mode.drop_inverted_components", true, "sign_mode.drop_enclosed_components", true,
			"band", 1.0, "project_back", 0.5, "fix_poles", true, "smooth_iters", int64(2), "drop_small_components", 0.01, "precluster_max_verts", int64(20_000_000),
		}
	})},
	{"MeshSmoothNormals", "grid of %d triangles", plain(func(n int) []any { return []any{"mesh", wavy(n), "crease_angle", 180.0} })},
	{"MeshSmoothNormals", "grid of %d triangles, creases", plain(func(n int) []any { return []any{"mesh", wavy(n), "crease_angle", 30.0} })},
	{"WeldVertices", "%d loose triangles", plain(func(n int) []any { return []any{"mesh", loose(n), "epsilon_rel", 1e-6, "epsilon_abs", 0.0} })},
	{"FillHoles", "%d loose triangles", plain(func(n int) []any {
		return []any{"mesh", loose(n), "max_perimeter", 0.03, "weld_epsilon_rel", 1e-6, "max_vertices", int64(16), "fill_chains", true}
	})},
	{"GetMeshInfo", "grid of %d triangles", plain(func(n int) []any { return []any{"mesh", mapped(n)} })},
	{"MergeMeshes", "two grids of half of %d triangles", plain(func(n int) []any { return []any{"meshes.mesh0", mapped(n / 2), "meshes.mesh1", mapped(n / 2)} })},
	{"RotateMesh", "grid of %d triangles", plain(func(n int) []any {
		return []any{"mesh", mapped(n), "mode", "euler_xyz", "mode.angle_x", 10.0, "mode.angle_y", 20.0, "mode.angle_z", 30.0}
	})},
	{"RenderMesh", "grid of %d triangles, 1024x1024", plain(func(n int) []any {
		return []any{"mesh", mapped(n), "mode", "solid", "width", int64(1024), "height", int64(1024), "background", "#000000"}
	})},
	{"RenderUVAtlas", "grid of %d triangles", plain(func(n int) []any { return []any{"mesh", mapped(n), "resolution", int64(1024)} })},
	{"MeshTextureToImage", "grid of %d triangles", plain(func(n int) []any {
		m := mapped(n)
		m.Texture = square(3<<20, 3)
		return []any{"mesh", m}
	})},
	{"ApplyTextureToMesh", "grid of %d triangles", plain(func(n int) []any {
		return []any{"mesh", mapped(n), "base_color", square(3<<20, 3), "normal_map", square(3<<20, 3)}
	})},
	{"PaintMesh", "grid of %d triangles, as many voxels", plain(func(n int) []any { return []any{"mesh", wavy(n), "voxel_colors", cells(n)} })},
	{"BakeTextureFromVoxel", "grid of 20 thousand triangles, %d voxels, reference of %d triangles, 2048x2048", plain(func(n int) []any {
		return []any{"mesh", mapped(coarse), "voxel_colors", cells(n), "texture_size", int64(2048), "reference_mesh", wavy(n)}
	})},
	{"BakeNormalMapFromMesh", "grid of 20 thousand triangles, dense grid of %d, 1024x1024", plain(func(n int) []any {
		return []any{"low_poly", mapped(coarse), "high_poly", wavy(n), "resolution", int64(1024), "cage_distance", 0.05, "ignore_backfaces", true}
	})},
	{"BakeAmbientOcclusion", "grid of 20 thousand triangles, dense grid of %d, 1024x1024, 16 rays", plain(func(n int) []any {
		return []any{"low_poly", mapped(coarse), "high_poly", wavy(n), "resolution", int64(1024), "samples", int64(16), "max_distance", 0.5, "strength", 1.0, "bias", 0.01}
	})},
	{"MeshToFile3D", "grid of %d triangles", plain(func(n int) []any { return []any{"mesh", mapped(n)} })},
	{"SaveGLB", "grid of %d triangles", plain(func(n int) []any { return []any{"mesh", mapped(n), "filename_prefix", "a"} })},
	{"Save3DAdvanced", "GLB of %d triangles", func(n int) ([]any, error) {
		f, err := glbFile(mapped(n))
		return []any{"model_3d", f, "filename_prefix", "a", "viewport_state", "", "width", int64(64), "height", int64(64)}, err
	}},
	{"Preview3D", "GLB of %d triangles", func(n int) ([]any, error) {
		f, err := glbFile(mapped(n))
		return []any{"model_file", f}, err
	}},
	{"Preview3DAdvanced", "GLB of %d triangles", func(n int) ([]any, error) {
		f, err := glbFile(mapped(n))
		return []any{"model_3d", f, "viewport_state", "", "width", int64(64), "height", int64(64)}, err
	}},
	{"VoxelToMesh", "%d voxels, surface net", plain(func(n int) []any { return []any{"voxel", volume(n), "algorithm", "surface net", "threshold", 0.6} })},
	{"VoxelToMesh", "%d voxels, basic", plain(func(n int) []any { return []any{"voxel", volume(n), "algorithm", "basic", "threshold", 0.6} })},
	{"VoxelToMeshBasic", "%d voxels", plain(func(n int) []any { return []any{"voxel", volume(n), "threshold", 0.6} })},
}

func viewer(class, format string) call {
	return call{class, format + " file of %d Gaussians", func(n int) ([]any, error) {
		f, err := splatFile(n, format)
		return []any{"model_3d", f, "filename_prefix", "a", "viewport_state", "", "width", int64(64), "height", int64(64)}, err
	}}
}

var splatCalls = []call{
	{"SplatToFile3D", "%d Gaussians, ply", plain(func(n int) []any { return []any{"splat", cloud(n), "format", "ply"} })},
	{"SplatToFile3D", "%d Gaussians, ksplat", plain(func(n int) []any { return []any{"splat", cloud(n), "format", "ksplat"} })},
	{"SplatToFile3D", "%d Gaussians, spz", plain(func(n int) []any { return []any{"splat", cloud(n), "format", "spz"} })},
	readCall("ply"), readCall("ksplat"), readCall("spz"),
	{"GetSplatCount", "%d Gaussians", plain(func(n int) []any { return []any{"splat", cloud(n)} })},
	{"MergeSplat", "twice half of %d Gaussians", plain(func(n int) []any { return []any{"splats.splat0", cloud(n / 2), "splats.splat1", cloud(n / 2)} })},
	{"TransformSplat", "%d Gaussians", plain(func(n int) []any {
		return []any{"splat", cloud(n), "translate_x", 1.0, "translate_y", 0.0, "translate_z", 0.0, "rotate_x", 10.0, "rotate_y", 20.0, "rotate_z", 30.0, "scale_x", 1.0, "scale_y", 2.0, "scale_z", 1.0}
	})},
	renderCall("color"), renderCall("normal"),
	{"SplatToMesh", "%d Gaussians, resolution 384", plain(func(n int) []any {
		return []any{"splat", cloud(n), "resolution", int64(384), "kernel", int64(5), "smooth", int64(2), "level", 0.4, "min_component", int64(500), "min_opacity", 0.02, "color_sharpen", 2.0}
	})},
	viewer("SaveGaussianSplat", "ply"), viewer("PreviewGaussianSplat", "ply"), viewer("SavePointCloud", "ply"), viewer("PreviewPointCloud", "ply"),
}

func readCall(format string) call {
	return call{"File3DToSplat", format + " file of %d Gaussians", func(n int) ([]any, error) {
		f, err := splatFile(n, format)
		return []any{"model_3d", f}, err
	}}
}

func renderCall(style string) call {
	return call{"RenderSplat", "%d Gaussians, 1024x1024, " + style, plain(func(n int) []any {
		return []any{"splat", cloud(n), "width", int64(1024), "height", int64(1024), "frames", int64(1), "splat_scale", 1.0, "sharpen", 2.0, "headlight_shading", 1.0, "opacity_threshold", 0.0, "render_style", style, "background", "#000000"}
	})}
}
