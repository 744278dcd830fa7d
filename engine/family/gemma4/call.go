package gemma4

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/family/decoder"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// call is one use of the network, for textenc.
type call struct {
	*Encoder
	run    family.Runner
	images []span
	layers []int
	masked bool
}

// Forward implements textenc.Network. Upstream gives the tokens of a prompt that is encoded no inputs of each layer, unlike those of one
// that is gone on with.
func (c *call) Forward(ctx context.Context, rows []textenc.Row) (textenc.Output, error) {
	if len(rows) != 1 {
		return textenc.Output{}, fmt.Errorf("encoding a prompt: Gemma 4 reads prompts of one chunk without weights, this has %d rows", len(rows))
	}
	row := rows[0]
	n := len(row.IDs)
	if err := c.run.Check("encoding the prompt", c.memory(n, 0)); err != nil {
		return textenc.Output{}, err
	}
	in, err := c.inputs(row, 0)
	if err != nil {
		return textenc.Output{}, err
	}
	var names []string
	for _, l := range c.layers {
		names = append(names, outLayer(l))
	}
	res, err := c.run.Run(ctx, c.graph(variant{slides: n > c.Window, layers: c.layers}), in, names...)
	if err != nil {
		return textenc.Output{}, err
	}
	out := tensor.New(1, len(names), n, c.Config.Width)
	for i, name := range names {
		copy(out.Index(0).Index(i).Data, res[name].Data)
	}
	return textenc.Output{Hidden: out}, nil
}

// inputs are the inputs of a row's tokens after past ones: embeddings, masks and angles.
func (c *call) inputs(row textenc.Row, past int) ([]family.Value, error) {
	n := len(row.IDs)
	embeds, err := c.embed(row)
	if err != nil {
		return nil, err
	}
	in := []family.Value{family.Floats(inEmbeds, embeds), family.Floats(inHidden, c.hidden(row, past))}
	if past+n > c.Window {
		in = append(in, family.Floats(inOutside, outside(past, n, c.Window)))
	}
	for k := range kinds {
		cos, sin := c.angles(k, past, n)
		shape := []int{1, n, c.HeadDim[k] / 2}
		in = append(in, family.Floats(inCos(k), &tensor.Tensor{Shape: shape, Data: cos}), family.Floats(inSin(k), &tensor.Tensor{Shape: shape, Data: sin}))
	}
	return in, nil
}

// embed looks tokens up and scales them, but not the vectors of images and sounds: [1,tokens,width].
func (c *call) embed(row textenc.Row) (*tensor.Tensor, error) {
	x, err := c.lookUp(table, c.Config.Width, row)
	if err != nil {
		return nil, err
	}
	scale, w := float32(math.Sqrt(float64(c.Config.Width))), c.Config.Width
	for i := range row.IDs {
		if _, ok := row.Vectors[i]; ok {
			continue
		}
		for k := range w {
			x.Data[i*w+k] *= scale
		}
	}
	return x, nil
}

// perLayer is what tokens give to each layer, [1,tokens,layers*width]. Images and sounds count as token 0.
func (c *call) perLayer(row textenc.Row) (*tensor.Tensor, error) {
	x, err := c.lookUp(perLayer, c.Layers*c.PerLayer, textenc.Row{IDs: row.IDs})
	if err != nil {
		return nil, err
	}
	scale := float32(math.Sqrt(float64(c.PerLayer)))
	for i := range x.Data {
		x.Data[i] *= scale
	}
	return x, nil
}

// lookUp takes the rows of tokens out of a table of a width, with its adapters.
func (c *call) lookUp(name string, width int, row textenc.Row) (*tensor.Tensor, error) {
	src, err := c.run.Patched(c.src)
	if err != nil {
		return nil, err
	}
	scope := weights.NewScope(src)
	words := scope.Weight(name, c.Vocab, width)
	if err := scope.Err(); err != nil {
		return nil, err
	}
	return textenc.Embed([]textenc.Row{row}, words.Entry)
}

// hidden counts the reasons that hide a key from a query, [1,1,tokens,past+tokens]: once when it comes later, once when it is
// padding. The tokens of an image attend to each other in some models.
func (c *call) hidden(row textenc.Row, past int) *tensor.Tensor {
	n := len(row.IDs)
	all := past + n
	out := tensor.New(1, 1, n, all)
	for q := range n {
		line := out.Data[q*all : (q+1)*all]
		for k := range line {
			if k > past+q {
				line[k]++
			}
			if c.masked && past == 0 && row.Mask[k] == 0 {
				line[k]++
			}
		}
	}
	if !c.Blocks || past > 0 {
		return out
	}
	for _, s := range c.images {
		for q := s.start; q < s.start+s.size; q++ {
			clear(out.Data[q*all+s.start:][:s.size])
		}
	}
	return out
}

