package flux

import (
	"context"
	"fmt"
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

// The names of the inputs that a network of this kind reads beside the latent, the timesteps and the text encoding.
const (
	// InputVector is the pooled text encoding [N,width].
	InputVector = "y"
	// InputGuidance is the guidance [N].
	InputGuidance = "guidance"
	// InputConcat are channels [N,C,H,W] that are read after those of the latent.
	InputConcat = "concat"
)

// Model is a diffusion model of this kind; families fill it in.
type Model struct {
	Config
	// Head's Source is in the layout of Plain.
	dit.Head
	// TextLength, when set, is the least number of text tokens: shorter encodings get zeros before them.
	TextLength int
	// Rotary, when set, returns the positions' scale and shift for the given number of text tokens where no option says.
	Rotary func(tokens int) dit.Rotary

	activations family.Activations
}

// Head returns the settings of a model of this kind: its latents and process, the type and the keys of its text encoders. Types are
// upstream's supported_inference_dtypes.
func Head(src weights.Source, format sampling.LatentFormat, process sampling.ModelType, s sampling.Settings, loader string, encoders ...string) dit.Head {
	return dit.Head{
		Source: src, Format: format, Type: process, Settings: s, Loader: loader, Encoders: encoders,
		Read:  []string{dit.OptionRotary, OptionCache, sampling.OptionSkipDouble, sampling.OptionSkipSingle},
		Types: []dtype.DType{dtype.BF16, dtype.F16, dtype.F32},
	}
}

var (
	_ family.Denoiser  = (*Model)(nil)
	_ family.Bundle    = (*Model)(nil)
	_ family.Adaptable = (*Model)(nil)
	_ family.Optioned  = (*Model)(nil)
	_ family.Steered   = (*Model)(nil)
	_ family.Typed     = (*Model)(nil)
)

// LoRAKeys implements family.Adaptable: the names of BFL and kohya, and those of diffusers, DiffSynth, OneTrainer and
// SimpleTuner. Upstream: lora.py model_lora_keys_unet.
func (m *Model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	s := weights.NewScope(m.Source)
	names(s.Count("double_blocks"), s.Count("single_blocks"), m.Hidden).AddTo(keys, part,
		dit.Prefixed("transformer."), dit.Underscored("lycoris_"), dit.Underscored("lora_transformer_"), dit.Prefixed(""))
	for i := range s.Count("single_blocks") {
		layer := fmt.Sprintf("%ssingle_blocks.%d.linear1", part, i)
		keys.Add(layer+"_qkv", patch.Target{Key: layer + ".weight", Rows: 3 * m.Hidden})
	}
}

// Inputs implements family.Denoiser.
func (m *Model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	if c.Tokens == nil {
		return nil, dit.ErrNoText
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: dit.PadFront(c.Tokens, m.TextLength), Rule: sampling.ByRows}}
	if m.Vector > 0 && c.Pooled != nil {
		in = append(in, sampling.Input{Name: InputVector, Value: c.Pooled, Rule: sampling.ByRows})
	}
	plain := dit.PlainGuidance
	if m.Distilled > 0 {
		plain = 0
	}
	if m.Guidance || m.Distilled > 0 {
		guidance, guided, err := dit.Guidance(c, plain)
		if err != nil {
			return nil, err
		}
		if guided {
			in = append(in, sampling.Input{Name: InputGuidance, Value: guidance, Rule: sampling.ByRows})
		}
	}
	_, image := c.Values[sampling.KeyConcatLatent]
	if channels := max(m.In, 2*m.Channels); m.In > m.Channels || image {
		x, err := m.beside(c, r, channels)
		if err != nil {
			return nil, err
		}
		in = append(in, sampling.Input{Name: InputConcat, Value: x, Rule: sampling.ByCells})
	}
	mask, err := sampling.Value[*tensor.Tensor](c, sampling.KeyAttentionMask)
	if err != nil {
		return nil, err
	}
	if _, err := sampling.Value[[]int](c, sampling.KeyMaskImage); err != nil {
		return nil, err
	}
	if mask != nil && len(mask.Shape) == 3 { // others are the others of text encoders
		in = append(in, sampling.Input{Name: inputMask, Value: mask, Rule: sampling.ByRows})
	}
	if m.Distilled > 0 { // Chroma does not read reference latents
		return in, nil
	}
	refs, err := dit.References(c, r, "")
	return append(in, refs...), err
}

