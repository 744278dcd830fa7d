package wan

import (
	"fmt"
	"slices"

	"comfygo/engine/family/dit"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// voice are HuMo's layers for encoded audio.
type voice struct {
	// audio is the number of values of encoded audio for one frame of the latent, 0 for networks without audio. middle and width are the widths of
	// the layers that convert it to tokens, heard is the number of tokens of a frame.
	audio, middle, width, heard int
}

func voiceOf(s *weights.Scope) voice {
	v := voice{
		audio: dim(s, "audio_proj.audio_proj_glob_1.layer.weight", 1), middle: dim(s, "audio_proj.audio_proj_glob_1.layer.weight", 0),
		width: dim(s, "audio_proj.audio_proj_glob_norm.layer.weight", 0),
	}
	if v.width > 0 {
		v.heard = dim(s, "audio_proj.audio_proj_glob_3.layer.weight", 0) / v.width
	}
	return v
}

// inputAudio is encoded audio [N,frames,…], by this name in a conditioning entry, too.
const (
	inputAudio = "audio"
	keyAudio   = "audio_embed"
)

// The latent of a video of zeros as the VAE of Wan 2.1 encodes it, as networks read it: its first, second and further frames. Upstream:
// WAN21_HuMo.extra_conds.
var silent = [3][16]float32{
	{0.8660, -0.4326, -0.0017, -0.4884, -0.5283, 0.9207, -0.9896, 0.4433, -0.5543, -0.0113, 0.5753, -0.6000, -0.8346, -0.3497, -0.1926, -0.6938},
	{1.0869, -1.2370, 0.0206, -0.4357, -0.6411, 2.0307, -1.5972, 1.2659, -0.8595, -0.4654, 0.9638, -1.6330, -1.4310, -0.1098, -0.3856, -1.4583},
	{0.8642, -1.8583, 0.1577, 0.1350, -0.3641, 2.5863, -1.9670, 1.6065, -1.0475, -0.8678, 1.1734, -1.8138, -1.5933, -0.7721, -0.3289, -1.3745},
}

// silentFrames are the channels after a latent of a shape: a mask of zeros, and a video of zeros.
func silentFrames(shape []int) *tensor.Tensor {
	out := tensor.New(shape[0], maskChannels+len(silent[0]), shape[2], shape[3], shape[4])
	size := shape[3] * shape[4]
	for b := range shape[0] {
		for ch := range silent[0] {
			plane := out.Index(b).Index(maskChannels + ch).Data
			for i := range plane {
				plane[i] = silent[min(i/size, 2)][ch]
			}
		}
	}
	return out
}

// voiceInputs adds encoded audio and a reference latent. Upstream: WAN21_HuMo.extra_conds.
func (m *model) voiceInputs(l *inputList) error {
	audio, err := l.value(keyAudio)
	if err != nil {
		return err
	}
	if audio != nil {
		if len(audio.Shape) < 3 || audio.Len() == 0 || tensor.Count(audio.Shape[2:]) != m.audio {
			return fmt.Errorf("reading a conditioning entry: its %s has shape %v, the model reads %d values a frame, those of Whisper large v3: connect an audio encoder's output of that", keyAudio, audio.Shape, m.audio)
		}
		l.list = append(l.list, sampling.Input{Name: inputAudio, Value: audio, Rule: sampling.ByFrames(1)})
	}
	refs, err := sampling.References(l.cond, l.request.Format)
	if err != nil || len(refs) == 0 {
		return err
	}
	ref := refs[len(refs)-1]
	if len(ref.Shape) != 5 || ref.Dim(1) != m.out {
		return fmt.Errorf("reading a conditioning entry: its %s have shape %v, wanted a video latent of %d channels", sampling.KeyReferences, ref.Shape, m.out)
	}
	if m.channels > m.out { // noise of nothing, a mask of ones, and the latent
		none := tensor.New(ref.Shape...)
		ref = dit.Channels(known(none), ref)
	}
	l.add(inputRefs, ref)
	return nil
}

// voiced adds encoded audio to a batch: for frames of reference latents it is silent.
func (m *model) voiced(b *batch) error {
	audio := b.call.Inputs.Get(inputAudio)
	if audio == nil || m.audio == 0 {
		return nil
	}
	n, given := b.call.X.Dim(0), audio.Dim(1)
	refs := 0
	if t := b.call.Inputs.Get(inputRefs); t != nil {
		refs = t.Dim(2)
	}
	if audio.Dim(0) != n || given+refs != b.frames {
		return fmt.Errorf("encoded audio of shape %v for a latent of %d frames: the node that prepares it has to have the length of the video", audio.Shape, b.frames-refs)
	}
	out := tensor.New(n, b.frames, m.audio)
	for row := range n {
		copy(out.Index(row).Data, audio.Index(row).Data)
	}
	b.v.Audio = true
	b.add(inputAudio, out)
	return nil
}

// voiceTokens converts encoded audio to tokens [B·F,heard,width]. Input: audio [B,F,values]. Upstream: AudioProjModel.
func (w *writer) voiceTokens(s *weights.Scope) *onnx.Value {
	if !w.v.Audio || w.audio == 0 {
		return nil
	}
	const eps = 1e-5
	rows, frames := onnx.Sym("B"), onnx.Sym("F")
	x := w.Reshape(dit.Input(w.Builder, inputAudio, rows, frames, onnx.D(w.audio)), rows.Times(frames), onnx.D(w.audio))
	x = w.Relu(w.Linear(s.At("audio_proj_glob_1.layer"), x, w.middle))
	x = w.Relu(w.Linear(s.At("audio_proj_glob_2.layer"), x, w.middle))
	x = w.Linear(s.At("audio_proj_glob_3.layer"), x, w.heard*w.width)
	return w.LayerNorm(s.At("audio_proj_glob_norm.layer"), w.Reshape(x, rows.Times(frames), onnx.D(w.heard), onnx.D(w.width)), eps)
}

// hear is attention of the tokens of each frame to those of its audio. Upstream: AudioCrossAttentionWrapper.
func (w *writer) hear(s *weights.Scope, x *onnx.Value, c conditions) *onnx.Value {
	if c.audio == nil {
		return x
	}
	frames := onnx.Sym("B").Times(onnx.Sym("F"))
	each, ok := x.Dim(1).Quotient(onnx.Sym("F"))
	if !ok {
		w.Fail("audio", "%v tokens are not frames", x.Dim(1))
	}
	a := s.At("audio_cross_attn")
	q := w.Reshape(w.project(a, "q", "norm_q", w.LayerNorm(s.At("norm1_audio"), x, epsilon)), frames, each, onnx.D(w.hidden))
	y := w.Attend(q, w.project(a, "k", "norm_k", c.audio), w.Linear(a.At("v"), c.audio, w.hidden), w.attention())
	return w.Add(x, w.Reshape(w.Linear(a.At("o"), y, w.hidden), slices.Clone(x.Shape)...))
}
