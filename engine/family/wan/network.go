package wan

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

const (
	// side is the side of a patch, headWidth the width of an attention head, frequencies the number of waves that embed a timestep.
	side        = 2
	headWidth   = 128
	frequencies = 256
	epsilon     = 1e-6
)

// network is the transformer of Wan 2.1 and 2.2: its sizes and what its file holds beside the plain one. Upstream:
// ldm/wan/model.py WanModel.
type network struct {
	src weights.Source
	// hidden is the width of a token, inner that of the feed-forward layers, blocks is the number of blocks.
	hidden, inner, blocks int
	// channels are the channels of the latent and of the additional inputs, out those of the prediction; text is the width of
	// the text encoding.
	channels, out, text int
	// vision is the width of image encodings that the network reads, 0 for none; views is the number of their tokens that
	// have learned positions, 0 for those without.
	vision, views int
	// ref is the number of channels of a reference latent that becomes tokens before the video's, 0 for none.
	ref int
	// form describes the parts of the file beside the plain network.
	form form
	// causal reports that the network may predict a video block by block.
	causal bool
	controls

	activations family.Activations
}

// dim is the size of a tensor along an axis, 0 without it.
func dim(s *weights.Scope, name string, axis int) int {
	if sh := s.Shape(name); axis < len(sh) {
		return sh[axis]
	}
	return 0
}

// read reads a network from its shapes.
func read(src weights.Source) (*network, error) {
	s := weights.NewScope(src)
	n := &network{
		src: src, form: formOf(src), hidden: dim(s, "head.modulation", 2), inner: dim(s, "blocks.0.ffn.0.weight", 0), blocks: s.Count("blocks"),
		channels: dim(s, "patch_embedding.weight", 1), out: dim(s, "head.head.weight", 0) / (side * side), text: dim(s, "text_embedding.0.weight", 1),
		vision: dim(s, "img_emb.proj.0.weight", 0), views: dim(s, "img_emb.emb_pos", 1), ref: dim(s, "ref_conv.weight", 1),
	}
	n.causal, _ = stated(src)["causal_ar"].(bool)
	if n.form == formDancer {
		n.ref = 0 // upstream's network has no positions for one
	}
	if n.hidden == 0 || n.hidden%headWidth != 0 || n.inner == 0 || n.blocks == 0 || n.text == 0 || n.out == 0 || n.channels < n.out {
		return nil, fmt.Errorf("reading the shape of the network: head.modulation is %v, head.head.weight %v, patch_embedding.weight %v, text_embedding.0.weight %v, blocks.0.ffn.0.weight %v",
			s.Shape("head.modulation"), s.Shape("head.head.weight"), s.Shape("patch_embedding.weight"), s.Shape("text_embedding.0.weight"), s.Shape("blocks.0.ffn.0.weight"))
	}
	return n, nil
}

// stated are the settings of a transformer in the metadata of its file. Upstream lets them override those from the shapes.
func stated(src weights.Source) map[string]any {
	var doc struct {
		Transformer map[string]any `json:"transformer"`
	}
	if err := json.Unmarshal([]byte(src.Metadata()["config"]), &doc); err != nil {
		return nil // the metadata of something else
	}
	return doc.Transformer
}

func (n *network) heads() int { return n.hidden / headWidth }

// axes are the widths of a head that time, row and column turn.
func axes() []int {
	const plane = 2 * (headWidth / 6)
	return []int{headWidth - 2*plane, plane, plane}
}

// places appends the positions of a grid of tokens: time, row and column, from start on. Upstream: WanModel.rope_encode.
func places(to []float64, frames int, g dit.Grid, start float64, r dit.Rotary) []float64 {
	ys, xs := dit.Line(g.Height, r.ShiftY, r.ScaleY), dit.Line(g.Width, r.ShiftX, r.ScaleX)
	for _, t := range dit.Line(frames, start+r.ShiftT, r.ScaleT) {
		for _, y := range ys {
			for _, x := range xs {
				to = append(to, t, y, x)
			}
		}
	}
	return to
}

// angles are the inputs for positions.
func angles(places []float64) []family.Value {
	const theta = 10000
	return dit.Angles(places, theta, axes()...)
}

// timing describes how the timesteps of a call belong to its tokens.
type timing int

