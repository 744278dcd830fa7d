package wan

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/t5"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() {
	for _, k := range []kind{
		{name: "Wan 2.2 5B", rank: 520, form: formText, format: latents.Wan22, fromImage: true, framed: true, fits: func(n *network) bool { return n.out == latents.Wan22.Channels }},
		{name: "Wan 2.1 Causal AR", rank: 530, form: formText, shift: 5, fits: func(n *network) bool { return n.causal }},
		{name: "Wan 2.1", rank: 540, form: formText, fits: func(n *network) bool { return n.out == latents.Wan21.Channels }},
		{name: "Wan 2.1 I2V", rank: 550, form: formImage, fromImage: true, fits: func(n *network) bool { return n.channels == 36 }},
		{name: "Wan 2.1 Fun Control", rank: 560, form: formImage, fits: func(n *network) bool { return n.channels == 48 }},
		{name: "Wan 2.1 VACE", rank: 570, form: formVACE},
		{name: "Wan 2.1 Fun Camera", rank: 580, form: formCamera, fits: func(n *network) bool { return n.channels == 32 }},
		{name: "Wan 2.2 Fun Camera", rank: 590, form: formCamera22, fits: func(n *network) bool { return n.channels == 36 }},
		{name: "Wan 2.2 S2V", rank: 600, form: formS2V},
		{name: "Wan 2.1 HuMo", rank: 610, form: formHuMo},
		{name: "Wan 2.2 Animate", rank: 620, form: formAnimate, fits: func(n *network) bool { return n.shrinks > 0 && n.spots > 0 }},
		{name: "WanDancer", rank: 670, form: formDancer, fromImage: true, fits: func(n *network) bool { return n.channels == 36 }},
		{name: "Wan Animate 2", rank: 630, form: formAnimate2, shift: 5, fromImage: true},
		{name: "Wan 2.1 FlowRVS", rank: 640, form: formFlowRVS, sampling: sampling.ImgToImgFlow, fromImage: true},
		{name: "Wan 2.1 SCAIL", rank: 650, form: formSCAIL},
		{name: "Wan 2.1 SCAIL 2", rank: 660, form: formSCAIL2, kept: true},
	} {
		if k.format.Channels == 0 {
			k.format = latents.Wan21
		}
		family.Register(k)
	}
}

// form is the variant of the network, by upstream's names. Upstream: model_detection.py.
type form string

const (
	formText     form = "t2v"
	formImage    form = "i2v"
	formVACE     form = "vace"
	formCamera   form = "camera"
	formCamera22 form = "camera_2.2"
	formS2V      form = "s2v"
	formHuMo     form = "humo"
	formAnimate  form = "animate"
	formSCAIL    form = "scail"
	formSCAIL2   form = "scail2"
	formDancer   form = "wandancer"
	formFlowRVS  form = "flow_rvs"
	formAnimate2 form = "animate2"
)

// formOf returns the form of a file that holds the network.
func formOf(src weights.Source) form {
	s := weights.NewScope(src)
	if f, ok := stated(src)["model_type"].(string); ok {
		return form(f)
	}
	image := s.Has("img_emb.proj.0.bias")
	for _, f := range []struct {
		key  string
		form form
	}{
		{"vace_patch_embedding.weight", formVACE},
		{"control_adapter.conv.weight", formCamera22},
		{"casual_audio_encoder.encoder.final_linear.weight", formS2V},
		{"audio_proj.audio_proj_glob_1.layer.bias", formHuMo},
		{"face_adapter.fuser_blocks.0.k_norm.weight", formAnimate},
		{"patch_embedding_mask.weight", formSCAIL2},
		{"patch_embedding_pose.weight", formSCAIL},
		{"patch_embedding_global.weight", formDancer},
	} {
		if !s.Has(f.key) {
			continue
		}
		if f.form == formCamera22 && image {
			return formCamera
		}
		return f.form
	}
	if image {
		return formImage
	}
	return formText
}

// kind registers the models of one form.
type kind struct {
	name string
	rank int
	form form
	// fits distinguishes the models of the form, where others have it, too.
	fits   func(n *network) bool
	format sampling.LatentFormat
	shift  float64
	// sampling is the prediction type, flow when empty.
	sampling sampling.ModelType
	// fromImage is upstream's image_to_video: a mask goes with an image of any number of channels. kept reports that frames to keep are
	// read without noise, framed that they also have their own timestep.
	fromImage, kept, framed bool
}

// Name implements family.Family.
func (k kind) Name() string { return k.name }

// Rank implements family.Family.
func (k kind) Rank() int { return k.rank }

