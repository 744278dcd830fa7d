package unet

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/warning"
	"comfygo/engine/weights"
)

// The names of the inputs that a U-Net reads beside the latent, the timesteps and the text encoding.
const (
	// InputVector is the vector y [N,width].
	InputVector = "y"
	// InputConcat are channels [N,C,H,W] that are read after those of the latent.
	InputConcat = "concat"
)

// Model is a diffusion model that is a U-Net; families fill it in.
type Model struct {
	Config
	// Source holds the network's tensors without prefix.
	Source weights.Source
	// Format, Type and Settings are what Denoiser's methods return.
	Format   sampling.LatentFormat
	Type     sampling.ModelType
	Settings sampling.Settings
	// Concat, when set, returns the channels to read beside the latent for a conditioning entry.
	Concat func(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error)
	// Vector, when set, returns the vector y [rows,AdmChannels] for a conditioning entry.
	Vector func(c *sampling.Cond, r sampling.Request) (*tensor.Tensor, error)
	// TextScheme and Prefixes are what Bundle's methods return.
	TextScheme string
	Prefixes   map[string][]string
	// Spec and Vision are what ModelSpec and VisionPrefix return.
	Spec, Vision string

	activations family.Activations
}

var (
	_ family.Denoiser = (*Model)(nil)
	_ family.Bundle   = (*Model)(nil)
	_ family.Steered  = (*Model)(nil)

	_ family.Adaptable = (*Model)(nil)
	_ family.Specified = (*Model)(nil)
	_ family.Sighted   = (*Model)(nil)
	_ family.Patchable = (*Model)(nil)
	_ family.Pointing  = (*Model)(nil)
	_ family.Attending = (*Model)(nil)

	_ family.Accompanied = (*Model)(nil)
)

// Latent implements family.Denoiser.
func (m *Model) Latent() sampling.LatentFormat { return m.Format }

// Sampling implements family.Denoiser.
func (m *Model) Sampling() (sampling.ModelType, sampling.Settings) { return m.Type, m.Settings }

// Weights implements family.Denoiser.
func (m *Model) Weights() weights.Source { return m.Source }

// Scheme implements family.Bundle.
func (m *Model) Scheme() string { return m.TextScheme }

// TextPrefixes implements family.Bundle.
func (m *Model) TextPrefixes() map[string][]string { return m.Prefixes }

// ModelSpec implements family.Specified.
func (m *Model) ModelSpec() string { return m.Spec }

// VisionPrefix implements family.Sighted.
func (m *Model) VisionPrefix() string { return m.Vision }

// Points implements family.Patchable.
func (m *Model) Points() []patch.Point {
	if m.Temporal {
		return VideoPoints
	}
	return Points
}

// LoRAKeys implements family.Adaptable.
func (m *Model) LoRAKeys(keys *patch.KeyMap, part string) {
	keys.AddUNet(part, m.Source, patch.UNetNames{})
}

// Inputs implements family.Denoiser: the text encoding, and the additional inputs of the model's kind.
func (m *Model) Inputs(c *sampling.Cond, r sampling.Request) ([]sampling.Input, error) {
	in := sampling.Text(c.Tokens).List
	if m.Vector != nil {
		y, err := m.Vector(c, r)
		if err != nil {
			return nil, err
		}
		in = append(in, sampling.Input{Name: InputVector, Value: y, Rule: sampling.ByRows})
	}
	if m.Concat != nil {
		beside, err := m.Concat(c, r)
		if err != nil {
			return nil, err
		}
		in = append(in, sampling.Input{Name: InputConcat, Value: beside, Rule: sampling.ByCells})
	}
	if m.Temporal {
		in = append(in, sampling.Input{Name: InputFrames, Value: frameNumbers(r.Shape[0]), Rule: sampling.Shared})
	}
	placed, err := sampling.Value[family.Placement](c, sampling.KeyGLIGEN)
	if err != nil || placed == nil {
		return in, err
	}
	if err := placed.Fits(m.transformers()); err != nil {
		return nil, err
	}
	return append(in, placed.Input(r.Shape)), nil
}

// AttentionWidths implements family.Attending.
func (m *Model) AttentionWidths() []int { return append(m.transformers(), m.ContextDim) }

