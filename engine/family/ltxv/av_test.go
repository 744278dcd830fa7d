package ltxv_test

import (
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/ltxv"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

const av = "LTX-Video 2"

// avShapes are the shapes of the video and of the audio in the recorded calls.
var avShapes = [][]int{{2, 128, 3, 2, 3}, {2, 8, 5, 16}}

func openAV(t *testing.T, src weights.Source) family.Denoiser {
	t.Helper()
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != av {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

// noiseOf is a noise mask of a shape, the values of its third axis given; at, when set, is a value for one place of it.
func noiseOf(shape []int, values []float32, at func(rest int) (float32, bool)) *tensor.Tensor {
	out := tensor.New(shape...)
	size := tensor.Count(shape[3:])
	for i := range out.Data {
		out.Data[i] = values[i/size%shape[2]]
		if at != nil {
			if v, ok := at(i % (size * shape[2])); ok {
				out.Data[i] = v
			}
		}
	}
	return out
}

// avCase is one of the recorded calls: its conditioning, its noise mask and its options.
type avCase struct {
	cond    sampling.Cond
	parts   int
	mask    *tensor.Tensor
	options map[string]any
}

func avCases(t *testing.T, form string) map[string]avCase {
	t.Helper()
	width, made := 12, 36
	switch form {
	case "av20":
		made = 24
	case "av23":
		width = 36
	}
	raw := func(more ...any) sampling.Cond {
		values := map[string]any{ltxv.KeyUnconnected: true, sampling.KeyFrameRate: 24}
		for i := 0; i < len(more); i += 2 {
			values[more[i].(string)] = more[i+1]
		}
		return sampling.Cond{Tokens: golden.Normal(form+"/text", 2, 7, width), Values: values}
	}
	pack := func(parts ...*tensor.Tensor) *tensor.Tensor {
		p, err := sampling.Pack(parts)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	ones := noiseOf(avShapes[0], []float32{1, 1, 1}, nil)
	sound := noiseOf(avShapes[1], []float32{1, 1, 0, 0.25, 1}, nil)
	left := noiseOf(avShapes[0], []float32{1, 1, 0.4}, func(i int) (float32, bool) { return -1, i == 2*6+1 })
	places := tensor.New(2, 3, 6, 2)
	for i := range places.Data {
		places.Data[i] = float32(i/2%6*3 + i/12%3*8 + i%2)
	}
	return map[string]avCase{
		"out": {cond: raw(), parts: 2}, "video": {cond: raw(), parts: 1},
		"made":   {cond: sampling.Cond{Tokens: golden.Normal(form+"/made", 2, 9, made), Values: map[string]any{sampling.KeyFrameRate: 24}}, parts: 2},
		"masked": {cond: raw(), parts: 2, mask: pack(noiseOf(avShapes[0], []float32{0, 1, 0.5}, nil), sound)},
		"guided": {parts: 2, mask: pack(left, noiseOf(avShapes[1], []float32{1, 1, 1, 1, 1}, nil)), cond: raw(
			sampling.KeyGuidePlaces, places, sampling.KeyGuideEntries, []sampling.GuideEntry{{Tokens: 6, Strength: 0.5, Shape: [3]int{1, 2, 3}}})},
		"reference": {parts: 2, mask: pack(ones, sound), cond: raw(sampling.KeyReferenceAudio, map[string]any{"tokens": golden.Normal(form+"/reference", 1, 3, 128)})},
		"apart":     {cond: raw(), parts: 2, options: map[string]any{sampling.OptionApart: true, sampling.OptionPassAttention: []int{1}}},
	}
}

// predict runs a recorded call.
func (c avCase) predict(t *testing.T, d family.Denoiser, run family.Runner, form string) (*tensor.Tensor, error) {
	t.Helper()
	x := golden.Normal(form+"/video", avShapes[0]...)
	var shapes [][]int
	if c.parts > 1 {
		shapes = avShapes
		var err error
		if x, err = sampling.Pack([]*tensor.Tensor{x, golden.Normal(form+"/audio", avShapes[1]...)}); err != nil {
			t.Fatal(err)
		}
	}
	in, err := d.Inputs(&c.cond, sampling.Request{Shape: x.Shape, Format: d.Latent(), Mask: c.mask, Parts: shapes})
	if err != nil {
		return nil, err
	}
	return d.Predict(t.Context(), run, family.Call{X: x, T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: in, Parts: shapes, Options: c.options, State: &sampling.State{}}})
}

// TestAVEqualsUpstream compares the network in the forms of versions 2.0 and 2.3: video with and without audio, noise masks, guides,
// reference audio, and the passes of guidance. Torch's own error in float32 is about 1e-6.
func TestAVEqualsUpstream(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"av20", "av23", "avplain"} {
		stored, src := familytest.Recorded(t, "testdata/"+form, form)
		d := openAV(t, src)
		for name, c := range avCases(t, form) {
			y, err := c.predict(t, d, familytest.Runner{}, form)
			if err != nil {
				t.Errorf("%s %s: %v", form, name, err)
				continue
			}
			n := 0
			for _, s := range avShapes[:c.parts] {
				n += tensor.Count(s[1:])
			}
			y = &tensor.Tensor{Shape: []int{2, n}, Data: y.Data}
			familytest.CompareSome(t, stored, name, y, y.Shape, golden.Tolerance{RMSRel: 1e-5})
		}
	}
}

// TestAVGraphs checks the kernels of all graphs, and that the connectors run once in a run.
func TestAVGraphs(t *testing.T) {
	t.Parallel()
	for _, form := range []string{"av20", "av23"} {
		_, src := familytest.Recorded(t, "testdata/"+form, form)
		d := openAV(t, src)
		if d.Memory([]int{1, 1, 128 * 600}, 1024) <= d.Memory([]int{1, 128, 3, 10, 10}, 1024) {
			t.Error("twice the tokens and audio take no more memory")
		}
		for name, c := range avCases(t, form) {
			for _, target := range familytest.Targets(t) {
				run := &dryrun.Runner{Spec: family.Spec{Target: target}}
				if _, err := c.predict(t, d, run, form); err != nil || run.Err != nil {
					t.Errorf("%s %s: %v, %v", form, name, err, run.Err)
				}
				if want := 3; name != "made" && len(run.Graphs) != want {
					t.Errorf("%s %s: %d graphs, want %d", form, name, len(run.Graphs), want)
				}
				for _, g := range run.Graphs {
					cudakernels.Check(t, g)
				}
			}
		}
	}
}

func TestAVDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/av23", "av23")
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"whole":         {Source: src, Family: av, Type: sampling.Flux, Shift: 2.37},
		"no connectors": {Source: src, Without: "embeddings_connector", Family: av, Type: sampling.Flux, Shift: 2.37},
		"no audio":      {Source: src, Without: "audio_adaln_single"},
		"no tokens":     {Source: src, Without: "audio_patchify_proj"},
	})
	familytest.CheckLoRAKeys(t, openAV(t, src), map[string]patch.Target{
		"diffusion_model.transformer_blocks.1.audio_to_video_attn.to_q": {Key: "transformer_blocks.1.audio_to_video_attn.to_q.weight"},
		"transformer_blocks.0.audio_ff.net.0.proj":                      {Key: "transformer_blocks.0.audio_ff.net.0.proj.weight"},
		"lora_unet_transformer_blocks_0_attn1_to_q":                     {Key: "transformer_blocks.0.attn1.to_q.weight"},
	})
}

