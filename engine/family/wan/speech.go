package wan

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// The names of the inputs of S2V, and the keys of a conditioning entry that they come from.
const (
	inputSpeech  = "speech"  // encoded audio [N,layers,width,frames]
	inputPerson  = "person"  // a reference latent [N,C,R,H,W]
	inputGuide   = "guide"   // a video to follow [N,C,T,H,W]
	inputMotion1 = "motion1" // latents before the video: the last frame, the two before it, and the sixteen before those
	inputMotion2 = "motion2"
	inputMotion4 = "motion4"

	keyMotion = "reference_motion"
	keyGuide  = "control_video"
)

const (
	// pace is the number of values of audio for a frame of the latent (as the VAE's of frames), farthest the position in time of a reference latent
	// at least, and farBehind how far it is after the video.
	farthest, farBehind = 30, 9
	adaptEpsilon        = 1e-5
)

// motionFrames are the numbers of latent frames before the video: the first sixteen become tokens of 4x8x8 cells, the next two of 2x4x4, the last one of 1x2x2.
var motionFrames = [3]int{16, 2, 1}

// speechLayers are the blocks after which the tokens attend to speech. Upstream: WanModel_S2V.
var speechLayers = []int{0, 4, 8, 12, 16, 20, 24, 27, 30, 33, 36, 39}

// speech are S2V's layers for speech.
type speech struct {
	// layers and voiceWidth are those of the audio encoder whose output it reads, spoken is the number of tokens of a frame.
	layers, voiceWidth, spoken int
}

func speechOf(s *weights.Scope) speech {
	v := speech{layers: dim(s, "casual_audio_encoder.weights", 1), voiceWidth: dim(s, "casual_audio_encoder.encoder.conv1_local.conv.weight", 1)}
	if quarter := dim(s, "head.modulation", 2) / 4; quarter > 0 {
		v.spoken = dim(s, "casual_audio_encoder.encoder.conv1_local.conv.weight", 0) / quarter
	}
	return v
}

// speechInputs adds encoded speech, a reference latent, and videos. Upstream: WAN22_S2V.extra_conds.
func (m *model) speechInputs(l *inputList) error {
	audio, err := l.value(keyAudio)
	if err != nil {
		return err
	}
	if audio != nil {
		if len(audio.Shape) != 4 || audio.Len() == 0 || audio.Dim(1) != m.layers || audio.Dim(2) != m.voiceWidth {
			return fmt.Errorf("reading a conditioning entry: its %s has shape %v, the model reads %d layers of width %d, those of Wav2Vec2 large: connect an audio encoder's output of that", keyAudio, audio.Shape, m.layers, m.voiceWidth)
		}
		const axis = 3
		l.list = append(l.list, sampling.Input{Name: inputSpeech, Value: audio, Rule: sampling.ByFramesFrom(axis, pace, 0)})
	}
	refs, err := sampling.References(l.cond, l.request.Format)
	if err != nil {
		return err
	}
	if len(refs) > 0 {
		ref := refs[len(refs)-1]
		if len(ref.Shape) != 5 || ref.Dim(1) != m.out {
			return fmt.Errorf("reading a conditioning entry: its %s have shape %v, wanted a video latent of %d channels", sampling.KeyReferences, ref.Shape, m.out)
		}
		l.add(inputPerson, ref)
	}
	motion, err := l.value(keyMotion)
	if err != nil {
		return err
	}
	if motion != nil {
		if len(motion.Shape) != 5 || motion.Dim(1) != m.out || motion.Len() == 0 {
			return fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a video latent of %d channels", keyMotion, motion.Shape, m.out)
		}
		l.addMotion(l.request.Format.In(motion))
	}
	guide, err := l.value(keyGuide)
	if err != nil || guide == nil {
		return err
	}
	if len(guide.Shape) != 5 || guide.Dim(1) != m.out || guide.Len() == 0 {
		return fmt.Errorf("reading a conditioning entry: its %s has shape %v, wanted a video latent of %d channels", keyGuide, guide.Shape, m.out)
	}
	l.frames(inputGuide, l.request.Format.In(guide))
	return nil
}