// Predict implements family.Denoiser.
func (m *Model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	tokens, grid, err := m.PredictTokens(ctx, run, c)
	if err != nil {
		return nil, err
	}
	return dit.Unpatchify(tokens, grid, tensor.ChannelsFirst)
}

// PredictTokens runs the network and returns the tokens of the image as the graph gives them.
func (m *Model) PredictTokens(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, dit.Grid, error) {
	call, err := m.call(run, c)
	if err != nil {
		return nil, dit.Grid{}, err
	}
	image, text := call.grid.Tokens(), c.Inputs.Get(sampling.InputContext).Dim(1)
	if err := run.Check("running the model", m.memory(call.v, c.X.Dim(0), image, text, call.tokens-image-text)); err != nil {
		return nil, call.grid, err
	}
	outputs := []string{"out"}
	if call.v.Keep {
		names := m.keptNames(call.v)
		if err := run.Check("keeping the keys and values of reference latents", family.Product(len(names), c.X.Dim(0), call.tokens-image-text, m.Hidden, 4)); err != nil {
			return nil, call.grid, err
		}
		outputs = append(outputs, names...)
	}
	out, err := run.Run(ctx, m.Graph(call.v), call.in, outputs...)
	if err != nil {
		return nil, call.grid, err
	}
	if call.v.Keep {
		call.cache.take(out, outputs[1:])
	}
	return out["out"], call.grid, nil
}

// Graph returns a graph of the network.
func (m *Model) Graph(v Variant) family.Graph {
	return family.Graph{Part: "unet", Variant: v.Digest(), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("flux", m.Source, func(b *nn.Builder, s *weights.Scope) { Write(b, s, m.Config, v) })
	}}
}

// prepared is a call as the graph takes it.
type prepared struct {
	v      Variant
	in     []family.Value
	grid   dit.Grid
	tokens int
	// cache, when set, holds the keys and values of reference tokens.
	cache *kept
}