// outside marks keys that lie before the window of a query, [1,1,n,past+n].
func outside(past, n, window int) *tensor.Tensor {
	out := tensor.New(1, 1, n, past+n)
	for q := range n {
		for k := range max(past+q-window+1, 0) {
			out.Data[q*(past+n)+k] = 1
		}
	}
	return out
}

// angles are the cosines and sines [tokens,D/2] of layers of a kind, in float32 step by step, as upstream computes them. Global layers turn
// the first quarter of the pairs.
func (c Config) angles(kind, past, n int) (cos, sin []float32) {
	half := c.HeadDim[kind] / 2
	turned := half
	if kind == global {
		turned = half / 4
	}
	for t := past; t < past+n; t++ {
		for i := range half {
			angle := float32(0)
			if i < turned {
				angle = float32(t) * (1 / float32(math.Pow(theta[kind], float64(float32(2*i)/float32(c.HeadDim[kind])))))
			}
			cos, sin = append(cos, float32(math.Cos(float64(angle)))), append(sin, float32(math.Sin(float64(angle))))
		}
	}
	return cos, sin
}

// memory is the bytes of activations for t tokens after past ones.
func (c Config) memory(t, past int) int64 {
	head := max(c.HeadDim[global], c.HeadDim[sliding])
	return int64(t) * int64(4*(3*c.mlp(c.Layers-1)+4*c.Heads*head+4*c.Width+3*c.Layers*c.PerLayer)+16*c.Heads*(past+t))
}

// CanGenerate implements family.Generator.
func (*Encoder) CanGenerate() error { return nil }

// CacheBytes implements family.Generator.
func (e *Encoder) CacheBytes(tokens int) int64 { return decoder.Bytes(tokens, e.cacheWidths()...) }

// Generate implements family.Generator.
func (e *Encoder) Generate(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.GenerateOptions) ([]int32, error) {
	if err := decoder.One(tokens); err != nil {
		return nil, err
	}
	tokens, images, err := e.splice(ctx, run, tokens)
	if err != nil {
		return nil, err
	}
	if o.Stop == nil {
		o.Stop = stops
	}
	row := textenc.Resolve(tokens[0], e.Config.Width, special)
	if o.Count != nil {
		ids := make([]int32, len(row.IDs))
		for i, id := range row.IDs {
			ids[i] = int32(id)
		}
		o.Count(ids)
	}
	c := &call{Encoder: e, run: run, images: images}
	cache := decoder.NewCache(run, o.Cached, e.cacheWidths()...)
	return decoder.Continue(ctx, row, o, func(ctx context.Context, row textenc.Row, _ bool) ([]float32, error) {
		logits, err := c.read(ctx, cache, row)
		if err != nil {
			return nil, fmt.Errorf("generating text: %w", err)
		}
		for _, id := range e.Suppressed {
			if int(id) < len(logits) {
				logits[id] = -math.MaxFloat32
			}
		}
		return logits, nil
	})
}

// read reads tokens after those in the cache, and returns the logits of what follows.
func (c *call) read(ctx context.Context, cache *decoder.Cache, row textenc.Row) ([]float32, error) {
	n, past := len(row.IDs), cache.Tokens
	if err := cache.Reserve(n); err != nil {
		return nil, err
	}
	if err := c.run.Check("generating text", c.memory(n, past)+8*int64(c.Vocab)); err != nil {
		return nil, err
	}
	in, err := c.inputs(row, past)
	if err != nil {
		return nil, err
	}
	if c.PerLayer > 0 {
		x, err := c.perLayer(row)
		if err != nil {
			return nil, err
		}
		in = append(in, family.Floats(inPerLayer, x))
	}
	in = append(in, cache.Inputs(inPast)...)
	names := []string{outLogits}
	for i := range c.cacheWidths() {
		names = append(names, outKept(i))
	}
	res, err := c.run.Run(ctx, c.graph(variant{slides: past+n > c.Window, generates: true}), in, names...)
	if err != nil {
		return nil, err
	}
	cache.Add(n, func(i int) []float32 { return res[outKept(i)].Data })
	return res[outLogits].Data, nil
}

// Decode implements family.Generator: thoughts stand between <think> and </think>, other marks are left out (upstream:
// Gemma4SDTokenizer.decode).
func (e *Encoder) Decode(ids []int32) (string, error) {
	m, err := e.words()
	if err != nil {
		return "", err
	}
	text, err := m.DecodeAll(ids)
	return cleaned(text), err
}