// addMotion adds the frames before the video, the last of z; missing ones are zero. Each part is cut to whole patches. Upstream:
// FramePackMotioner.
func (l *inputList) addMotion(z *tensor.Tensor) {
	total := motionFrames[0] + motionFrames[1] + motionFrames[2]
	have := min(total, z.Dim(2))
	last := cutFrames(z, z.Dim(2)-have, z.Dim(2))
	if have < total {
		last = joinFrames(tensor.New(z.Dim(0), z.Dim(1), total-have, z.Dim(3), z.Dim(4)), last)
	}
	from := 0
	for i, name := range []string{inputMotion4, inputMotion2, inputMotion1} {
		part := cutFrames(last, from, from+motionFrames[i])
		from += motionFrames[i]
		patch := 2 << (2 - i)
		l.add(name, cutSides(part, z.Dim(3)/patch*patch, z.Dim(4)/patch*patch))
	}
}

// cutFrames are frames [from, to) of x [N,C,T,H,W].
func cutFrames(x *tensor.Tensor, from, to int) *tensor.Tensor {
	size := x.Dim(3) * x.Dim(4)
	out := tensor.New(x.Dim(0), x.Dim(1), to-from, x.Dim(3), x.Dim(4))
	for i := range x.Dim(0) * x.Dim(1) {
		copy(out.Data[i*(to-from)*size:(i+1)*(to-from)*size], x.Data[(i*x.Dim(2)+from)*size:])
	}
	return out
}

// cutSides are the first rows and columns of x [N,C,T,H,W].
func cutSides(x *tensor.Tensor, h, w int) *tensor.Tensor {
	if h == x.Dim(3) && w == x.Dim(4) {
		return x
	}
	out := tensor.New(x.Dim(0), x.Dim(1), x.Dim(2), h, w)
	for i := range x.Dim(0) * x.Dim(1) * x.Dim(2) {
		for y := range h {
			copy(out.Data[(i*h+y)*w:(i*h+y+1)*w], x.Data[(i*x.Dim(3)+y)*x.Dim(4):])
		}
	}
	return out
}

// speaks adds to a batch what S2V reads, with the positions and timesteps of all tokens. Upstream: WanModel_S2V.forward_orig.
func (m *model) speaks(b *batch) error {
	in, x := b.call.Inputs, b.call.X
	if audio := in.Get(inputSpeech); audio != nil {
		if audio.Dim(0) != x.Dim(0) || audio.Dim(3) < pace*b.frames {
			return fmt.Errorf("encoded audio of shape %v for a latent of %d frames: it needs %d values, the node that prepares it has to have the length of the video", audio.Shape, b.frames, pace*b.frames)
		}
		cut := tensor.New(x.Dim(0), m.layers, m.voiceWidth, pace*b.frames)
		for i := range x.Dim(0) * m.layers * m.voiceWidth {
			copy(cut.Data[i*pace*b.frames:(i+1)*pace*b.frames], audio.Data[i*audio.Dim(3):])
		}
		b.v.Speech = true
		b.add(inputSpeech, cut)
	}
	if guide := in.Get(inputGuide); guide != nil {
		if err := sameSides("the control video", guide, x); err != nil {
			return err
		}
		if guide.Dim(2) != b.frames {
			return fmt.Errorf("a control video has %d frames, the latent %d", guide.Dim(2), b.frames)
		}
		guide, err := padded(guide)
		if err != nil {
			return err
		}
		b.v.Guide = true
		b.add(inputGuide, guide)
	}
	units := b.frames
	var still int
	if person := in.Get(inputPerson); person != nil {
		if err := sameSides("the reference latent", person, x); err != nil {
			return err
		}
		b.v.Person = true
		b.places = places(b.places, person.Dim(2), b.grid, float64(max(farthest, b.frames+farBehind)), dit.Unscaled)
		person, err := padded(person)
		if err != nil {
			return err
		}
		b.sizes["R"] = person.Dim(2)
		b.add(inputPerson, person)
		still = person.Dim(2)
	}
	double := 1
	if in.Get(inputMotion1) != nil {
		b.v.Motion, double = true, 2
		if err := b.remember(in); err != nil {
			return err
		}
	}
	// A reference latent has timestep 0, and so have the frames before the video, which count for three halves of a frame.
	more := 0
	if b.v.Motion {
		more = 3
	}
	times := tensor.New(x.Dim(0), (units+still)*double+more)
	for row := range x.Dim(0) {
		for i := range units * double {
			times.Data[row*times.Dim(1)+i] = b.call.T[row]
		}
	}
	b.spread(times)
	return nil
}

