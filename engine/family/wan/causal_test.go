package wan_test

import (
	"context"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	inner "comfygo/internal/golden"
	"comfygo/tests/cudakernels"
	"comfygo/tests/golden"
)

// causal is a small causal network that testdata/causal.py recorded.
func causal(t *testing.T) (*inner.Tensors, family.Denoiser) {
	t.Helper()
	stored, src := familytest.Recorded(t, "testdata/causal", "wancausal")
	d, f, err := family.Open(family.Default, configured{src, `{"transformer": {"causal_ar": true}}`}).Diffusion()
	if err != nil {
		t.Fatal(err)
	}
	if f.Name() != "Wan 2.1 Causal AR" {
		t.Fatalf("it is taken for %s", f.Name())
	}
	return stored, d
}

// network runs a family's model as a network of a run.
type network struct {
	family.Denoiser
	run family.Runner
}

// Causal implements sampling.Causal.
func (network) Causal() bool { return true }

// Predict implements sampling.Network.
func (n network) Predict(ctx context.Context, x *tensor.Tensor, t []float32, in sampling.Inputs) (*tensor.Tensor, error) {
	return n.Denoiser.Predict(ctx, n.run, family.Call{X: x, T: t, Inputs: in})
}

func blockNormal(name string, shape ...int) *tensor.Tensor {
	return golden.Normal("wancausal/"+name, shape...)
}

// predictFrames predicts a part of a video.
func predictFrames(t *testing.T, d family.Denoiser, run family.Runner, x *tensor.Tensor, rows int, state *sampling.State, part *sampling.Block) (*tensor.Tensor, error) {
	t.Helper()
	options := map[string]any{}
	if part != nil {
		options[sampling.OptionBlock] = *part
	}
	text := sampling.Input{Name: sampling.InputContext, Value: sampling.PickRows(blockNormal("context", 1, 7, 24), rows), Rule: sampling.ByRows}
	return d.Predict(t.Context(), run, family.Call{X: sampling.PickRows(x, rows), T: []float32{300, 300}[:rows], Inputs: sampling.Inputs{List: []sampling.Input{text}, State: state, Options: options}})
}

// TestBlocksEqualUpstream compares a video that is predicted in blocks of two frames and one, and at once, with torch's; its own error in float32 is
// below 1e-6.
func TestBlocksEqualUpstream(t *testing.T) {
	t.Parallel()
	stored, d := causal(t)
	x, tolerance := blockNormal("x", 1, 16, 5, 6, 4), golden.Tolerance{RMSRel: 1e-5}
	for rows := 1; rows <= 2; rows++ {
		state := &sampling.State{}
		first, err := predictFrames(t, d, familytest.Runner{}, wanFrames(x, 0, 2), rows, state, &sampling.Block{Total: 3, Keep: true})
		if err != nil {
			t.Fatal(err)
		}
		second, err := predictFrames(t, d, familytest.Runner{}, wanFrames(x, 2, 3), rows, state, &sampling.Block{Start: 2, Total: 3})
		if err != nil {
			t.Fatal(err)
		}
		familytest.Compare(t, stored, "blocks", joined(first, second).Slice(rows-1, rows), tolerance)
		if _, err := predictFrames(t, d, familytest.Runner{}, wanFrames(x, 2, 3), rows, state, &sampling.Block{Start: 1, Total: 3}); err == nil || !strings.Contains(err.Error(), "2 frames") {
			t.Errorf("a block that was left out: %v", err)
		}
	}
	y, err := predictFrames(t, d, familytest.Runner{}, x, 1, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "plain", y, tolerance)
	if _, err := predictFrames(t, d, familytest.Runner{}, x, 1, nil, &sampling.Block{Total: 5}); err == nil {
		t.Error("a block outside a run: no error")
	}
}

// wanFrames are the frames [from, to) of x [1,C,T,h,w].
func wanFrames(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(1, x.Dim(1), to-from, x.Dim(3), x.Dim(4))
	size := x.Dim(3) * x.Dim(4)
	for c := range x.Dim(1) {
		copy(out.Data[c*(to-from)*size:(c+1)*(to-from)*size], x.Data[(c*x.Dim(2)+from)*size:])
	}
	return out
}

// joined are the frames of two videos, one after the other.
func joined(a, b *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(a.Dim(0), a.Dim(1), a.Dim(2)+b.Dim(2), a.Dim(3), a.Dim(4))
	to := out.Data
	for row := range a.Dim(0) {
		for c := range a.Dim(1) {
			to = to[copy(to, a.Index(row).Index(c).Data):]
			to = to[copy(to, b.Index(row).Index(c).Data):]
		}
	}
	return out
}

// TestSamplerEqualsUpstream compares videos of five frames in blocks; three steps of it are within 1e-5.
func TestSamplerEqualsUpstream(t *testing.T) {
	t.Parallel()
	stored, d := causal(t)
	kind, settings := d.Sampling()
	m, err := sampling.NewModelSampling(kind, settings)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		frames  int
		options map[string]any
	}{"frames": {frames: 1}, "pairs": {frames: 2}, "beginning": {3, map[string]any{sampling.OptionBeginning: blockNormal("beginning", 1, 16, 1, 6, 4)}}} {
		s, err := sampling.ARVideo(c.frames)
		if err != nil {
			t.Fatal(err)
		}
		var steps []int
		p := sampling.Params{
			Network: network{d, familytest.Runner{}}, Model: m, Format: d.Latent(), Positive: []sampling.Cond{{Tokens: blockNormal("context", 1, 7, 24)}}, CFG: 1,
			Latent: tensor.New(1, 16, 5, 6, 4), Noise: blockNormal("x", 1, 16, 5, 6, 4), Seed: 5, Options: c.options,
			OnStep: func(s sampling.Step) { steps = append(steps, s.Index) },
		}
		y, _, err := sampling.SampleWith(t.Context(), p, s, []float32{1, 0.6, 0.25, 0})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		familytest.Compare(t, stored, name, y, golden.Tolerance{RMSRel: 1e-5})
		for i, step := range steps {
			if step != i*3/len(steps) {
				t.Errorf("%s: steps %v of a run of 3", name, steps)
				break
			}
		}
	}
}

func TestBlocksCUDA(t *testing.T) {
	t.Parallel()
	_, d := causal(t)
	x := blockNormal("x", 1, 16, 5, 6, 4)
	for _, target := range familytest.Targets(t) {
		run, state := &dryrun.Runner{Spec: family.Spec{Target: target}}, &sampling.State{}
		for start := range 2 {
			_, err := predictFrames(t, d, run, wanFrames(x, start, start+1), 1, state, &sampling.Block{Start: start, Total: 2, Keep: true})
			if err != nil || run.Err != nil {
				t.Fatalf("%v, %v", err, run.Err)
			}
		}
		for _, g := range run.Graphs {
			cudakernels.Check(t, g)
		}
	}
}
