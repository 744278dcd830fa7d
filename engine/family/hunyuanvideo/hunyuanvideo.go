package hunyuanvideo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/lm"
	"comfygo/engine/family/t5"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

// model is a diffusion model of the family.
type model struct {
	config
	kind kind
	src  weights.Source

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Optioned  = (*model)(nil)
	_ family.Typed     = (*model)(nil)
	_ family.Keeping   = (*model)(nil)
)

// Latent implements family.Denoiser.
func (m *model) Latent() sampling.LatentFormat { return m.kind.format }

// Sampling implements family.Denoiser.
func (m *model) Sampling() (sampling.ModelType, sampling.Settings) {
	return sampling.Flow, sampling.Settings{Shift: m.kind.shift}
}

// Weights implements family.Denoiser.
func (m *model) Weights() weights.Source { return m.src }

// Scheme implements family.Bundle.
func (m *model) Scheme() string { return m.kind.text }

// TextPrefixes implements family.Bundle.
func (m *model) TextPrefixes() map[string][]string {
	const root = "text_encoders."
	if m.kind.text == schemeName {
		return map[string][]string{lm.KeyLlama3: {root + "llama.transformer."}, clip.KeyL: {root + "clip_l.transformer."}}
	}
	return map[string][]string{lm.KeyQwen25M: {root + "qwen25_7b.transformer."}, t5.KeyByT5: {root + "byt5_small.transformer."}}
}

// ComputeTypes implements family.Typed, by upstream's supported_inference_dtypes.
func (m *model) ComputeTypes() []dtype.DType { return m.kind.types }

// Options implements family.Optioned.
func (m *model) Options() []string {
	return []string{sampling.OptionSkipDouble, sampling.OptionSkipSingle}
}

// adapterNames are the names that adapter files have for layers, those of the original files. Upstream: lora.py model_lora_keys_unet.
var adapterNames = strings.NewReplacer(
	"_mod.lin.", "_mod.linear.", "_attn.qkv.", "_attn_qkv.", "_attn.proj.", "_attn_proj.", "mlp.0.", "mlp.fc1.", "mlp.2.", "mlp.fc2.", ".modulation.lin.", ".modulation.linear.",
)

// LoRAKeys implements family.Adaptable.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddGeneric(part, m.src.Names())
	var names dit.Names
	for _, n := range m.src.Names() {
		if layer, ok := dit.LayerOf(n); ok {
			original, _ := dit.LayerOf(adapterNames.Replace(n))
			names.Layer(original, layer)
		}
	}
	names.AddTo(keys, part, dit.Prefixed("transformer."), dit.Prefixed("diffusion_model."))
}

// Kept implements family.Keeping: given frames are read without noise.
func (m *model) Kept(_ float32, latent *tensor.Tensor) *tensor.Tensor {
	if m.kind.reads == smallImage {
		return nil
	}
	return latent
}