// remember adds the frames before the video, with their positions. Upstream: FramePackMotioner.forward.
func (b *batch) remember(in sampling.Inputs) error {
	for i, name := range []string{inputMotion1, inputMotion2, inputMotion4} {
		t := in.Get(name)
		if t == nil || t.Dim(0) != b.call.X.Dim(0) || len(t.Shape) != 5 {
			return fmt.Errorf("the frames before the video are missing for %s", name)
		}
		patch := 2 << i
		frames, rows, columns := t.Dim(2)/(1<<i), t.Dim(3)/patch, t.Dim(4)/patch
		if rows == 0 || columns == 0 {
			return fmt.Errorf("frames of %dx%d cells before the video are too small", t.Dim(4), t.Dim(3))
		}
		suffix := strconv.Itoa(patch)
		b.sizes["h"+suffix], b.sizes["w"+suffix] = rows, columns
		b.add(name, t)
		spread := func(cells, n int) float64 { // positions are the positions of tokens of the video's size
			if n < 2 {
				return 0
			}
			return float64((cells+1)/2-1) / float64(n-1)
		}
		start := []float64{-1, -3, -19}[i]
		r := dit.Rotary{ScaleT: 1, ScaleY: spread(b.call.X.Dim(3), rows), ScaleX: spread(b.call.X.Dim(4), columns)}
		b.places = places(b.places, frames, dit.Grid{Height: rows, Width: columns}, start, r)
	}
	return nil
}

// kinds adds to tokens which of three kinds they are: of the video, of a reference, or of frames before the video.
func (w *writer) kinds(s *weights.Scope, x *onnx.Value, kind int) *onnx.Value {
	return w.Add(x, dit.TableRows(w.Builder, s.At("trainable_cond_mask").Weight("weight", 3, w.hidden), kind, 1))
}

// speaking puts the tokens of a reference and of frames before the video after those of the video.
func (w *writer) speaking(s *weights.Scope, x *onnx.Value) *onnx.Value {
	if w.v.Guide {
		g := w.video(inputGuide, w.out, "F", "")
		x = w.Add(x, w.embed(s.At("cond_encoder"), g))
	}
	x = w.kinds(s, x, 0)
	if w.v.Person {
		x = w.Concat(1, x, w.kinds(s, w.embed(s.At("patch_embedding"), w.video(inputPerson, w.channels, "R", "")), 1))
	}
	if !w.v.Motion {
		return x
	}
	var list []*onnx.Value
	for i, name := range []string{inputMotion1, inputMotion2, inputMotion4} {
		patch := 2 << i
		suffix, side := strconv.Itoa(patch), onnx.D(patch)
		z := dit.Input(w.Builder, name, onnx.Sym("B"), onnx.D(w.out), onnx.D(motionFrames[2-i]), onnx.Sym("h"+suffix).Times(side), onnx.Sym("w"+suffix).Times(side))
		layer := []string{"proj", "proj_2x", "proj_4x"}[i]
		kernel := [3]int{1 << i, patch, patch}
		list = append(list, w.ToTokens(w.Conv3d(s.At("frame_packer."+layer), z, w.hidden, kernel, onnx.WindowND{Stride: kernel[:]})))
	}
	return w.Concat(1, x, w.kinds(s, w.Concat(1, list...), 2))
}

// causal is a convolution over frames [N,C,T] of width 3 that depends only on earlier frames; the first one is repeated.
func (w *writer) causal(s *weights.Scope, x *onnx.Value, out, stride int) *onnx.Value {
	x = w.PadAxes(x, onnx.Edge, []int{0, 0, 2}, []int{0, 0, 0})
	return w.Conv1d(s.At("conv"), x, out, 3, 1, onnx.WindowND{Stride: []int{stride}})
}

// halved converts frames [N,T,C/4] to tokens: two convolutions, each of which halves their number, with norms between.
func (w *writer) halved(s *weights.Scope, x *onnx.Value, widths [2]int) *onnx.Value {
	norm := func(x *onnx.Value) *onnx.Value { return w.SiLU(w.LayerNormPlain(x, epsilon)) }
	x = norm(x)
	for i, name := range []string{"conv2", "conv3"} {
		x = norm(w.Transpose(w.causal(s.At(name), w.Transpose(x, 0, 2, 1), widths[i], 2), 0, 2, 1))
	}
	return x
}

