package ltxv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/chunked"
	"comfygo/engine/onnx"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/engine/weights"
)

func init() { family.Register(vaeKind{}) }

// vaeKind is the family of VAEs.
type vaeKind struct{}

// Name implements family.Family.
func (vaeKind) Name() string { return "LTX-Video VAE" }

// Rank implements family.Family.
func (vaeKind) Rank() int { return 62 }

// vaeConfig is the config of a VAE under upstream's names. Upstream: causal_video_autoencoder.py VideoVAE.
type vaeConfig struct {
	Latent      int      `json:"latent_channels"`
	Encoder     []block  `json:"encoder_blocks"`
	Decoder     []block  `json:"decoder_blocks"`
	Blocks      []block  `json:"blocks"`
	Patch       int      `json:"patch_size"`
	Norm        string   `json:"norm_layer"`
	Causal      bool     `json:"causal_decoder"`
	Timed       bool     `json:"timestep_conditioning"`
	Padding     string   `json:"spatial_padding_mode"`
	Timestep    *float64 `json:"decode_timestep"`
	NoiseScale  *float64 `json:"decode_noise_scale"`
	LogVariance string   `json:"latent_log_var"`
}

// block is one block of a coder, ["res_x", 4] or ["res_x", {"num_layers": 4}].
type block struct {
	kind string
	blockSettings
}

