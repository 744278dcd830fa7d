package controlnet_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/golden"
)

// predicted is a case of testdata/record_models.py.
type predicted struct {
	Name          string
	Weights, Base []made
	Inputs        []made
	PatchInputs   []made
	Strength      float32
	Step          int
	Shape         []int
}

// call is the call of the diffusion model, with the residuals that it is given.
func (p predicted) call() family.Call {
	var c family.Call
	r := &family.Residuals{}
	for _, m := range p.Inputs {
		name, x := m.tensor(p.Name + "/in/")
		kind, place, residual := strings.Cut(name, ".")
		switch i, _ := strconv.Atoi(place); {
		case residual && kind == "input":
			r.Input = append(make([]*tensor.Tensor, i), x)
		case residual:
			r.Output = append(make([]*tensor.Tensor, i), x)
		case name == "x":
			c.X = x
		case name == "timesteps":
			c.T = x.Data
		default:
			c.Inputs.List = append(c.Inputs.List, sampling.Input{Name: name, Value: x, Rule: sampling.ByRows})
		}
	}
	if r.Input != nil || r.Output != nil {
		c.Residuals = r
	}
	return c
}

// encodeMeans replaces a VAE: it returns the means of 8 by 8 pixels, scaled by channel.
func encodeMeans(_ context.Context, images *tensor.Tensor) (*tensor.Tensor, error) {
	const side, channels = 8, 16
	h, w := images.Dim(1)/side, images.Dim(2)/side
	out := tensor.New(images.Dim(0), channels, h, w)
	for b := range images.Dim(0) {
		for c := range channels {
			for y := range h * side {
				for x := range w * side {
					v := images.Index(b).Data[(y*images.Dim(2)+x)*images.Dim(3)+c%3]
					out.Index(b).Index(c).Data[y/side*w+x/side] += v * float32(c+1) / 8 / (side * side)
				}
			}
		}
	}
	return out, nil
}

// attach reads the case's model patch and makes its input.
func (p predicted) attach(t *testing.T, d family.Denoiser, c *family.Call) {
	t.Helper()
	net, err := family.Open(family.Default, source(t, p.Name+"/", p.Weights)).ModelPatch()
	if err != nil {
		t.Fatal(err)
	}
	if err := net.Fits(d); err != nil {
		t.Fatal(err)
	}
	in := family.PatchCall{Side: 8, Height: c.X.Dim(-2), Width: c.X.Dim(-1), Encode: encodeMeans, Vision: &family.ImageEncoding{}}
	for _, m := range p.PatchInputs {
		switch name, x := m.tensor(p.Name + "/patch/in/"); name {
		case "image":
			in.Image = x
		case "inpaint":
			in.Inpaint = x
		case "mask":
			in.Mask = &tensor.Tensor{Shape: []int{1, 1, x.Dim(1), x.Dim(2)}, Data: x.Data}
		case "all":
			in.Vision.All = x
		case "penultimate":
			in.Vision.Penultimate = x
		}
	}
	input, err := net.Input(t.Context(), familytest.Runner{}, in)
	if err != nil {
		t.Fatal(err)
	}
	c.Attached = []family.Attached{{Net: net, Input: input, Strength: p.Strength}}
}

// TestModels compares what small diffusion models predict with residuals of ControlNets and with model patches with what
// ComfyUI's models predict.
func TestModels(t *testing.T) {
	t.Parallel()
	var cases []predicted
	if err := golden.ReadJSON(filepath.Join("testdata", "models.json"), &cases); err != nil {
		t.Fatal(err)
	}
	want, err := golden.ReadTensors(filepath.Join("testdata", "models.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range cases {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			d, _, err := family.Open(family.Default, source(t, p.Name+"/base/", p.Base)).Diffusion()
			if err != nil {
				t.Fatal(err)
			}
			c := p.call()
			if s, ok := d.(family.Steered); c.Residuals != nil && (!ok || s.CheckResiduals(c.Residuals) != nil) {
				t.Fatalf("the model does not take the residuals: %v", s.CheckResiduals(c.Residuals))
			}
			if len(p.Weights) > 0 {
				p.attach(t, d, &c)
			}
			got, err := d.Predict(t.Context(), familytest.Runner{}, c)
			if err != nil {
				t.Fatal(err)
			}
			expected, err := want.Get(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(got.Shape) != fmt.Sprint(p.Shape) {
				t.Fatalf("shape %v, want %v", got.Shape, p.Shape)
			}
			if d := golden.Difference(golden.Strided(got.Data, p.Step), expected.Data); !(d.RMSRel <= tolerance) {
				t.Errorf("%v, allowed %g", d, tolerance)
			}
		})
	}
}

// TestPatchOfAnotherFamily checks that a patch rejects models that it is not for.
func TestPatchOfAnotherFamily(t *testing.T) {
	t.Parallel()
	var cases []predicted
	if err := golden.ReadJSON(filepath.Join("testdata", "models.json"), &cases); err != nil {
		t.Fatal(err)
	}
	models, patches := map[string]family.Denoiser{}, map[string]family.PatchNetwork{}
	for _, p := range cases {
		kind, _, _ := strings.Cut(p.Name, "-")
		if d, _, err := family.Open(family.Default, source(t, "m", p.Base)).Diffusion(); err == nil {
			models[p.Name] = d
		}
		if len(p.Weights) == 0 {
			continue
		}
		net, err := family.Open(family.Default, source(t, "p", p.Weights)).ModelPatch()
		if err != nil {
			t.Fatal(err)
		}
		patches[kind] = net
	}
	for name, of := range map[string]string{"steer-sd3": "uso", "steer-flux": "zimage", "zimage-first": "diffsynth", "steer-qwen": "uso"} {
		if err := patches[of].Fits(models[name]); err == nil {
			t.Errorf("a patch of %s fits %s", patches[of].Patches(), name)
		}
	}
}
