package ltxv

import (
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(durationKind{}) }

// durationKind registers the network that predicts from a prompt of LTX-Video 2 how long the video should be.
type durationKind struct{}

// Name implements family.Family.
func (durationKind) Name() string { return "duration head of LTX-Video 2" }

// Rank implements family.Family.
func (durationKind) Rank() int { return 60 }

const (
	durationHeads = 4
	queryTokens   = "attention_pooler.query_tokens"
	pooler        = "attention_pooler.cross_attn"
)

// duration is the network: learned queries attend to the tokens of the text for video and audio. Upstream: ldm/lightricks/duration_head.py.
type duration struct {
	src weights.Source
	// video and audio are the widths of the texts, hidden that of a query, queries their number and inner the width behind them.
	video, audio, hidden, queries, inner int
}

var _ family.DurationNetwork = (*duration)(nil)

// ReadPatch implements family.ModelPatch.
func (durationKind) ReadPatch(src weights.Source) (family.PatchNetwork, error) {
	for _, prefix := range []string{"model.diffusion_model.duration_head.", "duration_head.", ""} {
		own := src
		if prefix != "" {
			own = weights.Sub(src, prefix)
		}
		s := weights.NewScope(own)
		query := s.Shape(queryTokens)
		if query == nil {
			continue
		}
		video, audio, mlp := s.Shape("video_input_proj.weight"), s.Shape("audio_input_proj.weight"), s.Shape("mlp_hidden.weight")
		if len(query) != 2 || len(video) != 2 || len(audio) != 2 || len(mlp) != 2 || query[1] == 0 || query[1]%durationHeads != 0 {
			return nil, fmt.Errorf("reading the duration head: %s is %v, video_input_proj.weight %v, audio_input_proj.weight %v, mlp_hidden.weight %v", queryTokens, query, video, audio, mlp)
		}
		// torch stores the three projections of an attention as one tensor that is no layer of its own.
		own = dit.Overlay(own, own, map[string]string{pooler + ".in_proj.weight": pooler + ".in_proj_weight", pooler + ".in_proj.bias": pooler + ".in_proj_bias"})
		return &duration{src: own, video: video[1], audio: audio[1], hidden: query[1], queries: query[0], inner: mlp[0]}, nil
	}
	return nil, nil
}

// Patches implements family.PatchNetwork.
func (*duration) Patches() string { return "LTX-Video 2" }

// Weights implements family.PatchNetwork.
func (p *duration) Weights() weights.Source { return p.src }

// errDuration is for a duration head that is used like a ControlNet.
var errDuration = errors.New("it predicts the duration of a video and does not act inside of a model: connect it to LTXVDurationPredictor")

// Fits implements family.PatchNetwork.
func (*duration) Fits(family.Denoiser) error { return errDuration }

// Input implements family.PatchNetwork.
func (*duration) Input(context.Context, family.Runner, family.PatchCall) (*tensor.Tensor, error) {
	return nil, errDuration
}

// Seconds implements family.DurationNetwork.
func (p *duration) Seconds(ctx context.Context, run family.Runner, d family.Denoiser, own family.Runner, c *sampling.Cond) (float64, error) {
	m, ok := d.(*avModel)
	switch {
	case !ok:
		return 0, errors.New("the model is of another family")
	case c.Tokens == nil || len(c.Tokens.Shape) != 3 || c.Tokens.Len() == 0:
		return 0, dit.ErrNoText
	}
	raw, err := sampling.Value[bool](c, KeyUnconnected)
	if err != nil {
		return 0, err
	}
	var call family.Call
	if raw {
		call.Inputs.List = []sampling.Input{{Name: inputRaw, Value: tensor.New(1), Rule: sampling.Shared}}
	}
	video, audio, err := m.connected(ctx, own, call, c.Tokens.Slice(0, 1))
	if err != nil {
		return 0, err
	}
	if video.Dim(2) != p.video || audio.Dim(2) != p.audio {
		return 0, fmt.Errorf("it reads texts of the widths %d and %d, and the model makes %d and %d: take the duration head of the model's version", p.video, p.audio, video.Dim(2), audio.Dim(2))
	}
	src, err := run.Patched(p.src)
	if err != nil {
		return 0, err
	}
	e, _ := src.Lookup(queryTokens)
	queries, err := weights.Float32s(e)
	if err != nil {
		return 0, fmt.Errorf("reading %s: %w", queryTokens, err)
	}
	out, err := run.Run(ctx, p.graph(), []family.Value{
		family.Floats("video", video), family.Floats("audio", audio), family.Floats("queries", &tensor.Tensor{Shape: []int{1, p.queries, p.hidden}, Data: queries}),
	}, "seconds")
	if err != nil {
		return 0, err
	}
	return math.Exp(float64(out["seconds"].Data[0])), nil
}

// graph is the network's graph. Inputs: video [1,T,V], audio [1,A,W], queries [1,Q,C]. Output: seconds [1,1], their logarithm.
func (p *duration) graph() family.Graph {
	return family.Graph{Part: "control", Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("ltx duration", p.src, func(b *nn.Builder, s *weights.Scope) {
			one := onnx.D(1)
			tokens := func(name, length string, width int) *onnx.Value {
				x := b.Linear(s.At(name+"_input_proj"), dit.Input(b, name, one, onnx.Sym(length), onnx.D(width)), p.hidden)
				return b.Add(x, b.Table(s.Weight(name+"_modality_emb", p.hidden)))
			}
			x := b.Concat(1, tokens("video", "T", p.video), tokens("audio", "A", p.audio))
			part := func(x *onnx.Value, i int) *onnx.Value {
				return b.LinearRows(s.At(pooler+".in_proj"), x, 3*p.hidden, i*p.hidden, p.hidden)
			}
			q := part(dit.Input(b, "queries", one, onnx.D(p.queries), onnx.D(p.hidden)), 0)
			y := b.Linear(s.At(pooler+".out_proj"), b.Attention(q, part(x, 1), part(x, 2), nil, durationHeads), p.hidden)
			y = b.Reshape(y, one, onnx.D(p.queries*p.hidden))
			y = b.Gelu(b.Linear(s.At("mlp_hidden"), y, p.inner), true)
			dit.Output(b, "seconds", b.Linear(s.At("mlp_out"), y, 1))
		})
	}}
}