const (
	// The first is one timestep a row.
	_ timing = iota
	// perFrame is one for each run of tokens of equal length, such as a frame.
	perFrame
	// perRun is one for each run of tokens of one length, "L".
	perRun
	// perToken is one for each token, by its number.
	perToken
)

// variant distinguishes the graphs of one network.
type variant struct {
	Times timing
	// Image is the number of tokens of image encodings, Ref reports that a reference latent becomes tokens before the video's.
	Image int
	Ref   bool
	// Context counts further videos whose tokens follow, VACE control videos.
	Context, VACE int
	// Camera reports that a camera's rays are given.
	Camera bool
	// Masks reports that masks of identities belong to the frames, Pose that the tokens of a pose video follow, PoseMasks that masks
	// of identities belong to it.
	Masks, Pose, PoseMasks bool
	// Audio reports that there is encoded audio.
	Audio bool
	// Frames is the number of frames if the graph is written for a fixed number (Wan Animate 2), PoseImage the tokens of the image
	// encoding that the latter's branch reads; PoseScale and PersonScale report that values of the pose video and of the reference image
	// are scaled.
	Frames, PoseImage      int
	PoseScale, PersonScale bool
	// Cached reports that the values that the pose video's blocks read come from a cache.
	Cached bool
	// Music reports that there is music, Guest is the number of tokens of the encoding of a reference image, Global reports that the layers for
	// videos of another rate are used (WanDancer).
	Music, Global bool
	// Speech reports that there is encoded speech, Guide that there is a video to follow; Person that a reference latent follows the video, Motion that
	// the frames before it do (S2V).
	Speech, Guide, Person, Motion bool
	// Face reports that there is a face (Animate).
	Face  bool
	Guest int
	// Past reports that a block follows others, Keep that its keys and values are kept for those that follow it.
	Past, Keep bool
	// Talk are audio layers of model patches, Renders their ControlNets.
	Talk    []talking
	Renders []rendering
	// Skip are the blocks that are left out.
	Skip []int
}

// writer writes one graph.
type writer struct {
	*nn.Builder
	*network
	v variant
	// kept are the keys and values of the blocks of the network that are written, where they are kept; remembered is the number of blocks that read
	// those of a part of the video before.
	kept       []*onnx.Value
	remembered int
}

// conditions are what blocks are given beside the tokens.
type conditions struct {
	// time are the modulations [R,6·C], embedded the timesteps' embedding [R,C]: a row for each row of the latent or each of
	// its runs of tokens. If tokens select a row, rows are [B,U,…] and places [S] are the selected ones.
	time, embedded, places *onnx.Value
	// run is the shape in which runs of tokens are modulated.
	run onnx.Shape
	// text are the tokens of the text, image those of image encodings, which are nil for networks without.
	text, image *onnx.Value
	// audio are the tokens of the audio of each frame, nil without.
	audio *onnx.Value
	rope  *nn.Rotary
	// timesteps are the timesteps embedded in time.
	timesteps *onnx.Value
	// music are the tokens of music, musicScale is their factor, and beats states which of them each token attends to.
	music, musicScale, beats *onnx.Value
	// speech are the tokens of speech of each frame, spoken one for the whole of it.
	speech, spoken *onnx.Value
	// face are the tokens of a face in each frame.
	face *onnx.Value
	// talks are audio layers of model patches, block is the number of the block that is written.
	talks []*talk
	block int
}

// write writes the network. Inputs: x [B,C,F,2h,2w], timesteps [B], or [B,F] for frames, or [B,U] for tokens that choose by places [S]; context [B,T,C'], cos and sin [1,S,D/2]; image [B,V,C”], ref [B,C‴,2h,2w] and further videos
// "context0" [B,C,F0,2h0,2w0], … where the variant has them. Output: out [B,S,4·C].
func (w *writer) write(s *weights.Scope) {
	first, last := "patch_embedding", "head"
	if w.v.Global {
		first, last = "patch_embedding_global", "head_global"
	}
	video := w.video("x", w.channels, "F", "")
	x := w.embed(s.At(first), video)
	if w.v.Masks {
		x = w.Add(x, w.embed(s.At("patch_embedding_mask"), w.video(inputMasks, w.masks, "F", "")))
	}
	x = w.join(s, w.follows(s, w.steer(s.At("control_adapter"), x)))
	if w.form == formS2V {
		x = w.speaking(s, x)
	}
	c := w.conditions(s, x)
	c.talks = w.talks(s)
	renders := w.renders(s, video, c)
	if w.form == formAnimate2 {
		dit.Output(w.Builder, "out", w.last(s.At("head"), w.blocksWithPose(s, x, c), c))
		return
	}
	videos := w.controlVideos(s, x)
	for i := range w.blocks {
		c.block = i
		if !slices.Contains(w.v.Skip, i) {
			x = w.block(s.At("blocks").Index(i), x, c)
		}
		x = w.rendered(x, renders, i)
		x = w.listens(s.At("audio_injector"), i, w.dances(s, i, w.behind(s, i, x, videos, c), c), c)
		x = w.looks(s, i, x, c)
	}
	dit.Output(w.Builder, "out", w.last(s.At(last), x, c))
	w.keep()
}

