// Package minimaxh3 is the family of MiniMax H3, which makes videos with sound: one sequence holds the tokens of the text, of the images, videos
// and sounds that a prompt refers to, of the audio and of the video, and all of them attend to each other.
package minimaxh3

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/lm"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "MiniMax H3" }

// Rank implements family.Family.
func (kind) Rank() int { return 350 }

// patchSide is the side of a token in cells of the latent, stereo the number of channels of the audio, modalities the number of kinds of tokens.
const (
	patchSide  = 2
	stereo     = 2
	modalities = 3
)

// The shifts of the flows that the model was trained with.
const (
	shiftVideo = 12
	shiftAudio = 3
)

// config describes a network.
type config struct {
	Width, Layers, Refiner, Heads, Head, Inner int
	// Video and Audio are the channels of the latents, Text the width of the text encoding.
	Video, Audio, Text int
	// Time is the width of the embedding of a timestep. Curve is the number of rows of the table of such embeddings, 0 for a network that
	// computes them with Frequencies values and TimeInner.
	Time, Curve, Frequencies, TimeInner int
	// Turned is the number of frequencies of rotary positions on each of three axes.
	Turned int
	settings
}

// settings are what the metadata of a file may change, under upstream's names.
type settings struct {
	Epsilon     float32 `json:"norm_eps"`
	HeadEpsilon float32 `json:"qk_norm_eps"`
	LastEpsilon float32 `json:"final_norm_eps"`
	ShiftVideo  float64 `json:"sigma_shift_video"`
	ShiftAudio  float64 `json:"sigma_shift_audio"`
}

const (
	keyVideo = "video_patch_proj.weight"
	keyAudio = "audio_patch_proj.weight"
	keyTable = "adaln_t_table"
	keyTurns = "rope.inv_freq"
)

// Read implements family.Diffusion. Upstream: model_detection.py detect_unet_config.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has(keyVideo) || !s.Has(keyAudio) {
		return nil, nil
	}
	c, err := readConfig(s, src.Metadata())
	if err != nil {
		return nil, err
	}
	return &model{config: c, Head: dit.Head{
		Source: src, Format: Latent, Type: sampling.FlowAV, Settings: sampling.Settings{Shift: shiftVideo, AudioShift: shiftAudio, Multiplier: 1000},
		Loader: loader, Encoders: []string{lm.KeyQwen3VLXL}, Read: []string{OptionShiftVideo, OptionShiftAudio},
	}}, nil
}

func readConfig(s *weights.Scope, metadata map[string]string) (config, error) {
	c := config{Layers: s.Count("blocks"), Refiner: s.Count("token_refiner.blocks"), settings: settings{Epsilon: 1e-5, HeadEpsilon: 1e-5, LastEpsilon: 1e-5, ShiftVideo: shiftVideo, ShiftAudio: shiftAudio}}
	if text, ok := metadata["config"]; ok {
		whole := struct {
			Transformer *settings `json:"transformer"`
		}{&c.settings}
		if err := json.Unmarshal([]byte(text), &whole); err != nil {
			return c, fmt.Errorf("reading the metadata entry config: %w", err)
		}
	}
	size := func(name string, axis, axes int) int {
		if shape := s.Shape(name); len(shape) == axes && !slices.Contains(shape, 0) { // an empty tensor may state any size
			return shape[axis]
		}
		return 0
	}
	c.Width, c.Text = size(keyVideo, 0, 2), size("condition_proj.weight", 1, 2)
	c.Video, c.Audio = size("final_layer.video_out.weight", 0, 2)/(patchSide*patchSide), size("final_layer.audio_out.weight", 0, 2)
	c.Head, c.Inner = size("blocks.0.attn.q_norm.weight", 0, 1), size("blocks.0.mlp.fc1.weight", 0, 2)/2
	c.Turned = size(keyTurns, 0, 1)
	if c.Head > 0 {
		c.Heads = size("blocks.0.attn.qkv_proj.weight", 0, 2) / (3 * c.Head)
	}
	if s.Has(keyTable) {
		c.Curve, c.Time = size(keyTable, 0, 2), size(keyTable, 1, 2)
	} else {
		c.Frequencies, c.TimeInner = size("time_embedder.proj_in.weight", 1, 2), size("time_embedder.proj_in.weight", 0, 2)
		c.Time = size("time_embedder.proj_out.weight", 0, 2)
	}
	if min(c.Width, c.Layers, c.Heads, c.Inner, c.Video, c.Audio, c.Text, c.Time, c.Turned) < 1 || c.Curve == 1 || c.Curve == 0 && (c.TimeInner < 1 || c.Frequencies < 2 || c.Frequencies%2 != 0) {
		return c, fmt.Errorf("reading the shape of the network: %+v: every size has to be above 0", c)
	}
	if c.Video != videoChannels || c.Audio != audioChannels {
		return c, fmt.Errorf("it makes latents of %d channels of video and %d of audio, MiniMax H3 has %d and %d", c.Video, c.Audio, videoChannels, audioChannels)
	}
	if axes*2*c.Turned > c.Head {
		return c, fmt.Errorf("reading the shape of the network: %s has %d frequencies for each of %d axes, which heads of %d values do not hold", keyTurns, c.Turned, axes, c.Head)
	}
	if !(c.ShiftVideo > 0 && c.ShiftAudio > 0) {
		return c, fmt.Errorf("reading the metadata entry config: the shifts are %g and %g, wanted numbers above 0", c.ShiftVideo, c.ShiftAudio)
	}
	return c, nil
}

