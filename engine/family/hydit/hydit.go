package hydit

import (
	"context"
	"errors"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/family"
	"comfygo/engine/family/bert"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/sdxl"
	"comfygo/engine/family/t5"
	"comfygo/engine/nn"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "Hunyuan-DiT" }

// Rank implements family.Family.
func (kind) Rank() int { return 260 }

// The number of attention heads, of those of the pooling of mT5's encoding, the side of a patch, and the widths of the
// embeddings of timesteps and sizes.
const (
	heads      = 16
	poolHeads  = 8
	side       = 2
	waves      = 256
	sizeValues = 6
)

// config describes a network.
type config struct {
	hidden, channels, blocks, inner int
	// text and wide are the widths of BERT's encoding and of mT5's, pooled that of the pooled encoding.
	text, wide, pooled int
	// texts and wideTexts are the numbers of tokens at the end of each encoding in which padding is replaced.
	texts, wideTexts int
	// sized reports that the network reads the image's size and a style, as versions before 1.2 do.
	sized bool
}

func dim(s *weights.Scope, name string, axis int) int {
	if sh := s.Shape(name); axis < len(sh) {
		return sh[axis]
	}
	return 0
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("mlp_t5.0.weight") || s.Has(controlKey) {
		return nil, nil
	}
	c, err := read(s)
	if err != nil {
		return nil, err
	}
	head := dit.Head{
		Source: src, Format: sdxl.Latent, Type: sampling.VPrediction, Settings: sampling.Settings{LinearStart: 0.00085, LinearEnd: 0.018}, Loader: textScheme{}.Type(), Encoders: []string{bert.Key, t5.KeyMT5},
	}
	if c.sized {
		head.Settings.LinearEnd = 0.03
	}
	return &model{config: c, Head: head}, nil
}

// read reads the sizes of a network from its tensors.
func read(s *weights.Scope) (config, error) {
	c := config{
		hidden: dim(s, "x_embedder.proj.weight", 0), channels: dim(s, "x_embedder.proj.weight", 1), blocks: s.Count("blocks"), inner: dim(s, "blocks.0.mlp.fc1.weight", 0),
		text: dim(s, "mlp_t5.2.weight", 0), wide: dim(s, "mlp_t5.0.weight", 1), pooled: dim(s, "pooler.c_proj.weight", 0), wideTexts: dim(s, "pooler.positional_embedding", 0) - 1,
	}
	c.texts = dim(s, "text_embedding_padding", 0) - c.wideTexts
	c.sized = dim(s, "extra_embedder.0.weight", 1) > c.pooled
	if c.hidden == 0 || c.hidden%(4*heads) != 0 || c.channels != sdxl.Latent.Channels || c.blocks == 0 || c.inner == 0 || c.text == 0 || c.wide == 0 || c.wide%poolHeads != 0 || c.pooled == 0 || c.wideTexts < 1 || c.texts < 1 {
		return config{}, fmt.Errorf("reading the shape of the network: x_embedder.proj.weight is %v, mlp_t5.2.weight %v, pooler.positional_embedding %v, text_embedding_padding %v: wanted %d heads and %d channels",
			s.Shape("x_embedder.proj.weight"), s.Shape("mlp_t5.2.weight"), s.Shape("pooler.positional_embedding"), s.Shape("text_embedding_padding"), heads, sdxl.Latent.Channels)
	}
	return c, nil
}

// model is a diffusion model of the family.
type model struct {
	dit.Head
	config

	activations family.Activations
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Typed     = (*model)(nil)
	_ family.Steered   = (*model)(nil)
)

// ComputeTypes implements family.Typed: attention exceeds float16 from version 1.2 on, where upstream computes it in float32.
func (m *model) ComputeTypes() []dtype.DType {
	if m.sized {
		return nil
	}
	return []dtype.DType{dtype.BF16, dtype.F32}
}

// LoRAKeys implements family.Adaptable. Upstream: lora.py model_lora_keys_unet.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	var names dit.Names
	for _, n := range m.Source.Names() {
		if layer, ok := dit.LayerOf(n); ok {
			names.Layer(layer, layer)
		}
	}
	names.AddTo(keys, part, dit.Prefixed("base_model.model."))
	keys.Bake(func(key string) bool { return key == part+styleKey })
}

