package ltxv

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// connectors convert the text encoding of a language model to the inputs of the two streams. Upstream:
// embeddings_connector.py Embeddings1DConnector.
type connectors struct{ video, audio connector }

// connector is one of them: transformer blocks on the tokens and on learned registers that fill them up.
type connector struct {
	name                             string
	hidden, heads, blocks, registers int
	// from is the width of the input encoding, which a linear layer called projection maps to hidden; "" means no projection.
	from       int
	projection string
	rope       string
}

// leastTokens is the number of tokens that come out of a connector at least.
const leastTokens = 1024

// readConnectors reads the sizes of a file's connectors.
func readConnectors(s *weights.Scope, c avConfig) (*connectors, error) {
	const video, audio = "video_embeddings_connector", "audio_embeddings_connector"
	if !s.HasAny(video) && !s.HasAny(audio) {
		return nil, nil
	}
	out := &connectors{
		video: connector{name: video, heads: c.TextHeads, projection: "caption_projection"},
		audio: connector{name: audio, heads: c.AudioTextHeads, projection: "audio_caption_projection"},
	}
	for _, k := range []*connector{&out.video, &out.audio} {
		registers := s.Shape(k.name + ".learnable_registers")
		k.blocks, k.rope = s.Count(k.name+".transformer_1d_blocks"), c.TextRope
		if len(registers) != 2 || registers[0] < 1 || registers[1]%(2*k.heads) != 0 || k.blocks == 0 {
			return nil, fmt.Errorf("reading the shape of the network: %s has registers %v, %d blocks and %d attention heads", k.name, registers, k.blocks, k.heads)
		}
		k.registers, k.hidden = registers[0], registers[1]
		k.from = k.hidden
		if !c.projected {
			k.projection = ""
			continue
		}
		if p := s.Shape(k.projection + ".linear_1.weight"); len(p) == 2 {
			k.from = p[1]
		}
	}
	return out, nil
}

// unread is the number of registers after the given number of tokens.
func (k connector) unread(tokens int) int {
	all := (max(leastTokens, tokens) + k.registers - 1) / k.registers * k.registers
	return all - tokens
}

// plainRMS is the RMSNorm of x without learned values.
func plainRMS(b *nn.Builder, x *onnx.Value) *onnx.Value {
	return b.Graph.RMSNorm(x, onesOf(b, x.Dim(-1).N), epsilon)
}

// run converts an encoding [N,T,C] to the input of a stream.
func (k connector) run(ctx context.Context, run family.Runner, src weights.Source, text *tensor.Tensor) (*tensor.Tensor, error) {
	if text.Dim(2) != k.from {
		return nil, fmt.Errorf("the text encoding has width %d, %s reads %d: it comes from the text encoder of another family", text.Dim(2), k.name, k.from)
	}
	tokens := text.Dim(1)
	more := k.unread(tokens)
	in := []family.Value{family.Floats("context", text)}
	if more > 0 {
		which := make([]int64, more)
		for i := range which {
			which[i] = int64((tokens + i) % k.registers)
		}
		in = append(in, family.Ints("registers", which, more))
	}
	at := make([][2]float32, tokens+more)
	for i := range at {
		at[i] = [2]float32{float32(i), float32(i)}
	}
	const reach = 4096
	set := settings{Theta: 10000, Reach: []float64{reach}, Rope: k.rope, Precision: "float64"}
	in = append(in, set.rotaryOf("cos", "sin", k.hidden, k.heads, [][][2]float32{at}, false)...)
	graph := family.Graph{Part: "unet " + k.name, Variant: family.Digest(more > 0), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("ltx video connector", src, func(b *nn.Builder, s *weights.Scope) { k.write(b, s, set, more > 0) })
	}}
	out, err := run.Run(ctx, graph, in, "out")
	if err != nil {
		return nil, err
	}
	return out["out"], nil
}