// video declares a latent of a video in patches.
func (w *writer) video(name string, channels int, frames, suffix string) *onnx.Value {
	two := onnx.D(side)
	return dit.Input(w.Builder, name, onnx.Sym("B"), onnx.D(channels), w.frames(frames), onnx.Sym("h"+suffix).Times(two), onnx.Sym("w"+suffix).Times(two))
}

// frames is the number of frames of a video: a symbol, or a number if the graph is written for a fixed number.
func (w *writer) frames(symbol string) onnx.Dim {
	switch {
	case w.v.Frames == 0:
		return onnx.Sym(symbol)
	case symbol == "Fp":
		return onnx.D(w.v.Frames - 1)
	}
	return onnx.D(w.v.Frames)
}

// embed converts a latent in patches to tokens [B,F·h·w,C].
func (w *writer) embed(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.ToTokens(w.Conv3d(s, x, w.hidden, [3]int{1, side, side}, onnx.WindowND{Stride: []int{1, side, side}}))
}

// join puts the tokens of reference latents before and after those of the video.
func (w *writer) join(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if w.v.Ref {
		two := onnx.D(side)
		ref := dit.Input(w.Builder, "ref", onnx.Sym("B"), onnx.D(w.ref), onnx.Sym("h").Times(two), onnx.Sym("w").Times(two))
		x = w.Concat(1, dit.PatchEmbed(w.Builder, s.At("ref_conv"), ref, w.hidden, side), x)
	}
	for i := range w.v.Context {
		n := fmt.Sprint(i)
		x = w.Concat(1, x, w.embed(s.At("patch_embedding"), w.video(inputContext(i), w.channels, "F"+n, n)))
	}
	if w.v.Pose && w.pose > 0 {
		const own = "p"
		pose := w.embed(s.At("patch_embedding_pose"), w.video(inputPose, w.pose, "F"+own, own))
		if w.v.PoseMasks {
			pose = w.Add(pose, w.embed(s.At("patch_embedding_mask"), w.video(inputPoseMasks, w.masks, "F"+own, own)))
		}
		x = w.Concat(1, x, pose)
	}
	return x
}

// conditions embeds timesteps, text and image encodings.
func (w *writer) conditions(s *weights.Scope, x *onnx.Value) conditions {
	rows, text := onnx.Sym("B"), onnx.Sym("T")
	tokens := x.Dim(1)
	if w.form == formAnimate2 && w.v.Pose {
		tokens = tokens.Plus(w.frames("Fp").Times(onnx.Sym("h")).Times(onnx.Sym("w")))
	}
	c := conditions{rope: dit.RotaryInputs(w.Builder, tokens, headWidth)}
	c.timesteps = w.times(&c, x)
	c.embedded, c.time = w.embedTimes(s, c.timesteps)
	c.text = w.twoLayers(s.At("text_embedding"), dit.Input(w.Builder, "context", rows, text, onnx.D(w.text)))
	switch {
	case w.v.Image > 0:
		c.image = w.imageTokens(s.At("img_emb"), dit.Input(w.Builder, "image", rows, onnx.D(w.v.Image), onnx.D(w.vision)))
	case w.vision > 0 && w.form != formDancer: // without an encoding, upstream takes the text for one
		c.image = c.text
	}
	if w.v.Guest > 0 {
		guest := w.imageTokens(s.At("img_emb_refimage"), dit.Input(w.Builder, inputGuest, rows, onnx.D(w.v.Guest), onnx.D(w.vision)))
		if c.image != nil {
			guest = w.Concat(1, guest, c.image)
		}
		c.image = guest
	}
	if w.v.Music {
		c.music, c.musicScale, c.beats = w.musicTokens(s), w.scaleOf(inputMusicScale), w.Input("beats", dtype.I64, x.Dim(1))
	}
	if w.v.Face {
		c.face = w.faceTokens(s.At(faceEncoder))
	}
	if w.v.Speech {
		c.speech, c.spoken = w.speechTokens(s.At("casual_audio_encoder"))
	}
	c.audio = w.voiceTokens(s.At("audio_proj"))
	return c
}