// styleKey is the table of styles, which has one style.
const styleKey = "style_embedder.weight"

// The names of the inputs beside BERT's encoding: which of its tokens count [N,T], mT5's encoding [N,S,C] and which of its
// tokens count [N,S], and sizes [N,6].
const (
	inputMask  = "text_embedding_mask"
	inputWide  = "encoder_hidden_states_t5"
	inputWideM = "text_embedding_mask_t5"
	inputSizes = "image_meta_size"
)

// Inputs implements family.Denoiser.
func (m *model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	wide, err := sampling.Value[*tensor.Tensor](c, keyMT5)
	if err != nil {
		return nil, err
	}
	if c.Tokens == nil || wide == nil {
		return nil, fmt.Errorf("reading a conditioning entry: this model needs the encodings of BERT and of mT5: connect one made by a CLIP of the type %s", m.Scheme())
	}
	in := []sampling.Input{{Name: sampling.InputContext, Value: c.Tokens, Rule: sampling.ByRows}, {Name: inputWide, Value: wide, Rule: sampling.ByRows}}
	for _, mask := range []struct{ key, name string }{{sampling.KeyAttentionMask, inputMask}, {keyMask, inputWideM}} {
		v, err := sampling.Value[*tensor.Tensor](c, mask.key)
		if err != nil {
			return nil, err
		}
		if v != nil {
			in = append(in, sampling.Input{Name: mask.name, Value: v, Rule: sampling.ByRows})
		}
	}
	if !m.sized {
		return in, nil
	}
	sizes, err := sizesOf(c)
	return append(in, sampling.Input{Name: inputSizes, Value: sizes, Rule: sampling.ByRows}), err
}

// sizesOf are height and width of the image, those to aim at, and the offset at which it was cut, which is zero.
func sizesOf(c *sampling.Cond) (*tensor.Tensor, error) {
	const plain = 768
	values := []int{plain, plain}
	for i, key := range []string{sampling.KeyHeight, sampling.KeyWidth, sampling.KeyTargetHeight, sampling.KeyTargetWidth} {
		v, err := sampling.Value[int](c, key)
		if err != nil {
			return nil, err
		}
		_, given := c.Values[key]
		switch {
		case i < len(values) && given:
			values[i] = v
		case i >= len(values) && given:
			values = append(values, v)
		case i >= len(values):
			values = append(values, values[i-2])
		}
	}
	out := tensor.New(1, sizeValues)
	for i, v := range values {
		out.Data[i] = float32(v)
	}
	return out, nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	grid := dit.GridOf(c.X.Shape, side)
	in, err := m.values(c, c.Inputs.Get(sampling.InputContext))
	if err != nil {
		return nil, err
	}
	var controls []int
	if r := c.Residuals; r != nil {
		if err := m.CheckResiduals(r); err != nil {
			return nil, err
		}
		controls = family.Places(r.Output, m.skips())
		for _, i := range controls {
			in = append(in, family.Floats(residual(i), r.Output[i]))
		}
	}
	g := m.graph(controls)
	if err := run.Check("running the model", m.memory(g, c.X.Dim(0), grid, c.Inputs.Get(sampling.InputContext).Dim(1), c.Inputs.Get(inputWide).Dim(1))); err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, g, in, "out")
	if err != nil {
		return nil, err
	}
	y, err := dit.Unpatchify(out["out"], grid, tensor.ChannelsLast)
	if err != nil {
		return nil, err
	}
	return dit.FirstChannels(y, m.channels), nil // the others are the variance
}

// CheckResiduals implements family.Steered. As in ComfyUI there is one for each skip connection.
func (m *model) CheckResiduals(r *family.Residuals) error {
	if r.Middle != nil || len(r.Input) > 0 {
		return errors.New("the ControlNet is for models of other families than Hunyuan-DiT")
	}
	if len(r.Output) != m.skips() {
		return fmt.Errorf("the ControlNet adds to %d skip connections, and the model has %d", len(r.Output), m.skips())
	}
	return dit.CheckWidth(m.hidden, r.Output)
}

