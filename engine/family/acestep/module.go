package acestep

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
)

var _ family.Modular = kind{}

// Module implements family.Modular.
func (kind) Module(class string, doc []byte, src weights.Source) (family.Module, error) {
	if class != "comfy.ldm.ace.model.ACEStepTransformer2DModel" {
		return nil, nil
	}
	var given struct {
		Heads int `json:"num_attention_heads"`
	}
	if err := json.Unmarshal(doc, &given); err != nil {
		return nil, fmt.Errorf("reading the module's config: %w", err)
	}
	c, err := readConfig(weights.NewScope(src), max(given.Heads, 1))
	if err != nil {
		return nil, err
	}
	return module{&model{config: c, src: src}}, nil
}

// module runs the network by itself.
type module struct{ *model }

// Role implements family.Module.
func (module) Role() family.Role { return family.RoleDiffusion }

// Call implements family.Module.
func (m module) Call(ctx context.Context, run family.Runner, args family.Arguments) ([]*tensor.Tensor, error) {
	strength := float32(1)
	if err := args.Decode("lyrics_strength", &strength); err != nil {
		return nil, err
	}
	var words [][]float32
	if err := args.Decode("lyric_token_idx", &words); err != nil {
		return nil, err
	}
	x, times, text, voice := args.Tensors["x"], args.Tensors["timestep"], args.Tensors["context"], args.Tensors["speaker_embeds"]
	if x == nil || times == nil || text == nil || voice == nil || len(words) == 0 {
		return nil, errors.New("running the module: it needs x, timestep, context, lyric_token_idx and speaker_embeds")
	}
	lyrics := tensor.New(len(words), len(words[0]))
	for i, row := range words {
		copy(lyrics.Index(i).Data, row)
	}
	tokens, err := m.encode(ctx, run, text, lyrics, voice, strength)
	if err != nil {
		return nil, err
	}
	y, err := m.denoise(ctx, run, x, times.Data, tokens)
	return []*tensor.Tensor{y}, err
}