// model is a diffusion model of the family.
type model struct {
	dit.Head
	config

	activations family.Activations
}

var (
	_ family.Denoiser     = (*model)(nil)
	_ family.Bundle       = (*model)(nil)
	_ family.Adaptable    = (*model)(nil)
	_ family.Typed        = (*model)(nil)
	_ family.KeepingParts = (*model)(nil)
)

// OptionShiftVideo and OptionShiftAudio are run options, float64: the shifts of the flows of video and audio.
const (
	OptionShiftVideo = "minimax_h3_sigma_shift_video"
	OptionShiftAudio = "minimax_h3_sigma_shift_audio"
)

// shifts returns the shifts of a call.
func (m *model) shifts(options map[string]any) (video, audio float32) {
	read := func(name string, plain float64) float32 {
		if v, ok := options[name].(float64); ok && v > 0 {
			return float32(v)
		}
		return float32(plain)
	}
	return read(OptionShiftVideo, m.ShiftVideo), read(OptionShiftAudio, m.ShiftAudio)
}

// reshifted maps a level of a flow with one shift to the level of a flow with another one at the same time. Upstream: time_shift_sigma.
func reshifted(sigma, from, to float32) float32 {
	base := sigma / (from + float32(sigma*(1-from)))
	return float32(to*base) / (1 + float32((to-1)*base))
}

// lowestSigma is the least sigma that is divided by.
const lowestSigma = 1e-6

// Predict implements family.Denoiser. Videos are made one at a time.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if len(c.Inputs.Parts) != 2 {
		return nil, fmt.Errorf("the latent has shape %v: MiniMax H3 makes video and audio together; use EmptyMiniMaxH3LatentAV, or join both by LTXVConcatAVLatent", c.X.Shape)
	}
	parts, err := sampling.Unpack(c.X, c.Inputs.Parts)
	if err != nil {
		return nil, err
	}
	video, audio := parts[0], parts[1]
	if len(video.Shape) != 5 || video.Dim(1) != m.Video || len(audio.Shape) != 4 || audio.Dim(1) != m.Audio || audio.Dim(2) != stereo {
		return nil, fmt.Errorf("the latents have shapes %v and %v: MiniMax H3 makes videos [batch,%d,frames,height,width] with audio [batch,%d,%d,length]", video.Shape, audio.Shape, m.Video, m.Audio, stereo)
	}
	text := c.Inputs.Get(sampling.InputContext)
	if text == nil || len(text.Shape) != 3 || text.Dim(0) != c.X.Dim(0) || text.Len() == 0 || text.Dim(2) != m.Text && text.Dim(2) != m.Width {
		return nil, fmt.Errorf("it needs a text encoding of %d values a token for each row: connect the text encoder of MiniMax H3 (CLIPLoader of type %s)", m.Text, loader)
	}
	refined, err := dit.Once(c.Inputs, m, func() (*tensor.Tensor, error) { return m.refine(ctx, run, text) })
	if err != nil {
		return nil, err
	}
	sequences, err := dit.Once(c.Inputs, layoutOf{m}, func() (*sequence, error) { return m.sequence(c.Inputs, text.Dim(1), video.Shape, audio.Shape) })
	if err != nil {
		return nil, err
	}
	out := tensor.New(c.X.Shape...)
	for b := range c.X.Dim(0) {
		y, err := m.one(ctx, run, c, sequences, row{b: b, text: refined.Slice(b, b+1), video: video.Slice(b, b+1), audio: audio.Slice(b, b+1)})
		if err != nil {
			return nil, err
		}
		copy(out.Index(b).Data, y.Data)
	}
	return out, nil
}