func (m *Model) call(run family.Runner, c family.Call) (*prepared, error) {
	p := &prepared{}
	rows := c.X.Dim(0)
	text := c.Inputs.Get(sampling.InputContext)
	if err := dit.CheckLatent(c, m.Channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, rows, m.Context); err != nil {
		return nil, err
	}
	changed, err := run.Patched(m.Source)
	if err != nil {
		return nil, err
	}
	p.v.In = m.In
	if e, ok := changed.Lookup(m.InLayer + ".weight"); ok && len(e.Shape) == 2 { // adapters widen it
		p.v.In = e.Shape[1] / (m.Patch * m.Patch)
	}
	x, err := m.latent(c, p.v.In)
	if err != nil {
		return nil, err
	}
	tokens, grid, err := dit.Patchify(x, m.Patch, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	p.grid = grid
	p.in = []family.Value{family.Floats("x", tokens), family.Floats("context", text)}

	pos := positions{Config: m.Config, rotary: m.rotary(c, text.Dim(1))}
	if err := m.attach(p, c, &pos); err != nil {
		return nil, err
	}
	pos.text(text.Dim(1))
	pos.image(grid, 0, 0, 0)
	if err := m.references(p, c, &pos); err != nil {
		return nil, err
	}
	if err := m.vectors(p, c); err != nil {
		return nil, err
	}
	p.v.SkipDouble, p.v.SkipSingle = dit.Skipped(c.Inputs.Options)
	if err := m.steer(p, c); err != nil {
		return nil, err
	}
	p.in = append(p.in, dit.Angles(pos.list, m.Theta, m.Axes...)...)
	p.tokens = len(pos.list) / len(m.Axes)
	return p, m.masked(run, p, c)
}

// inputMask is the name of the attention bias of the text tokens and one token that represents the image.
const inputMask = "attention_mask"

// masked adds the bias of attention.
func (m *Model) masked(run family.Runner, p *prepared, c family.Call) error {
	mask := c.Inputs.Get(inputMask)
	if mask == nil {
		return nil
	}
	rows, text := c.X.Dim(0), c.Inputs.Get(sampling.InputContext).Dim(1)
	if !slices.Equal(mask.Shape, []int{rows, text + 1, text + 1}) {
		return fmt.Errorf("the attention mask has shape %v for %d rows of %d text tokens", mask.Shape, rows, text)
	}
	if err := run.Check("running the model with an attention mask", family.Product(rows, m.Heads, p.tokens, p.tokens, 4)); err != nil {
		return err
	}
	places := make([]int64, p.tokens)
	for i := range places {
		places[i] = int64(min(i, text))
	}
	p.v.Masked = true
	p.in = append(p.in, family.Floats("bias", mask), family.Value{Name: "places", Ints: places, Shape: []int{p.tokens}})
	return nil
}

func (m *Model) rotary(c family.Call, tokens int) dit.Rotary {
	def := dit.Unscaled
	if m.Rotary != nil {
		def = m.Rotary(tokens)
	}
	return dit.RotaryOf(c.Inputs.Options, def)
}

// latent returns the latent joined with the additional inputs, with the given number of channels.
func (m *Model) latent(c family.Call, channels int) (*tensor.Tensor, error) {
	if channels <= m.Channels {
		return c.X, nil
	}
	beside := c.Inputs.Get(InputConcat)
	if beside == nil { // an adapter for images, and no image
		beside = m.Format.In(tensor.New(c.X.Shape...))
	}
	if len(beside.Shape) != 4 || !slices.Equal(beside.Shape[2:], c.X.Shape[2:]) || beside.Dim(0) != c.X.Dim(0) || m.Channels+beside.Dim(1) != channels {
		return nil, fmt.Errorf("extra channels of shape %v do not fit a latent of shape %v: the model reads %d channels", beside.Shape, c.X.Shape, channels)
	}
	return dit.Channels(c.X, beside), nil
}

// references adds the tokens of reference latents.
func (m *Model) references(p *prepared, c family.Call, pos *positions) error {
	refs, method := dit.GivenReferences(c.Inputs)
	if len(refs) == 0 {
		return nil
	}
	if p.v.In != m.Channels {
		return fmt.Errorf("it reads %d channels, and reference latents have %d: they do not go together", p.v.In, m.Channels)
	}
	tokens, err := dit.ReferenceTokens(refs, c.X.Dim(0), m.Channels, m.Patch)
	if err != nil {
		return err
	}
	cache, _ := c.Inputs.Options[OptionCache].(*Cache)
	if method == "" {
		if method = m.Method; cache != nil {
			method = dit.MethodStill
		}
	}
	if p.cache = cache.in(c.Inputs.State); p.cache.filled() {
		p.v.Kept = true
		pos.references(p.grid, refs, method)
		return p.cache.give(p, c.X.Dim(0), tokens.Dim(1))
	}
	p.v.References, p.v.Keep = true, p.cache != nil
	p.in = append(p.in, family.Floats("ref", tokens))
	if p.v.Still = method == dit.MethodStill; p.v.Still {
		p.in = append(p.in, family.Vector("still", make([]float32, c.X.Dim(0))))
	}
	pos.references(p.grid, refs, method)
	return nil
}

// vectors adds the guidance and the pooled text encoding; without the latter it is zero.
func (m *Model) vectors(p *prepared, c family.Call) error {
	rows := c.X.Dim(0)
	if m.Distilled > 0 {
		guidances := make([]float32, rows)
		if g := c.Inputs.Get(InputGuidance); g != nil {
			copy(guidances, g.Data)
		}
		p.in = append(p.in, family.Floats("distilled", distilledInput(c.T, guidances)))
		return nil
	}
	p.in = append(p.in, family.Vector("timesteps", c.T))
	if g := c.Inputs.Get(InputGuidance); m.Guidance && g != nil {
		if len(g.Data) != rows {
			return fmt.Errorf("%d guidances for %d rows", len(g.Data), rows)
		}
		p.v.Guided = true
		p.in = append(p.in, family.Vector("guidance", g.Data))
	}
	if m.Vector == 0 {
		return nil
	}
	y := tensor.New(rows, m.Vector)
	if given := c.Inputs.Get(InputVector); given != nil {
		if len(given.Shape) != 2 || given.Dim(0) != rows || given.Dim(1) < m.Vector {
			return fmt.Errorf("the pooled text encoding has shape %v, the model reads %d values: it comes from the text encoder of another family", given.Shape, m.Vector)
		}
		for i := range rows {
			copy(y.Index(i).Data, given.Index(i).Data[:m.Vector])
		}
	}
	p.in = append(p.in, family.Floats("y", y))
	return nil
}

// Memory implements family.Denoiser.
func (m *Model) Memory(shape []int, tokens int) int64 {
	return m.memory(Variant{In: m.In, Guided: m.Guidance}, shape[0], dit.GridOf(shape, m.Patch).Tokens(), tokens, 0)
}

func (m *Model) memory(v Variant, rows, image, text, refs int) int64 {
	return m.activations.Of(m.Graph(v), map[string]int{"B": rows, "I": image, "T": text, "R": refs})
}
