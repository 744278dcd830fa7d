package cascade_test

import (
	"math"
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/cascade"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/pyjson"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

// tolerance is twenty times torch's own error in float32 where normalisations follow each other, about 1e-6.
var tolerance = golden.Tolerance{RMSRel: 2e-5}

// recorded returns the network that record.py recorded under a name.
func recorded(t *testing.T, name string) weights.Source {
	t.Helper()
	_, src := familytest.Recorded(t, "testdata/"+name, "cascade")
	return src
}

func open(t *testing.T, src weights.Source) family.Denoiser {
	t.Helper()
	d, _, err := family.Open(family.Default, src).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func inputsC() []sampling.Input {
	return []sampling.Input{
		{Name: sampling.InputContext, Value: golden.Normal("cascade/text", 2, 7, 24)},
		{Name: cascade.InputPooled, Value: golden.Normal("cascade/pooled", 2, 1, 24)},
		{Name: cascade.InputImage, Value: golden.Normal("cascade/image", 2, 2, 16)},
	}
}

func inputsB() []sampling.Input {
	return []sampling.Input{
		{Name: cascade.InputPrior, Value: golden.Normal("cascade/prior", 2, 16, 3, 2)}, {Name: cascade.InputPooled, Value: golden.Normal("cascade/pooled", 2, 1, 24)},
	}
}

// TestStagesEqualUpstream compares one call of each diffusion model; stage B's is of sizes that no level divides.
func TestStagesEqualUpstream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		x      []int
		inputs []sampling.Input
	}{"c": {[]int{2, 16, 5, 6}, inputsC()}, "b": {[]int{2, 4, 12, 10}, inputsB()}} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "cascade")
		y, err := open(t, src).Predict(t.Context(), familytest.Runner{}, family.Call{X: golden.Normal("cascade/x", c.x...), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: c.inputs}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		familytest.Compare(t, stored, "out", y, tolerance)
	}
}

// TestSizesOfPatches: latents of stage B of any size run, and come back in it.
func TestSizesOfPatches(t *testing.T) {
	t.Parallel()
	y, err := open(t, recorded(t, "b")).Predict(t.Context(), familytest.Runner{}, family.Call{X: tensor.New(2, 4, 9, 3), T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: inputsB()}})
	if err != nil || y.Dim(2) != 9 || y.Dim(3) != 3 {
		t.Errorf("%v, %v", y, err)
	}
}

// TestVAEsEqualUpstream compares both halves of the VAEs.
func TestVAEsEqualUpstream(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		z, pixels *tensor.Tensor
		down, up  int
	}{
		"a":     {golden.Normal("cascade/z", 1, 4, 5, 6), unit(golden.Normal("cascade/pixels", 1, 3, 16, 24)), 4, 0},
		"coder": {golden.Normal("cascade/z16", 1, 16, 3, 4), golden.Normal("cascade/pixels", 1, 3, 64, 96), 32, 8},
	} {
		stored, src := familytest.Recorded(t, "testdata/"+name, "cascade")
		v, err := family.Open(family.Default, src).VAE()
		if err != nil || v == nil {
			t.Errorf("%s: %v, %v", name, v, err)
			continue
		}
		if i := v.Info(); i.Downscale != c.down || i.Upscale != c.up || !i.CanEncode || !i.CanDecode || i.Video {
			t.Errorf("%s: %+v", name, i)
		}
		y, err := v.Decode(t.Context(), familytest.Runner{}, c.z)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		familytest.Compare(t, stored, "decode", y, tolerance)
		if y, err = v.Encode(t.Context(), familytest.Runner{}, c.pixels); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		familytest.Compare(t, stored, "encode", y, tolerance)
	}
}

// unit converts images that upstream's module reads as they are to -1…1, from which the VAE converts them back.
func unit(x *tensor.Tensor) *tensor.Tensor {
	for i, v := range x.Data {
		x.Data[i] = 2*v - 1
	}
	return x
}

// TestLoneHalves reads the encoder and the previewer out of files of their own.
func TestLoneHalves(t *testing.T) {
	t.Parallel()
	src := recorded(t, "coder")
	for prefix, want := range map[string]family.VAEInfo{
		"encoder.":   {Channels: 16, Downscale: 32, Upscale: 8, CanEncode: true},
		"previewer.": {Channels: 16, Downscale: 8, Upscale: 8, CanDecode: true},
	} {
		v, err := family.Open(family.Default, weights.Sub(src, prefix)).VAE()
		if err != nil || v == nil {
			t.Errorf("%s: %v, %v", prefix, v, err)
			continue
		}
		if i := v.Info(); i.Channels != want.Channels || i.Downscale != want.Downscale || i.CanEncode != want.CanEncode || i.CanDecode != want.CanDecode {
			t.Errorf("%s: %+v, want %+v", prefix, i, want)
		}
		if _, err := v.Decode(t.Context(), familytest.Runner{}, tensor.New(1, 16, 2, 2)); (err == nil) != want.CanDecode {
			t.Errorf("%s: decoding: %v", prefix, err)
		}
		if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 3, 32, 32)); (err == nil) != want.CanEncode {
			t.Errorf("%s: encoding: %v", prefix, err)
		}
	}
}