// transformers lists the widths of the network's transformers in the order in which they run.
func (m *Model) transformers() []int {
	var out []int
	s := weights.NewScope(m.Source)
	block := func(b *weights.Scope) {
		for i := range b.Count("") {
			if sh := b.Index(i).Shape("proj_in.weight"); len(sh) > 0 {
				out = append(out, sh[0])
			}
		}
	}
	for i := range s.Count("input_blocks") {
		block(s.At("input_blocks").Index(i))
	}
	block(s.At("middle_block"))
	for i := range s.Count("output_blocks") {
		block(s.At("output_blocks").Index(i))
	}
	return out
}

// Predict implements family.Denoiser.
func (m *Model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	x, err := joined(c.X, c.Inputs.Get(InputConcat))
	if err != nil {
		return nil, err
	}
	if err := m.check(x, c); err != nil {
		return nil, err
	}
	if err := run.Check("running the model", m.MemoryWith(x.Shape, c.Inputs.Get(sampling.InputContext).Dim(1), c.Attached)); err != nil {
		return nil, err
	}
	grid := 1 << (m.Levels - 1)
	v := Variant{Even: x.Dim(2)%grid == 0 && x.Dim(3)%grid == 0, Patches: c.Patches}
	c.Patches = c.Patches.On(patch.Grid{Height: x.Dim(2), Width: x.Dim(3)}, func() []patch.Grid { return m.sizesOf(x, c.Patches).attention }, drawer(c.Inputs.Random))
	var further []family.Value
	for _, i := range c.Inputs.List {
		if p, ok := i.Rule.(family.Patcher); ok {
			c.Patches = c.Patches.With(p.Patch())
			further = append(further, family.Floats(i.Name, i.Value))
		}
	}
	v.Patches = c.Patches
	if v.Attached = c.Attached; len(v.Attached) > 0 {
		values, err := attachedValues(x, c)
		if err != nil {
			return nil, err
		}
		further = append(further, values...)
	}
	for _, idle := range c.Patches.Idle() {
		warning.Add(ctx, idle)
	}
	if c.Patches.Sized() {
		v.Height, v.Width = x.Dim(2), x.Dim(3)
	}
	v.Even = v.Even && !c.Patches.Resizes()
	in := append(m.Values(x, c), further...)
	if m.Temporal {
		frames, err := videoFrames(c.Inputs.Get(InputFrames), x.Dim(0))
		if err != nil {
			return nil, err
		}
		in = append(in, family.Floats(InputFrames, frames))
	}
	if r := c.Residuals; r != nil {
		if c.Patches.Resizes() {
			r = m.resizing(ctx, x, c.Patches, r)
		}
		in = append(in, v.steer(r)...)
	}
	for _, i := range c.Patches.Inputs() {
		in = append(in, family.Value{Name: i.Name, Ints: i.Ints, Shape: []int{len(i.Ints)}})
	}
	out, err := run.Run(ctx, m.Graph(v), in, append([]string{"out"}, c.Patches.Outputs()...)...)
	if err != nil {
		return nil, err
	}
	c.Patches.Take(out, c.Inputs.Negative)
	return out["out"], nil
}

// steer makes the variant take residuals and returns them as the graph's inputs.
func (v *Variant) steer(r *family.Residuals) []family.Value {
	var in []family.Value
	v.Input, v.Output, v.Middle = family.Places(r.Input, len(r.Input)), family.Places(r.Output, len(r.Output)), r.Middle != nil
	for _, i := range v.Input {
		in = append(in, family.Floats(ResidualInput(i), r.Input[i]))
	}
	for _, i := range v.Output {
		in = append(in, family.Floats(Residual(i), r.Output[i]))
	}
	if v.Middle {
		in = append(in, family.Floats(ResidualMiddle, r.Middle))
	}
	return in
}

// drawer returns where patches get random numbers from: without a generator, one of its own.
func drawer(g *sampling.Generator) func() uint32 {
	if g == nil {
		g = sampling.NewGenerator(0)
	}
	return g.Uint32
}

// Graph returns a graph of the network.
func (m *Model) Graph(v Variant) family.Graph {
	return family.Graph{Part: "unet", Variant: v.Digest(), Steps: true, Steady: []string{InputVector}, Build: func(s family.Spec) (*onnx.Graph, error) {
		return Graph(m.Source, m.Config, v, s)
	}}
}

