package hunyuanimage

import (
	"fmt"
	"regexp"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/family/t5"
)

// keyGlyphs is the key of ByT5's encoding in a conditioning entry.
const keyGlyphs = "conditioning_byt5small"

const (
	image = "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>"
	edit  = "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), then explain how the user's text instruction should alter or modify the image. Generate a new image that meets the user's requirements while maintaining consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>{}<|im_end|>\n<|im_start|>assistant\n"
	video = "<|im_start|>system\nYou are a helpful assistant. Describe the video by detailing the following aspects:\n1. The main content and theme of the video.\n2. The color, shape, size, texture, quantity, text, and spatial relationships of the objects.\n3. Actions, events, behaviors temporal relationships, physical movement changes of the objects.\n4. background environment, light, style and atmosphere.\n5. camera angles, movements, and transitions used in the video.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)

func init() {
	family.Register(textScheme{label: "HunyuanImage", order: 94, kind: "hunyuan_image", chat: lm.Chat{Text: image, WithImages: edit}})
	family.Register(textScheme{label: "HunyuanVideo 1.5", order: 95, kind: "hunyuan_video_15", chat: lm.Chat{Text: video, WithImages: edit, NonEmpty: true}})
}

// textScheme is Qwen 2.5 VL 7B for the encoding and ByT5 for text in quotation marks (upstream:
// text_encoders/hunyuan_image.py HunyuanImageTEModel and hunyuan_video.py HunyuanVideo15Tokenizer).
type textScheme struct {
	label string
	order int
	kind  string
	chat  lm.Chat
}

// Name implements family.Family.
func (s textScheme) Name() string { return s.label }

// Rank implements family.Family.
func (s textScheme) Rank() int { return s.order }

// Type implements family.Scheme.
func (s textScheme) Type() string { return s.kind }

// Encoders implements family.Scheme.
func (s textScheme) Encoders() []family.SchemeEncoder {
	return []family.SchemeEncoder{
		{Key: lm.KeyQwen25M, Plain: true, Options: lm.Masked(-3), Layout: lm.Unweighted, Text: s.chat.Write, Arrange: lm.PlaceImages},
		{
			Key: t5.KeyByT5, Optional: true, Plain: true, Options: family.EncodeOptions{Masked: true, ZeroMasked: true},
			Text: quoted, Layout: family.MinLength(1),
		},
	}
}

// quotes match quoted text, in the order in which it is listed.
var quotes = []*regexp.Regexp{regexp.MustCompile(`"(.*?)"`), regexp.MustCompile(`‘(.*?)’`), regexp.MustCompile(`“(.*?)”`)}

// quoted is the text for ByT5; none when nothing is quoted.
func quoted(p family.Prompt) (string, bool) {
	var b strings.Builder
	for _, q := range quotes {
		for _, m := range q.FindAllStringSubmatch(p.Text, -1) {
			fmt.Fprintf(&b, "Text \"%s\". ", m[1])
		}
	}
	return b.String(), b.Len() > 0
}

// A prompt of the refiner does not begin with the token of a template; the template that it is given has a fixed length.
const (
	tokenPlain     int32 = 27
	plainTemplate        = 36
	plainTemplates       = plainTemplate + 1
)

// Join implements family.Scheme.
func (s textScheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	e, ok := parts[lm.KeyQwen25M]
	if !ok {
		return e, fmt.Errorf("encoding the prompt: %s needs the text encoder %s", s.label, lm.KeyQwen25M)
	}
	length, row := e.Hidden.Dim(1), e.Tokens[0]
	end := lm.TemplateEnd(e.Tokens, length)
	if row[0].ID == tokenPlain && len(row) >= plainTemplates {
		end = plainTemplate
	}
	e = e.Cut(end, length).WithoutFullMask()
	if g, ok := parts[t5.KeyByT5]; ok {
		e.Extra = map[string]any{keyGlyphs: g.Hidden}
	}
	return e, nil
}
