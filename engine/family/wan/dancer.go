package wan

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// The names of the inputs of WanDancer, and the keys of a conditioning entry that they come from.
const (
	inputMusic      = "music"       // features of the music [N,frames,values]
	inputMusicScale = "music_scale" // the factor of the music that the tokens attend to
	inputGuest      = "image_ref"   // encodings of a reference image
	inputRate       = "fps"

	keyMusicScale = "audio_inject_scale"
	keyGuest      = "clip_vision_output_ref"
)

const (
	// beats is the number of values of music for a frame of the latent, musicHead the width of a head of its encoder, danceRate the rate in frames
	// per second of videos that are made whole; those of other rates have layers of their own.
	beats     = 8
	musicHead = 64
	danceRate = 30
)

// musicLayers are the blocks after which the tokens attend to the music. Upstream: WanDancerModel.
var musicLayers = []int{0, 4, 8, 12, 16, 20, 24, 27}

// splitMusic shows the joined projections of the music encoder's attention as three. Upstream: WAN22_WanDancer.process_unet_state_dict.
type splitMusic struct{ weights.Source }

const (
	joinedMark = ".self_attn.in_proj_"
	musicMark  = "music_encoder."
)

var musicParts = []string{"q_proj", "k_proj", "v_proj"}

// Names implements weights.Source.
func (m splitMusic) Names() []string {
	var out []string
	for _, n := range m.Source.Names() {
		layer, kind, ok := strings.Cut(n, joinedMark)
		if !ok || !strings.HasPrefix(n, musicMark) {
			out = append(out, n)
			continue
		}
		for _, p := range musicParts {
			out = append(out, layer+".self_attn."+p+"."+kind)
		}
	}
	return out
}

// Close implements weights.Source.
func (splitMusic) Close() error { return nil }

// Lookup implements weights.Source.
func (m splitMusic) Lookup(name string) (weights.Entry, bool) {
	if e, ok := m.Source.Lookup(name); ok || !strings.HasPrefix(name, musicMark) {
		return e, ok
	}
	layer, rest, _ := strings.Cut(name, ".self_attn.")
	part, kind, _ := strings.Cut(rest, ".")
	i := slices.Index(musicParts, part)
	e, ok := m.Source.Lookup(layer + joinedMark + kind)
	if !ok || i < 0 || len(e.Shape) == 0 {
		return weights.Entry{}, false
	}
	n := e.Shape[0] / len(musicParts)
	rows, err := e.Rows(i*n, n)
	if err != nil {
		return weights.Entry{}, false
	}
	rows.Name = name
	return rows, true
}

// music are WanDancer's layers for music.
type music struct {
	// values is the number of features of a frame of music, tempo their width in the encoder, measures the number of its layers.
	values, tempo, measures int
}

func musicOf(s *weights.Scope) music {
	return music{values: dim(s, "music_projection.weight", 1), tempo: dim(s, "music_projection.weight", 0), measures: s.Count("music_encoder")}
}

// musicInputs adds the music, the rate of the video, and a reference image. Upstream: WAN22_WanDancer.extra_conds.
func (m *model) musicInputs(l *inputList) error {
	audio, err := l.value(keyAudio)
	if err != nil {
		return err
	}
	if audio != nil {
		if len(audio.Shape) != 3 || audio.Len() == 0 || audio.Dim(2) != m.values {
			return fmt.Errorf("reading a conditioning entry: its %s has shape %v, the model reads %d values a frame: connect WanDancerEncodeAudio", keyAudio, audio.Shape, m.values)
		}
		l.add(inputMusic, audio)
	}
	guest, err := m.encodedImage(l, keyGuest)
	if err != nil {
		return err
	}
	if guest != nil {
		l.add(inputGuest, guest)
	}
	if err := l.number(inputRate, sampling.KeyFPS); err != nil {
		return err
	}
	return l.number(inputMusicScale, keyMusicScale)
}

// scalar is the value of an input of one number.
func scalar(in sampling.Inputs, name string, otherwise float64) float64 {
	if t := in.Get(name); t != nil && t.Len() == 1 {
		return float64(t.Data[0])
	}
	return otherwise
}

