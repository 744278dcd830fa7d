package ltxv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(diffusionVAEKind{}) }

// diffusionVAEKind is the family of VAEs whose decoder denoises pixels, guided by the neighbourhood attention's features of the
// latent. Upstream: ldm/lightricks/vae/na_diffusion_decoder.py.
type diffusionVAEKind struct{}

// Name implements family.Family.
func (diffusionVAEKind) Name() string { return "LTX-Video 2.5 VAE" }

// Rank implements family.Family.
func (diffusionVAEKind) Rank() int { return 66 }

// upsample is ["strides", divisor]: cells become strides[0] frames, strides[1] rows and strides[2] columns each, with the number of channels
// divided by the divisor.
type upsample struct {
	stride  [3]int
	divisor int
}

// UnmarshalJSON implements json.Unmarshaler.
func (u *upsample) UnmarshalJSON(data []byte) error {
	var parts [2]json.RawMessage
	if err := json.Unmarshal(data, &parts); err != nil {
		return fmt.Errorf("reading an upsampling layer of the VAE: %w", err)
	}
	return errors.Join(json.Unmarshal(parts[0], &u.stride), json.Unmarshal(parts[1], &u.divisor))
}

// diffusionConfig is the config of a decoder under upstream's names.
type diffusionConfig struct {
	Latent     int        `json:"in_channels"`
	Pixels     int        `json:"out_channels"`
	Patch      int        `json:"patch_size"`
	Head       int        `json:"head_dim"`
	Channels   []int      `json:"stage_channels"`
	Depths     []int      `json:"stage_depths"`
	Kernels    [][3]int   `json:"stage_kernels"`
	Upsamples  []upsample `json:"upsamples"`
	LastKernel [3]int     `json:"stage5_kernel"`
	Steps      int        `json:"default_num_inference_steps"`
	Multiplier float64    `json:"timestep_scale_multiplier"`
	// Velocity reports that the network predicts velocities in place of pixels.
	Velocity bool `json:"-"`
}

// mostSteps bounds the steps of a decoder, each of which keeps states of its own.
const mostSteps = 64

// diffusionDefaults are the defaults of a file without a config.
func diffusionDefaults() (encoder vaeConfig, decoder diffusionConfig) {
	space, time, all := block{kind: "compress_space_res"}, block{kind: "compress_time_res"}, block{kind: "compress_all_res"}
	encoder = vaeConfig{Norm: pixelNorm, Patch: 4, Padding: "zeros"}
	encoder.Blocks = []block{res(4, false), space, res(6, false), time, res(4, false), all, res(2, false), all, res(2, false)}
	return encoder, diffusionConfig{
		Latent: 128, Pixels: 3, Patch: 4, Head: 64, Channels: []int{2048, 1024, 512, 512, 256}, Depths: []int{4, 6, 4, 2, 8},
		Kernels:   [][3]int{{3, 7, 7}, {3, 7, 7}, {3, 5, 5}, {3, 5, 5}, {11, 11, 11}},
		Upsamples: []upsample{{[3]int{1, 2, 2}, 2}, {[3]int{2, 1, 1}, 2}, {[3]int{2, 2, 2}, 1}, {[3]int{2, 2, 2}, 2}}, LastKernel: [3]int{11, 11, 11}, Steps: 1, Multiplier: 1000,
	}
}

// Read implements family.VAE.
func (diffusionVAEKind) Read(src weights.Source) (family.Autoencoder, error) {
	s := weights.NewScope(src)
	if !s.Has("decoder.conv_in_x_t.weight") || !s.Has("decoder.shared_adaln.proj.weight") {
		return nil, nil
	}
	encoder, decoder := diffusionDefaults()
	if text, ok := src.Metadata()["config"]; ok {
		doc := struct {
			VAE *struct {
				Encoder *vaeConfig       `json:"encoder"`
				Decoder *diffusionConfig `json:"decoder"`
				Output  string           `json:"model_output_type"`
			} `json:"vae"`
		}{}
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			return nil, fmt.Errorf("reading the metadata entry config: %w", err)
		}
		if v := doc.VAE; v != nil {
			// What the config leaves out keeps its default: it is read once more, on top of these.
			again := struct {
				VAE struct {
					Encoder *vaeConfig       `json:"encoder"`
					Decoder *diffusionConfig `json:"decoder"`
				} `json:"vae"`
			}{}
			again.VAE.Encoder, again.VAE.Decoder = &encoder, &decoder
			if err := json.Unmarshal([]byte(text), &again); err != nil {
				return nil, fmt.Errorf("reading the metadata entry config: %w", err)
			}
			decoder.Velocity = v.Output != "" && v.Output != "x0"
		}
	}
	return newDiffusionVAE(src, s, encoder, decoder)
}

