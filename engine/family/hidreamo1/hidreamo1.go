// Package hidreamo1 is the family of HiDream O1: Qwen 3 VL 8B as a diffusion model on pixels, which reads the prompt, reference images and the
// patches of the noisy image as one sequence.
package hidreamo1

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/latents"
	"comfygo/engine/family/lm"
	"comfygo/engine/onnx"
	"comfygo/engine/patch"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/weights"
)

func init() { family.Register(kind{}) }

// kind registers the family.
type kind struct{}

// Name implements family.Family.
func (kind) Name() string { return "HiDream O1" }

// Rank implements family.Family.
func (kind) Rank() int { return 730 }

// side is the side of a patch in pixels, rgb the number of channels.
const (
	side = 32
	rgb  = 3
)

// table is the token table.
const table = "language_model.embed_tokens.weight"

// config describes a network.
type config struct {
	width, layers, heads, keyHeads, head, inner, squeezed, vocab int
}

// Read implements family.Diffusion.
func (kind) Read(src, _ weights.Source) (family.Denoiser, error) {
	s := weights.NewScope(src)
	if !s.Has("t_embedder1.mlp.0.weight") || !s.Has("x_embedder.proj1.weight") {
		return nil, nil
	}
	dim := func(name string, axis int) int {
		if sh := s.Shape(name); axis < len(sh) {
			return sh[axis]
		}
		return 0
	}
	const layer = "language_model.layers.0."
	c := config{
		width: dim(table, 1), vocab: dim(table, 0), layers: s.Count("language_model.layers"), head: dim(layer+"self_attn.q_norm.weight", 0),
		inner: dim(layer+"mlp.gate_proj.weight", 0), squeezed: dim("x_embedder.proj1.weight", 0),
	}
	q, k := dim(layer+"self_attn.q_proj.weight", 0), dim(layer+"self_attn.k_proj.weight", 0)
	if c.head < 2 || c.head%2 != 0 || q%c.head != 0 || k < c.head || k%c.head != 0 || q%k != 0 || c.width == 0 || c.inner == 0 || dim("x_embedder.proj1.weight", 1) != side*side*rgb {
		return nil, fmt.Errorf("its shapes make no network: width %d, %d values of queries and %d of keys in heads of %d, %d in the MLP, patches of %d values", c.width, q, k, c.head, c.inner, dim("x_embedder.proj1.weight", 1))
	}
	c.heads, c.keyHeads = q/c.head, k/c.head
	m := &model{config: c, Head: dit.Head{
		Source: src, Format: latents.Pixels, Type: sampling.Flow, Settings: sampling.Settings{Shift: 3, NoiseScale: 8}, Loader: loader, Read: []string{OptionSmoothing},
	}}
	var err error
	if m.vision, err = lm.ReadVision(src); err != nil {
		return nil, err
	}
	return m, nil
}

// model is a diffusion model of the family.
type model struct {
	dit.Head
	config
	// vision is the tower that reads reference images, or nil.
	vision *lm.ImageReader

	activations family.Activations
	last        remembered
}

var (
	_ family.Denoiser  = (*model)(nil)
	_ family.Bundle    = (*model)(nil)
	_ family.Adaptable = (*model)(nil)
	_ family.Optioned  = (*model)(nil)
	_ family.Typed     = (*model)(nil)
	_ family.OnPixels  = (*model)(nil)
)

// OnPixels implements family.OnPixels.
func (*model) OnPixels() {}

// LoRAKeys implements family.Adaptable. The token table is read outside the layers that adapters are branches of.
func (m *model) LoRAKeys(keys *patch.KeyMap, part string) {
	m.Head.LoRAKeys(keys, part)
	keys.Bake(func(key string) bool { return key == part+table })
}

// inputTokens is the prompt's tokens [1,T]; inputImage names a reference image [1,H,W,3].
const inputTokens = "tokens"

func inputImage(i int) string { return fmt.Sprintf("image.%d", i) }

// mostImages bounds the reference images.
const mostImages = 64

// Inputs implements family.Denoiser.
func (*model) Inputs(c *sampling.Cond, _ sampling.Request) ([]sampling.Input, error) {
	ids, err := sampling.Value[*tensor.Tensor](c, keyTokens)
	if err != nil {
		return nil, err
	}
	if ids == nil {
		return nil, errors.New("the model reads the tokens of a prompt, not an encoding: encode the prompt with the CLIP output of its own checkpoint")
	}
	if len(ids.Shape) != 2 || ids.Dim(0) != 1 || ids.Dim(1) < 2 {
		return nil, fmt.Errorf("reading a conditioning entry: its %s have the shape %v, wanted one row of tokens", keyTokens, ids.Shape)
	}
	in := []sampling.Input{{Name: inputTokens, Value: ids, Rule: sampling.Shared}}
	images, err := sampling.Tensors(c, sampling.KeyReferences)
	if err != nil {
		return nil, err
	}
	if len(images) > mostImages {
		return nil, fmt.Errorf("reading a conditioning entry: it has %d reference images, at most %d", len(images), mostImages)
	}
	for i, x := range images {
		if len(x.Shape) != 4 || x.Dim(3) < rgb {
			return nil, fmt.Errorf("reading a conditioning entry: reference %d has the shape %v, the model reads images [1,height,width,3]: add them with HiDreamO1ReferenceImages", i, x.Shape)
		}
		in = append(in, sampling.Input{Name: inputImage(i), Value: x, Rule: sampling.Shared})
	}
	return in, nil
}

