package all_test

import (
	"context"
	"errors"
	"testing"

	"comfygo/folders"
	"comfygo/internal/glsl"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// TestBadInputsOfShaders is TestBadInputsOfEachClass for GLSLShader. Each call starts a renderer unless it is refused before, so that one input of
// each kind gets bad values, and of 69 inputs that are alike the others do not.
func TestBadInputsOfShaders(t *testing.T) {
	t.Parallel()
	if _, err := glsl.Check(t.Context()); errors.Is(err, glsl.ErrUnavailable) {
		t.Skip(err)
	}
	class, ok := nodes.Default().Get("GLSLShader")
	if !ok {
		t.Fatal("there is no such class")
	}
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	const source = "#version 300 es\nprecision highp float;\nuniform sampler2D u_image0;\nuniform float u_float0;\nuniform int u_int0;\nin vec2 v_texCoord;\nout vec4 fragColor0;\n" +
		"void main() { fragColor0 = texture(u_image0, v_texCoord) * u_float0 + float(u_int0); }"
	for _, key := range []string{"fragment_shader", "size_mode", "size_mode.width", "images.image0", "floats.u_float0", "ints.u_int0", "curves.u_curve0"} {
		for what, bad := range badValues() {
			values := pyjson.NewObject("fragment_shader", source, "size_mode", "from_input", "images.image0", ofType("IMAGE"), "floats.u_float0", 0.5, "ints.u_int0", int64(1))
			if key == "size_mode.width" {
				values.Set("size_mode", "custom")
				values.Set("size_mode.height", int64(2))
			}
			values.Set(key, bad())
			err := runBad(f, class, values)
			if p := (*paniced)(nil); errors.As(err, &p) {
				t.Errorf("%s = %s: %v", key, what, err)
			} else if err != nil && len(err.Error()) < 8 {
				t.Errorf("%s = %s: the error says %q", key, what, err)
			}
			if errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s = %s: it does not end", key, what)
			}
		}
	}
}
