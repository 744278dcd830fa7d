package image

import (
	"context"
	"errors"
	"math/big"

	"comfygo/engine/tensor"
	"comfygo/internal/glsl"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

func init() {
	nodes.Register(&GLSLShader{})
}

// GLSLShader runs a fragment shader over images.
type GLSLShader struct {
	FragmentShader string       `in:"fragment_shader" default:"#version 300 es\nprecision highp float;\n\nuniform sampler2D u_image0;\nuniform vec2 u_resolution;\n\nin vec2 v_texCoord;\nlayout(location = 0) out vec4 fragColor0;\n\nvoid main() {\n    fragColor0 = texture(u_image0, v_texCoord);\n}\n" multiline:"true" tooltip:"Source of the fragment shader in GLSL ES 3.00."`
	SizeMode       nodes.Choice `in:"size_mode" tooltip:"from_input takes the size of the first image, custom another one."`
	Images         nodes.Grown  `in:"images" autogrow:"image" item:"IMAGE" prefix:"image" least:"1" most:"5" tooltip:"Images, in the shader u_image0 to u_image4 (sampler2D)."`
	Floats         nodes.Grown  `in:"floats" autogrow:"float" item:"FLOAT" prefix:"u_float" least:"0" most:"20" itemopts:"{\"default\": 0.0, \"forceInput\": true}" tooltip:"Numbers, in the shader u_float0 to u_float19."`
	Ints           nodes.Grown  `in:"ints" autogrow:"int" item:"INT" prefix:"u_int" least:"0" most:"20" itemopts:"{\"default\": 0, \"forceInput\": true}" tooltip:"Integers, in the shader u_int0 to u_int19."`
	Bools          nodes.Grown  `in:"bools" autogrow:"bool" item:"BOOLEAN" prefix:"u_bool" least:"0" most:"10" itemopts:"{\"default\": false, \"forceInput\": true}" tooltip:"Switches, in the shader u_bool0 to u_bool9 (bool)."`
	Curves         nodes.Grown  `in:"curves" autogrow:"curve" item:"CURVE" prefix:"u_curve" least:"0" most:"4" itemopts:"{\"default\": {\"points\": [[0.0, 0.0], [1.0, 1.0]], \"interpolation\": \"monotone_cubic\"}, \"socketless\": true, \"forceInput\": true}" tooltip:"Curves as tables, in the shader u_curve0 to u_curve3 (sampler2D): texture(u_curve0, vec2(x, 0.5)).r"`
}

// shaderSize are the inputs of GLSLShader for a custom size.
type shaderSize struct {
	Width  int `in:"width" default:"512" min:"1" max:"16384"`
	Height int `in:"height" default:"512" min:"1" max:"16384"`
}

// DynamicOptions implements nodes.Dynamic.
func (*GLSLShader) DynamicOptions(string) []nodes.Option {
	return []nodes.Option{{Key: "from_input"}, {Key: "custom", Inputs: &shaderSize{}}}
}

// Spec implements nodes.Node.
func (*GLSLShader) Spec() nodes.Spec {
	return nodes.Spec{
		Name: "GLSLShader", DisplayName: "GLSL Shader", Category: "image/shader",
		Module: "comfy_extras.nodes_glsl", V3: true,
		Outputs: []nodes.Output{
			{Type: "IMAGE", Name: "IMAGE0", Tooltip: "What the shader writes to layout(location = 0) out vec4 fragColor0."},
			{Type: "IMAGE", Name: "IMAGE1", Tooltip: "What the shader writes to layout(location = 1) out vec4 fragColor1."},
			{Type: "IMAGE", Name: "IMAGE2", Tooltip: "What the shader writes to layout(location = 2) out vec4 fragColor2."},
			{Type: "IMAGE", Name: "IMAGE3", Tooltip: "What the shader writes to layout(location = 3) out vec4 fragColor3."},
		},
		HasIntermediateOutput: true,
		Experimental:          true,
		Description:           "Runs a fragment shader in GLSL ES over images. u_resolution is the size of the result; #pragma passes N runs it N times over its own result, counted by u_pass.",
		Uses:                  nodes.UsesNothing,
	}
}

// Sizes implements nodes.Sizer.
func (*GLSLShader) Sizes(s *nodes.Sizing) nodes.Images {
	p := s.In
	if mode, _ := s.Text("size_mode"); mode == "custom" {
		p = p.Of(s.Number("size_mode.width"), s.Number("size_mode.height"))
	}
	p.Exact, p.Made = false, true
	p.Count *= glsl.MaxOutputs
	return p
}

// Run implements nodes.Node. The first image's batch is that of the results; the outputs that the shader does not have are black.
func (n *GLSLShader) Run(ctx *nodes.Context) (nodes.Result, error) {
	images, err := n.images()
	if err != nil {
		return nodes.Result{}, err
	}
	job, err := n.job(images)
	if err != nil {
		return nodes.Result{}, err
	}
	b := images[0].Shape[0]
	first := frameOf(images, 0)
	used := job.Outputs()
	if err := imaging.CheckSize("results of a shader", used+1, b, job.Height, job.Width, 4); err != nil {
		return nodes.Result{}, err
	}
	// The worker holds a frame, its textures and its results; the rest is the driver's memory.
	const driver = 512 << 20
	if err := ctx.Reserve("the renderer of a shader", driver+2*job.TextureBytes(first)); err != nil {
		return nodes.Result{}, err
	}
	outputs := make([]*tensor.Tensor, glsl.MaxOutputs)
	for i := range outputs {
		if i <= used {
			outputs[i] = tensor.New(b, job.Height, job.Width, 4)
		} else {
			outputs[i] = outputs[used] // black
		}
	}
	if err := n.render(ctx, job, images, outputs[:used]); err != nil {
		return nodes.Result{}, err
	}
	return n.shown(ctx, images, outputs)
}

// render runs the shader over the frames.
func (n *GLSLShader) render(ctx *nodes.Context, job glsl.Job, images, outputs []*tensor.Tensor) (err error) {
	r, err := glsl.Start(ctx, job)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return nodes.Errorf("RuntimeError", "running a shader: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	b := images[0].Shape[0]
	for i := range b {
		results := make([][]float32, len(outputs))
		for k, o := range outputs {
			results[k] = o.Index(i).Data
		}
		if err := r.Frame(frameOf(images, i), results); err != nil {
			if cause := context.Cause(ctx); cause != nil {
				return cause
			}
			return nodes.Errorf("RuntimeError", "running a shader: %w", err)
		}
		ctx.Progress(float64(i+1), float64(b))
	}
	return nil
}

// images are those that are connected.
func (n *GLSLShader) images() ([]*tensor.Tensor, error) {
	var images []*tensor.Tensor
	for i, v := range n.Images.Values {
		if v == nil {
			continue
		}
		t, _ := v.(*tensor.Tensor)
		if !isImage(t) || t.Shape[3] != 3 && t.Shape[3] != 4 {
			return nil, nodes.Errorf("ValueError", "running a shader: %s is no image of 3 or 4 channels", n.Images.Names[i])
		}
		if len(images) > 0 && t.Shape[0] < images[0].Shape[0] {
			return nil, nodes.Errorf("IndexError", "running a shader: %s has %d images, the first one %d", n.Images.Names[i], t.Shape[0], images[0].Shape[0])
		}
		images = append(images, t)
	}
	if len(images) == 0 {
		return nil, nodes.Errorf("ValueError", "running a shader: there is no image")
	}
	return images, nil
}

// frameOf are image i of every batch.
func frameOf(images []*tensor.Tensor, i int) []glsl.Image {
	out := make([]glsl.Image, len(images))
	for k, t := range images {
		out[k] = glsl.Image{Width: t.Shape[2], Height: t.Shape[1], Channels: t.Shape[3], Data: t.Index(i).Data}
	}
	return out
}

// curveSamples is the length of curves' tables.
const curveSamples = 256

// job has the uniforms. Inputs without a value are 0.
func (n *GLSLShader) job(images []*tensor.Tensor) (glsl.Job, error) {
	job := glsl.Job{Source: n.FragmentShader, Width: images[0].Shape[2], Height: images[0].Shape[1], Images: len(images)}
	if size, ok := n.SizeMode.Inputs.(*shaderSize); ok {
		job.Width, job.Height = size.Width, size.Height
	} else if n.SizeMode.Key != "from_input" {
		return job, nodes.Errorf("KeyError", "running a shader: size_mode is %q, want from_input or custom", n.SizeMode.Key)
	}
	for i, v := range n.Floats.Values {
		f, ok := number(v)
		if !ok && v != nil {
			return job, nodes.Errorf("TypeError", "running a shader: %s is no number", n.Floats.Names[i])
		}
		job.Floats = append(job.Floats, float32(f))
	}
	for i, v := range n.Ints.Values {
		f, ok := number(v)
		if !ok && v != nil {
			return job, nodes.Errorf("TypeError", "running a shader: %s is no integer", n.Ints.Names[i])
		}
		whole, isInt := v.(int64)
		if big, isBig := v.(*big.Int); isBig {
			whole, isInt = big.Int64(), true
		}
		if !isInt {
			whole = int64(f)
		}
		job.Ints = append(job.Ints, int32(whole)) //nolint:gosec // the lower 32 bits, as upstream gives them to OpenGL
	}
	for _, v := range n.Bools.Values {
		b, _ := number(v)
		job.Bools = append(job.Bools, b != 0)
	}
	for _, v := range n.Curves.Values {
		if v == nil {
			continue
		}
		c, err := newCurve(v)
		if err != nil {
			return job, err
		}
		job.Curves = append(job.Curves, c.Table(curveSamples))
	}
	return job, nil
}

// shown adds the images for the client, which runs the shader as well.
func (n *GLSLShader) shown(ctx *nodes.Context, images, outputs []*tensor.Tensor) (nodes.Result, error) {
	o := imaging.PNGOptions{Level: 1}
	inputs := []any{}
	for _, t := range images {
		files, err := savePNGs(ctx, t, "GLSLShader_input", "temp", o)
		if err != nil {
			return nodes.Result{}, err
		}
		inputs = append(inputs, files...)
	}
	results, err := savePNGs(ctx, outputs[0], "GLSLShader_output", "temp", o)
	if err != nil {
		return nodes.Result{}, err
	}
	values := make([]any, len(outputs))
	for i, t := range outputs {
		values[i] = t
	}
	return nodes.Out(values...).AddUI("input_images", inputs).AddUI("images", results), nil
}
