package ltxv_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
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

func TestMain(m *testing.M) { os.Exit(familytest.Main(m)) }

const manifest = "ltxv-small"

func TestDetection(t *testing.T) {
	t.Parallel()
	familytest.CheckDetection(t, map[string]familytest.Detection{
		"plain":      {Manifest: manifest, Family: "LTX-Video", Type: sampling.Flux, Shift: 2.37},
		"no caption": {Manifest: manifest, Without: "caption_projection"},
		"no adaln":   {Manifest: manifest, Without: "adaln_single.emb"},
		"PixArt":     {Manifest: "pixart-sigma-small", Family: "PixArt Sigma", Type: sampling.EPS},
	})
}

func TestLoRAKeys(t *testing.T) {
	t.Parallel()
	familytest.CheckLoRAKeys(t, familytest.Model(t, manifest, dtype.Invalid), map[string]patch.Target{
		"lora_unet_transformer_blocks_0_attn1_to_q":          {Key: "transformer_blocks.0.attn1.to_q.weight"},
		"diffusion_model.transformer_blocks.1.ff.net.0.proj": {Key: "transformer_blocks.1.ff.net.0.proj.weight"},
		"transformer.transformer_blocks.1.attn2.to_out.0":    {Key: "transformer_blocks.1.attn2.to_out.0.weight"},
	})
}

// TestInputs checks how tokens are grouped by their timesteps, and guides that are left out or weighted.
func TestInputs(t *testing.T) {
	t.Parallel()
	m := familytest.Model(t, manifest, dtype.BF16)
	shape := []int{1, 128, 3, 2, 2}
	mask := func(values ...float32) *tensor.Tensor {
		out := tensor.New(shape...)
		for i := range out.Data {
			out.Data[i] = values[i%12*len(values)/12]
		}
		return out
	}
	places := tensor.New(1, 3, 4, 2)
	guide := func(strength float64) map[string]any {
		return map[string]any{sampling.KeyGuidePlaces: places, sampling.KeyGuideEntries: []sampling.GuideEntry{{Tokens: 4, Strength: strength, Shape: [3]int{1, 2, 2}}}}
	}
	hidden := &tensor.Tensor{Shape: []int{1, 2}, Data: []float32{1, 0}}
	for name, c := range map[string]struct {
		mask           *tensor.Tensor
		values         map[string]any
		groups, tokens int
		inputs         int
	}{
		"plain":        {groups: 1, tokens: 12, inputs: 5},
		"hidden text":  {values: map[string]any{sampling.KeyAttentionMask: hidden}, groups: 1, tokens: 12, inputs: 6},
		"equal frames": {mask: mask(1), groups: 1, tokens: 12, inputs: 5},
		"frames":       {mask: mask(0, 1, 1), groups: 3, tokens: 4, inputs: 5},
		"tokens":       {mask: mask(0, 1, 1, 0, 1, 1), groups: 12, tokens: 1, inputs: 5},
		"guide":        {mask: mask(1, 1, 0), values: guide(1), groups: 3, tokens: 4, inputs: 5},
		"weighted":     {mask: mask(1, 1, 0), values: guide(0.5), groups: 3, tokens: 4, inputs: 7},
		"left out":     {mask: mask(1, 1, 1, 1, 1, -1), values: guide(0.5), groups: 1, tokens: 10, inputs: 7},
		"frame rate":   {values: map[string]any{sampling.KeyFrameRate: 24}, groups: 1, tokens: 12, inputs: 5},
	} {
		in, err := m.Inputs(&sampling.Cond{Tokens: tensor.New(1, 2, 4096), Values: c.values}, sampling.Request{Shape: shape, Format: m.Latent(), Mask: c.mask})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, target := range familytest.Targets(t) {
			run := &reading{Runner: dryrun.Runner{Spec: family.Spec{Target: target}}}
			y, err := m.Predict(t.Context(), run, family.Call{X: tensor.New(shape...), T: []float32{1}, Inputs: sampling.Inputs{List: in}})
			if err != nil || !slices.Equal(y.Shape, shape) {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if x := run.read[0].Tensor.Shape; !slices.Equal(x[:3], []int{1, c.groups, c.tokens}) || len(run.read) != c.inputs {
				t.Errorf("%s: tokens %v and %d inputs, want %d groups of %d and %d", name, x, len(run.read), c.groups, c.tokens, c.inputs)
			}
			for _, g := range run.Graphs {
				cudakernels.Check(t, g)
			}
		}
	}
}

// reading remembers what a graph reads.
type reading struct {
	dryrun.Runner
	read []family.Value
}

// Run implements family.Runner.
func (r *reading) Run(ctx context.Context, g family.Graph, in []family.Value, outputs ...string) (map[string]*tensor.Tensor, error) {
	r.read = in
	return r.Runner.Run(ctx, g, in, outputs...)
}

func openVAE(t *testing.T, src weights.Source) family.Autoencoder {
	t.Helper()
	v, err := family.Open(family.Default, src).VAE()
	if err != nil || v == nil {
		t.Fatalf("%v, %v", v, err)
	}
	return v
}

// TestVAEEqualsUpstream compares videos, decoded at once and in the smallest chunks. Less than ten times upstream's own error in float32, up to
// 1.6e-6 where it decodes and 5.7e-6 where it encodes, is allowed.
func TestVAEEqualsUpstream(t *testing.T) {
	t.Parallel()
	tolerance := golden.Tolerance{RMSRel: 1e-5}
	for _, name := range []string{"ltxv", "ltxv_deep"} {
		stored, src := familytest.Recorded(t, "testdata/"+name, name)
		for limit, frames := range map[int64][]int{0: {1, 3}, 1: {5}} {
			v := openVAE(t, src)
			if i := v.Info(); i.Channels != 128 || i.Downscale != 32 || i.Pace != 8 || i.Frames(3) != 17 || !i.CanEncode {
				t.Errorf("%s: %+v", name, i)
			}
			ltxv.LimitFrames(v, limit)
			for _, n := range frames {
				y, err := v.Decode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprintf("%s/z%d", name, n), 1, 128, n, 2, 3))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				familytest.CompareSome(t, stored, fmt.Sprintf("decode%d", n), y, []int{8*n - 7, 3, 64, 96}, tolerance)
			}
			if limit > 0 {
				continue
			}
			for _, n := range []int{1, 17} {
				z, err := v.Encode(t.Context(), familytest.Runner{}, golden.Normal(fmt.Sprintf("%s/x%d", name, n), n, 3, 32, 64))
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				familytest.CompareSome(t, stored, fmt.Sprintf("encode%d", n), z, []int{1, 128, (n + 7) / 8, 1, 2}, golden.Tolerance{RMSRel: 3e-5})
			}
		}
	}
}

