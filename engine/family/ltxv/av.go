package ltxv

import (
	"context"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(avKind{}) }

// avKind registers LTX-Video 2, which makes video and audio together.
type avKind struct{}

// Name implements family.Family.
func (avKind) Name() string { return "LTX-Video 2" }

// Rank implements family.Family.
func (avKind) Rank() int { return 340 }

// Read implements family.Diffusion.
func (avKind) Read(src, whole weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("adaln_single.emb.timestep_embedder.linear_1.bias") || !s.Has("audio_adaln_single.linear.weight") {
		return nil, nil
	}
	c, err := readAVConfig(src)
	if err != nil {
		return nil, err
	}
	return &avModel{avConfig: c, src: src}, nil
}

// avModel is a diffusion model of video and audio.
type avModel struct {
	avConfig
	src weights.Source

	activations family.Activations
}

var (
	_ family.Denoiser  = (*avModel)(nil)
	_ family.Adaptable = (*avModel)(nil)
	_ family.Typed     = (*avModel)(nil)
	_ family.Keeping   = (*avModel)(nil)
	_ family.Optioned  = (*avModel)(nil)
)

// Latent implements family.Denoiser.
func (m *avModel) Latent() sampling.LatentFormat { return AVLatent }

// Sampling implements family.Denoiser.
func (m *avModel) Sampling() (sampling.ModelType, sampling.Settings) {
	return sampling.Flux, sampling.Settings{Shift: 2.37}
}

// Weights implements family.Denoiser.
func (m *avModel) Weights() weights.Source { return m.src }

// ComputeTypes implements family.Typed, by upstream's supported_inference_dtypes.
func (m *avModel) ComputeTypes() []dtype.DType { return []dtype.DType{dtype.BF16, dtype.F32} }

// Options implements family.Optioned.
func (m *avModel) Options() []string {
	return []string{sampling.OptionPassAttention, sampling.OptionApart, sampling.OptionWithoutReference}
}

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet, which takes the plain names, too.
func (m *avModel) LoRAKeys(keys *patch.KeyMap, part string) { loraKeys(keys, part, m.src.Names()) }

// Kept implements family.Keeping: given frames are read without noise.
func (m *avModel) Kept(_ float32, latent *tensor.Tensor) *tensor.Tensor { return latent }

// KeyUnconnected is the key, a bool, of conditioning entries whose text encoding comes directly from the language model, for the
// connectors.
const KeyUnconnected = "unprocessed_ltxav_embeds"

// The names of the inputs beside the text encoding and those of VideoInputs.
const (
	// inputRaw is there where an entry has KeyUnconnected.
	inputRaw = KeyUnconnected
	// inputAudioNoise is the noise mask of the audio's tokens [N,T], inputReference are tokens [N,T,C] of audio before it.
	inputAudioNoise = "audio_denoise_mask"
	inputReference  = "ref_audio"
)

// Inputs implements family.Denoiser.
func (m *avModel) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	raw, err := sampling.Value[bool](c, KeyUnconnected)
	if err != nil {
		return nil, err
	}
	if raw {
		in = append(in, sampling.Input{Name: inputRaw, Value: tensor.New(1), Rule: sampling.Shared})
	}
	if len(r.Parts) > 1 && r.Mask != nil {
		masks, merr := sampling.Unpack(r.Mask, r.Parts)
		if merr != nil {
			return nil, merr
		}
		shape := r.Parts[1]
		if len(shape) != 4 || masks[1].Dim(1) == 0 || masks[1].Dim(3) == 0 {
			return nil, fmt.Errorf("reading the noise mask of the audio: latents of audio have the shape %v, wanted [batch, channels, time, frequency]", shape)
		}
		noise := tensor.New(masks[1].Dim(0), masks[1].Dim(2))
		for i := range noise.Data {
			b, t := i/noise.Dim(1), i%noise.Dim(1)
			noise.Data[i] = masks[1].Index(b).Data[t*masks[1].Dim(3)]
		}
		in = append(in, sampling.Input{Name: inputAudioNoise, Value: noise, Rule: sampling.ByRows})
		r.Mask = masks[0]
	}
	if len(r.Parts) > 0 {
		r.Shape = append([]int{r.Shape[0]}, r.Parts[0][1:]...)
	}
	reference, err := sampling.Value[map[string]any](c, sampling.KeyReferenceAudio)
	if err != nil {
		return nil, err
	}
	if reference != nil {
		tokens, ok := reference["tokens"].(*tensor.Tensor)
		if !ok || len(tokens.Shape) != 3 || tokens.Dim(2) != audioWidth || tokens.Len() == 0 {
			return nil, fmt.Errorf("reading the reference audio of a conditioning entry: it has no tokens of %d values", audioWidth)
		}
		in = append(in, sampling.Input{Name: inputReference, Value: tokens, Rule: sampling.Shared})
	}
	more, err := VideoInputs(c, r)
	return append(in, more...), err
}