// Predict implements family.Denoiser.
func (m *model) Predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	if err := dit.CheckLatent(c, rgb, 4); err != nil {
		return nil, err
	}
	if c.Inputs.Get(inputTokens) == nil {
		return nil, errors.New("it needs the tokens of a prompt")
	}
	list, _ := c.Inputs.Options[OptionSmoothing].([]Smoothing)
	return smooth(list, c.X, c.T[0], func(x *tensor.Tensor) (*tensor.Tensor, error) {
		d := c
		d.X = x
		return m.predict(ctx, run, d)
	})
}

// predict runs the network once.
func (m *model) predict(ctx context.Context, run family.Runner, c family.Call) (*tensor.Tensor, error) {
	rows := c.X.Dim(0)
	patches, grid, err := dit.Patchify(c.X, side, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	var images []*tensor.Tensor
	for x := c.Inputs.Get(inputImage(0)); x != nil; x = c.Inputs.Get(inputImage(len(images))) {
		images = append(images, x)
	}
	refs, err := m.references(ctx, run, images, grid.Height*side, grid.Width*side)
	if err != nil {
		return nil, err
	}
	ids, places := layOut(c.Inputs.Get(inputTokens).Data, grid, refs)
	read := len(ids) - 1 // the last token represents the time
	total := len(places) - len(ids)
	if err := run.Check("running the model", m.activations.Of(m.graph(), map[string]int{"B": rows, "A": read, "N": grid.Tokens(), "R": total - grid.Tokens()})); err != nil {
		return nil, err
	}
	embeds, err := m.embed(run, ids[:read], refs, rows)
	if err != nil {
		return nil, err
	}
	all := tensor.New(rows, total, side*side*rgb)
	for b := range rows {
		to := all.Index(b).Data
		to = to[copy(to, patches.Index(b).Data):]
		for _, r := range refs {
			to = to[copy(to, r.patches.Data):]
		}
	}
	times := tensor.New(rows)
	for i, t := range c.T {
		times.Data[i] = (1 - t/1000) * 1000
	}
	cos, sin := lm.VLAngles(places, m.head)
	shape := []int{1, len(places), m.head / 2}
	res, err := run.Run(ctx, m.graph(), []family.Value{
		family.Floats("embeds", embeds), family.Floats("times", times), family.Floats("patches", all),
		family.Floats("cos", &tensor.Tensor{Shape: shape, Data: cos}), family.Floats("sin", &tensor.Tensor{Shape: shape, Data: sin}),
		family.Floats("target", tensor.New(grid.Tokens())),
	}, "out")
	if err != nil {
		return nil, err
	}
	y, err := dit.Unpatchify(res["out"], grid, tensor.ChannelsFirst)
	if err != nil {
		return nil, err
	}
	each := len(y.Data) / rows
	for i, v := range y.Data { // the network gives the image
		y.Data[i] = (c.X.Data[i] - v) / max(c.T[i/each]/1000, 1e-3)
	}
	return y, nil
}

// embed looks tokens up, with the vectors of reference images in their places: [rows,tokens,width].
func (m *model) embed(run family.Runner, ids []int64, refs []reference, rows int) (*tensor.Tensor, error) {
	src, err := run.Patched(m.Source)
	if err != nil {
		return nil, err
	}
	scope := weights.NewScope(src)
	words := scope.Weight(table, m.vocab, m.width)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	row := textenc.Row{IDs: ids, Vectors: map[int][]float32{}}
	at := 0
	for _, r := range refs {
		for k := range r.vectors.Dim(0) {
			for at < len(ids) && ids[at] != int64(lm.TokenImage) {
				at++
			}
			row.Vectors[at] = r.vectors.Index(k).Data
			at++
		}
	}
	one, err := textenc.Embed([]textenc.Row{row}, words.Entry)
	if err != nil || rows == 1 {
		return one, err
	}
	out := tensor.New(rows, len(ids), m.width)
	for b := range rows {
		copy(out.Index(b).Data, one.Data)
	}
	return out, nil
}

// Memory implements family.Denoiser.
func (m *model) Memory(shape []int, tokens int) int64 {
	return m.activations.Of(m.graph(), map[string]int{"B": shape[0], "A": max(tokens-1, 1), "N": dit.GridOf(shape, side).Tokens(), "R": 0})
}

func (m *model) graph() family.Graph {
	return family.Graph{Part: "unet", Variant: family.Digest(m.config), Steps: true, Build: func(s family.Spec) (*onnx.Graph, error) { return m.build(s) }}
}

// remembered are the reference images that a model saw last: they are the same at every step.
type remembered struct {
	mu            sync.Mutex
	images        []*tensor.Tensor
	height, width int
	refs          []reference
}