// embedTimes embeds timesteps [R], to [R,C] and [R,6·C].
func (w *writer) embedTimes(s *weights.Scope, times *onnx.Value) (embedded, time *onnx.Value) {
	embedded = dit.MLP(w.Builder, s.At("time_embedding"), w.TimestepEmbedding(times, frequencies), w.hidden, w.hidden, "0", "2")
	return embedded, w.Linear(s.At("time_projection.1"), w.SiLU(embedded), 6*w.hidden)
}

// times declares the timesteps and returns them in one row.
func (w *writer) times(c *conditions, x *onnx.Value) *onnx.Value {
	rows, units := onnx.Sym("B"), onnx.Sym("U")
	switch w.v.Times {
	case perToken:
		c.places = w.Input("places", dtype.I64, x.Dim(1))
	case perRun:
		c.run = onnx.Shape{rows.Times(units), onnx.Sym("L"), onnx.D(w.hidden)}
	case perFrame:
		units = onnx.Sym("F")
		length, ok := x.Dim(1).Quotient(units)
		if !ok {
			w.Fail("times", "%v tokens are not frames", x.Dim(1))
		}
		c.run = onnx.Shape{rows.Times(units), length, onnx.D(w.hidden)}
	default:
		return w.Input("timesteps", dtype.F32, rows)
	}
	return w.Reshape(w.Input("timesteps", dtype.F32, rows, units), rows.Times(units))
}

// twoLayers is two linear layers with GELU between.
func (w *writer) twoLayers(s *weights.Scope, x *onnx.Value) *onnx.Value {
	return w.Linear(s.At("2"), w.Gelu(w.Linear(s.At("0"), x, w.hidden), true), w.hidden)
}

// imageTokens converts image encodings to tokens. Upstream: MLPProj.
func (w *writer) imageTokens(s *weights.Scope, x *onnx.Value) *onnx.Value {
	const eps = 1e-5
	if w.views > 0 {
		r := s.Weight("emb_pos", 1, w.views, w.vision)
		table := &weights.Ref{Name: r.Name, Entry: r.Entry}
		table.Entry.Shape = []int{w.views, w.vision}
		x = w.Add(x, dit.TableRows(w.Builder, table, 0, x.Dim(1).N))
	}
	p := s.At("proj")
	y := w.Linear(p.At("1"), w.LayerNorm(p.At("0"), x, eps), w.vision)
	return w.LayerNorm(p.At("4"), w.Linear(p.At("3"), w.Gelu(y, false), w.hidden), eps)
}

// modulations are n modulations: the timesteps' with learned ones [1,n,C] added.
func (w *writer) modulations(s *weights.Scope, time *onnx.Value, c conditions, n int) []*onnx.Value {
	own := w.flat(s.Weight("modulation", 1, n, w.hidden))
	list := w.Chunks(w.Add(time, own), n)
	if c.places == nil {
		return list
	}
	out := make([]*onnx.Value, n)
	for i, m := range list {
		out[i] = w.GatherAxis(w.Reshape(m, onnx.Sym("B"), onnx.Sym("U"), onnx.D(w.hidden)), c.places, 1)
	}
	return out
}

// flat takes a table as one row [1,values].
func (w *writer) flat(r *weights.Ref) *onnx.Value { return w.shaped(r, 1, tensor.Count(r.Entry.Shape)) }

// shaped takes a table under another shape: a Reshape of a weight alone would be folded before there are weights.
func (w *writer) shaped(r *weights.Ref, shape ...int) *onnx.Value {
	e := r.Entry
	e.Shape = shape
	return w.Table(&weights.Ref{Name: r.Name, Entry: e})
}