// Predict implements family.Denoiser.
func (m *avModel) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	parts := []*tensor.Tensor{c.X}
	if len(c.Inputs.Parts) > 1 {
		var err error
		if parts, err = sampling.Unpack(c.X, c.Inputs.Parts); err != nil {
			return nil, err
		}
	}
	text, rows := c.Inputs.Get(sampling.InputContext), c.X.Dim(0)
	video := c
	video.X = parts[0]
	if err := dit.CheckLatent(video, m.channels, 5); err != nil {
		return nil, err
	}
	if text == nil || len(text.Shape) != 3 || text.Dim(0) != rows || text.Len() == 0 {
		return nil, fmt.Errorf("it needs a text encoding for each row")
	}
	seen, err := TokensOf(video, m.settings.Causal)
	if err != nil {
		return nil, err
	}
	videoText, audioText, err := m.connected(ctx, run, c, text)
	if err != nil {
		return nil, err
	}
	options := c.Inputs.Options
	v := avVariant{Audio: len(parts) > 1, Guided: seen.strengths != nil}
	v.Apart, _ = options[sampling.OptionApart].(bool)
	v.Passing, _ = options[sampling.OptionPassAttention].([]int)
	marks := seen.marks()
	v.Marked = m.marked && marks != nil
	call := &avCall{m: m, v: v}
	call.stream("", seen.tokens, seen.groupedTimes(c.T), videoText)
	at := inSeconds(seen.places, seen.rate)
	call.in = append(call.in, m.settings.rotaryOf("cos", "sin", m.hidden, m.heads, at, m.Middle)...)
	if v.Marked {
		call.in = append(call.in, family.Floats("marks", marks))
	}
	if v.Guided {
		call.in = append(call.in, seen.guideValues(float32(1/math.Sqrt(float64(m.hidden/m.heads))))...)
	}
	var sound *sounds
	if v.Audio {
		if sound, err = m.soundsOf(c, parts[1]); err != nil {
			return nil, err
		}
		call.stream("audio", sound.tokens, sound.times, audioText)
		call.in = append(call.in, m.sound.settings.rotaryOf("audiocos", "audiosin", m.sound.hidden, m.sound.heads, [][][2]float32{sound.places}, m.Middle)...)
		call.across(at[0], sound.places)
	}
	if err := run.Check("running the model", m.activations.Of(m.graph(v), call.symbols)); err != nil {
		return nil, err
	}
	res, err := run.Run(ctx, m.graph(v), call.in, "out")
	if err != nil {
		return nil, err
	}
	out := res["out"]
	count := seen.tokens.Dim(1)
	made, err := seen.latent(tokenRange(out, 0, count), parts[0].Shape)
	if err != nil || !v.Audio {
		return made, err
	}
	return sampling.Pack([]*tensor.Tensor{made, sound.latent(tokenRange(out, count, out.Dim(1)), parts[1].Shape)})
}

// tokenRange returns tokens [from, to) of x [N,S,C].
func tokenRange(x *tensor.Tensor, from, to int) *tensor.Tensor {
	if from == 0 && to == x.Dim(1) {
		return x
	}
	out := tensor.New(x.Dim(0), to-from, x.Dim(2))
	for b := range x.Dim(0) {
		copy(out.Index(b).Data, x.Index(b).Data[from*x.Dim(2):to*x.Dim(2)])
	}
	return out
}

// avCall gathers the inputs of one run of the network.
type avCall struct {
	m       *avModel
	v       avVariant
	in      []family.Value
	symbols map[string]int
}

// stream adds the inputs of one stream: its tokens [N,S,C], the timesteps [N,G] of groups of them, and its text.
func (c *avCall) stream(prefix string, tokens, times, text *tensor.Tensor) {
	rows, groups := tokens.Dim(0), times.Dim(1)
	each := tokens.Dim(1) / groups
	name, timesteps, g, l := "x", "timesteps", "G", "L"
	if prefix != "" {
		name, timesteps, g, l = prefix, prefix+"times", "H", "M"
	} else {
		c.symbols = map[string]int{"B": rows, "T": text.Dim(1)}
	}
	c.symbols[g], c.symbols[l] = groups, each
	c.in = append(c.in,
		family.Floats(name, &tensor.Tensor{Shape: []int{rows, groups, each, tokens.Dim(2)}, Data: tokens.Data}),
		family.Floats(timesteps, times), family.Floats(prefix+"context", text))
	highest := make([]float32, rows)
	for b := range highest {
		highest[b] = slices.Max(times.Index(b).Data)
	}
	if c.m.shifted {
		c.in = append(c.in, family.Vector(prefix+"prompttimes", highest))
	}
	if c.v.Audio {
		last := "videolast"
		if prefix != "" {
			last = "audiolast"
		}
		c.in = append(c.in, family.Vector(last, []float32{slices.Max(highest)}))
	}
}

// across adds the angles of time by which the streams attend to each other.
func (c *avCall) across(video, audio [][2]float32) {
	set, m := c.m.settings, c.m
	set.Reach = []float64{max(m.Reach[0], m.AudioReach[0])}
	for name, at := range map[string][][2]float32{"": video, "audio": audio} {
		c.in = append(c.in, set.rotaryOf(name+"crosscos", name+"crosssin", m.sound.hidden, m.sound.heads, [][][2]float32{at}, true)...)
	}
}

func (m *avModel) graph(v avVariant) family.Graph {
	return family.Graph{Part: "unet", Variant: v.digest(), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("ltx video 2", m.src, func(b *nn.Builder, s *weights.Scope) { writeAV(b, s, m.avConfig, v) })
	}}
}

// Memory implements family.Denoiser. Packed latents do not state the share of audio: tokens of both have 128 values, and those of the video
// need more memory.
func (m *avModel) Memory(shape []int, tokens int) int64 {
	const share = 32 // of the tokens are of audio, about
	symbols := map[string]int{"B": shape[0], "G": 1, "H": 1, "T": max(tokens, leastTokens)}
	if len(shape) == 5 {
		symbols["L"] = tensor.Count(shape[2:])
		return m.activations.Of(m.graph(avVariant{}), symbols)
	}
	all := tensor.Count(shape[1:]) / audioWidth
	symbols["L"], symbols["M"] = max(all, 1), max(all/share, 1)
	return m.activations.Of(m.graph(avVariant{Audio: true}), symbols)
}
