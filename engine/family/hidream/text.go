package hidream

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/lm"
	"comfygo/engine/family/t5"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
)

// keyLlama is the key of the language model's layers in a conditioning entry, [1,layers,tokens,width].
const keyLlama = "conditioning_llama3"

// The replacements of missing encoders.
const (
	widthL, widthG = 768, 1280
	width          = 4096
	tokens         = 128
	layers         = 32
)

// pad is the padding of the language model's prompts.
const pad int32 = 128009

// Upstream takes a lone Llama 3 for HiDream's whatever a loader's type.
func init() {
	family.Register(textScheme{})
	family.Register(family.Single{
		Label: "HiDream (Llama 3 alone)", Order: 112, Loader: "hidream", Encoder: llama,
		Finish: func(_ family.Encoding, parts map[string]family.Encoding) (family.Encoding, error) {
			return textScheme{}.Join(parts)
		},
	})
}

// llama is the language model, all of whose layers are read.
var llama = family.SchemeEncoder{
	Key: lm.KeyLlama3, Optional: true,
	Options: family.EncodeOptions{AllLayers: true, RawHidden: true, Masked: true, Special: &textenc.Empty{Start: 128000, End: tokenizer.None, Pad: pad}},
	Layout:  func(o *tokenizer.Options) { o.MinLength, o.Pad = tokens, pad },
}

// textScheme is T5-XXL for the encoding, both CLIP encoders for the pooled one and the layers of Llama 3 beside them; each
// may be absent (upstream: text_encoders/hidream.py HiDreamTEModel).
type textScheme struct{}

// Name implements family.Family.
func (textScheme) Name() string { return "HiDream" }

// Rank implements family.Family.
func (textScheme) Rank() int { return 111 }

// Type implements family.Scheme.
func (textScheme) Type() string { return "hidream" }

// Encoders implements family.Scheme.
func (textScheme) Encoders() []family.SchemeEncoder {
	return []family.SchemeEncoder{
		{Key: clip.KeyL, Optional: true, Options: family.EncodeOptions{Projected: true}},
		{Key: clip.KeyG, Optional: true, Options: family.EncodeOptions{Layer: -2, RawHidden: true, Projected: true}},
		{
			Key: t5.KeyXXL, Optional: true, Options: family.EncodeOptions{Masked: true},
			Layout:  func(o *tokenizer.Options) { o.MinLength, o.MaxLength = tokens, tokens },
			Arrange: func(t tokenizer.Tokens, _ family.Prompt) tokenizer.Tokens { return t[:1] },
		},
		llama,
	}
}

// Join implements family.Scheme.
func (textScheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	out := family.Encoding{Hidden: tensor.New(1, tokens, width), Pooled: tensor.New(1, widthL+widthG)}
	at := 0
	for _, p := range []struct {
		key   string
		width int
	}{{clip.KeyL, widthL}, {clip.KeyG, widthG}} {
		if e, ok := parts[p.key]; ok {
			if e.Pooled == nil || e.Pooled.Len() != p.width {
				return out, fmt.Errorf("joining the pooled encoding of %s: it is not %d wide: the file is of another text encoder", p.key, p.width)
			}
			copy(out.Pooled.Data[at:], e.Pooled.Data)
		}
		at += p.width
	}
	if t, ok := parts[t5.KeyXXL]; ok {
		out.Hidden = t.Hidden
	}
	states := tensor.New(1, layers, 1, width)
	if l, ok := parts[lm.KeyLlama3]; ok {
		n := l.Hidden.Dim(1) - 1 // without the token embeddings
		size := l.Hidden.Dim(2) * l.Hidden.Dim(3)
		states = &tensor.Tensor{Shape: []int{1, n, l.Hidden.Dim(2), l.Hidden.Dim(3)}, Data: l.Hidden.Data[size:]}
	}
	out.Extra = map[string]any{keyLlama: states}
	return out, nil
}
