package minimaxh3_test

import (
	"context"
	"math"
	"os"
	"strings"
	"testing"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/minimaxh3"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

const salt = "minimaxh3"

func normal(name string, shape ...int) *tensor.Tensor { return golden.Normal(salt+"/"+name, shape...) }

func denoiser(t *testing.T, src weights.Source) family.Denoiser {
	t.Helper()
	d, fam, err := family.Open(family.Default, src).Diffusion()
	if err != nil || fam.Name() != "MiniMax H3" {
		t.Fatalf("%v, %v", fam, err)
	}
	return d
}

// network is a diffusion model that is run without the engine.
type network struct {
	family.Denoiser
}

// Predict implements sampling.Network.
func (n network) Predict(ctx context.Context, x *tensor.Tensor, times []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	return n.Denoiser.Predict(ctx, familytest.Runner{}, family.Call{X: x, T: times, Inputs: in})
}

// KeptParts implements sampling.PartsKeeper.
func (n network) KeptParts(k sampling.Kept) (*tensor.Tensor, error) {
	return n.Denoiser.(family.KeepingParts).KeptParts(k)
}

func video(name string, t, h, w int) *tensor.Tensor { return normal(name, 1, 24, t, h, w) }
func sound(name string, t int) *tensor.Tensor       { return normal(name, 1, 32, 2, t) }

var tags = &tensor.Tensor{Shape: []int{7}, Data: []float32{1, 0, 0, 0, 1, 1, 1}}

// conditions are those of testdata/record.py.
func conditions(name string) map[string]any {
	switch name {
	case "keyframes":
		return map[string]any{minimaxh3.KeyTags: tags, minimaxh3.KeyKeyframes: []any{
			map[string]any{"resolved_frame_index": 0, "latent": video("first", 1, 4, 6)},
			map[string]any{"resolved_frame_index": 4, "latent": video("clip", 2, 4, 6), "audio_latent": sound("guide", 3)},
		}}
	case "refs":
		return map[string]any{minimaxh3.KeyTags: tags, minimaxh3.KeyAudioLevel: 0.75, minimaxh3.KeyReferences: []any{
			map[string]any{"kind": "image", "latent": video("ref", 1, 6, 4)},
			map[string]any{"kind": "video_audio", "latent": video("refvideo", 2, 4, 4), "audio_latent": sound("refsound", 5)},
			map[string]any{"kind": "audio", "audio_latent": sound("refaudio", 4)},
		}}
	}
	return nil
}

// run samples three steps and returns the values of the video and then of the audio.
func run(t *testing.T, d family.Denoiser, values map[string]any, sampler string, cfg float64, latents []*tensor.Tensor, masks ...*tensor.Tensor) (*tensor.Tensor, error) {
	t.Helper()
	kind, settings := d.Sampling()
	model, err := sampling.NewModelSampling(kind, settings)
	if err != nil {
		t.Fatal(err)
	}
	p := sampling.Params{
		Network: network{d}, Model: model, Format: d.Latent(),
		Inputs: func(_ context.Context, c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
			return d.Inputs(c, r)
		},
		Positive: []sampling.Cond{{Tokens: normal("context", 1, 7, 20), Values: values}}, Negative: []sampling.Cond{{Tokens: normal("negative", 1, 5, 20)}},
		CFG: cfg, Latent: latents[0], Along: latents[1:], Seed: 7, Steps: 3, Sampler: sampler, Scheduler: "simple", Denoise: 1,
	}
	if len(masks) > 0 {
		p.NoiseMask, p.AlongMasks = masks[0], masks[1:]
	}
	s, sigmas, err := p.Levels()
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := sampling.SampleParts(t.Context(), p, s, sigmas)
	if err != nil {
		return nil, err
	}
	all := &tensor.Tensor{}
	for _, part := range out {
		all.Data = append(all.Data, part.Data...)
	}
	all.Shape = []int{len(all.Data)}
	return all, nil
}

func empty(t, ta, h, w int) []*tensor.Tensor {
	return []*tensor.Tensor{tensor.New(1, 24, t, h, w), tensor.New(1, 32, 2, ta)}
}

func filled(shape []int, v float32) *tensor.Tensor {
	out := tensor.New(shape...)
	for i := range out.Data {
		out.Data[i] = v
	}
	return out
}

// runMask keeps the first frame, a part of a corner and half of the audio.
func runMask() (video, audio *tensor.Tensor) {
	video, audio = filled([]int{1, 1, 3, 4, 6}, 1), filled([]int{1, 1, 2, 10}, 1)
	clear(video.Data[:24])
	for y := range 2 {
		for x := range 3 {
			video.Data[24+y*6+x] = 0.3
		}
	}
	for c := range 2 {
		for i := range 4 {
			audio.Data[c*10+i] = 0.5
		}
	}
	return video, audio
}

// near is ten times torch's own error in float32 over three steps, about 1e-6.
var near = golden.Tolerance{RMSRel: 1e-5}

func compare(t *testing.T, stored *inner.Tensors, name string, got *tensor.Tensor) {
	t.Helper()
	familytest.Compare(t, stored, name, got, near)
}

// TestRunsEqualUpstream compares whole sampling runs: the order of the tokens, their positions and timesteps, conditions with their noise, the scale at
// which the audio is carried, and what noise masks protect.
func TestRunsEqualUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/network", salt)
	d := denoiser(t, src)
	v, a := runMask()
	start := []*tensor.Tensor{video("start/v", 3, 4, 6), sound("start/a", 10)}
	for name, c := range map[string]struct {
		conditions string
		sampler    string
		cfg        float64
		latents    []*tensor.Tensor
		masks      []*tensor.Tensor
	}{
		"text": {"", "euler", 1, empty(3, 10, 4, 6), nil},
		"cfg":  {"keyframes", "dpmpp_2m", 3, empty(3, 10, 4, 6), nil},
		"odd":  {"", "euler", 1, empty(2, 7, 3, 5), nil},
		"bare": {"", "euler", 1, []*tensor.Tensor{tensor.New(1, 4, 1, 4, 6)}, nil},
		"refs": {"refs", "euler", 1, empty(3, 10, 4, 6), nil},
		"mask": {"", "euler", 1, start, []*tensor.Tensor{v, a}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			y, err := run(t, d, conditions(c.conditions), c.sampler, c.cfg, c.latents, c.masks...)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, stored, name, y)
		})
	}
	if small, large := d.Memory([]int{1, 1, 96 * 100}, 7), d.Memory([]int{1, 1, 96 * 1000}, 7); small <= 0 || large <= small {
		t.Errorf("%d bytes, and %d for a larger video", small, large)
	}
	familytest.CheckCUDA(t, src, 1)
}

