package image_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/glsl"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
	"comfygo/tests/nodecalls"
)

// needsDriver skips a test where shaders cannot be run.
func needsDriver(t *testing.T) {
	t.Helper()
	name, err := glsl.Check(t.Context())
	if errors.Is(err, glsl.ErrUnavailable) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Log(name)
}

// TestShaderCalls compares shaders with upstream's results.
func TestShaderCalls(t *testing.T) {
	t.Parallel()
	needsDriver(t)
	nodecalls.Run(t, "calls_glsl.json.gz", nodecalls.Options{Described: described})
}

// TestRandomShaders compares random shaders with upstream's results; cases_glsl_random.py lists them.
func TestRandomShaders(t *testing.T) {
	t.Parallel()
	needsDriver(t)
	nodecalls.Run(t, "calls_glsl_random.json.gz", nodecalls.Options{Described: described})
}

// TestShaderFiles: the client gets the images that go in and the first that comes out.
func TestShaderFiles(t *testing.T) {
	t.Parallel()
	needsDriver(t)
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	image := tensor.New(2, 3, 4, 3)
	source := "#version 300 es\nprecision highp float;\nout vec4 fragColor0;\nvoid main() { fragColor0 = vec4(0.5); }"
	r, err := nodecalls.CallIn(t, f, "GLSLShader", pyjson.NewObject("fragment_shader", source, "size_mode", "from_input", "images.image0", image))
	if err != nil {
		t.Fatal(err)
	}
	for key, prefix := range map[string]string{"input_images": "GLSLShader_input_", "images": "GLSLShader_output_"} {
		v, _ := r.UI.Get(key)
		files, _ := v.([]any)
		if len(files) != 2 || !strings.HasPrefix(files[0].(*pyjson.Object).String("filename"), prefix) {
			t.Errorf("%s: %v", key, v)
		}
	}
}

// TestEndlessShader: a shader without end goes with its job.
func TestEndlessShader(t *testing.T) {
	t.Parallel()
	needsDriver(t)
	// Loops are ended by some drivers; passes by none.
	source := "#version 300 es\n#pragma passes 2000000000\nprecision highp float;\nout vec4 fragColor0;\nvoid main() { fragColor0 = vec4(1.0); }"
	c, ok := nodes.Default().Get("GLSLShader")
	if !ok {
		t.Fatal("no class")
	}
	values := pyjson.NewObject("fragment_shader", source, "size_mode", "from_input", "images.image0", tensor.New(1, 8, 8, 3))
	n, err := c.Bind(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	cause := errors.New("interrupted")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(2*time.Second, func() { cancel(cause) })
	began := time.Now()
	_, err = n.Run(nodes.NewContext(ctx, nodes.Call{ID: "1", Inputs: values}))
	if !errors.Is(err, cause) {
		t.Errorf("%v, want %v", err, cause)
	}
	if d := time.Since(began); d > 20*time.Second {
		t.Errorf("it ended after %v", d)
	}
}

// TestBadShaders: inputs that no shader takes.
func TestBadShaders(t *testing.T) {
	t.Parallel()
	needsDriver(t)
	small := tensor.New(1, 2, 2, 3)
	plain := "#version 300 es\nprecision highp float;\nout vec4 fragColor0;\nvoid main() { fragColor0 = vec4(1.0); }"
	for _, c := range []struct {
		values *pyjson.Object
		want   string
	}{
		{pyjson.NewObject("fragment_shader", "#version 300 es\nprecision highp float;\nout vec4 c;\nvoid main() {\n  c = vec4(missing);\n}", "images.image0", small), "line 5"},
		{pyjson.NewObject("fragment_shader", plain, "images.image0", tensor.New(1, 2, 2, 1)), "channels"},
		{pyjson.NewObject("fragment_shader", plain, "images.image0", tensor.New(0, 2, 2, 3)), "image0"},
		{pyjson.NewObject("fragment_shader", plain, "images.image0", "x"), "image0"},
		{pyjson.NewObject("fragment_shader", plain+"\x00", "images.image0", small), "zero byte"},
		{pyjson.NewObject("fragment_shader", strings.Repeat(" ", 2<<20), "images.image0", small), "bytes"},
		{pyjson.NewObject("fragment_shader", plain, "images.image0", small, "size_mode", "custom", "size_mode.width", 1<<20, "size_mode.height", 1<<20), "allocating"},
		{pyjson.NewObject("fragment_shader", plain, "images.image0", small, "size_mode", "custom", "size_mode.width", -1, "size_mode.height", 1), "-1"},
		{pyjson.NewObject("fragment_shader", plain, "images.image0", small, "size_mode", "other"), "size_mode"},
		{pyjson.NewObject("fragment_shader", plain, "images.image0", small, "floats.u_float0", "x"), "u_float0"},
		{pyjson.NewObject("fragment_shader", plain, "images.image0", small, "curves.u_curve0", int64(3)), "curve"},
	} {
		if !c.values.Has("size_mode") {
			c.values.Set("size_mode", "from_input")
		}
		_, err := nodecalls.CallIn(t, nil, "GLSLShader", c.values)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
