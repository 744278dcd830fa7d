// Package cascade is the family of Stable Cascade: stage C generates a small latent from a text, stage B a latent of four
// channels from that one, which the VAE of stage A decodes. Small VAEs encode images for stage C and preview its latents.
package cascade

import (
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

func init() {
	family.Register(stage{name: "Stable Cascade stage C", rank: 160, prior: true})
	family.Register(stage{name: "Stable Cascade stage B", rank: 170})
}

// stage is one of the two kinds of diffusion models.
type stage struct {
	name string
	rank int
	// prior is for stage C.
	prior bool
}

// Name implements family.Family.
func (k stage) Name() string { return k.name }

// Rank implements family.Family.
func (k stage) Rank() int { return k.rank }

// Config is the part of a network's config that follows from the shapes of a file. The blocks are read from the keys while
// the graph is written.
type Config struct {
	// Prior is true for stage C.
	Prior bool
	// Channels are the channels of a latent, Patch the side of the patches of cells that make one position.
	Channels, Patch int
	// Widths are the channels of the levels, the finest first.
	Widths []int
	// Cond is the width of the conditioning that the blocks attend to. Text and Image are the widths of the encodings that it
	// comes from, Pooled that of the pooled text; Effnet the channels of the prior's latent.
	Cond, Text, Pooled, Image, Effnet int
	// Time is the width of an embedded timestep.
	Time int
}

// read reads the config from the shapes.
func read(s *weights.Scope, prior bool) (Config, error) {
	dim := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	c := Config{Prior: prior, Patch: 2, Time: dim("down_blocks.0.1.mapper.weight", 1)}
	if prior {
		c.Patch = 1
		c.Cond, c.Text = dim("clip_txt_mapper.weight", 0), dim("clip_txt_mapper.weight", 1)
		c.Pooled, c.Image = dim("clip_txt_pooled_mapper.weight", 1), dim("clip_img_mapper.weight", 1)
	} else {
		c.Pooled, c.Effnet = dim("clip_mapper.weight", 1), dim("effnet_mapper.0.weight", 1)
		for i := range s.Count("down_blocks") {
			for j := range s.At("down_blocks").Index(i).Count("") {
				c.Cond = max(c.Cond, dim(fmt.Sprintf("down_blocks.%d.%d.kv_mapper.1.weight", i, j), 1))
			}
		}
	}
	c.Channels = dim("embedding.1.weight", 1) / (c.Patch * c.Patch)
	for i := range s.Count("down_blocks") {
		c.Widths = append(c.Widths, dim(fmt.Sprintf("down_blocks.%d.0.depthwise.weight", i), 0))
	}
	last := c.Image
	if !prior {
		last = c.Effnet
	}
	if c.Channels < 1 || c.Cond < 1 || c.Pooled < 1 || c.Time < 2 || last < 1 || prior && c.Text < 1 || len(c.Widths) == 0 || !positive(c.Widths) {
		return c, fmt.Errorf("its shapes make no network: levels of %v channels, latents of %d, conditioning of %d, time of %d", c.Widths, c.Channels, c.Cond, c.Time)
	}
	return c, nil
}

func positive(list []int) bool {
	for _, v := range list {
		if v < 1 {
			return false
		}
	}
	return true
}

// Read implements family.Diffusion. Upstream: model_detection.py, detected by clf.1 and the mappers of the text.
func (k stage) Read(src, whole weights.Source) (family.Denoiser, error) {
	src = split(src)
	s := weights.NewScope(src)
	mapper := "clip_mapper.weight"
	if k.prior {
		mapper = "clip_txt_mapper.weight"
	}
	if !s.Has("clf.1.weight") || !s.Has(mapper) {
		return nil, nil
	}
	c, err := read(s, k.prior)
	if err != nil {
		return nil, err
	}
	return &Model{Config: c, Source: src, prefixes: textPrefixes(whole)}, nil
}

// textPrefixes are where a checkpoint keeps the text encoder. Older ones keep its projection one level higher.
func textPrefixes(whole weights.Source) map[string][]string {
	const older = "text_encoder.clip_g."
	if _, ok := whole.Lookup(older + "text_projection"); ok {
		return map[string][]string{clip.KeyG: {older}}
	}
	return map[string][]string{clip.KeyG: {"text_encoder.clip_g.transformer.", "text_encoder."}}
}

// split shows the fused projections of attention, in_proj_weight and in_proj_bias, as those of queries, keys and values, as
// upstream does (supported_models.py Stable_Cascade_C.process_unet_state_dict).
func split(src weights.Source) weights.Source {
	v := fused{Source: src}
	found := false
	for _, name := range src.Names() {
		layer, kind, ok := strings.Cut(name, ".in_proj_")
		if !ok {
			v.names = append(v.names, name)
			continue
		}
		found = true
		for _, p := range projections {
			v.names = append(v.names, layer+"."+p+"."+kind)
		}
	}
	if !found {
		return src
	}
	slices.Sort(v.names)
	return v
}

var projections = []string{"to_q", "to_k", "to_v"}

// fused is a source with its fused projections split.
type fused struct {
	weights.Source
	names []string
}

// Names implements weights.Source.
func (f fused) Names() []string { return f.names }

// Lookup implements weights.Source.
func (f fused) Lookup(name string) (weights.Entry, bool) {
	for i, p := range projections {
		layer, kind, ok := strings.Cut(name, "."+p+".")
		if !ok {
			continue
		}
		if e, ok := f.Source.Lookup(layer + ".in_proj_" + kind); ok && len(e.Shape) > 0 {
			n := e.Shape[0] / len(projections)
			part, err := e.Rows(i*n, n)
			part.Name = name
			return part, err == nil
		}
	}
	return f.Source.Lookup(name)
}

// Model is a diffusion model of the family.
type Model struct {
	Config
	// Source holds the network's tensors without prefix.
	Source   weights.Source
	prefixes map[string][]string
}

var (
	_ family.Denoiser  = (*Model)(nil)
	_ family.Bundle    = (*Model)(nil)
	_ family.Adaptable = (*Model)(nil)
	_ family.Sighted   = (*Model)(nil)
	_ family.Typed     = (*Model)(nil)
)

// The latent formats. Upstream: latent_formats.SC_Prior and SC_B.
var (
	priorLatent = sampling.LatentFormat{
		Channels: 16, Scale: 1, Downscale: 42,
		RGB: [][3]float32{
			{-0.0326, -0.0204, -0.0127},
			{-0.1592, -0.0427, 0.0216},
			{0.0873, 0.0638, -0.0020},
			{-0.0602, 0.0442, 0.1304},
			{0.0800, -0.0313, -0.1796},
			{-0.0810, -0.0638, -0.1581},
			{0.1791, 0.1180, 0.0967},
			{0.0740, 0.1416, 0.0432},
			{-0.1745, -0.1888, -0.1373},
			{0.2412, 0.1577, 0.0928},
			{0.1908, 0.0998, 0.0682},
			{0.0209, 0.0365, -0.0092},
			{0.0448, -0.0650, -0.1728},
			{-0.1658, -0.1045, -0.1308},
			{0.0542, 0.1545, 0.1325},
			{-0.0352, -0.1672, -0.2541},
		},
	}
	decoderLatent = sampling.LatentFormat{
		Channels: 4, Scale: 1 / 0.43, Downscale: 4,
		RGB: [][3]float32{{0.1121, 0.2006, 0.1023}, {-0.2093, -0.0222, -0.0195}, {-0.3087, -0.1535, 0.0366}, {0.0290, -0.1574, -0.4078}},
	}
)

// Latent implements family.Denoiser.
func (m *Model) Latent() sampling.LatentFormat {
	if m.Prior {
		return priorLatent
	}
	return decoderLatent
}

// Sampling implements family.Denoiser.
func (m *Model) Sampling() (sampling.ModelType, sampling.Settings) {
	if m.Prior {
		return sampling.StableCascade, sampling.Settings{Shift: 2}
	}
	return sampling.StableCascade, sampling.Settings{Shift: 1}
}

// Weights implements family.Denoiser.
func (m *Model) Weights() weights.Source { return m.Source }

// Scheme implements family.Bundle.
func (m *Model) Scheme() string { return Scheme }

// TextPrefixes implements family.Bundle.
func (m *Model) TextPrefixes() map[string][]string { return m.prefixes }

// VisionPrefix implements family.Sighted.
func (m *Model) VisionPrefix() string {
	if m.Prior {
		return "clip_l_vision."
	}
	return ""
}

// ComputeTypes implements family.Typed: stage C overflows float16.
func (m *Model) ComputeTypes() []dtype.DType {
	if m.Prior {
		return []dtype.DType{dtype.BF16, dtype.F32}
	}
	return []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}
}

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *Model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.Source.Names())
	if m.Prior {
		for _, name := range m.Source.Names() {
			if stem, ok := strings.CutSuffix(name, ".weight"); ok {
				keys.AddKey("lora_prior_unet_"+strings.ReplaceAll(stem, ".", "_"), part+name)
			}
		}
	}
	keys.Bake(func(key string) bool {
		return strings.HasSuffix(key, ".depthwise.weight") || strings.HasSuffix(key, ".gamma") || strings.HasSuffix(key, ".beta") || strings.Contains(key, "up_upscalers.")
	})
}