// TestCurveEqualsUpstream compares the form whose file holds a table of embeddings of timesteps.
func TestCurveEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/curve", salt)
	y, err := run(t, denoiser(t, src), nil, "euler", 1, empty(3, 10, 4, 6))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, stored, "text", y)
	familytest.CheckCUDA(t, src, 1)
}

// computed shows tensors as computed from those of a file: they have no bytes of their own.
type computed struct{ weights.Source }

// Lookup implements weights.Source.
func (c computed) Lookup(name string) (weights.Entry, bool) {
	e, ok := c.Source.Lookup(name)
	if !ok || name != "adaln_t_table" && name != "rope.inv_freq" {
		return e, ok
	}
	return weights.Compute(name, e.Shape, weights.Computation{Op: "copy", Parts: []weights.Entry{e}, Read: func(dst []float32, at int) error {
		return weights.Range(dst, e, at)
	}}), true
}

// TestComputedTables reads the tables on the host where they are computed, not stored.
func TestComputedTables(t *testing.T) {
	t.Parallel()
	stored, src := familytest.Recorded(t, "testdata/curve", salt)
	y, err := run(t, denoiser(t, computed{src}), nil, "euler", 1, empty(3, 10, 4, 6))
	if err != nil {
		t.Fatal(err)
	}
	compare(t, stored, "text", y)
}

// restated is a file whose tensor of a name has another shape.
func restated(src weights.Source, name string, shape ...int) weights.Source {
	var list []weights.Entry
	for _, n := range src.Names() {
		e, _ := src.Lookup(n)
		if n == name {
			e.Shape, e.Data = shape, nil
		}
		list = append(list, e)
	}
	return dryrun.Described(list)
}

