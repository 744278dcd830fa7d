package wan_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// rendered are small models and a ControlNet for them, as testdata/uni3c.py recorded them.
func rendered(t *testing.T) (*inner.Tensors, map[string]family.Denoiser, family.PatchNetwork) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/uni3c", "uni3c")
	models := map[string]family.Denoiser{}
	for _, name := range []string{"text", "image"} {
		d, _, err := family.Open(family.Default, weights.Sub(src, name+".")).Diffusion()
		if err != nil {
			t.Fatal(err)
		}
		models[name] = d
	}
	p, err := family.Open(family.Default, weights.Sub(src, "patch.")).ModelPatch()
	if err != nil {
		t.Fatal(err)
	}
	return stored, models, p
}

// encodeRendered stands in for a VAE: each frame of a latent is one of the video's, by numbers of its own.
func encodeRendered(_ context.Context, frames *tensor.Tensor) (*tensor.Tensor, error) {
	n, h, w := (frames.Dim(0)+3)/4, frames.Dim(1)/8, frames.Dim(2)/8
	z := tensor.New(1, 16, n, h, w)
	for i := range z.Data {
		c, f, y, x := i/(n*h*w), i/(h*w)%n, i/w%h, i%w
		z.Data[i] = float32(c+1) * frames.Data[((4*f*frames.Dim(1)+8*y)*frames.Dim(2)+8*x)*3]
	}
	return z, nil
}

// follow runs a call of a model of three latent frames with a rendered video of so many.
func follow(t *testing.T, d family.Denoiser, p family.PatchNetwork, run family.Runner, channels, frames int, scale float32) (*tensor.Tensor, error) {
	t.Helper()
	const h, w = 6, 4
	if err := p.Fits(d); err != nil {
		return nil, err
	}
	z, err := p.Input(t.Context(), run, family.PatchCall{
		Frames: 3, Height: h, Width: w, Side: 8, Pace: 4, Image: golden.Normal(fmt.Sprint("uni3c/render", frames), frames, h*8, w*8, 3), EncodeVideo: encodeRendered,
	})
	if err != nil {
		return nil, err
	}
	all := golden.Normal(fmt.Sprint("uni3c/x", channels), 2, channels, 3, h, w)
	x, more := tensor.New(2, 16, 3, h, w), tensor.New(2, channels-16, 3, h, w)
	for b := range 2 {
		copy(more.Index(b).Data, all.Index(b).Data[copy(x.Index(b).Data, all.Index(b).Data):])
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: golden.Normal("uni3c/context", 2, 7, 24), Rule: sampling.ByRows}}
	if channels > 16 {
		in = append(in, sampling.Input{Name: "concat", Value: more, Rule: sampling.ByRows})
	}
	return d.Predict(t.Context(), run, family.Call{
		X: x, T: []float32{300, 700}, Inputs: sampling.Inputs{List: in}, Attached: []family.Attached{{Net: p, Input: z, Strength: scale}},
	})
}

// TestUni3CEqualsUpstream compares videos that follow rendered ones, which are as long, shorter and longer; torch's own error in float32 is about 1e-6.
func TestUni3CEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, models, p := rendered(t)
	for name, c := range map[string]struct {
		model            string
		channels, frames int
		scale            float32
	}{"text": {"text", 16, 9, 0.8}, "image": {"image", 36, 9, 1}, "short": {"text", 16, 5, 1}, "long": {"text", 16, 12, 1}} {
		y, err := follow(t, models[c.model], p, familytest.Runner{}, c.channels, c.frames, c.scale)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		familytest.CompareEvery(t, stored, name, y, []int{2, 16, 3, 6, 4}, 3, golden.Tolerance{RMSRel: 1e-5})
	}
}

func TestUni3CCUDA(t *testing.T) {
	t.Parallel()
	_, models, p := rendered(t)
	for _, target := range familytest.Targets(t) {
		run := &dryrun.Runner{Spec: family.Spec{Target: target}}
		if _, err := follow(t, models["text"], p, run, 16, 9, 1); err != nil || run.Err != nil {
			t.Fatalf("%v, %v", err, run.Err)
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}

func TestWrongUni3C(t *testing.T) {
	t.Parallel()
	_, models, p := rendered(t)
	video := golden.Normal("uni3c/render5", 5, 48, 32, 3)
	for name, c := range map[string]struct {
		call family.PatchCall
		want string
	}{
		"no video":        {family.PatchCall{Frames: 3, Height: 6, Width: 4, Side: 8, Pace: 4}, "rendered video"},
		"no frames":       {family.PatchCall{Frames: 3, Height: 6, Width: 4, Side: 8, Pace: 4, Image: tensor.New(0, 48, 32, 3)}, "connect one with frames"},
		"no VAE":          {family.PatchCall{Frames: 3, Height: 6, Width: 4, Image: video}, "VAE"},
		"a VAE of images": {family.PatchCall{Frames: 3, Height: 6, Width: 4, Side: 8, Image: video, EncodeVideo: encodeRendered}, "VAE of Wan 2.1"},
	} {
		if _, err := p.Input(t.Context(), familytest.Runner{}, c.call); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, d, talk := talkers(t)
	if err := p.Fits(d); err == nil || !strings.Contains(err.Error(), "width") {
		t.Errorf("a model of another width: %v", err)
	}
	if err := talk.Fits(models["text"]); err == nil {
		t.Error("audio layers of another width fit")
	}
	_, src := familytest.Recorded(t, "testdata/uni3c", "uni3c")
	for _, missing := range []string{"proj_out.0.weight", "controlnet_blocks.0.ffn.0"} {
		if _, err := family.Open(family.Default, familytest.Without(weights.Sub(src, "patch."), missing)).ModelPatch(); err == nil {
			t.Errorf("a file without %s: no error", missing)
		}
	}
}
