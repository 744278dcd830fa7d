package hunyuanvideo

import (
	"fmt"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/sampling"
	"comfygo/engine/weights"
)

// beside is what a model reads beside the noisy latent.
type beside int

const (
	nothing beside = iota
	// anImage is a latent, maskedImage a latent and a mask of given cells.
	anImage
	maskedImage
	// someImage is a latent and a mask, if the network has channels for them.
	someImage
	// smallImage is a latent to refine, with noise, smallVideo the start image, a latent to upscale, and masks of both.
	smallImage
	smallVideo
)

// kind is one of the models.
type kind struct {
	name   string
	rank   int
	format sampling.LatentFormat
	shift  float64
	reads  beside
	types  []dtype.DType
	text   string
	// fits decides by the shape of the first layer and whether it reads encoded images and a pooled text encoding.
	fits func(in []int, vision, vector bool) bool
}

func init() {
	plain := []dtype.DType{dtype.BF16, dtype.F32}
	narrow := []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}
	const first, newer, image = "hunyuan_video", "hunyuan_video_15", "hunyuan_image"
	channels := func(n int) func(in []int, vision, vector bool) bool {
		return func(in []int, vision, vector bool) bool { return !vision && vector && in[1] == n }
	}
	for _, k := range []kind{
		{"HunyuanVideo 1.5 super-resolution", 360, latent15, 2, smallVideo, narrow, newer, func(in []int, vision, _ bool) bool { return vision && in[1] == superChannels }},
		{"HunyuanVideo 1.5", 370, latent15, 7, someImage, narrow, newer, func(_ []int, vision, _ bool) bool { return vision }},
		{"HunyuanImage 2.1 refiner", 380, latentRefiner, 4, smallImage, plain, image, func(in []int, vision, vector bool) bool { return !vision && !vector && in[3] == 1 }},
		{"HunyuanVideo (SkyReels, image to video)", 400, latents.HunyuanVideo, 7, anImage, plain, first, channels(32)},
		{"HunyuanVideo (image to video)", 410, latents.HunyuanVideo, 7, maskedImage, plain, first, channels(33)},
		{"HunyuanVideo", 420, latents.HunyuanVideo, 7, nothing, plain, first, channels(16)},
	} {
		family.Register(k)
	}
}

// superChannels is the number of input channels of super-resolution.
const superChannels = 98

// Name implements family.Family.
func (k kind) Name() string { return k.name }

// Rank implements family.Family.
func (k kind) Rank() int { return k.rank }

const headWidth = 128

// config describes a network.
type config struct {
	dit.Streams
	// channels is the number of input channels, out that of a prediction, side the side of a patch.
	channels, out, side int
	// text, pooled, glyphs and vision are the widths of the encodings that the network reads, 0 for none.
	text, pooled, glyphs, vision int
	// guidance reports that it reads a guidance, next the next sigma of the schedule, typed that encodings are distinguished.
	guidance, next, typed bool
	// rows are the widths of a head that frame, row and column turn.
	axes []int
}

// replaced are the names that the original files have for layers. Upstream: HunyuanVideo.process_unet_state_dict.
var replaced = strings.NewReplacer(
	"txt_in.t_embedder.mlp.0.", "txt_in.t_embedder.in_layer.", "txt_in.t_embedder.mlp.2.", "txt_in.t_embedder.out_layer.",
	"txt_in.c_embedder.linear_1.", "txt_in.c_embedder.in_layer.", "txt_in.c_embedder.linear_2.", "txt_in.c_embedder.out_layer.",
	"_mod.linear.", "_mod.lin.", "_attn_qkv.", "_attn.qkv.", "mlp.fc1.", "mlp.0.", "mlp.fc2.", "mlp.2.",
	"_attn_q_norm.weight", "_attn.norm.query_norm.weight", "_attn_k_norm.weight", "_attn.norm.key_norm.weight",
	".q_norm.weight", ".norm.query_norm.weight", ".k_norm.weight", ".norm.key_norm.weight",
	"_attn_proj.", "_attn.proj.", ".modulation.linear.", ".modulation.lin.",
	"_in.mlp.2.", "_in.out_layer.", "_in.mlp.0.", "_in.in_layer.",
)

// Read implements family.Diffusion.
func (k kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	if _, ok := src.Lookup("img_in.proj.weight"); !ok {
		return nil, nil
	}
	src = dit.Rename(src, func(name string) string { return dit.NormWeights(replaced.Replace(name)) })
	s := weights.NewScope(src)
	in := s.Shape("img_in.proj.weight")
	vision := s.Shape("vision_in.proj.0.weight")
	if !s.Has("txt_in.individual_token_refiner.blocks.0.norm1.weight") || len(in) != 5 || !k.fits(in, vision != nil, s.HasAny("vector_in")) {
		return nil, nil
	}
	text, final := s.Shape("txt_in.input_embedder.weight"), s.Shape("final_layer.linear.weight")
	area := in[3] * in[4]
	if len(text) != 2 || len(final) != 2 || in[2] != 1 || in[3] != in[4] || area == 0 || in[0]%headWidth != 0 || final[0] != k.format.Channels*area {
		return nil, fmt.Errorf("reading the shape of the network: img_in.proj.weight is %v, txt_in.input_embedder.weight %v, final_layer.linear.weight %v: wanted %d channels, patches of one frame and heads of %d", in, text, final, k.format.Channels, headWidth)
	}
	c := config{
		channels: in[1], out: k.format.Channels, side: in[3], text: text[1], guidance: s.HasAny("guidance_in"), next: s.HasAny("time_r_in"), typed: s.Has("cond_type_embedding.weight"),
		axes: []int{16, 56, 56},
	}
	c.Hidden, c.Heads, c.MLP = in[0], in[0]/headWidth, 4*in[0]
	if len(vision) == 1 {
		c.vision = vision[0]
	}
	if w := s.Shape("vector_in.in_layer.weight"); len(w) == 2 {
		c.pooled = w[1]
	}
	if w := s.Shape("byt5_in.fc1.weight"); len(w) == 2 {
		c.glyphs = w[1]
	}
	if extra := c.channels - c.out; k.reads == nothing && extra != 0 || k.reads == smallImage && extra != c.out || k.reads == someImage && extra != 0 && extra != c.out+1 {
		return nil, fmt.Errorf("reading the shape of the network: it reads %d channels and predicts %d, which no model of the kind %s does", c.channels, c.out, k.name)
	}
	return &model{config: c, kind: k, src: src}, nil
}
