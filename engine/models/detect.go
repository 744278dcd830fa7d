package models

import (
	"encoding/json"
	"fmt"
	"strings"

	"comfygo/engine/weights"
	"comfygo/engine/weights/layout"
)

// Found is what a weight file holds, by part. A part that is absent has a nil config.
type Found struct {
	UNet *UNetConfig
	VAE  *VAEConfig
	CLIP *CLIPTextConfig
	Tiny *TinyConfig
	// Upscaler enlarges pictures.
	Upscaler *UpscalerConfig
	// Control is a ControlNet.
	Control *ControlConfig
	unet    func() *weights.Scope
	vae     func() *weights.Scope
	clip    func() *weights.Scope
	Source  weights.Source

	tinyEncoder, tinyDecoder, upscaler, control func() *weights.Scope
}

// UNetScope returns a fresh scope of the U-Net's weights.
func (f *Found) UNetScope() *weights.Scope { return f.unet() }

// VAEScope returns a fresh scope of the VAE's weights.
func (f *Found) VAEScope() *weights.Scope { return f.vae() }

// CLIPScope returns a fresh scope of the text encoder's weights.
func (f *Found) CLIPScope() *weights.Scope { return f.clip() }

// TinyEncoderScope returns a fresh scope of the encoder of a TAESD.
func (f *Found) TinyEncoderScope() *weights.Scope { return f.tinyEncoder() }

// TinyDecoderScope returns a fresh scope of the decoder of a TAESD.
func (f *Found) TinyDecoderScope() *weights.Scope { return f.tinyDecoder() }

// UpscalerScope returns a fresh scope of the weights of a network that enlarges pictures.
func (f *Found) UpscalerScope() *weights.Scope { return f.upscaler() }

// ControlScope returns a fresh scope of a ControlNet's weights.
func (f *Found) ControlScope() *weights.Scope { return f.control() }

// embeddedConfig is the part of a file's "config" metadata that detection reads. Files of other sizes than the
// well-known ones (the built-in demo model) carry it; keys follow upstream's U-Net parameters.
type embeddedConfig struct {
	UNet *struct {
		NumHeads         int    `json:"num_heads"`
		NumHeadChannels  int    `json:"num_head_channels"`
		Parameterization string `json:"parameterization"`
	} `json:"unet"`
}

// unetPrefixes are the places where a U-Net's keys begin, tried in this order.
var unetPrefixes = []string{"model.diffusion_model.", "unet.", ""}

var vaePrefixes = []string{"first_stage_model.", "vae.", ""}

// clipPrefixes are the places of a CLIP-L text model; bare is set where the "text_model." level is left out.
var clipPrefixes = []struct {
	prefix string
	bare   bool
}{
	{"cond_stage_model.transformer.", false},
	{"cond_stage_model.transformer.", true},
	{"conditioner.embedders.0.transformer.", false},
	{"clip_l.transformer.", false},
	{"text_encoder.", false},
	{"", false},
}