// TestAVRefusals: what does not fit is named.
func TestAVRefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/av23", "av23")
	d := openAV(t, src)
	bare := openAV(t, familytest.Without(src, "embeddings_connector"))
	text := func(c avCase, tokens *tensor.Tensor) avCase {
		c.cond.Tokens = tokens
		return c
	}
	cases := avCases(t, "av23")
	bad := cases["reference"]
	bad.cond.Values = map[string]any{sampling.KeyReferenceAudio: map[string]any{"tokens": tensor.New(1, 3, 5)}}
	for name, c := range map[string]struct {
		c    avCase
		d    family.Denoiser
		want string
	}{
		"no text":          {text(cases["out"], nil), d, "text"},
		"another encoder":  {text(cases["out"], tensor.New(2, 7, 13)), d, "width 13"},
		"no connectors":    {cases["out"], bare, "no connectors"},
		"reference":        {bad, d, "tokens of 128 values"},
		"guides of others": {avCase{cond: cases["guided"].cond, parts: 1, mask: nil}, d, ""},
	} {
		_, err := c.c.predict(t, c.d, familytest.Runner{}, "av23")
		if c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	shapes := slices.Clone(avShapes)
	shapes[1] = []int{2, 16, 5, 8}
	x, err := sampling.Pack([]*tensor.Tensor{tensor.New(avShapes[0]...), tensor.New(shapes[1]...)})
	if err != nil {
		t.Fatal(err)
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: golden.Normal("av23/made", 2, 9, 36)}}
	_, err = d.Predict(t.Context(), familytest.Runner{}, family.Call{X: x, T: []float32{0.3, 0.8}, Inputs: sampling.Inputs{List: in, Parts: shapes}})
	if err == nil || !strings.Contains(err.Error(), "8 channels") {
		t.Errorf("another audio latent: %v", err)
	}
}