// dance adds the music and a reference image to a batch.
func (m *model) dance(b *batch) error {
	in := b.call.Inputs
	if guest := in.Get(inputGuest); guest != nil {
		b.v.Guest = guest.Dim(1)
		b.add(inputGuest, guest)
	}
	notes := in.Get(inputMusic)
	if notes == nil {
		return nil
	}
	tokens := len(b.places) / 3
	if tokens%(b.frames*beats) != 0 {
		return fmt.Errorf("%dx%d tokens a frame are not a multiple of %d: choose another width or height", b.grid.Width, b.grid.Height, beats)
	}
	b.v.Music = true
	b.add(inputMusic, notes)
	b.add(inputMusicScale, &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(scalar(in, inputMusicScale, 1))}})
	b.sizes["M"] = notes.Dim(1)
	list := make([]int64, tokens)
	for i := range list {
		list[i] = int64(i / (tokens / (b.frames * beats)))
	}
	b.in = append(b.in, family.Ints("beats", list, tokens))
	b.in = append(b.in, renamed("music_", dit.Angles(countFrom0(notes.Dim(1)), 10000, musicHead))...)
	return nil
}

func countFrom0(n int) []float64 { return dit.Line(n, 0, 1) }

// renamed are values under names with a prefix.
func renamed(prefix string, list []family.Value) []family.Value {
	for i := range list {
		list[i].Name = prefix + list[i].Name
	}
	return list
}

// whole reports whether a video is of the rate at which it is made whole.
func whole(in sampling.Inputs) bool {
	return int(scalar(in, inputRate, danceRate)+0.5) == danceRate
}

// steps are the positions in time of frames of another rate. Upstream: WanDancerModel.rope_encode.
func steps(frames int, in sampling.Inputs, r dit.Rotary) []float64 {
	scale := danceRate / scalar(in, inputRate, danceRate)
	out := make([]float64, frames)
	for i := range out {
		out[i] = float64(float32(float64(i)*scale + r.ShiftT))
	}
	out[frames-1] = r.ShiftT + math.Floor(scale*float64(frames)+0.5) - 1
	return out
}

// musicTokens are the music's tokens for each of the video's [B,S,C]. Inputs: music [B,M,values], beats [S], music_cos and music_sin.
func (w *writer) musicTokens(s *weights.Scope) *onnx.Value {
	const eps = 1e-5
	rows, notes := onnx.Sym("B"), onnx.Sym("M")
	x := w.Linear(s.At("music_projection"), dit.Input(w.Builder, inputMusic, rows, notes, onnx.D(w.values)), w.tempo)
	one, half := onnx.D(1), onnx.D(musicHead/2)
	rope := &nn.Rotary{Cos: dit.Input(w.Builder, "music_cos", one, notes, half), Sin: dit.Input(w.Builder, "music_sin", one, notes, half), Interleaved: true}
	heads := w.tempo / musicHead
	for i := range w.measures {
		l := s.At("music_encoder").Index(i)
		a := l.At("self_attn")
		y := w.LayerNorm(l.At("norm1"), x, eps)
		q := w.Rotate(w.Linear(a.At("q_proj"), y, w.tempo), rope, heads)
		k := w.Rotate(w.Linear(a.At("k_proj"), y, w.tempo), rope, heads)
		y = w.Attend(q, k, w.Linear(a.At("v_proj"), y, w.tempo), onnx.Attention{Heads: heads, Scale: float32(1 / math.Sqrt(musicHead))})
		x = w.Add(x, w.Linear(a.At("out_proj"), y, w.tempo))
		inner := dim(l, "linear1.weight", 0)
		x = w.Add(x, w.Linear(l.At("linear2"), w.Gelu(w.Linear(l.At("linear1"), w.LayerNorm(l.At("norm2"), x, eps), inner), false), w.tempo))
	}
	long := onnx.Sym("F").Times(onnx.D(beats))
	x = w.Squeeze(w.ResizeTo(w.Unsqueeze(x, 1), onnx.Linear, rows, onnx.D(1), long, onnx.D(w.hidden)), 1)
	return x
}

// dances adds the music to tokens [B,S,C] after block i. A token attends to a single token of music, so the result is its value.
// Upstream: AudioInjector_WAN.
func (w *writer) dances(s *weights.Scope, i int, x *onnx.Value, c conditions) *onnx.Value {
	at := slices.Index(musicLayers, i)
	if c.music == nil || at < 0 {
		return x
	}
	a := s.At("music_injector.injector." + strconv.Itoa(at))
	y := w.Mul(w.Linear(a.At("o"), w.Linear(a.At("v"), c.music, w.hidden), w.hidden), c.musicScale)
	return w.Add(x, w.GatherAxis(y, c.beats, 1))
}