// The names of the inputs beside the text encoding.
const (
	inputPooled   = "y"
	inputGlyphs   = "txt_byt5"
	inputVision   = "clip_fea"
	inputMask     = "attention_mask"
	inputGuidance = "guidance"
	inputStill    = "guiding_frame_index"
	inputRef      = "ref_latent"
	inputConcat   = "concat"
	// keyGlyphs is the key of ByT5's encoding in a conditioning entry.
	keyGlyphs = "conditioning_byt5small"
	// plainGuidance is the guidance of entries that state none.
	plainGuidance = 6
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}}
	add := func(name string, t *tensor.Tensor, rule sampling.Rule) {
		if t != nil {
			in = append(in, sampling.Input{Name: name, Value: t, Rule: rule})
		}
	}
	if m.pooled > 0 {
		if c.Pooled == nil || len(c.Pooled.Shape) != 2 || c.Pooled.Dim(1) < m.pooled {
			return nil, errors.New("reading a conditioning entry: this model needs a pooled text encoding, too: connect one made by Llama 3 and CLIP-L (type hunyuan_video)")
		}
		add(inputPooled, c.Pooled, sampling.ByRows)
	}
	if m.glyphs > 0 {
		glyphs, err := sampling.Value[*tensor.Tensor](c, keyGlyphs)
		if err != nil {
			return nil, err
		}
		add(inputGlyphs, glyphs, sampling.ByRows)
	}
	if m.vision > 0 && c.Values[sampling.KeyVisionOutput] != nil {
		enc, err := sampling.Value[family.ImageEncoding](c, sampling.KeyVisionOutput)
		if err != nil {
			return nil, err
		}
		if enc.Last == nil || len(enc.Last.Shape) != 3 || enc.Last.Dim(2) != m.vision {
			return nil, fmt.Errorf("reading a conditioning entry: its %s is not %d values a token wide: take the image encoder of the model, SigLIP", sampling.KeyVisionOutput, m.vision)
		}
		add(inputVision, enc.Last, sampling.ByRows)
	}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask)
	if err != nil {
		return nil, err
	}
	if mask != nil && dit.Hides(mask) {
		add(inputMask, mask, sampling.ByRows)
	}
	if m.guidance {
		guidance, guided, err := dit.Guidance(c, plainGuidance)
		if err != nil {
			return nil, err
		}
		if guided {
			add(inputGuidance, guidance, sampling.ByRows)
		}
	}
	if c.Values[sampling.KeyGuidingFrame] != nil {
		at, err := sampling.Number(c, sampling.KeyGuidingFrame)
		if err != nil {
			return nil, err
		}
		add(inputStill, &tensor.Tensor{Shape: []int{1}, Data: []float32{float32(at)}}, sampling.ByRows)
	}
	ref, err := sampling.Value[*tensor.Tensor](c, sampling.KeyRefLatent)
	if err != nil {
		return nil, err
	}
	if ref != nil {
		add(inputRef, r.Format.In(ref), sampling.ByRows)
	}
	concat, err := m.concat(c, r)
	add(inputConcat, concat, sampling.ByCells)
	return in, err
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	x := dit.Video(c.X)
	rows, frames := x.Dim(0), x.Dim(2)
	if x.Dim(1) != m.out || len(c.T) != rows {
		return nil, fmt.Errorf("the latent has shape %v with %d timesteps, the model reads %d channels", c.X.Shape, len(c.T), m.out)
	}
	text := c.Inputs.Get(sampling.InputContext)
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	if extra := m.channels - m.out; extra > 0 {
		more := c.Inputs.Get(inputConcat)
		if more == nil || !slices.Equal(dit.Video(more).Shape, []int{rows, extra, frames, x.Dim(3), x.Dim(4)}) {
			return nil, fmt.Errorf("it reads %d channels beside a latent of shape %v", extra, x.Shape)
		}
		x = dit.Channels(x, dit.Video(more))
	}
	r := &running{model: m, rows: rows, texts: text.Dim(1)}
	if err := r.gather(c, x, text); err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.memory(r.v, r.sizes)); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, m.graph(r.v), r.in, "out")
	if err != nil {
		return nil, err
	}
	shape := append([]int{rows, m.out}, x.Shape[2:]...)
	y, err := dit.UnpatchifyFrames(out["out"], m.side, tensor.ChannelsFirst, shape)
	if err != nil {
		return nil, err
	}
	return y.Reshape(c.X.Shape...)
}

// running gathers what a graph reads.
type running struct {
	*model
	v           variant
	in          []family.Value
	sizes       map[string]int
	rows, texts int
}

func (r *running) add(name string, t *tensor.Tensor) { r.in = append(r.in, family.Floats(name, t)) }

// number adds a number a row.
func (r *running) number(name, input string, in sampling.Inputs) (bool, error) {
	t := in.Get(input)
	if t == nil {
		return false, nil
	}
	if len(t.Data) != r.rows {
		return false, fmt.Errorf("%d values of %s for %d rows", len(t.Data), input, r.rows)
	}
	r.in = append(r.in, family.Vector(name, t.Data))
	return true, nil
}

// tokens adds an encoding of a width and counts its tokens.
func (r *running) tokens(name, symbol string, t *tensor.Tensor, width int) (bool, error) {
	if t == nil {
		return false, nil
	}
	if len(t.Shape) != 3 || t.Dim(0) != r.rows || t.Dim(2) != width {
		return false, fmt.Errorf("an encoding of shape %v, the model reads %d values a token", t.Shape, width)
	}
	r.add(name, t)
	r.sizes[symbol] = t.Dim(1)
	r.texts += t.Dim(1)
	return true, nil
}

