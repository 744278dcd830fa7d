package hunyuanvideo

import (
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/lm"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
)

// schemeName is the CLIP loaders' type.
const schemeName = "hunyuan_video"

// template is the template of the training; its wording must not change.
const template = "<|start_header_id|>system<|end_header_id|>\n\nDescribe the video by detailing the following aspects: 1. The main content and theme of the video.2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects.3. Actions, events, behaviors temporal relationships, physical movement changes of the objects.4. background environment, light, style and atmosphere.5. camera angles, movements, and transitions used in the video:<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"

// The tokens by which the template is found.
const (
	tokenBegin   int32 = 128000
	tokenHeader  int32 = 128006
	tokenHeadEnd int32 = 128007
	tokenTurnEnd int32 = 128009
	tokenUser    int32 = 882
	tokenLines   int32 = 271
	tokenImage   int32 = 128257
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
			Layout: func(o *tokenizer.Options) { o.MinLength, o.Pad = 1, tokenPad }, Arrange: placeVectors,
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
	kept := keptVectors(e.Tokens[0], e.Hidden, from)
	e = e.Cut(from, to).WithoutFullMask()
	e.Pooled = l.Pooled
	if kept != nil {
		e.Hidden = dit.JoinTokens(kept, e.Hidden)
	}
	return e, nil
}

// placeVectors puts the vectors of images in place of image tokens, and keeps every Interleave-th of them.
func placeVectors(t tokenizer.Tokens, p family.Prompt) tokenizer.Tokens {
	if p.Vectors == nil || len(p.Vectors.Shape) != 3 {
		return t
	}
	every := max(p.Interleave, 1)
	out, image := make(tokenizer.Tokens, len(t)), 0
	for i, row := range t {
		for _, token := range row {
			if token.ID != tokenImage || token.Embedding != nil || image == p.Vectors.Dim(0) {
				out[i] = append(out[i], token)
				continue
			}
			vectors := p.Vectors.Index(image)
			for k := range vectors.Dim(0) {
				vector := tokenizer.Token{Weight: token.Weight, WordID: token.WordID, Embedding: vectors.Index(k).Data, Kept: k%every == 0}
				out[i] = append(out[i], vector)
			}
			image++
		}
	}
	return out
}

// keptVectors are the states [1,n,W] of tokens that are kept, before the one called before; nil for none.
func keptVectors(row []tokenizer.Token, hidden *tensor.Tensor, before int) *tensor.Tensor {
	width := hidden.Dim(2)
	var data []float32
	for i, token := range row[:min(before, len(row))] {
		if token.Kept {
			data = append(data, hidden.Data[i*width:(i+1)*width]...)
		}
	}
	if data == nil {
		return nil
	}
	return &tensor.Tensor{Shape: []int{1, len(data) / width, width}, Data: data}
}

// turn finds the user's turn among length tokens: after its header, with the token that ends it.
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