// TestVAEMemory checks that the estimate does not grow with the number of frames once they go in chunks.
func TestVAEMemory(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/ltxv_deep", "ltxv_deep")
	v := openVAE(t, src)
	short, long := v.DecodeMemory([]int{1, 128, 3, 15, 26}), v.DecodeMemory([]int{1, 128, 33, 15, 26})
	if short <= 0 || float64(long) > 1.1*float64(short) {
		t.Errorf("17 frames take %d bytes and 257 take %d", short, long)
	}
}

func TestVAERefusals(t *testing.T) {
	t.Parallel()
	_, src := familytest.Recorded(t, "testdata/ltxv", "ltxv")
	v := openVAE(t, src)
	for name, z := range map[string]*tensor.Tensor{"no time axis": tensor.New(1, 128, 2, 2), "channels": tensor.New(1, 16, 2, 2, 2), "one row": tensor.New(1, 128, 1, 1, 2)} {
		if _, err := v.Decode(t.Context(), familytest.Runner{}, z); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := v.Encode(t.Context(), familytest.Runner{}, tensor.New(1, 4, 32, 32)); err == nil {
		t.Error("four channels: no error")
	}
	_, err := family.Open(family.Default, dryrun.List("decoder.up_blocks.0.res_blocks.0.conv1.conv.weight 64 64 3 3 3\n")).VAE()
	if err == nil || !strings.Contains(err.Error(), "64 channels") {
		t.Errorf("an unknown version: %v", err)
	}
}