// values returns the inputs of the layers before the blocks, for the call of a model and the encoding of BERT.
func (m config) values(c family.Call, text *tensor.Tensor) ([]family.Value, error) {
	wide, rows := c.Inputs.Get(inputWide), c.X.Dim(0)
	if err := dit.CheckLatent(c, m.channels, 4); err != nil {
		return nil, err
	}
	if err := dit.CheckText(text, rows, m.text); err != nil {
		return nil, err
	}
	if err := dit.CheckText(wide, rows, m.wide); err != nil {
		return nil, fmt.Errorf("mT5: %w", err)
	}
	if text.Dim(1) < m.texts || wide.Dim(1) < m.wideTexts {
		return nil, fmt.Errorf("encodings of %d and %d tokens: the model reads at least %d of BERT and %d of mT5", text.Dim(1), wide.Dim(1), m.texts, m.wideTexts)
	}
	x, err := tensor.WrapTo(c.X, side)
	if err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats("x", x), family.Vector("timesteps", c.T), family.Floats("context", text), family.Floats("wide", wide), family.Floats("first", first(wide, m.wideTexts))}
	for _, e := range []struct {
		name        string
		mask        *tensor.Tensor
		tokens      int
		last, first int
	}{{"context", c.Inputs.Get(inputMask), text.Dim(1), m.texts, 0}, {"wide", c.Inputs.Get(inputWideM), wide.Dim(1), m.wideTexts, m.texts}} {
		v, err := padding(e.name, e.mask, rows, e.tokens, e.last, e.first)
		if err != nil {
			return nil, err
		}
		in = append(in, v...)
	}
	if m.sized {
		sizes := c.Inputs.Get(inputSizes)
		if sizes == nil || sizes.Len() != rows*sizeValues {
			return nil, fmt.Errorf("it needs the image's size for each row")
		}
		in = append(in, family.Floats("sizes", sizes))
	}
	return append(in, dit.Angles(places(dit.GridOf(c.X.Shape, side)), 10000, m.hidden/heads/2, m.hidden/heads/2)...), nil
}

// padding are the inputs that select the replaced tokens of an encoding: a mask [N,tokens] of those that stay, and for each
// token the row of learned padding, of which the last tokens have one each from row first on.
func padding(name string, mask *tensor.Tensor, rows, tokens, last, first int) ([]family.Value, error) {
	keep := tensor.New(rows, tokens)
	for i := range keep.Data {
		keep.Data[i] = 1
	}
	slots := make([]int64, tokens)
	for i := range slots {
		slots[i] = int64(first + max(i-(tokens-last), 0))
	}
	if mask != nil {
		if mask.Len() != rows*tokens {
			return nil, fmt.Errorf("an attention mask of shape %v does not fit %d rows of %d tokens", mask.Shape, rows, tokens)
		}
		for i, v := range mask.Data {
			if v == 0 && i%tokens >= tokens-last {
				keep.Data[i] = 0
			}
		}
	}
	return []family.Value{family.Floats(name+" mask", keep), family.Ints(name+" slots", slots, tokens)}, nil
}

// first are the first n tokens of an encoding.
func first(x *tensor.Tensor, n int) *tensor.Tensor {
	if x.Dim(1) == n {
		return x
	}
	out := tensor.New(x.Dim(0), n, x.Dim(2))
	for b := range x.Dim(0) {
		copy(out.Index(b).Data, x.Index(b).Data)
	}
	return out
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.memory(m.graph(nil), shape[0], dit.GridOf(shape, side), tokens, m.wideTexts)
}

func (m *model) graph(controls []int) family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.sized, controls), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) {
		return s.Build("hunyuan dit", m.Source, func(b *nn.Builder, s *weights.Scope) { (&writer{b, m.config}).write(s, controls) })
	}}
}

func (m *model) memory(g family.Graph, rows int, grid dit.Grid, texts, wide int) int64 {
	return m.activations.Of(g, map[string]int{"B": rows, "h": grid.Height, "w": grid.Width, "T": texts, "S": wide})
}
