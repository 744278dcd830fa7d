package wan

import (
	"context"
	"errors"
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

func init() { family.Register(talkKind{}) }

// talkKind registers the audio layers of InfiniteTalk and MultiTalk, by which a video of Wan 2.1 follows speech.
type talkKind struct{}

// Name implements family.Family.
func (talkKind) Name() string { return "InfiniteTalk for Wan 2.1" }

// Rank implements family.Family.
func (talkKind) Rank() int { return 50 }

const (
	// talkHeads is the number of heads of the attention to speech.
	talkHeads = 40
	// talkWindow is the number of frames of speech around a frame of the video, talkSpan that around the frames of a latent frame.
	talkWindow, talkSpan = 5, talkWindow + talkFrames - 1
	talkFrames           = 4
	talkEps              = 1e-5
)

// The positions by which attention tells two speakers from each other: each has an interval, the keys of its speech lie in the middle.
const (
	firstLow, secondLow, interval = 0, 20, 4
	speakers                      = 2
)

// talkPatch are audio layers that were read from a file: a projection of encoded speech to tokens, and an attention to them in each block.
// Upstream: nodes_model_patch.py MultiTalkModelPatch, ldm/wan/model_multitalk.py.
type talkPatch struct {
	src weights.Source
	// hidden is the width of the model's tokens, blocks the number of blocks; values are those of a frame of encoded speech, of all layers of
	// the encoder. middle is the width of the projection, tokens is the number of tokens of a latent frame and width their width.
	hidden, blocks, values, middle, tokens, width int
}

// ReadPatch implements family.ModelPatch.
func (talkKind) ReadPatch(src weights.Source) (family.PatchNetwork, error) {
	s := weights.NewScope(src)
	if !s.Has("audio_proj.proj1.weight") {
		return nil, nil
	}
	p := &talkPatch{
		src: src, hidden: dim(s, "blocks.0.audio_cross_attn.proj.weight", 0), blocks: s.Count("blocks"), values: dim(s, "audio_proj.proj1.weight", 1) / talkWindow,
		middle: dim(s, "audio_proj.proj1.weight", 0), width: dim(s, "audio_proj.norm.weight", 0),
	}
	if p.width > 0 {
		p.tokens = dim(s, "audio_proj.proj3.weight", 0) / p.width
	}
	if p.hidden == 0 || p.hidden%(2*talkHeads) != 0 || p.values == 0 || p.tokens == 0 || dim(s, "audio_proj.proj1_vf.weight", 1) != talkSpan*p.values {
		return nil, fmt.Errorf("audio_proj.proj1.weight is %v, proj1_vf.weight %v, proj3.weight %v and blocks.0.audio_cross_attn.proj.weight %v: wanted %d heads, and windows of %d and %d frames",
			s.Shape("audio_proj.proj1.weight"), s.Shape("audio_proj.proj1_vf.weight"), s.Shape("audio_proj.proj3.weight"), s.Shape("blocks.0.audio_cross_attn.proj.weight"), talkHeads, talkWindow, talkSpan)
	}
	return p, nil
}

// Patches implements family.PatchNetwork.
func (*talkPatch) Patches() string { return "Wan 2.1 for videos from text or images" }

// Weights implements family.PatchNetwork.
func (p *talkPatch) Weights() weights.Source { return p.src }

// Fits implements family.PatchNetwork.
func (p *talkPatch) Fits(d family.Denoiser) error {
	m, ok := d.(*model)
	if f, is := d.(*framed); is {
		m, ok = f.model, true
	}
	switch {
	case !ok:
		return errors.New("the model is of another family")
	case m.kind.form != formText && m.kind.form != formImage:
		return fmt.Errorf("the model is %s", m.kind.name)
	case m.hidden != p.hidden || m.blocks > p.blocks:
		return fmt.Errorf("it is for tokens of width %d and %d blocks, and the model has %d and %d", p.hidden, p.blocks, m.hidden, m.blocks)
	}
	return nil
}

// Input implements family.PatchNetwork: the tokens of speech of each latent frame [frames,speakers·tokens,width]. Upstream:
// project_audio_features.
func (p *talkPatch) Input(ctx context.Context, run family.Runner, c family.PatchCall) (*tensor.Tensor, error) {
	a := c.Audio
	if a == nil {
		return nil, errors.New("it needs encoded speech: connect an audio encoder's output")
	}
	if len(a.Shape) != 4 || a.Len() == 0 || a.Dim(2) != talkWindow || a.Dim(1)%talkFrames != 1 {
		return nil, fmt.Errorf("encoded speech of shape %v: wanted [speakers, frames, %d, values], where a multiple of %d frames follows the first", a.Shape, talkWindow, talkFrames)
	}
	if a.Dim(3) != p.values {
		return nil, fmt.Errorf("the speech has %d values a frame, and it reads %d, those of all layers of Wav2Vec2 base: connect an output of that encoder", a.Dim(3), p.values)
	}
	persons, later := a.Dim(0), a.Dim(1)/talkFrames
	out := tensor.New(1+later, persons*p.tokens, p.width)
	for _, part := range []struct {
		name           string
		window, frames int
		from           int
		rows           *tensor.Tensor
	}{
		{name: "proj1", window: talkWindow, frames: 1, rows: tensor.New(persons, talkWindow*p.values)},
		{name: "proj1_vf", window: talkSpan, frames: later, from: 1, rows: tensor.New(persons*later, talkSpan*p.values)},
	} {
		if part.frames == 0 {
			continue
		}
		for i := range persons * part.frames {
			copy(part.rows.Index(i).Data, p.heard(a.Index(i/part.frames), part.from, i%part.frames))
		}
		g := family.Graph{Part: "control", Variant: part.name, Build: func(s family.Spec) (*onnx.Graph, error) {
			return s.Build("wan speech", p.src, func(b *nn.Builder, s *weights.Scope) { p.write(b, s.At("audio_proj"), part.name, part.window) })
		}}
		y, err := run.Run(ctx, g, []family.Value{family.Floats("speech", part.rows)}, "tokens")
		if err != nil {
			return nil, err
		}
		each := p.tokens * p.width
		for i := range persons * part.frames {
			copy(out.Index(part.from + i%part.frames).Data[i/part.frames*each:], y["tokens"].Data[i*each:(i+1)*each])
		}
	}
	return out, nil
}

// heard is the speech around latent frame i behind the first ones: that before and at its first frame, at those between, and at and behind its last
// one; or the window of the video's first frame. windows is [frames,talkWindow,values].
func (p *talkPatch) heard(windows *tensor.Tensor, first, i int) []float32 {
	if first == 0 {
		return windows.Index(0).Data
	}
	const middle = talkWindow / 2
	at := func(frame, from, to int) []float32 {
		return windows.Index(first + i*talkFrames + frame).Data[from*p.values : to*p.values]
	}
	out := append([]float32(nil), at(0, 0, middle+1)...)
	for frame := 1; frame < talkFrames-1; frame++ {
		out = append(out, at(frame, middle, middle+1)...)
	}
	return append(out, at(talkFrames-1, middle, talkWindow)...)
}

// write writes the projection of windows of speech [R,window·values] to tokens [R,tokens,width]. Upstream: MultiTalkAudioProjModel.
func (p *talkPatch) write(b *nn.Builder, s *weights.Scope, first string, window int) {
	rows := onnx.Sym("R")
	x := dit.Input(b, "speech", rows, onnx.D(window*p.values))
	x = b.Relu(b.Linear(s.At("proj2"), b.Relu(b.Linear(s.At(first), x, p.middle)), p.middle))
	x = b.Reshape(b.Linear(s.At("proj3"), x, p.tokens*p.width), rows, onnx.D(p.tokens), onnx.D(p.width))
	dit.Output(b, "tokens", b.LayerNorm(s.At("norm"), x, talkEps))
}

// talking is what a graph knows of audio layers: the number of tokens of a latent frame, their width, and whether two speakers are told apart.
type talking struct {
	Tokens, Width int
	// Number is that of the model patch among those of the call.
	Number int
	Two    bool
}

func inputSpeakers(k int) string { return dit.AttachedName(k) + ".speakers" }
func inputShares(k int) string   { return dit.AttachedName(k) + ".shares" }

// attach adds the model patches of a call to a batch.
func (b *batch) attach() error {
	for k, a := range b.call.Attached {
		var err error
		switch p := a.Net.(type) {
		case *talkPatch:
			err = b.talk(k, a)
		case *renderPatch:
			err = b.follow(k, a, p)
		default:
			err = fmt.Errorf("%T is no patch of it", a.Net)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// talk adds the audio layers number k of a call to a batch.
func (b *batch) talk(k int, a family.Attached) error {
	if b.v.Ref || b.v.Context > 0 {
		return errors.New("speech cannot be combined with reference latents: disconnect one of them")
	}
	if a.Input.Dim(0) != b.frames {
		return fmt.Errorf("the speech is for %d latent frames and the video has %d: the node that prepares it has to have the length of the video", a.Input.Dim(0), b.frames)
	}
	rows := tensor.New(append([]int{b.call.X.Dim(0)}, a.Input.Shape...)...)
	for i := range rows.Dim(0) {
		copy(rows.Index(i).Data, a.Input.Data)
	}
	f := talking{Number: k, Tokens: a.Input.Dim(1), Width: a.Input.Dim(2), Two: a.Mask != nil}
	if f.Two {
		if err := b.speakers(k, a.Mask); err != nil {
			return err
		}
	}
	a.Input = rows
	b.v.Talk = append(b.v.Talk, f)
	b.in = append(b.in, dit.AttachedValues(k, a)...)
	return nil
}

// speakers adds the tokens of a frame that show each of two speakers, by masks [2,H,W].
func (b *batch) speakers(k int, masks *tensor.Tensor) error {
	if len(masks.Shape) != 3 || masks.Dim(0) != speakers || masks.Len() == 0 {
		return fmt.Errorf("the masks of speakers have shape %v, wanted one of each of %d", masks.Shape, speakers)
	}
	shown, shares := tensor.New(1, b.grid.Tokens(), speakers), make([]float32, speakers)
	h, w := masks.Dim(1), masks.Dim(2)
	down, right := float32(h)/float32(b.grid.Height), float32(w)/float32(b.grid.Width)
	for i := range b.grid.Tokens() {
		y, x := min(int(float32(i/b.grid.Width)*down), h-1), min(int(float32(i%b.grid.Width)*right), w-1)
		for s := range speakers {
			if masks.Data[(s*h+y)*w+x] > 0 {
				shown.Data[i*speakers+s] = 1
				shares[s]++
			}
		}
	}
	const least = 1e-8
	for s, n := range shares {
		shares[s] = 1 / (n + least)
	}
	b.add(inputSpeakers(k), shown)
	b.in = append(b.in, family.Vector(inputShares(k), shares))
	return nil
}

// talk are audio layers while a graph is written.
type talk struct {
	s *weights.Scope
	// audio are the tokens of speech [B·F,tokens,width].
	audio, strength *onnx.Value
	// shown [1,h·w,2] is 1 for tokens of a frame that show a speaker, shares [2] is one over their numbers.
	shown, shares *onnx.Value
	// place is the position of each token between the speakers [B,S,1] in the block that is written.
	place *onnx.Value
}

// talks declares the inputs of audio layers. s is the scope of the whole network.
func (w *writer) talks(s *weights.Scope) []*talk {
	rows, frames := onnx.Sym("B"), onnx.Sym("F")
	out := make([]*talk, len(w.v.Talk))
	for i, f := range w.v.Talk {
		k := f.Number
		t := &talk{s: s.At(dit.AttachedName(k), "blocks")}
		tokens, width := onnx.D(f.Tokens), onnx.D(f.Width)
		t.audio, t.strength = dit.AttachedInputs(w.Builder, k, rows, frames, tokens, width)
		t.audio = w.Reshape(t.audio, rows.Times(frames), tokens, width)
		if f.Two {
			t.shown = dit.Input(w.Builder, inputSpeakers(k), onnx.D(1), w.plane(), onnx.D(speakers))
			t.shares = w.Input(inputShares(k), dtype.F32, onnx.D(speakers))
		}
		out[i] = t
	}
	return out
}

// plane is the number of tokens of a frame.
func (*writer) plane() onnx.Dim { return onnx.Sym("h").Times(onnx.Sym("w")) }

// find computes the position of each token between two speakers by how much its attention goes to those of the first frame that show one. q and k
// [B,S,C] are rotated. Upstream: get_attn_map_with_target, which halves the heads.
func (w *writer) find(t *talk, q, k *onnx.Value) {
	if t.shown == nil {
		return
	}
	heads := w.heads() / 2 * 2
	if heads == 0 {
		w.Fail("speakers", "attention of one head")
	}
	rows, wide := q.Dim(0), onnx.D(headWidth)
	own := func(x *onnx.Value) *onnx.Value { return w.Slice(x, 2, 0, heads*headWidth) }
	shown := w.PadAxes(t.shown, onnx.Zeros, []int{0, 0, 0}, []int{0, 0, headWidth - speakers}) // a whole head: GPUs attend to nothing less at once
	values := w.Reshape(w.Expand(w.Unsqueeze(shown, 2), rows, w.plane(), onnx.D(heads), wide), rows, w.plane(), onnx.D(heads*headWidth))
	a := w.attention()
	a.Heads = heads
	frames := w.Reshape(own(k), rows, onnx.Sym("F"), w.plane(), onnx.D(heads*headWidth))
	y := w.Attend(own(q), w.Squeeze(w.Slice(frames, 1, 0, 1), 1), values, a)
	y = w.Slice(w.Reshape(y, rows, q.Dim(1), onnx.D(heads), wide), 3, 0, speakers)
	y = w.Mul(w.ReduceMean(w.Cast(y, dtype.F32), false, 2), t.shares)
	parts := w.Split(y, 2, 1, 1)
	place := make([]*onnx.Value, speakers)
	const least = 1e-8
	for i, low := range []float32{firstLow, secondLow} {
		from, to := w.ReduceMin(parts[i], true, 1), w.ReduceMax(parts[i], true, 1)
		share := w.Div(w.Sub(parts[i], from), w.Add(w.Sub(to, from), w.Scalar(dtype.F32, least)))
		place[i] = w.Add(w.Mul(share, w.Scalar(dtype.F32, interval)), w.Scalar(dtype.F32, low))
	}
	t.place = w.Where(w.Less(parts[0], parts[1]), place[1], place[0])
}

// talked is x [B,S,C] with what it hears in block i. Upstream: MultiTalkCrossAttnPatch, SingleStreamMultiAttention.
func (w *writer) talked(x *onnx.Value, list []*talk, i int) *onnx.Value {
	width := w.hidden / talkHeads
	for _, t := range list {
		s := t.s.Index(i)
		y := w.LayerNorm(s.At("norm_x"), x, talkEps)
		s = s.At("audio_cross_attn")
		q := w.Linear(s.At("q_linear"), y, w.hidden)
		k, v := w.LinearRows(s.At("kv_linear"), t.audio, 2*w.hidden, 0, w.hidden), w.LinearRows(s.At("kv_linear"), t.audio, 2*w.hidden, w.hidden, w.hidden)
		if t.place != nil {
			q, k = w.betweenSpeakers(q, k, t.place)
		}
		q = w.Reshape(q, t.audio.Dim(0), w.plane(), onnx.D(w.hidden))
		y = w.Attend(q, k, v, onnx.Attention{Heads: talkHeads, Scale: float32(1 / math.Sqrt(float64(width)))})
		y = w.Reshape(w.Linear(s.At("proj"), y, w.hidden), x.Shape.Clone()...)
		x = w.Add(x, w.Mul(y, t.strength))
	}
	return x
}

// betweenSpeakers rotates queries [B,S,C] by their places [B,S,1], and keys [R,tokens,C] by those of the speakers, half of the tokens each.
func (w *writer) betweenSpeakers(q, k, place *onnx.Value) (rotatedQ, rotatedK *onnx.Value) {
	const theta = 10000
	half := w.hidden / talkHeads / 2
	speeds := make([]float32, half)
	for i := range speeds {
		speeds[i] = float32(math.Pow(theta, -float64(i)/float64(half)))
	}
	angles := w.Mul(place, w.Floats(speeds, 1, 1, half))
	compute := w.Target.Compute
	q = w.RotaryEmbedding(q, w.Cast(w.Cos(angles), compute), w.Cast(w.Sin(angles), compute), talkHeads, true)
	tokens := k.Dim(1).N
	places := make([]float64, tokens)
	for i := range places {
		places[i] = firstLow + interval/2
		if i >= tokens/2 {
			places[i] = secondLow + interval/2
		}
	}
	cos, sin := nn.RotaryTable(places, theta, 2*half)
	table := func(v []float32) *onnx.Value { return w.Cast(w.Floats(v, 1, tokens, half), compute) }
	return q, w.RotaryEmbedding(k, table(cos), table(sin), talkHeads, true)
}
