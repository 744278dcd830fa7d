package ltxaudio

import (
	"encoding/json"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// config is the config of a file, under upstream's names. Upstream: vae/audio_vae.py AudioVAEComponentConfig,
// vae/causal_audio_autoencoder.py.
type config struct {
	VAE     *vaeConfig     `json:"audio_vae"`
	Vocoder *vocoderConfig `json:"vocoder"`
}

type vaeConfig struct {
	Model struct {
		Params struct {
			Rate    int          `json:"sampling_rate"`
			Encoder *coderConfig `json:"encoder"`
			Both    *coderConfig `json:"ddconfig"`
			Decoder *coderConfig `json:"decoder"`
		} `json:"params"`
	} `json:"model"`
	Rate          int `json:"sampling_rate"`
	Preprocessing struct {
		STFT struct {
			Window int `json:"filter_length"`
			Hop    int `json:"hop_length"`
		} `json:"stft"`
	} `json:"preprocessing"`
}

// coderConfig is the config of half an autoencoder.
type coderConfig struct {
	Width      int     `json:"ch"`
	Factors    []int   `json:"ch_mult"`
	Blocks     int     `json:"num_res_blocks"`
	Attention  []int   `json:"attn_resolutions"`
	Resolution int     `json:"resolution"`
	In         int     `json:"in_channels"`
	Out        int     `json:"out_ch"`
	Latent     int     `json:"z_channels"`
	Bands      int     `json:"mel_bins"`
	Double     *bool   `json:"double_z"`
	Middle     *bool   `json:"mid_block_add_attention"`
	Kind       string  `json:"attn_type"`
	Norm       string  `json:"norm_type"`
	Axis       *string `json:"causality_axis"`
	Convolved  *bool   `json:"resamp_with_conv"`
	Tanh       bool    `json:"tanh_out"`
}

// The axes along which a convolution reads only earlier values.
const (
	axisNone       = "none"
	axisTime       = "height"
	axisFrequency  = "width"
	axisCompatible = "width-compatibility"
)

// The norms, and the kinds of attention.
const (
	normPixel        = "pixel"
	normGroup        = "group"
	attentionVanilla = "vanilla"
)

// axis is the axis of a coder; upstream's default differs between the file and its coders.
func (c *coderConfig) axis(otherwise string) string {
	if c.Axis == nil {
		return otherwise
	}
	return *c.Axis
}

func on(b *bool) bool { return b == nil || *b }

// UnmarshalJSON implements json.Unmarshaler: null is an axis of its own.
func (c *coderConfig) UnmarshalJSON(data []byte) error {
	type plain coderConfig
	p := plain{Width: 128, Factors: []int{1, 2, 4, 8}, Blocks: 2, Bands: 64, Kind: attentionVanilla, Norm: normGroup}
	if err := json.Unmarshal(data, &p); err != nil {
		return err
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return err
	}
	if raw, ok := given["causality_axis"]; ok && string(raw) == "null" {
		none := axisNone
		p.Axis = &none
	}
	*c = coderConfig(p)
	return nil
}

// vocoderConfig is the config of a vocoder, or of one followed by a second one that widens its band.
type vocoderConfig struct {
	generatorConfig
	First  *generatorConfig `json:"vocoder"`
	Second *widerConfig     `json:"bwe"`
}

// generatorConfig is the config of a network that converts a mel spectrogram to audio. Upstream: vocoders/vocoder.py
// Vocoder.
type generatorConfig struct {
	Kernels    []int   `json:"resblock_kernel_sizes"`
	Rates      []int   `json:"upsample_rates"`
	UpKernels  []int   `json:"upsample_kernel_sizes"`
	Dilations  [][]int `json:"resblock_dilation_sizes"`
	Width      int     `json:"upsample_initial_channel"`
	Stereo     *bool   `json:"stereo"`
	Block      string  `json:"resblock"`
	Activation string  `json:"activation"`
	OutputRate int     `json:"output_sample_rate"`
	Tanh       *bool   `json:"use_tanh_at_final"`
	Final      *bool   `json:"apply_final_activation"`
}

// widerConfig is the config of the second network.
type widerConfig struct {
	generatorConfig
	InputRate int `json:"input_sampling_rate"`
	Rate      int `json:"output_sampling_rate"`
	Hop       int `json:"hop_length"`
	Window    int `json:"n_fft"`
	Bands     int `json:"num_mels"`
}

// The kinds of residual blocks.
const (
	blockThree = "1"
	blockTwo   = "2"
	blockAlias = "AMP1"
)

func (g *generatorConfig) fill() {
	if g.Kernels == nil {
		g.Kernels = []int{3, 7, 11}
	}
	if g.Rates == nil {
		g.Rates = []int{5, 4, 2, 2, 2}
	}
	if g.UpKernels == nil {
		g.UpKernels = []int{16, 16, 8, 4, 4}
	}
	if g.Dilations == nil {
		g.Dilations = [][]int{{1, 3, 5}, {1, 3, 5}, {1, 3, 5}}
	}
	if g.Width == 0 {
		g.Width = 1024
	}
	if g.Block == "" {
		g.Block = blockThree
	}
	if g.Activation == "" {
		g.Activation = "snake"
	}
}

// factor is the number of samples per frame of a mel spectrogram.
func (g *generatorConfig) factor() int { return tensor.Count(g.Rates) }

func (g *generatorConfig) channels() int {
	if on(g.Stereo) {
		return 2
	}
	return 1
}

func (g *generatorConfig) check(what string) error {
	wanted := map[string]int{blockThree: 3, blockTwo: 2, blockAlias: 3}[g.Block]
	bad := wanted == 0 || len(g.Rates) == 0 || len(g.Rates) != len(g.UpKernels) || len(g.Kernels) == 0 || len(g.Kernels) != len(g.Dilations) || g.Width>>len(g.Rates) < 1
	for i, r := range g.Rates {
		bad = bad || r < 1 || i < len(g.UpKernels) && g.UpKernels[i] < r
	}
	for i, d := range g.Dilations {
		bad = bad || len(d) < wanted || i < len(g.Kernels) && g.Kernels[i]%2 == 0
	}
	if bad {
		return fmt.Errorf("reading the config of %s: residual blocks %q with kernels %v and dilations %v, rates %v with kernels %v, %d channels: known are the blocks %s, %s and %s with odd kernels",
			what, g.Block, g.Kernels, g.Dilations, g.Rates, g.UpKernels, g.Width, blockThree, blockTwo, blockAlias)
	}
	return nil
}

// readConfig reads the metadata of a file and checks it.
func readConfig(src weights.Source) (config, error) {
	var c config
	text, ok := src.Metadata()["config"]
	if !ok {
		return c, fmt.Errorf("the file's metadata has no config, which describes the audio VAE and its vocoder: take the file as it was published")
	}
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return c, fmt.Errorf("reading the metadata entry config: %w", err)
	}
	if c.VAE == nil || c.Vocoder == nil {
		return c, fmt.Errorf("the config in the file's metadata describes no audio VAE or no vocoder: wanted the entries audio_vae and vocoder")
	}
	p := &c.VAE.Model.Params
	if p.Encoder == nil {
		p.Encoder = p.Both
	}
	if p.Decoder == nil {
		p.Decoder = p.Encoder
	}
	if p.Encoder == nil {
		return c, fmt.Errorf("reading the config of the audio VAE: it has no ddconfig")
	}
	for to, otherwise := range map[*int]int{&p.Rate: c.VAE.Rate, &c.VAE.Preprocessing.STFT.Hop: 160, &c.VAE.Preprocessing.STFT.Window: 1024} {
		if *to == 0 {
			*to = otherwise
		}
	}
	if p.Rate == 0 {
		p.Rate = 16000
	}
	for _, half := range []*coderConfig{p.Encoder, p.Decoder} {
		if err := half.check(); err != nil {
			return c, err
		}
	}
	return c, c.vocoders()
}