// Values are the graph inputs that every call has; x has all of its channels.
func (c Config) Values(x *tensor.Tensor, call family.Call) []family.Value {
	in := []family.Value{family.Floats("x", x), family.Vector("timesteps", call.T), family.Floats("context", call.Inputs.Get(sampling.InputContext))}
	if c.AdmChannels > 0 {
		in = append(in, family.Floats("y", call.Inputs.Get(InputVector)))
	}
	return in
}

// Memory implements family.Denoiser.
func (m *Model) Memory(shape []int, tokens int) int64 { return m.MemoryWith(shape, tokens, nil) }

// MemoryWith implements family.Accompanied.
func (m *Model) MemoryWith(shape []int, tokens int, attached []family.Attached) int64 {
	h, w := shape[len(shape)-2], shape[len(shape)-1]
	grid := 1 << (m.Levels - 1)
	return m.activations.Of(m.Graph(Variant{Even: h%grid == 0 && w%grid == 0, Attached: attached}), map[string]int{"B": shape[0], "F": shape[0], "H": h, "W": w, "T": tokens})
}

// CheckResiduals implements family.Steered.
func (m *Model) CheckResiduals(r *family.Residuals) error {
	channels := m.Skips()
	blocks := len(channels)
	if len(r.Output) > 0 && len(r.Output) != blocks {
		return fmt.Errorf("the model has %d input blocks and the ControlNet is for %d", blocks, len(r.Output))
	}
	for _, list := range [][]*tensor.Tensor{r.Input, r.Output} {
		for i, t := range list {
			switch {
			case t == nil:
			case i >= blocks:
				return fmt.Errorf("the ControlNet adds %d channels to input block %d: the model has %d blocks", t.Dim(1), i, blocks)
			case t.Dim(1) != channels[i]:
				return fmt.Errorf("the ControlNet adds %d channels to input block %d, which has %d", t.Dim(1), i, channels[i])
			}
		}
	}
	if t := r.Middle; t != nil && blocks > 0 && t.Dim(1) != channels[blocks-1] {
		return fmt.Errorf("the ControlNet adds %d channels to the middle block, which has %d", t.Dim(1), channels[blocks-1])
	}
	return nil
}

// joined appends the channels that some models read beside the latent.
func joined(x, beside *tensor.Tensor) (*tensor.Tensor, error) {
	if beside == nil {
		return x, nil
	}
	if len(x.Shape) != 4 || len(beside.Shape) != 4 || beside.Dim(0) != x.Dim(0) || beside.Dim(2) != x.Dim(2) || beside.Dim(3) != x.Dim(3) {
		return nil, fmt.Errorf("extra channels of shape %v do not fit a latent of shape %v", beside.Shape, x.Shape)
	}
	out := tensor.New(x.Dim(0), x.Dim(1)+beside.Dim(1), x.Dim(2), x.Dim(3))
	for b := range x.Dim(0) {
		n := copy(out.Index(b).Data, x.Index(b).Data)
		copy(out.Index(b).Data[n:], beside.Index(b).Data)
	}
	return out, nil
}

func (m *Model) check(x *tensor.Tensor, c family.Call) error {
	if len(x.Shape) != 4 || x.Dim(1) != m.InChannels {
		return fmt.Errorf("the latent has shape %v, the model reads %d channels", x.Shape, m.InChannels)
	}
	return m.CheckInputs("running the model", x.Dim(0), c)
}

// CheckInputs fails when the timesteps, the text encoding or the vector of a call do not fit a network of this config
// and the given number of rows. The error begins with what.
func (c Config) CheckInputs(what string, rows int, call family.Call) error {
	text, y := call.Inputs.Get(sampling.InputContext), call.Inputs.Get(InputVector)
	switch {
	case len(call.T) != rows:
		return fmt.Errorf("%s: %d timesteps for %d rows", what, len(call.T), rows)
	case text == nil || len(text.Shape) != 3 || text.Dim(0) != rows:
		return fmt.Errorf("%s: it needs a text encoding for each row", what)
	case text.Dim(2) != c.ContextDim:
		return fmt.Errorf("%s: the text encoding has width %d, the model reads %d: it comes from the text encoder of another family; use the CLIP of the model's own checkpoint, or a CLIP loader of its type", what, text.Dim(2), c.ContextDim)
	case c.AdmChannels > 0 && (y == nil || len(y.Shape) != 2 || y.Dim(0) != rows || y.Dim(1) != c.AdmChannels):
		return fmt.Errorf("%s: it needs a vector of %d values for each row", what, c.AdmChannels)
	}
	return nil
}
