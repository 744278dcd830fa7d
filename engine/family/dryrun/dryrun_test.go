package dryrun_test

import (
	"context"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// made is a family with a text width of its own, 24, and a latent in patches of 2x2.
type made struct{ src weights.Source }

func (made) Name() string { return "made up" }
func (made) Rank() int    { return 1 }

func (made) Read(src, _ weights.Source) (family.Denoiser, error) {
	if _, ok := src.Lookup("made.weight"); !ok {
		return nil, nil
	}
	return made{src}, nil
}

func (made) Latent() sampling.LatentFormat { return sampling.LatentFormat{Channels: 8} }
func (made) Sampling() (sampling.ModelType, sampling.Settings) {
	return sampling.Flow, sampling.Settings{}
}

func (made) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	return sampling.Text(c.Tokens).List, nil
}
func (made) Memory([]int, int) int64   { return 0 }
func (m made) Weights() weights.Source { return m.src }

func (m made) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	text := c.Inputs.Get(sampling.InputContext)
	if text.Dim(2) != 24 {
		return nil, context.Canceled
	}
	side := c.X.Dim(2) + c.X.Dim(2)%2
	g := family.Graph{Part: "unet", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("made", m.src, func(b *nn.Builder, s *weights.Scope) {
			h := onnx.Sym("h").Times(onnx.D(2))
			x := b.Input("x", dtype.F32, onnx.D(1), onnx.D(8), h, h)
			b.Input("text", dtype.F32, onnx.D(1), onnx.Sym("T"), onnx.D(24))
			b.Output("out", b.Linear(s.At("made"), b.Patchify(x, nn.ChannelsFirst, 2, 2), 16))
		})
	}}
	out, err := run.Run(ctx, g, []family.Value{family.Floats("x", tensor.New(1, 8, side, side)), family.Floats("text", text)}, "out")
	return out["out"], err
}

// TestExerciseFindsTheTextWidth exercises a family with an unknown text width and a latent that is declared as a multiple of a
// symbol.
func TestExerciseFindsTheTextWidth(t *testing.T) {
	t.Parallel()
	reg := &family.Registry{}
	reg.Register(made{})
	run := &dryrun.Runner{Spec: family.Spec{Target: nn.Target{Compute: dtype.F32}}}
	ran := dryrun.Exercise(t.Context(), family.Open(reg, dryrun.List("made.weight 16 32\ntext.weight 16 24\n")), run)
	if run.Err != nil || !slices.Equal(ran, []string{"diffusion model"}) || len(run.Graphs) != 2 {
		t.Errorf("ran %v with %d graphs: %v", ran, len(run.Graphs), run.Err)
	}
}