// layoutOf owns the sequences of a model in a run.
type layoutOf struct{ m *model }

// row is one row of a call: its text [1,T,width] and latents.
type row struct {
	b                  int
	text, video, audio *tensor.Tensor
}

// refine converts the text encoding to tokens [B,T,width]. Upstream: MiniMaxH3Model.preprocess_text_embeds.
func (m *model) refine(ctx context.Context, run family.Runner, text *tensor.Tensor) (*tensor.Tensor, error) {
	if text.Dim(2) == m.Width {
		return text, nil
	}
	g := family.Graph{Part: "unet text", Variant: family.Digest(m.config), Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax h3 text", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, config: m.config}).refiner(s) })
	}}
	var out *tensor.Tensor
	for b := range text.Dim(0) {
		y, err := run.Run(ctx, g, []family.Value{family.Floats("context", text.Slice(b, b+1))}, "out")
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = tensor.New(text.Dim(0), text.Dim(1), m.Width)
		}
		copy(out.Index(b).Data, y["out"].Data)
	}
	return out, nil
}

// one predicts one row: the velocities of the video and then of the audio, as they are packed.
func (m *model) one(ctx context.Context, run family.Runner, c family.Call, s *sequence, r row) (*tensor.Tensor, error) {
	shiftV, shiftA := m.shifts(c.Inputs.Options)
	sigmaV := max(c.T[r.b]/1000, lowestSigma)
	sigmaA := reshifted(sigmaV, shiftV, shiftA)
	scale := float64(1)
	if c.Inputs.Carried != 0 {
		scale = float64(c.Inputs.Carried)
	}
	audio := r.audio
	if scale != 1 {
		carry := sigmaA / sigmaV
		audio = audio.Clone()
		for i := range audio.Data {
			audio.Data[i] *= carry
		}
	}
	videoTokens, _, err := dit.PatchifyFrames(r.video, patchSide, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	times, index := s.times(1-sigmaV, 1-reshifted(sigmaV, shiftV, shiftA), sigmaV, r.b)
	in, err := m.values(s, times, index, r.text, videoTokens, packAudio(audio))
	if err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.activations.Of(m.graph(), s.symbols(len(times)))); err != nil {
		return nil, err
	}
	res, err := run.Run(ctx, m.graph(), in, "video_out", "audio_out")
	if err != nil {
		return nil, err
	}
	madeV, err := dit.UnpatchifyFrames(res["video_out"], patchSide, tensor.ChannelsFirst, r.video.Shape)
	if err != nil {
		return nil, err
	}
	madeA := unpackAudio(res["audio_out"], audio.Shape)
	negate(madeV.Data)
	negate(madeA.Data)
	if scale != 1 { // the derivative of what the sampler carries
		own, made := float32(1-scale), 1+float32(float32(scale-1)*sigmaA)
		for i := range madeA.Data {
			madeA.Data[i] = float32(own*audio.Data[i]) + float32(made*madeA.Data[i])
		}
	}
	return sampling.Pack([]*tensor.Tensor{madeV, madeA})
}

func negate(v []float32) {
	for i := range v {
		v[i] = -v[i]
	}
}

// packAudio turns audio [1,C,2,T] into tokens [1,2·T,C], one channel after the other.
func packAudio(x *tensor.Tensor) *tensor.Tensor {
	c, n := x.Dim(1), x.Dim(2)*x.Dim(3)
	out := tensor.New(1, n, c)
	for k := range c {
		for i, v := range x.Data[k*n : (k+1)*n] {
			out.Data[i*c+k] = v
		}
	}
	return out
}

