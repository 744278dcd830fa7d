package engine

import (
	"context"
	"fmt"

	"comfygo/engine/dtype"
	"comfygo/engine/embedding"
	"comfygo/engine/models"
	"comfygo/engine/onnx"
	"comfygo/engine/ort"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// CLIP is what CLIP links carry: a text encoder with its tokenizer. It is not changed after it was made.
type CLIP struct {
	rt   *Runtime
	file *modelFile
	cfg  models.CLIPTextConfig
	// layer is the layer whose states are the encoding, counted from the end (-1 is the last); 0 stands for the
	// model's own choice.
	layer int
	onCPU bool
}

// OnCPU returns the encoder kept off the card.
func (c *CLIP) OnCPU() *CLIP {
	d := *c
	d.onCPU = true
	return &d
}

func (c *CLIP) device() ort.Device {
	if c.onCPU || c.rt.cfg.TextOnCPU {
		return ort.Device{}
	}
	return c.rt.cfg.Device
}

// LoadCLIP opens the text encoder in the file at path.
func (rt *Runtime) LoadCLIP(path string) (*CLIP, error) {
	f, err := rt.files.get(path)
	if err != nil {
		return nil, err
	}
	if f.found.CLIP == nil {
		return nil, fmt.Errorf("loading %s: the file holds no CLIP-L text encoder", path)
	}
	return &CLIP{rt: rt, file: f, cfg: *f.found.CLIP}, nil
}

// WithLayer returns the encoder with its encoding taken after another layer, counted from the end: -1 is the last
// layer, -2 the one before it. A layer that the model does not have stands for the last one, as upstream has it.
func (c *CLIP) WithLayer(layer int) *CLIP {
	d := *c
	d.layer = layer
	if -layer > c.cfg.Layers {
		d.layer = 0
	}
	return &d
}

// Encode encodes a prompt with weights in upstream's syntax. The encoding is [1,77·chunks,width].
func (c *CLIP) Encode(ctx context.Context, prompt string) (Conditioning, error) {
	embeddings := &embedding.Lookup{Context: ctx, File: c.rt.cfg.Embeddings, Key: clipKey, Width: c.cfg.Width}
	tokens, err := c.tokenizer(embeddings.Missing).Tokenize(prompt, embeddings.Find)
	if err != nil {
		return nil, fmt.Errorf("reading the prompt: %w", err)
	}
	cond, pooled, err := textenc.EncodeWeighted(ctx, clipNetwork{c}, tokens, textenc.CLIPL)
	if err != nil {
		return nil, fmt.Errorf("encoding the prompt: %w", err)
	}
	return Conditioning{{Tokens: cond, Pooled: pooled, Values: map[string]any{}}}, nil
}

func (c *CLIP) tokenizer(missing func(name string)) *tokenizer.Tokenizer {
	opts := tokenizer.CLIPOptions(int32(c.cfg.Pad))
	opts.MaxLength, opts.Missing = c.cfg.Positions, missing
	return tokenizer.New(tokenizer.CLIP(), opts)
}

// clipKey is what embedding files call this encoder.
const clipKey = "clip_l"

// clipNetwork runs the text model for textenc.
type clipNetwork struct{ *CLIP }

// Forward implements textenc.Encoder: the encoding [n,T,width] and the pooled output [n,width].
func (c clipNetwork) Forward(ctx context.Context, rows [][]tokenizer.Token) (cond, pooled *tensor.Tensor, err error) {
	scope := c.file.found.CLIPScope()
	embeds, last, err := c.embed(scope, rows)
	if err != nil {
		return nil, nil, err
	}
	layer, out := -1, "last"
	if c.layer < 0 {
		layer, out = c.cfg.Layers+c.layer, "hidden"
	}
	p, err := c.rt.placeOf(c.device(), or(c.rt.cfg.Text, dtype.F16))
	if err != nil {
		return nil, nil, err
	}
	// A prompt is short against the weights it passes through: widening them on the way costs little, and keeping
	// them wide would cost more memory than all of a prompt's work.
	p.target.Lean = true
	kind := fmt.Sprintf("clip layer %d", layer)
	var res map[string]ort.Value
	err = c.rt.with(ctx, c.file, kind, p, func() (*onnx.Graph, error) {
		return models.CLIPTextGraph(scope, c.cfg, p.target, layer, true)
	}, func(n *network) error {
		outputs := []string{"last"}
		if out != "last" {
			outputs = append(outputs, out)
		}
		res, err = n.run(ctx, map[string]ort.Value{"embeds": ort.Floats(embeds.Data, embeds.Shape...)}, outputs...)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if cond, err = asTensor(res[out]); err != nil {
		return nil, nil, err
	}
	states, err := asTensor(res["last"])
	if err != nil {
		return nil, nil, err
	}
	return cond, pick(states, last), nil
}

// embed looks the tokens up: [n,T,width] before positions are added, and the place of each row's pooled token. Only
// the rows of the table that the prompt names are read from the file.
func (c clipNetwork) embed(scope *weights.Scope, rows [][]tokenizer.Token) (*tensor.Tensor, []int, error) {
	w := c.cfg.Width
	table := scope.Weight("text_model.embeddings.token_embedding.weight", c.cfg.Vocab, w)
	if err := scope.Err(); err != nil {
		return nil, nil, err
	}
	out := tensor.New(len(rows), c.cfg.Positions, w)
	last := make([]int, len(rows))
	for i, row := range rows {
		r := textenc.Resolve(row, w, textenc.CLIPL)
		if len(r.IDs) != c.cfg.Positions {
			return nil, nil, fmt.Errorf("a chunk has %d tokens, the text encoder takes %d", len(r.IDs), c.cfg.Positions)
		}
		last[i] = r.Last
		for j, id := range r.IDs {
			dst := out.Data[(i*c.cfg.Positions+j)*w:][:w]
			if v, ok := r.Vectors[j]; ok {
				copy(dst, v)
				continue
			}
			if id < 0 || id >= int64(c.cfg.Vocab) {
				return nil, nil, fmt.Errorf("token %d is not in the text encoder's table of %d", id, c.cfg.Vocab)
			}
			if err := weights.Range(dst, table.Entry, int(id)*w); err != nil {
				return nil, nil, err
			}
		}
	}
	return out, last, nil
}

// pick takes one token's states per row: [n,T,width] to [n,width].
func pick(states *tensor.Tensor, at []int) *tensor.Tensor {
	t, w := states.Dim(1), states.Dim(2)
	out := tensor.New(len(at), w)
	for i, p := range at {
		copy(out.Data[i*w:(i+1)*w], states.Data[(i*t+p)*w:])
	}
	return out
}
