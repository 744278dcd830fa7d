package mesh_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"comfygo/internal/geometry"
	"comfygo/internal/geometry/view"
	"comfygo/internal/pyjson"
	"comfygo/tests/nodecalls"
)

// TestRenderBad: meshes, cameras and colors that nothing can be rendered with.
func TestRenderBad(t *testing.T) {
	t.Parallel()
	nan := triangle()
	nan.Items[0].Vertices[0] = float32(math.NaN())
	xyz := func(v any) *pyjson.Object { return pyjson.NewObject("x", v, "y", v, "z", v, "w", 1.0) }
	with := func(pairs ...any) *pyjson.Object {
		o := pyjson.NewObject("mesh", triangle(), "mode", "auto", "width", int64(8), "height", int64(8), "background", "#000000")
		for i := 0; i < len(pairs); i += 2 {
			o.Set(pairs[i].(string), pairs[i+1])
		}
		return o
	}
	for _, c := range []struct {
		values *pyjson.Object
		want   string
	}{
		{with("mesh", nan), "finite"},
		{with("mesh", &geometry.Mesh{}), "batch is empty"},
		{with("mesh", &geometry.Mesh{Items: []geometry.Item{{Vertices: []float32{0, 0, 0}}}}), "no faces"},
		{with("background", "#12345"), "not a color"},
		{with("background", "#12345g"), "not a color"},
		{with("camera_info", "front"), "want an object"},
		{with("camera_info", pyjson.NewObject("position", "x")), "position"},
		{with("camera_info", pyjson.NewObject("fov", 180.0)), "fov"},
		{with("camera_info", pyjson.NewObject("position", pyjson.NewObject("x", math.Inf(1)))), "finite"},
		{with("model_3d_info", "x"), "want a list"},
		{with("model_3d_info", []any{"x"}), "want an object"},
		{with("model_3d_info", []any{pyjson.NewObject("scale", xyz(1.0), "position", xyz(0.0))}), "quaternion has no number x"},
		{with("model_3d_info", []any{pyjson.NewObject("scale", xyz(3e38), "position", xyz(3e38), "quaternion", xyz(0.0))}), "vertex"},
		{with("width", int64(1<<30), "height", int64(1<<20)), "image"},
	} {
		_, err := nodecalls.CallIn(t, nil, "RenderMesh", c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	for _, camera := range []any{nil, pyjson.NewObject(), pyjson.NewObject("position", xyz(0.0), "target", xyz(0.0))} {
		if _, err := nodecalls.CallIn(t, nil, "RenderMesh", with("camera_info", camera, "model_3d_info", []any{})); err != nil {
			t.Error(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := view.Render(ctx, &triangle().Items[0], view.Surface{}, view.Camera{}, 8, 8); !errors.Is(err, context.Canceled) {
		t.Errorf("an interrupt ends with %v", err)
	}
}