// unpackAudio is the inverse of packAudio for a latent of a shape.
func unpackAudio(tokens *tensor.Tensor, shape []int) *tensor.Tensor {
	out := tensor.New(shape...)
	c, n := shape[1], shape[2]*shape[3]
	for k := range c {
		for i := range n {
			out.Data[k*n+i] = tokens.Data[i*c+k]
		}
	}
	return out
}

// values are the inputs of the graph.
func (m *model) values(s *sequence, times []float32, index []int64, text, video, audio *tensor.Tensor) ([]family.Value, error) {
	time, err := m.timeInput(times)
	if err != nil {
		return nil, err
	}
	turns, err := m.turns()
	if err != nil {
		return nil, err
	}
	cos, sin := s.angles(turns)
	if s.video != nil {
		video = dit.JoinTokens(s.video, video)
	}
	if s.audio != nil {
		audio = dit.JoinTokens(s.audio, audio)
	}
	placesV, timesV := s.made(tagVideo, index)
	placesA, timesA := s.made(tagAudio, index)
	return []family.Value{
		family.Floats("text", text), family.Floats("video", video), family.Floats("audio", audio), time,
		family.Ints("order", s.order, len(s.order)), family.Ints("index", index, len(index)),
		family.Floats("cos", cos), family.Floats("sin", sin),
		family.Ints("made_video", placesV, len(placesV)), family.Ints("made_audio", placesA, len(placesA)),
		family.Ints("time_video", timesV, len(timesV)), family.Ints("time_audio", timesA, len(timesA)),
	}, nil
}

// timeInput is the input of timesteps: numbers, or the rows of the table of embeddings at them, between which it interpolates.
func (m *model) timeInput(times []float32) (family.Value, error) {
	if m.Curve == 0 {
		return family.Vector("time", times), nil
	}
	table, err := m.small(keyTable, m.Curve*m.Time)
	if err != nil {
		return family.Value{}, err
	}
	out := tensor.New(len(times), m.Time)
	for i, t := range times {
		at := min(max(t, 0), 1) * float32(m.Curve-1)
		low := min(int(at), m.Curve-2)
		part := at - float32(low)
		for k := range m.Time {
			a, b := table[low*m.Time+k], table[(low+1)*m.Time+k]
			out.Data[i*m.Time+k] = a + float32(part*(b-a))
		}
	}
	return family.Floats("time", out), nil
}

// turns are the frequencies of rotary positions.
func (m *model) turns() ([]float32, error) { return m.small(keyTurns, m.Turned) }

// small reads a small tensor of the file.
func (m *model) small(name string, n int) ([]float32, error) {
	e, ok := m.Source.Lookup(name)
	if !ok || e.Count() != n {
		return nil, fmt.Errorf("reading %s of %s: it is missing or has not %d values", name, m.Source.Path(), n)
	}
	if e.Described() {
		return make([]float32, n), nil // a list of names and shapes
	}
	values, err := weights.Float32s(e)
	if err != nil {
		return nil, err
	}
	for _, v := range values {
		if v-v != 0 {
			return nil, fmt.Errorf("reading %s of %s: it holds %v: the file is damaged", name, m.Source.Path(), v)
		}
	}
	return values, nil
}

// Memory implements family.Denoiser. Packed latents do not state the share of audio, whose tokens have a third of the values of those of video.
func (m *model) Memory(shape []int, tokens int) int64 {
	const share = 8 // of the tokens are of audio, about
	video := max(tensor.Count(shape[1:])/(m.Video*patchSide*patchSide), 1)
	audio := max(video/share, 1)
	latents := 2 * family.Product(append(slices.Clone(shape), 4)...) // of all rows, given and made; the network works on one row after another
	return latents + m.activations.Of(m.graph(), map[string]int{"T": max(tokens, 1), "V": video, "A": audio, "N": video, "U": audio, "M": 2})
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.config), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("minimax h3", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, config: m.config}).write(s) })
	}}
}

// scaleOf is what attention scales products of queries and keys by.
func scaleOf(head int) float32 { return float32(1 / math.Sqrt(float64(head))) }