func (c *coderConfig) check() error {
	axis := c.axis(axisTime)
	known := axis == axisNone || axis == axisTime || axis == axisFrequency || axis == axisCompatible
	if !known || c.Norm != normPixel && (c.Norm != normGroup || axis != axisNone) || c.Kind != attentionVanilla && c.Kind != axisNone || !on(c.Convolved) && axis != axisNone {
		return fmt.Errorf("reading the config of the audio VAE: causality_axis %q, norm_type %q and attn_type %q do not go together or are not known", axis, c.Norm, c.Kind)
	}
	if c.Width < 1 || len(c.Factors) == 0 || c.Blocks < 1 || c.In < 1 || c.Out < 1 || c.Latent < 1 || c.Bands < 4 {
		return fmt.Errorf("reading the config of the audio VAE: %d channels times %v, %d blocks, %d and %d audio channels, %d latent channels, %d mel bands", c.Width, c.Factors, c.Blocks, c.In, c.Out, c.Latent, c.Bands)
	}
	return nil
}

// vocoders fills in and checks the configs of the vocoders.
func (c *config) vocoders() error {
	v := c.Vocoder
	if v.Second == nil {
		v.fill()
		return v.check("the vocoder")
	}
	if v.First == nil {
		return fmt.Errorf("reading the config of the vocoder: it has a bandwidth extension (bwe) and no vocoder before it")
	}
	v.First.fill()
	v.Second.fill()
	if err := v.First.check("the vocoder"); err != nil {
		return err
	}
	w := v.Second
	if w.InputRate < 1 || w.Rate < w.InputRate || w.Hop < 1 || w.Window < w.Hop || w.Bands < 1 || w.factor()*w.InputRate != w.Hop*w.Rate {
		return fmt.Errorf("reading the config of the bandwidth extension: from %d Hz to %d Hz, windows of %d samples each %d, %d mel bands, %d samples a window", w.InputRate, w.Rate, w.Window, w.Hop, w.Bands, w.factor())
	}
	return w.check("the bandwidth extension")
}

// outputRate is the sample rate of decoded audio.
func (c *config) outputRate() int {
	switch v := c.Vocoder; {
	case v.Second != nil:
		return v.Second.Rate
	case v.OutputRate > 0:
		return v.OutputRate
	}
	return int(math.Floor(float64(c.VAE.Model.Params.Rate) * float64(c.Vocoder.factor()) / float64(c.VAE.Preprocessing.STFT.Hop)))
}