// Read implements family.Diffusion.
func (k kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	if !weights.NewScope(src).Has("head.modulation") || formOf(src) != k.form {
		return nil, nil
	}
	if k.form == formDancer {
		src = splitMusic{src}
	}
	n, err := read(src)
	if err != nil {
		return nil, err
	}
	if err := n.readControls(); err != nil {
		return nil, err
	}
	if k.fits != nil && !k.fits(n) {
		return nil, nil
	}
	if n.out != k.format.Channels {
		return nil, fmt.Errorf("it gives %d channels: models of this kind give %d", n.out, k.format.Channels)
	}
	m := &model{network: n, kind: k}
	if k.framed || k.kept {
		return &framed{m}, nil
	}
	return m, nil
}

// model is a diffusion model of the family.
type model struct {
	*network
	kind kind

	faces   sync.Mutex
	watched []seen // under faces
}

// framed is a model that reads frames that are kept without noise.
type framed struct{ *model }

// Kept implements family.Keeping.
func (*framed) Kept(_ float32, latent *tensor.Tensor) *tensor.Tensor { return latent }

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Typed     = (*model)(nil)
	_ family.Optioned  = (*model)(nil)
	_ family.Keeping   = (*framed)(nil)
)

// Latent implements family.Denoiser.
func (m *model) Latent() sampling.LatentFormat { return m.kind.format }

// Sampling implements family.Denoiser.
func (m *model) Sampling() (sampling.ModelType, sampling.Settings) {
	const shift = 8
	return cmp.Or(m.kind.sampling, sampling.Flow), sampling.Settings{Shift: cmp.Or(m.kind.shift, shift)}
}

// Weights implements family.Denoiser.
func (m *model) Weights() weights.Source { return m.src }

// Scheme implements family.Bundle.
func (m *model) Scheme() string { return "wan" }

// TextPrefixes implements family.Bundle.
func (m *model) TextPrefixes() map[string][]string {
	return map[string][]string{t5.KeyUMT5: {"text_encoders.umt5xxl.transformer."}}
}

// ComputeTypes implements family.Typed, by upstream's supported_inference_dtypes.
func (m *model) ComputeTypes() []dtype.DType {
	return []dtype.DType{dtype.F16, dtype.BF16, dtype.F32}
}

// Options implements family.Optioned.
func (m *model) Options() []string {
	if m.kind.form == formAnimate2 {
		return []string{dit.OptionRotary, sampling.OptionSkipDouble, OptionPoseCache}
	}
	if m.causal {
		return []string{dit.OptionRotary, sampling.OptionSkipDouble, sampling.OptionBlock, sampling.OptionBeginning}
	}
	return []string{dit.OptionRotary, sampling.OptionSkipDouble}
}

// LoRAKeys implements family.Adaptable: the generic names, and those of Wan Fun's trainer, which writes an underscore more. Upstream:
// lora_convert.py convert_lora_wan_fun.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.src.Names())
	for _, n := range m.src.Names() {
		if layer, ok := dit.LayerOf(n); ok {
			keys.AddKey("lora_unet__"+strings.ReplaceAll(layer, ".", "_"), part+n)
		}
	}
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if len(c.X.Shape) != 5 {
		return nil, fmt.Errorf("the latent has shape %v, the model reads videos [batch, channels, frames, height, width]", c.X.Shape)
	}
	if err := dit.CheckLatent(c, m.out, 5); err != nil {
		return nil, err
	}
	if err := dit.CheckText(c.Inputs.Get(sampling.InputContext), c.X.Dim(0), m.text); err != nil {
		return nil, err
	}
	if part, ok := m.part(c); ok {
		return m.predictBlock(ctx, run, c, part)
	}
	b, err := m.batch(c)
	if err != nil {
		return nil, err
	}
	if m.kind.form == formAnimate {
		if err = m.watch(ctx, run, b); err != nil {
			return nil, err
		}
	}
	if err := m.remembered(ctx, run, b); err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.memory(b.v, b.symbols(), c.Attached...)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(b.v, c.Attached...), b.in, "out")
	if err != nil {
		return nil, err
	}
	return dit.UnpatchifyFrames(b.own(out["out"]), side, tensor.ChannelsLast, c.X.Shape)
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	g := dit.GridOf(shape, side)
	symbols := map[string]int{"B": shape[0], "T": tokens, "F": dit.FramesOf(shape), "h": g.Height, "w": g.Width}
	return m.memory(variant{}, symbols)
}

func (m *model) memory(v variant, symbols map[string]int, attached ...family.Attached) int64 {
	return m.activations.Of(m.graph(v, attached...), symbols)
}

func (m *model) graph(v variant, attached ...family.Attached) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(v), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("wan", dit.WithAttached(m.src, attached), func(b *nn.Builder, s *weights.Scope) { (&writer{Builder: b, network: m.network, v: v}).write(s) })
	}}
}