// Detect finds the parts of a weight file that this engine runs. It fails when there is none, or when the diffusion
// model in it is of a family that it does not run, saying which.
//
// The model may lie below wrappers, such as "module." before every name; metadata of foreign programs is passed over.
func Detect(src weights.Source) (*Found, error) {
	var first error
	for _, view := range weights.Unwrap(src) {
		f, err := detect(view)
		if err == nil {
			return f, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

func detect(src weights.Source) (*Found, error) {
	f := &Found{Source: src}
	if err := f.detectControl(); err != nil {
		return nil, fmt.Errorf("detecting the ControlNet in %s: %w", src.Path(), err)
	}
	if f.Control != nil {
		return f, nil
	}
	if err := f.detectUNet(); err != nil {
		return nil, fmt.Errorf("detecting the model in %s: %w", src.Path(), err)
	}
	if err := f.detectVAE(); err != nil {
		return nil, fmt.Errorf("detecting the VAE in %s: %w", src.Path(), err)
	}
	if err := f.detectCLIP(); err != nil {
		return nil, fmt.Errorf("detecting the text encoder in %s: %w", src.Path(), err)
	}
	if f.VAE == nil {
		if err := f.detectTiny(); err != nil {
			return nil, fmt.Errorf("detecting the TAESD in %s: %w", src.Path(), err)
		}
	}
	if f.UNet == nil && f.VAE == nil && f.CLIP == nil && f.Tiny == nil {
		if err := f.detectUpscaler(); err != nil {
			return nil, fmt.Errorf("detecting the upscaler in %s: %w", src.Path(), err)
		}
	}
	if f.UNet == nil && f.VAE == nil && f.CLIP == nil && f.Tiny == nil && f.Upscaler == nil {
		return nil, fmt.Errorf("detecting the model in %s: %s", src.Path(), describe(src))
	}
	return f, nil
}

func (f *Found) detectUNet() error {
	for _, p := range unetPrefixes {
		view := layout.UNet(weights.Sub(f.Source, p))
		if _, ok := view.Lookup("input_blocks.0.0.weight"); !ok {
			continue
		}
		cfg, err := readUNet(weights.NewScope(view))
		if err != nil {
			return err
		}
		if err := f.family(&cfg, view); err != nil {
			return err
		}
		f.UNet, f.unet = &cfg, func() *weights.Scope { return weights.NewScope(view) }
		return nil
	}
	if name := otherFamily(f.Source); name != "" {
		return fmt.Errorf("this is a %s model; the engine runs Stable Diffusion 1.x", name)
	}
	return nil
}

// family decides what the shapes alone do not tell: heads and prediction. The known sizes are upstream's
// (supported_models.py); other sizes need the file's own config.
func (f *Found) family(cfg *UNetConfig, view weights.Source) error {
	var own embeddedConfig
	if raw := f.Source.Metadata()["config"]; raw != "" {
		if err := json.Unmarshal([]byte(raw), &own); err != nil {
			own = embeddedConfig{} // of another program, which means something else by it
		}
	}
	temporal := weights.NewScope(view).HasAny("input_blocks.1.1.time_stack")
	switch {
	case own.UNet != nil:
		cfg.Heads, cfg.VPrediction = own.UNet.NumHeads, own.UNet.Parameterization == "v"
		if cfg.Heads <= 0 {
			cfg.Heads, cfg.HeadChannels = 0, own.UNet.NumHeadChannels
		}
		if cfg.Heads <= 0 && cfg.HeadChannels <= 0 {
			return fmt.Errorf("the config in the file's metadata gives neither num_heads nor num_head_channels")
		}
	case temporal:
		return fmt.Errorf("this is a Stable Video Diffusion model; the engine runs Stable Diffusion 1.x")
	case cfg.ContextDim == 768 && cfg.ModelChannels == 320:
		cfg.Heads = 8
	case cfg.ContextDim == 1024 && cfg.ModelChannels == 320 && cfg.AdmChannels == 0:
		return fmt.Errorf("this is a Stable Diffusion 2.x model; the engine runs Stable Diffusion 1.x")
	case cfg.ContextDim == 2048, cfg.ContextDim == 1280:
		return fmt.Errorf("this is a Stable Diffusion XL model; the engine runs Stable Diffusion 1.x")
	default:
		return fmt.Errorf("this U-Net (width %d, text width %d, vector input %d) is of no known family and its file carries no config", cfg.ModelChannels, cfg.ContextDim, cfg.AdmChannels)
	}
	return nil
}

func (f *Found) detectVAE() error {
	for _, p := range vaePrefixes {
		view := layout.VAE(weights.Sub(f.Source, p))
		e, ok := view.Lookup("decoder.conv_in.weight")
		if !ok || len(e.Shape) != 4 {
			continue
		}
		if _, kl := view.Lookup("decoder.mid.block_1.norm1.weight"); !kl {
			continue
		}
		cfg, err := readVAE(weights.NewScope(view))
		if err != nil {
			return err
		}
		f.VAE, f.vae = &cfg, func() *weights.Scope { return weights.NewScope(view) }
		return nil
	}
	return nil
}

func (f *Found) detectCLIP() error {
	for _, p := range clipPrefixes {
		view := layout.CLIPText(weights.Sub(f.Source, p.prefix))
		if p.bare {
			view = nested{Source: view, prefix: "text_model."}
		}
		if _, ok := view.Lookup("text_model.encoder.layers.0.mlp.fc1.weight"); !ok {
			continue
		}
		cfg, err := readCLIPText(weights.NewScope(view))
		if err != nil {
			return err
		}
		f.CLIP, f.clip = &cfg, func() *weights.Scope { return weights.NewScope(view) }
		return nil
	}
	return nil
}

// nested shows the tensors of a source one level deeper than they are.
type nested struct {
	weights.Source
	prefix string
}

// Names implements weights.Source.
func (n nested) Names() []string {
	names := n.Source.Names()
	out := make([]string, len(names))
	for i, s := range names {
		out[i] = n.prefix + s
	}
	return out
}

// Lookup implements weights.Source.
func (n nested) Lookup(name string) (weights.Entry, bool) {
	rest, ok := strings.CutPrefix(name, n.prefix)
	if !ok {
		return weights.Entry{}, false
	}
	return n.Source.Lookup(rest)
}

// families are keys, or ends of keys, that tell other families apart.
var families = []struct{ key, name string }{
	{"joint_blocks.0.context_block.attn.qkv.weight", "Stable Diffusion 3"},
	{"double_blocks.0.img_attn.norm.key_norm.scale", "Flux"},
	{"double_blocks.0.img_attn.norm.key_norm.weight", "Flux"},
	{"head.modulation", "Wan"},
	{"adaln_single.emb.timestep_embedder.linear_1.bias", "PixArt or LTX-Video"},
	{"transformer_blocks.0.attn.add_q_proj.weight", "Qwen-Image"},
	{"clf.1.weight", "Stable Cascade"},
	{"double_layers.0.attn.w1q.weight", "AuraFlow"},
	{"mlp_t5.0.weight", "Hunyuan-DiT"},
	{"cap_embedder.1.weight", "Lumina 2"},
	{"lora_down.weight", "LoRA (load it with a LoRA loader)"},
	{"lora_A.weight", "LoRA (load it with a LoRA loader)"},
}

func otherFamily(src weights.Source) string {
	for _, f := range families {
		for _, n := range src.Names() {
			if strings.HasSuffix(n, f.key) {
				return f.name
			}
		}
	}
	return ""
}

// describe lists the top levels of the keys, for a file in which nothing is known.
func describe(src weights.Source) string {
	seen := map[string]int{}
	var order []string
	for _, n := range src.Names() {
		top, _, _ := strings.Cut(n, ".")
		if seen[top]++; seen[top] == 1 {
			order = append(order, top)
		}
	}
	if len(order) == 0 {
		return "the file holds no tensors"
	}
	more := ""
	if len(order) > 12 {
		more = fmt.Sprintf(" and %d more groups", len(order)-12)
		order = order[:12]
	}
	parts := make([]string, len(order))
	for i, o := range order {
		parts[i] = fmt.Sprintf("%s (%d)", o, seen[o])
	}
	return fmt.Sprintf("no known model: the file's %d tensors are %s%s", len(src.Names()), strings.Join(parts, ", "), more)
}
