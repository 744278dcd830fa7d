package ltxv

import (
	"context"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/chat"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/lm"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// keyProjection is the key of the projection of Gemma 3's states, which is stored in the checkpoint of the diffusion model.
const keyProjection = "ltx2_projection"

// Upstream: text_encoders/lt.py ltxav_te.
func init() {
	all := lm.Masked(0)
	all.AllLayers = true
	family.Register(family.Single{
		Label: "LTX-Video 2", Order: 155, Loader: "ltxv", Only: []string{},
		Encoder: family.SchemeEncoder{Key: lm.KeyGemma3M, Plain: true, Options: all, Chat: chat.Gemma3(chat.GemmaTurnEnd), Arrange: lm.PlaceSoftImages},
		Beside:  []family.SchemeEncoder{{Key: keyProjection, Follows: true}},
	})
	family.Register(projectionKind{})
}

// projectionKind is the family of projections of the states of Gemma 3.
type projectionKind struct{}

// Name implements family.Family.
func (projectionKind) Name() string { return "text projection of LTX-Video 2" }

// Rank implements family.Family.
func (projectionKind) Rank() int { return 260 }

// Read implements family.Text.
func (projectionKind) Read(src weights.Source) (family.TextEncoder, error) {
	const root = "text_embedding_projection"
	s := weights.NewScope(src)
	p := &projection{src: src}
	switch {
	case s.Has(root + ".video_aggregate_embed.weight"):
		p.layers = []string{root + ".video_aggregate_embed", root + ".audio_aggregate_embed"}
	case s.Has(root + ".aggregate_embed.weight"):
		p.layers = []string{root + ".aggregate_embed"}
	case s.Has(root + ".weight"):
		p.layers = []string{root}
	default:
		return nil, nil
	}
	for _, name := range p.layers {
		shape := s.Shape(name + ".weight")
		if len(shape) != 2 || p.in != 0 && shape[1] != p.in {
			return nil, fmt.Errorf("reading the text projection: %s.weight is %v, wanted two dimensions, and equal widths of what both layers read", name, shape)
		}
		p.in, p.outs = shape[1], append(p.outs, shape[0])
	}
	var err error
	p.connectors, p.below, err = earlyConnectors(src)
	return p, err
}

// earlyConnectors are the connectors beside the projection of files of version 2.0, which upstream runs in the text encoder; nil for others. Their
// names follow below.
func earlyConnectors(src weights.Source) (*connectors, weights.Source, error) {
	const prefix, width, heads = "model.diffusion_model.", 3840, 30
	below := weights.Sub(src, prefix)
	s := weights.NewScope(below)
	first := s.Shape("audio_embeddings_connector.transformer_1d_blocks.0.attn1.to_q.bias")
	if len(first) != 1 || first[0] != width || s.Has("audio_embeddings_connector.transformer_1d_blocks.2.attn1.to_q.bias") {
		return nil, nil, nil
	}
	c, err := readConnectors(s, avConfig{avSettings: avSettings{TextHeads: heads, AudioTextHeads: heads, TextRope: ropeSplit}})
	return c, below, err
}

// projection converts the states of all layers of Gemma 3 to the text encoding.
type projection struct {
	src weights.Source
	// layers are linear layers from in values to outs: one for both streams, or one for each.
	layers     []string
	in         int
	outs       []int
	connectors *connectors
	below      weights.Source
}

var _ family.Follower = (*projection)(nil)

// Key implements family.TextEncoder.
func (*projection) Key() string { return keyProjection }

// Width implements family.TextEncoder.
func (p *projection) Width() int { return p.in }

// Weights implements family.TextEncoder.
func (p *projection) Weights() weights.Source { return p.src }

var errNoPrompt = errors.New("reading a prompt: the text projection of LTX-Video 2 reads none; load it with Gemma 3 12B (LTXAVTextEncoderLoader)")

// Tokenize implements family.TextEncoder.
func (*projection) Tokenize(string, family.TokenizeOptions) (tokenizer.Tokens, error) {
	return nil, errNoPrompt
}

// Encode implements family.TextEncoder.
func (*projection) Encode(context.Context, family.Runner, tokenizer.Tokens, family.EncodeOptions) (family.Encoding, error) {
	return family.Encoding{}, errNoPrompt
}

// Follow implements family.Follower: states [1,layers,tokens,width] of which padding, which comes first, is cut off, become an encoding
// [1,tokens,out].
func (p *projection) Follow(ctx context.Context, run family.Runner, e family.Encoding) (family.Encoding, error) {
	x := e.Hidden
	if len(x.Shape) != 4 || x.Dim(0) != 1 || x.Dim(1)*x.Dim(3) != p.in {
		return e, fmt.Errorf("encoding the prompt: the text projection reads %d values a token, and the text encoder gives states of shape %v: it goes with Gemma 3 12B, or with the Gemma 4 12B of its own file", p.in, x.Shape)
	}
	if e.Mask != nil {
		kept := 0
		for _, v := range e.Mask.Data {
			kept += int(v)
		}
		e = e.Cut(x.Dim(2)-kept, x.Dim(2))
		x = e.Hidden
	}
	if x.Dim(2) == 0 {
		return e, fmt.Errorf("encoding the prompt: it has no tokens")
	}
	norm := centred
	if len(p.layers) > 1 {
		norm = byLength
	}
	norm(x)
	total := 0
	for _, n := range p.outs {
		total += n
	}
	out := tensor.New(1, x.Dim(2), total)
	const piece = 64 // tokens that are projected at once
	for from := 0; from < x.Dim(2); from += piece {
		to := min(from+piece, x.Dim(2))
		part := family.Encoding{Hidden: x}.Cut(from, to).LayersWithinWidth().Hidden
		y, err := run.Run(ctx, p.graph(x.Dim(3)), []family.Value{family.Floats("states", part)}, "out")
		if err != nil {
			return e, err
		}
		copy(out.Data[from*total:], y["out"].Data)
	}
	if p.connectors == nil {
		return family.Encoding{Hidden: out, Tokens: e.Tokens, Extra: map[string]any{KeyUnconnected: true}}, nil
	}
	video, err := p.connectors.video.run(ctx, run, p.below, out)
	if err != nil {
		return e, err
	}
	audio, err := p.connectors.audio.run(ctx, run, p.below, out)
	if err != nil {
		return e, err
	}
	return family.Encoding{Hidden: beside(video, audio), Tokens: e.Tokens}, nil
}

// beside puts the values of tokens [1,T,·] of two encodings side by side.
func beside(a, b *tensor.Tensor) *tensor.Tensor {
	n, m := a.Dim(2), b.Dim(2)
	out := tensor.New(1, a.Dim(1), n+m)
	for t := range a.Dim(1) {
		copy(out.Data[t*(n+m):], a.Data[t*n:(t+1)*n])
		copy(out.Data[t*(n+m)+n:], b.Data[t*m:(t+1)*m])
	}
	return out
}

// centred moves the states of each layer [1,L,T,W] to a mean of zero and a range of eight. Upstream: LTXAVTEModel.
func centred(x *tensor.Tensor) {
	const span, least = 8, 1e-6
	for l := range x.Dim(1) {
		row := x.Index(0).Index(l).Data
		sum, low, high := 0.0, row[0], row[0]
		for _, v := range row {
			sum += float64(v)
			low, high = min(low, v), max(high, v)
		}
		mean, width := float32(sum/float64(len(row))), high-low+least
		for i, v := range row {
			row[i] = span * (v - mean) / width
		}
	}
}

// byLength divides the states of each layer and token by the root of their mean square. Upstream: DualLinearProjection.
func byLength(x *tensor.Tensor) {
	const least = 1e-6
	width := x.Dim(3)
	for from := 0; from < len(x.Data); from += width {
		row := x.Data[from : from+width]
		sum := 0.0
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		by := float32(1 / math.Sqrt(sum/float64(width)+least))
		for i := range row {
			row[i] *= by
		}
	}
}

// graph is the graph of the linear layers for states of a width: input states [1,T,in], output out, their results side by side
// [1,T,·].
func (p *projection) graph(width int) family.Graph {
	return family.Graph{Part: "clip " + keyProjection, Variant: family.Digest(width), Streamed: true, Wide: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("ltx text projection", p.src, func(b *nn.Builder, s *weights.Scope) {
			x := dit.Input(b, "states", onnx.D(1), symT, onnx.D(p.in))
			var outs []*onnx.Value
			for i, name := range p.layers {
				y := x
				if len(p.layers) > 1 {
					y = b.Mul(x, b.Const(float32(math.Sqrt(float64(p.outs[i])/float64(width)))))
				}
				outs = append(outs, b.Linear(s.At(name), y, p.outs[i]))
			}
			dit.Output(b, "out", b.Concat(2, outs...))
		})
	}}
}