// TestEmptyTensorsStateNoSizes passes files whose empty tensors state sizes that no memory holds.
func TestEmptyTensorsStateNoSizes(t *testing.T) {
	t.Parallel()
	const huge = 1 << 40
	_, src := familytest.Recorded(t, "testdata/network", salt)
	for name, shape := range map[string][]int{
		"video_patch_proj.weight": {huge, 0}, "time_embedder.proj_in.weight": {0, huge}, "blocks.0.mlp.fc1.weight": {huge, 0}, "condition_proj.weight": {0, huge},
	} {
		if _, _, err := family.Open(family.Default, restated(src, name, shape...)).Diffusion(); err == nil || !strings.Contains(err.Error(), "every size has to be above 0") {
			t.Errorf("%s of %v: %v", name, shape, err)
		}
	}
}

func TestDetection(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/network", salt)
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"its own file": {Source: src, Family: "MiniMax H3", Type: sampling.FlowAV, Shift: 12},
	})
	for part, want := range map[string]string{
		"blocks.0.attn.q_norm": "above 0", "time_embedder": "above 0", "rope.inv_freq": "above 0", "audio_patch_proj": "no diffusion model",
	} {
		if _, _, err := family.Open(family.Default, familytest.Without(src, part)).Diffusion(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %s: %v, wanted an error with %q", part, err, want)
		}
	}
}

func TestBadInputs(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/network", salt)
	d := denoiser(t, src)
	nan := video("first", 1, 4, 6)
	nan.Data[3] = float32(math.NaN())
	key := func(e any) map[string]any { return map[string]any{minimaxh3.KeyKeyframes: []any{e}} }
	for name, c := range map[string]struct {
		values  map[string]any
		latents []*tensor.Tensor
		want    string
	}{
		"a video alone":             {nil, []*tensor.Tensor{video("start", 3, 4, 6)}, "video and audio together"},
		"other channels":            {nil, []*tensor.Tensor{tensor.New(1, 16, 3, 4, 6), tensor.New(1, 32, 2, 10)}, "[batch,24,frames"},
		"audio of one channel":      {nil, []*tensor.Tensor{tensor.New(1, 24, 3, 4, 6), tensor.New(1, 32, 1, 10)}, "[batch,32,2,length]"},
		"a keyframe of another VAE": {key(map[string]any{"resolved_frame_index": 0, "latent": normal("z", 1, 16, 1, 4, 6)}), nil, "VAE of MiniMax H3"},
		"a keyframe of other sizes": {key(map[string]any{"resolved_frame_index": 0, "latent": video("z", 1, 4, 4)}), nil, "not of the size"},
		"a keyframe of odd sizes":   {key(map[string]any{"resolved_frame_index": 0, "latent": video("z", 1, 3, 5)}), nil, "even height"},
		"a keyframe that is NaN":    {key(map[string]any{"resolved_frame_index": 0, "latent": nan}), nil, "NaN"},
		"a keyframe without number": {key(map[string]any{"latent": video("z", 1, 4, 6)}), nil, "number of a frame"},
		"a keyframe of no kind":     {key("first"), nil, "dictionary"},
		"a reference of nothing":    {map[string]any{minimaxh3.KeyReferences: []any{map[string]any{"kind": "image"}}}, nil, "neither"},
		"mono audio":                {map[string]any{minimaxh3.KeyReferences: []any{map[string]any{"audio_latent": normal("z", 1, 32, 1, 4)}}}, nil, "2 channels"},
		"tags of another text":      {map[string]any{minimaxh3.KeyTags: filled([]int{3}, 1)}, nil, "kinds of tokens"},
		"tags of no kind":           {map[string]any{minimaxh3.KeyTags: filled([]int{7}, 5)}, nil, "wanted 0, 1 or 2"},
		"a level above 1":           {map[string]any{minimaxh3.KeyVisualLevel: 1.5}, nil, "from 0 to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.latents == nil {
				c.latents = empty(3, 10, 4, 6)
			}
			if _, err := run(t, d, c.values, "euler", 1, c.latents); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, wanted an error with %q", err, c.want)
			}
		})
	}
}