// diffusionVAE is a VAE that was read from a file; it encodes as those before it do.
type diffusionVAE struct {
	*vae
	*diffusionDecoder
}

var (
	_ family.Streamed   = (*diffusionVAE)(nil)
	_ family.Normalized = (*diffusionVAE)(nil)
)

// check fails for inconsistent configs.
func (c diffusionConfig) check() error {
	n := len(c.Channels)
	sizes := append([]int{c.Latent, c.Patch, c.Head, c.Steps}, c.Channels...)
	for _, k := range append(slices.Clone(c.Kernels), c.LastKernel) {
		sizes = append(sizes, k[:]...)
	}
	for _, u := range c.Upsamples {
		sizes = append(append(sizes, u.stride[:]...), u.divisor)
		if u.stride[0] > 2 {
			return fmt.Errorf("a layer that makes %d frames of one is not known", u.stride[0])
		}
	}
	switch {
	case n < 2 || len(c.Depths) != n || len(c.Kernels) < n-1 || len(c.Upsamples) != n-1:
		return fmt.Errorf("%d widths, %d depths, %d kernels and %d upsampling layers of stages do not fit together", n, len(c.Depths), len(c.Kernels), len(c.Upsamples))
	case slices.Min(sizes) < 1 || slices.Min(c.Depths) < 0 || c.Pixels != 3 || c.Steps > mostSteps || c.Head%4 != 0:
		return fmt.Errorf("it has %d channels of pixels, heads of %d, %d steps, or a size below 1", c.Pixels, c.Head, c.Steps)
	}
	for _, width := range c.Channels {
		if width%c.Head != 0 {
			return fmt.Errorf("a stage of %d channels has no whole number of heads of %d", width, c.Head)
		}
	}
	return nil
}

func newDiffusionVAE(src weights.Source, s *weights.Scope, encoder vaeConfig, c diffusionConfig) (*diffusionVAE, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("reading the VAE's config: its decoder: %w", err)
	}
	encoder.Latent, encoder.Encoder = c.Latent, encoder.Blocks
	v := &vae{config: encoder, src: src, pace: 1, cells: c.Patch}
	for _, u := range c.Upsamples {
		v.pace *= u.stride[0]
		v.cells *= u.stride[1]
	}
	if err := v.readStatistics(); err != nil {
		return nil, err
	}
	if s.Has("encoder.conv_in.conv.weight") {
		if encoder.Norm != pixelNorm || encoder.Patch < 1 {
			return nil, fmt.Errorf("reading the VAE's config: its encoder has norms of the kind %q and patches of %d; known are norms of the kind %s", encoder.Norm, encoder.Patch, pixelNorm)
		}
		var err error
		if v.encoder, err = encoderOf(src, s, encoder); err != nil {
			return nil, err
		}
	}
	return &diffusionVAE{v, newDiffusionDecoder(src, c)}, nil
}

// DecodeStream implements family.Streamed.
func (v *diffusionVAE) DecodeStream(ctx context.Context, run family.Runner, z *tensor.Tensor, emit func(frames *tensor.Tensor) error) error {
	if len(z.Shape) != 5 || z.Dim(0) != 1 || z.Dim(1) != v.config.Latent || slices.Min(z.Shape) < 1 {
		return fmt.Errorf("decoding a latent of shape %v: the VAE reads %d channels and a time axis", z.Shape, v.config.Latent)
	}
	if err := run.Check("decoding the video", v.DecodeMemory(z.Shape)); err != nil {
		return err
	}
	x := z.Clone()
	v.unnormalize(x)
	return v.decode(ctx, run, x, emit)
}

// Decode implements family.Autoencoder.
func (v *diffusionVAE) Decode(ctx context.Context, run family.Runner, z *tensor.Tensor) (*tensor.Tensor, error) {
	return family.Collect(ctx, run, v, z)
}

// DecodeMemory implements family.Autoencoder.
func (v *diffusionVAE) DecodeMemory(latent []int) int64 { return v.memory(latent) }