// fusedProjections are the network of stage C as its trainers save it.
type fusedProjections struct{ weights.Source }

func (f fusedProjections) Names() []string {
	var out []string
	for _, n := range f.Source.Names() {
		switch {
		case strings.Contains(n, ".to_q."):
			out = append(out, strings.Replace(n, ".to_q.", ".in_proj_", 1))
		case strings.Contains(n, ".to_k."), strings.Contains(n, ".to_v."):
		default:
			out = append(out, n)
		}
	}
	return out
}

func (f fusedProjections) Lookup(name string) (weights.Entry, bool) {
	layer, kind, ok := strings.Cut(name, ".in_proj_")
	if !ok {
		if strings.Contains(name, ".to_") {
			return weights.Entry{}, false
		}
		return f.Source.Lookup(name)
	}
	var parts []weights.Entry
	for _, p := range []string{"to_q", "to_k", "to_v"} {
		e, ok := f.Source.Lookup(layer + "." + p + "." + kind)
		if !ok {
			return weights.Entry{}, false
		}
		shape := e.Shape
		e, err := e.Reshape(shape[0], e.Count()/shape[0])
		if err != nil {
			return weights.Entry{}, false
		}
		parts = append(parts, e)
	}
	e, err := weights.Concat(0, parts...)
	if err == nil && kind == "bias" {
		e, err = e.Reshape(e.Shape[0])
	}
	return e, err == nil
}