func (r *running) gather(c family.Call, x, text *tensor.Tensor) error {
	in := c.Inputs
	grid := dit.GridOf(x.Shape, r.side)
	frames := x.Dim(2)
	r.sizes = map[string]int{"B": r.rows, "F": frames, "h": grid.Height, "w": grid.Width, "T": text.Dim(1)}
	padded, err := wrap(x, r.side)
	if err != nil {
		return err
	}
	r.add("x", padded)
	r.in = append(r.in, family.Vector("timesteps", c.T))
	r.add("context", text)
	if r.pooled > 0 {
		y := in.Get(inputPooled)
		if y == nil || len(y.Shape) != 2 || y.Dim(0) != r.rows || y.Dim(1) < r.pooled {
			return errors.New("it needs a pooled text encoding")
		}
		r.add("y", dit.FirstChannels(y, r.pooled))
	}
	if r.v.Glyphs, err = r.tokens("glyphs", "G", in.Get(inputGlyphs), r.glyphs); err != nil {
		return err
	}
	if r.v.Vision, err = r.tokens("vision", "V", in.Get(inputVision), r.vision); err != nil {
		return err
	}
	if r.v.Guided, err = r.number("guidance", inputGuidance, in); err != nil {
		return err
	}
	if r.v.Framed, err = r.number("still", inputStill, in); err != nil {
		return err
	}
	if frames == 1 {
		r.v.Framed = false // there is no other frame; the only one is generated
		r.in = slices.DeleteFunc(r.in, func(v family.Value) bool { return v.Name == "still" })
	}
	if r.v.Framed {
		r.sizes["F"] = frames - 1
	}
	if r.next && r.kind.reads != smallImage && in.Next != nil {
		r.v.Next = true
		r.in = append(r.in, family.Vector("next", slices.Repeat([]float32{*in.Next}, r.rows)))
	}
	pos := make([]float64, 3*r.texts)
	tokens := r.texts + frames*grid.Tokens()
	if ref := in.Get(inputRef); ref != nil {
		if len(ref.Shape) != 5 || ref.Dim(0) != r.rows || ref.Dim(1) != r.channels || !slices.Equal(ref.Shape[3:], x.Shape[3:]) {
			return fmt.Errorf("a reference latent of shape %v for latents of shape %v", ref.Shape, x.Shape)
		}
		if ref, err = wrap(ref, r.side); err != nil {
			return err
		}
		r.add("ref", ref)
		r.v.Ref, r.sizes["R"] = true, ref.Dim(2)
		for range ref.Dim(2) {
			for i := range grid.Tokens() {
				pos = append(pos, -1, float64(i/grid.Width), float64(i%grid.Width+grid.Width))
			}
		}
		tokens += ref.Dim(2) * grid.Tokens()
	}
	for f := range frames {
		pos = dit.AppendGrid(pos, grid, float64(f))
	}
	if mask := in.Get(inputMask); mask != nil {
		if !slices.Equal(mask.Shape, text.Shape[:2]) {
			return fmt.Errorf("an attention mask of shape %v does not fit a text encoding of shape %v", mask.Shape, text.Shape)
		}
		r.v.Masked = true
		r.add("mask", mask)
		before := 0
		if r.typed {
			before = r.texts - text.Dim(1)
		}
		r.add("maskall", maskAll(mask, before, tokens))
	}
	const theta = 256
	r.in = append(r.in, dit.Angles(pos, theta, r.axes...)...)
	r.v.SkipDouble, r.v.SkipSingle = dit.Skipped(in.Options)
	return nil
}

// maskAll extends a mask [N,T] with ones for the given number of tokens before it and after it.
func maskAll(mask *tensor.Tensor, before, tokens int) *tensor.Tensor {
	out := tensor.New(mask.Dim(0), tokens)
	for b := range mask.Dim(0) {
		row := out.Index(b).Data
		for i := range row {
			row[i] = 1
		}
		copy(row[before:], mask.Index(b).Data)
	}
	return out
}

// wrap continues the rows and columns of a video latent until a patch divides them.
func wrap(x *tensor.Tensor, side int) (*tensor.Tensor, error) {
	planes, err := x.Reshape(x.Dim(0), x.Dim(1)*x.Dim(2), x.Dim(3), x.Dim(4))
	if err != nil {
		return nil, err
	}
	padded, err := tensor.WrapTo(planes, side)
	if err != nil {
		return nil, err
	}
	return padded.Reshape(x.Dim(0), x.Dim(1), x.Dim(2), padded.Dim(2), padded.Dim(3))
}

func (m *model) graph(v variant) family.Graph {
	return family.Graph{Part: "unet", Variant: v.digest(), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("hunyuan video", m.src, func(b *nn.Builder, s *weights.Scope) { write(b, s, m.config, v) })
	}}
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	g := dit.GridOf(shape, m.side)
	return m.memory(variant{}, map[string]int{"B": shape[0], "F": dit.FramesOf(shape), "h": g.Height, "w": g.Width, "T": tokens})
}

func (m *model) memory(v variant, sizes map[string]int) int64 {
	v.SkipDouble, v.SkipSingle = nil, nil
	return m.activations.Of(m.graph(v), sizes)
}