// shares are the parts of the layers of an audio encoder in their mean: SiLU of learned numbers, over its sum.
func shares(r *weights.Ref) *weights.Ref {
	if r.Missing() {
		return r
	}
	e := weights.Compute(r.Name+".shares", r.Entry.Shape, weights.Computation{Op: "shares", Parts: []weights.Entry{r.Entry}, Read: func(dst []float32, from int) error {
		all := make([]float32, r.Entry.Count())
		if err := weights.Range(all, r.Entry, 0); err != nil {
			return err
		}
		sum := 0.0
		for i, v := range all {
			f := float64(v) / (1 + math.Exp(-float64(v)))
			all[i], sum = float32(f), sum+f
		}
		for i := range dst {
			dst[i] = float32(float64(all[from+i]) / sum)
		}
		return nil
	}})
	return &weights.Ref{Name: e.Name, Entry: e}
}

// speechTokens are the tokens of speech for each frame [B·F,n+1,C], and one for the whole of it [B·F,C]. Input: speech [B,layers,width,4·F].
// Upstream: CausalAudioEncoder.
func (w *writer) speechTokens(s *weights.Scope) (each, one *onnx.Value) {
	rows, frames := onnx.Sym("B"), onnx.Sym("F")
	long := frames.Times(onnx.D(pace))
	x := dit.Input(w.Builder, inputSpeech, rows, onnx.D(w.layers), onnx.D(w.voiceWidth), long)
	x = w.ReduceSum(w.Mul(x, w.Table(shares(s.Weight("weights", 1, w.layers, 1, 1)))), false, 1) // [B,width,4·F]
	e := s.At("encoder")
	quarter, widths := w.hidden/4, [2]int{w.hidden / 2, w.hidden}
	y := w.causal(e.At("conv1_local"), x, w.spoken*quarter, 1)
	y = w.Transpose(w.Reshape(y, rows.Times(onnx.D(w.spoken)), onnx.D(quarter), long), 0, 2, 1)
	y = w.halved(e, y, widths)
	y = w.Declare(y, onnx.Shape{rows.Times(onnx.D(w.spoken)), frames, onnx.D(w.hidden)})
	y = w.Transpose(w.Reshape(y, rows, onnx.D(w.spoken), frames, onnx.D(w.hidden)), 0, 2, 1, 3)
	y = w.Reshape(y, rows.Times(frames), onnx.D(w.spoken), onnx.D(w.hidden))
	padding := w.Expand(w.shaped(e.Weight("padding_tokens", 1, 1, 1, w.hidden), 1, 1, w.hidden), rows.Times(frames), onnx.D(1), onnx.D(w.hidden))
	each = w.Concat(1, y, padding)
	g := w.halved(e, w.Transpose(w.causal(e.At("conv1_global"), x, quarter, 1), 0, 2, 1), widths)
	g = w.Linear(e.At("final_linear"), w.Declare(g, onnx.Shape{rows, frames, onnx.D(w.hidden)}), w.hidden)
	return each, w.Reshape(g, rows.Times(frames), onnx.D(w.hidden))
}

// listens adds the attention to audio to the tokens of the video after block i. Upstream: AudioInjector_WAN.
func (w *writer) listens(s *weights.Scope, i int, x *onnx.Value, c conditions) *onnx.Value {
	at := slices.Index(speechLayers, i)
	if c.speech == nil || at < 0 {
		return x
	}
	size := onnx.Sym("h").Times(onnx.Sym("w"))
	own := onnx.Sym("F").Times(size)
	video := w.Declare(w.SliceDims(x, 1, onnx.D(0), own), onnx.Shape{x.Dim(0), own, x.Dim(2)})
	frames := w.Reshape(video, onnx.Sym("B").Times(onnx.Sym("F")), size, onnx.D(w.hidden))
	m := w.Chunks(w.Linear(s.At("injector_adain_layers."+strconv.Itoa(at)+".linear"), w.SiLU(c.spoken), 2*w.hidden), 2)
	q := w.Modulate(frames, m[0], m[1], adaptEpsilon)
	a := s.At("injector." + strconv.Itoa(at))
	y := w.Attend(w.project(a, "q", "norm_q", q), w.project(a, "k", "norm_k", c.speech), w.Linear(a.At("v"), c.speech, w.hidden), w.attention())
	video = w.Add(video, w.Reshape(w.Linear(a.At("o"), y, w.hidden), video.Shape...))
	if x.Dim(1) == own {
		return video
	}
	rest := w.SliceDims(x, 1, own, x.Dim(1))
	return w.Declare(w.Concat(1, video, rest), x.Shape)
}