// TestFusedProjections reads a file with fused projections as one without.
func TestFusedProjections(t *testing.T) {
	t.Parallel()
	src := recorded(t, "c")
	whole, split := open(t, src).Weights(), open(t, fusedProjections{src}).Weights()
	for _, name := range []string{"down_blocks.0.2.attention.attn.to_q.weight", "up_blocks.1.2.attention.attn.to_v.bias"} {
		a, okA := whole.Lookup(name)
		b, okB := split.Lookup(name)
		if !okA || !okB {
			t.Errorf("%s: %t, %t", name, okA, okB)
			continue
		}
		x, errX := weights.Float32s(a)
		y, errY := weights.Float32s(b)
		if errX != nil || errY != nil || len(x) != len(y) {
			t.Errorf("%s: %v, %v", name, errX, errY)
			continue
		}
		for i := range x {
			if x[i] != y[i] {
				t.Errorf("%s: value %d is %v, want %v", name, i, y[i], x[i])
				break
			}
		}
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"stage C":           {Source: recorded(t, "c"), Family: "Stable Cascade stage C", Type: sampling.StableCascade, Shift: 2},
		"stage B":           {Source: recorded(t, "b"), Family: "Stable Cascade stage B", Type: sampling.StableCascade, Shift: 1},
		"without an output": {Source: familytest.Without(recorded(t, "c"), "clf.1")},
		"without mappers":   {Source: familytest.Without(recorded(t, "b"), "clip_mapper")},
	})
	for missing, name := range map[string]string{"embedding.1": "b", "clip_img_mapper": "c"} {
		if _, _, err := family.Open(family.Default, familytest.Without(recorded(t, name), missing)).Diffusion(); err == nil || !strings.Contains(err.Error(), "make no network") {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	bundle := open(t, recorded(t, "c")).(family.Bundle)
	if bundle.Scheme() != cascade.Scheme || len(bundle.TextPrefixes()) != 1 {
		t.Errorf("text encoders of a checkpoint: %s, %v", bundle.Scheme(), bundle.TextPrefixes())
	}
}

func TestInputs(t *testing.T) {
	t.Parallel()
	c, b := open(t, recorded(t, "c")), open(t, recorded(t, "b"))
	r := sampling.Request{Shape: []int{1, 4, 32, 22}}
	pooled, text := tensor.New(1, 24), tensor.New(1, 7, 24)
	embeds := tensor.New(1, 16)
	embeds.Data[3] = 2
	image := func(e *tensor.Tensor, strength float64) any {
		return pyjson.NewObject("clip_vision_output", family.ImageEncoding{Embeds: e}, "strength", strength, "noise_augmentation", 0.0)
	}
	in, err := c.Inputs(&sampling.Cond{Tokens: text, Pooled: pooled, Values: map[string]any{"unclip_conditioning": []any{image(embeds, 0.5), image(embeds, 2)}}}, r)
	if err != nil {
		t.Fatal(err)
	}
	if v := (sampling.Inputs{List: in}).Get(cascade.InputImage); v.Dim(1) != 2 || v.Data[3] != 1 || math.Abs(float64(v.Data[19]-4)) > 0 {
		t.Errorf("images are %v with %v", v.Shape, v.Data)
	}
	if in, err = b.Inputs(&sampling.Cond{Pooled: pooled}, r); err != nil {
		t.Fatal(err)
	}
	if v := (sampling.Inputs{List: in}).Get(cascade.InputPrior); v.Dim(2) != 3 || v.Dim(3) != 2 {
		t.Errorf("without the latent of stage C the network reads %v", v.Shape)
	}
	for name, f := range map[string]func() ([]sampling.Input, error){
		"no pooled encoding": func() ([]sampling.Input, error) { return c.Inputs(&sampling.Cond{Tokens: text}, r) },
		"no text":            func() ([]sampling.Input, error) { return c.Inputs(&sampling.Cond{Pooled: pooled}, r) },
		"image of another width": func() ([]sampling.Input, error) {
			return c.Inputs(&sampling.Cond{Tokens: text, Pooled: pooled, Values: map[string]any{"unclip_conditioning": []any{image(tensor.New(1, 8), 1)}}}, r)
		},
		"image of another type": func() ([]sampling.Input, error) {
			return c.Inputs(&sampling.Cond{Tokens: text, Pooled: pooled, Values: map[string]any{"unclip_conditioning": []any{3}}}, r)
		},
		"latent of stage B as prior": func() ([]sampling.Input, error) {
			return b.Inputs(&sampling.Cond{Pooled: pooled, Values: map[string]any{"stable_cascade_prior": tensor.New(1, 4, 8, 8)}}, r)
		},
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestCallsThatDoNotFit: each error states what does not fit.
func TestCallsThatDoNotFit(t *testing.T) {
	t.Parallel()
	c, b := open(t, recorded(t, "c")), open(t, recorded(t, "b"))
	times := []float32{0.3, 0.8}
	wrong := inputsC()
	wrong[0].Value = tensor.New(2, 7, 768)
	for want, call := range map[string]struct {
		d family.Denoiser
		family.Call
	}{
		"reads 16 channels": {c, family.Call{X: tensor.New(2, 4, 5, 6), T: times, Inputs: sampling.Inputs{List: inputsC()}}},
		"1 timesteps":       {c, family.Call{X: tensor.New(2, 16, 5, 6), T: times[:1], Inputs: sampling.Inputs{List: inputsC()}}},
		"has width 768":     {c, family.Call{X: tensor.New(2, 16, 5, 6), T: times, Inputs: sampling.Inputs{List: wrong}}},
		"latent of stage C": {b, family.Call{X: tensor.New(2, 4, 12, 10), T: times, Inputs: sampling.Inputs{List: inputsC()}}},
	} {
		if _, err := call.d.Predict(t.Context(), familytest.Runner{}, call.Call); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, err := open(t, familytest.Without(recorded(t, "c"), "up_blocks.0.0.channelwise.2.gamma")).Predict(t.Context(), familytest.Runner{},
		family.Call{X: tensor.New(2, 16, 5, 6), T: times, Inputs: sampling.Inputs{List: inputsC()}})
	if err == nil || !strings.Contains(err.Error(), "up_blocks.0.0.channelwise.2.gamma") {
		t.Errorf("a missing weight: %v", err)
	}
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, open(t, recorded(t, "c")), map[string]patch.Target{
		"lora_prior_unet_down_blocks_0_2_attention_attn_to_q": {Key: "down_blocks.0.2.attention.attn.to_q.weight"},
		"lora_unet_clip_txt_mapper":                           {Key: "clip_txt_mapper.weight"},
		"diffusion_model.clf.1":                               {Key: "clf.1.weight"},
	})
}

func TestCUDA(t *testing.T) {
	t.Parallel()
	for name, parts := range map[string]int{"c": 1, "b": 1, "a": 2, "coder": 2, "control": 1, "large": 1} {
		familytest.CheckCUDA(t, recorded(t, name), parts)
	}
}

// TestOlderProjection reads the text encoder of a checkpoint that keeps the projection one level higher.
func TestOlderProjection(t *testing.T) {
	t.Parallel()
	const list = `clip_g.text_projection 8 64
clip_g.transformer.text_model.embeddings.position_embedding.weight 77 64
clip_g.transformer.text_model.embeddings.token_embedding.weight 49408 64
clip_g.transformer.text_model.encoder.layers.0.mlp.fc1.weight 256 64
`
	e, err := family.Open(family.Default, weights.Sub(dryrun.List(list), "clip_g.")).Text()
	if err != nil {
		t.Fatal(err)
	}
	if w, ok := e.Weights().Lookup("text_projection.weight"); !ok || w.Shape[0] != 64 || w.Shape[1] != 8 {
		t.Errorf("the projection is %v, %t", w.Shape, ok)
	}
}
