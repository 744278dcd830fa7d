package ltxv

import (
	"context"

	"comfygo/engine/family"
	"comfygo/engine/family/gemma4"
	"comfygo/engine/family/lm"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// KeyGemma4 is the key of Gemma 4 in a file with the projection of its states beside it, as LTX-Video 2.5 has it.
const KeyGemma4 = "gemma4_ltx"

// paddedTokens is the length that prompts are padded to on the left, as upstream does; the padding is hidden and cut off.
const paddedTokens = 1024

// Upstream: sd.py load_text_encoder_state_dicts, where only the file decides; text_encoders/lt.py ltxav_te, ltxav_gemma4_tokenizer.
func init() {
	family.Register(gemma4Kind{})
	all := lm.Masked(0)
	all.AllLayers = true
	e := gemma4.SchemeEncoder(KeyGemma4, all)
	e.Layout = func(o *tokenizer.Options) { o.MinLength = paddedTokens }
	family.Register(family.Single{Label: "LTX-Video 2.5", Order: 156, Loader: "ltxv", Encoder: e})
}

// gemma4Kind is the family of files with Gemma 4 and a projection.
type gemma4Kind struct{}

// Name implements family.Family.
func (gemma4Kind) Name() string { return "Gemma 4 with the text projection of LTX-Video 2.5" }

// Rank is less than Gemma 4's own.
func (gemma4Kind) Rank() int { return 189 }

// Read implements family.Text.
func (gemma4Kind) Read(src weights.Source) (family.TextEncoder, error) {
	if _, ok := src.Lookup("text_embedding_projection.video_aggregate_embed.weight"); !ok {
		return nil, nil
	}
	e, err := gemma4.Read(src)
	if e == nil || err != nil {
		return nil, err
	}
	p, err := projectionKind{}.Read(src)
	if err != nil {
		return nil, err
	}
	return &projected{e, p.(*projection)}, nil
}

// projected is Gemma 4 with the projected states of all layers.
type projected struct {
	*gemma4.Encoder
	after *projection
}

// Key implements family.TextEncoder.
func (*projected) Key() string { return KeyGemma4 }

// Encode implements family.TextEncoder.
func (p *projected) Encode(ctx context.Context, run family.Runner, tokens tokenizer.Tokens, o family.EncodeOptions) (family.Encoding, error) {
	e, err := p.Encoder.Encode(ctx, run, tokens, o)
	if err != nil {
		return e, err
	}
	e.Tokens = tokens
	return p.after.Follow(ctx, run, e)
}