// inRuns applies f to tokens [B,S,C] in the shape in which they are modulated.
func (w *writer) inRuns(x *onnx.Value, c conditions, f func(x *onnx.Value) *onnx.Value) *onnx.Value {
	if c.run == nil {
		return f(x)
	}
	whole := x.Shape
	if w.v.Times == perRun { // whose length is not part of the tokens' number as a product of symbols
		x = w.Declare(x, onnx.Shape{x.Dim(0), onnx.Sym("U").Times(onnx.Sym("L")), x.Dim(2)})
	}
	return w.Declare(w.Reshape(f(w.Reshape(x, c.run...)), x.Shape...), whole)
}

// modulate is the layer norm of x, modulated.
func (w *writer) modulate(x, shift, scale *onnx.Value, c conditions) *onnx.Value {
	return w.inRuns(x, c, func(x *onnx.Value) *onnx.Value { return w.Modulate(x, shift, scale, epsilon) })
}

// gated is x + gate·y.
func (w *writer) gated(x, y, gate *onnx.Value, c conditions) *onnx.Value {
	return w.Add(x, w.inRuns(y, c, func(y *onnx.Value) *onnx.Value { return w.Mul(gate, y) }))
}

// block is attention, attention to the text and the image, and a feed-forward layer. Upstream: WanAttentionBlock.
func (w *writer) block(s *weights.Scope, x *onnx.Value, c conditions) *onnx.Value {
	return w.blockBy(s, x, c, func(s *weights.Scope, x *onnx.Value) *onnx.Value { return w.selfAttention(s, x, c.rope, c.talks...) })
}

// blockBy is a block with attention of its own.
func (w *writer) blockBy(s *weights.Scope, x *onnx.Value, c conditions, attend func(s *weights.Scope, x *onnx.Value) *onnx.Value) *onnx.Value {
	m := w.modulations(s, c.time, c, 6)
	x = w.gated(x, attend(s.At("self_attn"), w.modulate(x, m[0], m[1], c)), m[2], c)
	x = w.Add(x, w.crossAttention(s.At("cross_attn"), w.LayerNorm(s.At("norm3"), x, epsilon), c))
	x = w.talked(w.hear(s.At("audio_cross_attn_wrapper"), x, c), c.talks, c.block)
	y := w.modulate(x, m[3], m[4], c)
	y = w.Linear(s.At("ffn.2"), w.Gelu(w.Linear(s.At("ffn.0"), y, w.inner), true), w.hidden)
	return w.gated(x, y, m[5], c)
}

// project is a linear layer with the norm of its result.
func (w *writer) project(s *weights.Scope, name, norm string, x *onnx.Value) *onnx.Value {
	return w.RMSNorm(s.At(norm), w.Linear(s.At(name), x, w.hidden), epsilon)
}

func (w *writer) attention() onnx.Attention {
	return onnx.Attention{Heads: w.heads(), Scale: float32(1 / math.Sqrt(headWidth))}
}

func (w *writer) selfAttention(s *weights.Scope, x *onnx.Value, rope *nn.Rotary, talks ...*talk) *onnx.Value {
	q, k := w.Rotate(w.project(s, "q", "norm_q", x), rope, w.heads()), w.Rotate(w.project(s, "k", "norm_k", x), rope, w.heads())
	for _, t := range talks {
		w.find(t, q, k)
	}
	k, v := w.remember(k, w.Linear(s.At("v"), x, w.hidden))
	return w.Linear(s.At("o"), w.Attend(q, k, v, w.attention()), w.hidden)
}

// crossAttention is the attention to the text, and to the image for networks that read one.
func (w *writer) crossAttention(s *weights.Scope, x *onnx.Value, c conditions) *onnx.Value {
	q := w.project(s, "q", "norm_q", x)
	y := w.Attend(q, w.project(s, "k", "norm_k", c.text), w.Linear(s.At("v"), c.text, w.hidden), w.attention())
	if c.image != nil {
		y = w.Add(y, w.Attend(q, w.project(s, "k_img", "norm_k_img", c.image), w.Linear(s.At("v_img"), c.image, w.hidden), w.attention()))
	}
	return w.Linear(s.At("o"), y, w.hidden)
}

// last computes the values of patches. Upstream: Head.
func (w *writer) last(s *weights.Scope, x *onnx.Value, c conditions) *onnx.Value {
	time := w.Concat(-1, c.embedded, c.embedded) // for shift and scale alike
	m := w.modulations(s, time, c, 2)
	return w.Linear(s.At("head"), w.modulate(x, m[0], m[1], c), w.out*side*side)
}