// write writes the graph of a connector: inputs context [B,T,C'] and registers [R], the numbers of the registers that follow, cos and sin
// [1,(T+R)·heads,D/2]; output out [B,T+R,C].
func (k connector) write(b *nn.Builder, s *weights.Scope, set settings, filled bool) {
	x := dit.Input(b, "context", symB, symT, onnx.D(k.from))
	if k.projection != "" {
		scale := b.Const(float32(math.Sqrt(float64(k.hidden) / float64(k.from))))
		x = b.Linear(s.At(k.projection, "linear_1"), b.Mul(plainRMS(b, x), scale), k.hidden)
	}
	s = s.At(k.name)
	table := s.Weight("learnable_registers", k.registers, k.hidden)
	if filled {
		which := b.Input("registers", dtype.I64, onnx.Sym("R"))
		rows := b.Unsqueeze(b.Gather(b.Table(table), which), 0)
		x = b.Concat(1, x, b.Expand(rows, symB, onnx.Sym("R"), onnx.D(k.hidden)))
	}
	rope := set.rotary(b, "cos", "sin", x.Dim(1).Times(onnx.D(k.heads)), k.hidden/k.heads)
	w := &avWriter{Builder: b}
	layer := &writer{Builder: b, config: config{hidden: k.hidden, heads: k.heads}}
	for i := range k.blocks {
		at := s.At("transformer_1d_blocks").Index(i)
		y := plainRMS(b, x)
		x = b.Add(x, w.attend(at.At("attn1"), attention{x: y, context: y, inner: k.hidden, heads: k.heads, rope: rope, keys: rope}))
		x = b.Add(x, layer.feedForward(at.At("ff"), plainRMS(b, x)))
	}
	dit.Output(b, "out", plainRMS(b, x))
}

// connected are the encodings that the streams read of the one of a conditioning entry [N,T,C], which is whole where it is made already.
// They are kept for the run.
func (m *avModel) connected(ctx context.Context, run family.Runner, c family.Call, text *tensor.Tensor) (video, audio *tensor.Tensor, err error) {
	width, raw := text.Dim(2), c.Inputs.Get(inputRaw) != nil
	made := m.videoText + m.soundText
	if !raw && (m.captionsFirst && width == made || !m.captionsFirst && width == 2*m.captions) {
		at := m.videoText
		if !m.captionsFirst {
			at = m.captions
		}
		return cutWidth(text, 0, at), cutWidth(text, at, width), nil
	}
	if m.connectors == nil {
		return nil, nil, fmt.Errorf("the text encoding is as the language model gives it, of width %d, and the file holds no connectors (video_embeddings_connector, audio_embeddings_connector) for it: load the model from a whole checkpoint", width)
	}
	forVideo, forAudio := text, text
	if width == made {
		forVideo, forAudio = cutWidth(text, 0, m.videoText), cutWidth(text, m.videoText, width)
	}
	connect := func() (out [2]*tensor.Tensor, err error) {
		if out[0], err = m.connectors.video.run(ctx, run, m.src, forVideo); err == nil {
			out[1], err = m.connectors.audio.run(ctx, run, m.src, forAudio)
		}
		return out, err
	}
	var out [2]*tensor.Tensor
	if c.Inputs.State == nil || len(c.Inputs.Hooks) > 0 { // hooks change the weights within a run
		out, err = connect()
	} else {
		out, err = dit.Once(c.Inputs, textKey{m, digestOf(text)}, connect)
	}
	return out[0], out[1], err
}

type textKey struct {
	m    *avModel
	text [sha256.Size]byte
}

func digestOf(t *tensor.Tensor) [sha256.Size]byte {
	h := sha256.New()
	_ = binary.Write(h, binary.LittleEndian, int64(t.Dim(0))) // a hash takes everything
	_ = binary.Write(h, binary.LittleEndian, t.Data)
	return [sha256.Size]byte(h.Sum(nil))
}

// cutWidth returns values [from, to) of the tokens of x [N,T,C].
func cutWidth(x *tensor.Tensor, from, to int) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1), to-from)
	for i := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[i*(to-from):(i+1)*(to-from)], x.Data[i*x.Dim(2)+from:])
	}
	return out
}