type blockSettings struct {
	Layers   int  `json:"num_layers"`
	Residual bool `json:"residual"`
	Noise    bool `json:"inject_noise"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (b *block) UnmarshalJSON(data []byte) error {
	var parts []json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return fmt.Errorf("reading a block of the VAE: %w", err)
	}
	if len(parts) != 2 {
		return fmt.Errorf("reading a block of the VAE: it has %d parts, wanted a name and settings", len(parts))
	}
	if err := json.Unmarshal(parts[0], &b.kind); err != nil {
		return fmt.Errorf("reading a block of the VAE: %w", err)
	}
	b.Layers = 1
	if json.Unmarshal(parts[1], &b.Layers) == nil {
		return nil
	}
	if err := json.Unmarshal(parts[1], &b.blockSettings); err != nil {
		return fmt.Errorf("reading the settings of a block of the VAE, %s: %w", b.kind, err)
	}
	return nil
}

// strides are the factors in time and in space of the blocks that change the size: compress_time, compress_space and
// compress_all with the endings that they have.
func (b block) strides() (stride [3]int, resizes bool) {
	switch b.kind {
	case "compress_time", "compress_time_res":
		return [3]int{2, 1, 1}, true
	case "compress_space", "compress_space_res":
		return [3]int{1, 2, 2}, true
	case "compress_all", "compress_all_res", "compress_all_x_y":
		return [3]int{2, 2, 2}, true
	}
	return [3]int{1, 1, 1}, false
}

// deep reports that the block moves cells into channels around a shortcut.
func (b block) deep() bool { return len(b.kind) > 4 && b.kind[len(b.kind)-4:] == "_res" }

func res(layers int, noise bool) block {
	return block{kind: "res_x", blockSettings: blockSettings{Layers: layers, Noise: noise}}
}

// plainConfig is the config of files without one, by the width of a layer and whether the encoder moves cells into channels.
func plainConfig(width int, deep bool) (vaeConfig, error) {
	all, wider, grow := block{kind: "compress_all"}, block{kind: "res_x_y"}, block{kind: "compress_all", blockSettings: blockSettings{Residual: true}}
	c := vaeConfig{Latent: 128, Patch: 4, Norm: pixelNorm}
	first := []block{res(4, false), all, wider, res(3, false), all, wider, res(3, false), all, res(3, false), res(4, false)}
	switch {
	case width == 512:
		c.Blocks = first
	case width == 1024 && !deep:
		c.Encoder, c.Timed = first, true
		c.Decoder = []block{res(5, true), grow, res(6, true), grow, res(7, true), grow, res(8, false)}
	case width == 1024:
		space, time := block{kind: "compress_space_res"}, block{kind: "compress_time_res"}
		deepAll := block{kind: "compress_all_res"}
		c.Encoder = []block{res(4, false), space, res(6, false), time, res(6, false), deepAll, res(2, false), deepAll, res(2, false)}
		c.Decoder, c.Timed = []block{res(5, false), grow, res(5, false), grow, res(5, false), grow, res(5, false)}, true
	default:
		return c, fmt.Errorf("its metadata has no config, and a first layer of %d channels is of no known version", width)
	}
	return c, nil
}

const pixelNorm = "pixel_norm"

// marker is a key that every VAE of the family has.
const marker = "decoder.up_blocks.0.res_blocks.0.conv1.conv.weight"

// Read implements family.VAE.
func (vaeKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has(marker) {
		return nil, nil
	}
	width := s.Shape(marker)[0]
	c, err := plainConfig(width, s.Has("encoder.down_blocks.1.conv.conv.bias"))
	if text, ok := src.Metadata()["config"]; ok {
		doc := struct {
			VAE *vaeConfig `json:"vae"`
		}{}
		if jerr := json.Unmarshal([]byte(text), &doc); jerr != nil {
			return nil, fmt.Errorf("reading the metadata entry config: %w", jerr)
		}
		if doc.VAE != nil {
			c, err = *doc.VAE, nil
		}
	}
	if err != nil {
		return nil, err
	}
	return newVAE(src, c)
}

// vae is a VAE that was read from a file.
type vae struct {
	config vaeConfig
	src    weights.Source
	// pace and cells are the numbers of frames and of pixels along a side per latent cell.
	pace, cells      int
	encoder, decoder *chunked.Network
	mean, deviation  []float32
}

var (
	_ family.Streamed   = (*vae)(nil)
	_ family.Normalized = (*vae)(nil)
)

// frameBytes limits the bytes passed from layer to layer at once, chunkFrames is the number of latent frames per chunk of the
// decoder.
const (
	frameBytes  = 8 << 20
	chunkFrames = 2
)

func newVAE(src weights.Source, c vaeConfig) (*vae, error) {
	if c.Patch == 0 {
		c.Patch = 1
	}
	timestep, noise := 0.05, 0.025
	if c.Timestep == nil {
		c.Timestep = &timestep
	}
	if c.NoiseScale == nil {
		c.NoiseScale = &noise
	}
	if c.Encoder == nil {
		c.Encoder = c.Blocks
	}
	if c.Decoder == nil {
		c.Decoder = c.Blocks
	}
	if c.Norm != pixelNorm || c.Latent < 1 || c.Patch < 1 || len(c.Decoder) == 0 {
		return nil, fmt.Errorf("reading the VAE's config: it has %d latent channels, norms of the kind %q, patches of %d and %d blocks in its decoder; known are norms of the kind %s", c.Latent, c.Norm, c.Patch, len(c.Decoder), pixelNorm)
	}
	v := &vae{config: c, src: src, pace: 1, cells: c.Patch}
	for _, b := range c.Decoder {
		stride, _ := b.strides()
		v.pace *= stride[0]
		v.cells *= stride[1]
	}
	err := v.readStatistics()
	if err != nil {
		return nil, err
	}
	s := weights.NewScope(src)
	if v.decoder, err = decoderOf(src, s, c); err != nil {
		return nil, err
	}
	if s.Has("encoder.conv_in.conv.weight") {
		v.encoder, err = encoderOf(src, s, c)
	}
	return v, err
}

// readStatistics reads the mean and the deviation of each channel.
func (v *vae) readStatistics() (err error) {
	if v.mean, err = statistics(v.src, "per_channel_statistics.mean-of-means", v.config.Latent); err != nil {
		return err
	}
	v.deviation, err = statistics(v.src, "per_channel_statistics.std-of-means", v.config.Latent)
	return err
}

// unnormalize gives the channels of a latent their mean and their deviation.
func (v *vae) unnormalize(x *tensor.Tensor) {
	size := tensor.Count(x.Shape[2:])
	for c := range v.config.Latent {
		row := x.Data[c*size : (c+1)*size]
		for i := range row {
			row[i] = row[i]*v.deviation[c] + v.mean[c]
		}
	}
}

// statistics reads a number a channel.
func statistics(src weights.Source, name string, channels int) ([]float32, error) {
	e, ok := src.Lookup(name)
	if !ok || e.Count() != channels {
		return nil, fmt.Errorf("reading %s: it is missing or has not %d values", name, channels)
	}
	out := make([]float32, channels)
	if e.Described() {
		return out, nil // a list of names and shapes
	}
	return out, weights.Range(out, e, 0)
}

// Info implements family.Autoencoder.
func (v *vae) Info() family.VAEInfo {
	return family.VAEInfo{
		Channels: v.config.Latent, Downscale: v.cells, CanEncode: v.encoder != nil, CanDecode: true, Video: true, Pace: v.pace,
		Frames: func(n int) int { return max(v.pace*n-(v.pace-1), 0) },
	}
}

// Statistics implements family.Normalized.
func (v *vae) Statistics() (mean, deviation []float32) { return v.mean, v.deviation }

// Weights implements family.Autoencoder.
func (v *vae) Weights() []weights.Source { return []weights.Source{v.src} }

// DecodeStream implements family.Streamed.
func (v *vae) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error {
	if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != v.config.Latent || z.Dim(2) < 1 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels and a time axis", z.Shape, v.config.Latent)
	}
	if v.config.spatial(true) == onnx.Reflect && min(z.Dim(3), z.Dim(4)) < 2 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE mirrors latents at their borders, which takes two rows and columns, %d pixels each", z.Shape, 2*v.cells)
	}
	if err := run.Check("decoding the video", v.DecodeMemory(z.Shape)); err != nil {
		return err
	}
	random := torchrand.New(0) // upstream draws from a generator whose state depends on all earlier calls
	x := z.Clone()
	if v.config.Timed {
		noise := make([]float32, len(x.Data))
		random.Randn(noise)
		scale := float32(*v.config.NoiseScale)
		for i := range x.Data {
			x.Data[i] = noise[i]*scale + (1-scale)*x.Data[i]
		}
	}
	v.unnormalize(x)
	return v.decoder.Run(ctx, run, x, chunkFrames, chunkFrames, random, func(y *tensor.Tensor) error { return emit(chunked.Images(y)) })
}

// Decode implements family.Autoencoder.
func (v *vae) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return family.Collect(ctx, run, v, z)
}

// Encode implements family.Autoencoder: frames beyond the last whole group after the first one are left out, as upstream does.
func (v *vae) Encode(ctx context.Context, run family.Runner, x *tensor.Tensor) (*tensor.Tensor, error) {
	if v.encoder == nil {
		return nil, errors.New("encoding images: the file holds only the VAE's decoder")
	}
	if len(x.Shape) != 4 || x.Dim(1) != 3 || x.Dim(0) < 1 {
		return nil, fmt.Errorf("encoding images of shape %v: the VAE reads three channels", x.Shape)
	}
	if err := run.Check("encoding the video", v.EncodeMemory(x.Shape)); err != nil {
		return nil, err
	}
	video := chunked.Video(x.Slice(0, 1+(x.Dim(0)-1)/v.pace*v.pace))
	var parts []*tensor.Tensor
	err := v.encoder.Run(ctx, run, video, 1, v.pace, nil, func(y *tensor.Tensor) error {
		parts = append(parts, y)
		return nil
	})
	if err != nil {
		return nil, err
	}
	z := chunked.JoinFrames(parts...)
	size := tensor.Count(z.Shape[2:])
	for c := range v.config.Latent {
		row := z.Data[c*size : (c+1)*size]
		for i := range row {
			row[i] = (row[i] - v.mean[c]) / v.deviation[c]
		}
	}
	return z, nil
}

// DecodeMemory implements family.Autoencoder.
func (v *vae) DecodeMemory(latent []int) int64 {
	return v.decoder.Memory(latent, chunkFrames, chunkFrames)
}

// EncodeMemory implements family.Autoencoder.
func (v *vae) EncodeMemory(pixels []int) int64 {
	return v.encoder.Memory([]int{1, pixels[1], pixels[0], pixels[2], pixels[3]}, 1, v.pace)
}
