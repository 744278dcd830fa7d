package ltxv_test

import (
	"context"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/ltxv"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

// sampled is a model for samplers that counts its graphs' runs.
type sampled struct {
	family.Denoiser
	familytest.Runner
	runs map[string]int
}

// Run implements family.Runner.
func (s *sampled) Run(ctx context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	s.runs[g.Part]++
	return s.Runner.Run(ctx, g, in, outputs...)
}

// network is sampled for samplers.
type network struct{ *sampled }

// Predict implements sampling.Network.
func (n network) Predict(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	return n.sampled.Denoiser.Predict(ctx, n.sampled, family.Call{X: x, T: t, Inputs: in})
}

// Kept implements sampling.Keeper.
func (n network) Kept(sigma float32, latent *tensor.Tensor) *tensor.Tensor {
	return n.Denoiser.(family.Keeping).Kept(sigma, latent)
}

// TestAVSampling samples video and audio together, guided by the prediction without the reference audio: masked parts stay, and the
// connectors run once per run.
func TestAVSampling(t *testing.T) {
	t.Parallel()
	const form = "av23"
	_, src := familytest.Recorded(t, "testdata/"+form, form)
	d := openAV(t, src)
	kind, settings := d.Sampling()
	m, err := sampling.NewModelSampling(kind, settings)
	if err != nil {
		t.Fatal(err)
	}
	euler, err := sampling.NewSampler("euler")
	if err != nil {
		t.Fatal(err)
	}
	n := network{&sampled{Denoiser: d, runs: map[string]int{}}}
	reference := map[string]any{"tokens": golden.Normal(form+"/reference", 1, 3, 128)}
	cond := sampling.Cond{Tokens: golden.Normal(form+"/text", 1, 7, 36), Values: map[string]any{ltxv.KeyUnconnected: true, sampling.KeyReferenceAudio: reference}}
	video, sound := golden.Normal(form+"/start", 1, 128, 3, 2, 3), golden.Normal(form+"/sound", 1, 8, 5, 16)
	frames, heard := tensor.New(1, 1, 3, 1, 1), tensor.New(1, 1, 5, 1)
	frames.Data[1], frames.Data[2] = 1, 1
	for i := range 4 {
		heard.Data[i+1] = 1
	}
	p := sampling.Params{
		Network: n, Model: m, Format: d.Latent(), CFG: 1, Positive: []sampling.Cond{cond}, Negative: []sampling.Cond{cond}, Seed: 1,
		Inputs: func(_ context.Context, c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
			return d.Inputs(c, r)
		},
		Latent: video, NoiseMask: frames, Along: []*tensor.Tensor{sound}, AlongMasks: []*tensor.Tensor{heard},
	}
	p.Hooks = p.Hooks.WithAfter(sampling.AwayFrom(map[string]any{sampling.OptionWithoutReference: true}, 3, 0, 1))
	out, _, err := sampling.SampleParts(t.Context(), p, euler, []float32{1, 0.5, 0})
	if err != nil {
		t.Fatal(err)
	}
	if !tensor.SameShape(out[0], video) || !tensor.SameShape(out[1], sound) {
		t.Fatalf("shapes %v and %v", out[0].Shape, out[1].Shape)
	}
	near := func(a, b float32) bool { return a-b < 1e-5 && b-a < 1e-5 }
	if first, second := out[0].Data[0], out[0].Data[6]; !near(first, video.Data[0]) || near(second, video.Data[6]) {
		t.Errorf("the first frame went from %v to %v, the second one from %v to %v", video.Data[0], first, video.Data[6], second)
	}
	if first, second := out[1].Data[0], out[1].Data[16]; !near(first, sound.Data[0]) || near(second, sound.Data[16]) {
		t.Errorf("the first sound went from %v to %v, the second one from %v to %v", sound.Data[0], first, sound.Data[16], second)
	}
	if n.runs["unet"] != 4 || n.runs["unet video_embeddings_connector"] != 1 || n.runs["unet audio_embeddings_connector"] != 1 {
		t.Errorf("graphs ran %v, want four passes and the connectors once", n.runs)
	}
}
