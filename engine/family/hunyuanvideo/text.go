package hunyuanvideo

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/lm"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
)

// schemeName is the CLIP loaders' type.
const schemeName = "hunyuan_video"

// template is what the model was trained with; its wording is part of it.
const template = "<|start_header_id|>system<|end_header_id|>\n\nDescribe the video by detailing the following aspects: 1. The main content and theme of the video.2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects.3. Actions, events, behaviors temporal relationships, physical movement changes of the objects.4. background environment, light, style and atmosphere.5. camera angles, movements, and transitions used in the video:<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"

// The tokens by which the template is found.
const (
	tokenBegin   int32 = 128000
	tokenHeader  int32 = 128006
	tokenHeadEnd int32 = 128007
	tokenTurnEnd int32 = 128009
	tokenUser    int32 = 882
	tokenLines   int32 = 271
	tokenPad     int32 = 128258
)

func init() { family.Register(scheme{}) }

// scheme is Llama 3 for the encoding and CLIP-L for the pooled one (upstream: text_encoders/hunyuan_video.py HunyuanVideoClipModel).
type scheme struct{}

// Name implements family.Family.
func (scheme) Name() string { return "HunyuanVideo" }

// Rank implements family.Family.
func (scheme) Rank() int { return 130 }

// Type implements family.Scheme.
func (scheme) Type() string { return schemeName }

// Encoders implements family.Scheme.
func (scheme) Encoders() []family.SchemeEncoder {
	options := lm.Masked(-3)
	options.Special = &textenc.Empty{Start: tokenBegin, End: tokenizer.None, Pad: tokenPad}
	return []family.SchemeEncoder{
		{
			Key: lm.KeyLlama3, Options: options, Text: family.Template(template),
			Layout: func(o *tokenizer.Options) { o.MinLength, o.Pad = 1, tokenPad },
		},
		{Key: clip.KeyL},
	}
}

// Join implements family.Scheme.
func (scheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	e, ok := parts[lm.KeyLlama3]
	l, ok2 := parts[clip.KeyL]
	if !ok || !ok2 {
		return e, fmt.Errorf("encoding the prompt: HunyuanVideo needs the text encoders %s and %s", lm.KeyLlama3, clip.KeyL)
	}
	from, to := turn(e.Tokens[0], e.Hidden.Dim(1))
	e = e.Cut(from, to).WithoutFullMask()
	e.Pooled = l.Pooled
	return e, nil
}

// turn finds the user's turn among length tokens: behind its header, with the token that ends it.
func turn(row []tokenizer.Token, length int) (from, to int) {
	is := func(i int, id int32) bool { return i < len(row) && row[i].ID == id && row[i].Embedding == nil }
	to = length
	open := false
	for i := range row {
		if is(i, tokenHeader) && is(i+1, tokenUser) && is(i+2, tokenHeadEnd) {
			from, open = i+2, true
		}
		if open && is(i, tokenTurnEnd) {
			to, open = i+1, false
		}
	}
	if open {
		to = length - 1 // upstream counts from the end when the turn has none
	}
	if length > from+2 && is(from+1, tokenLines) {
		from += 2
	}
	return from, to
}
