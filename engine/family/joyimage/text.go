package joyimage

import (
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/chat"
	"comfygo/engine/family/lm"
)

// loader is the type of the family's text encoder in the CLIP loaders.
const loader = "joyimage"

// template is the template of prompts; images come before the text. skipped is the number of its first tokens, which the model
// does not read.
const (
	template = "<|im_start|>system\n \\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
	skipped  = 34
)

// Upstream: text_encoders/joyimage.py: the last layer of Qwen 3 VL 8B before its norm.
func init() {
	family.Register(family.Single{
		Label: "JoyImage", Order: 164, Loader: loader, Only: []string{},
		Encoder: family.SchemeEncoder{Key: lm.KeyQwen3VLL, Plain: true, Options: lm.Masked(-1), Layout: lm.Unweighted, Text: text, Arrange: lm.PlaceImages, Chat: chat.Templated(text)},
		Finish: func(e family.Encoding, _ map[string]family.Encoding) (family.Encoding, error) {
			n := e.Hidden.Dim(1)
			if n <= skipped {
				return e, fmt.Errorf("encoding the prompt: it has %d tokens, JoyImage leaves out the first %d, those of its template: write the prompt without a template, or with a longer one", n, skipped)
			}
			return e.Cut(skipped, n), nil
		},
	})
}

// text is the text that the encoder reads for a prompt.
func text(p family.Prompt) (string, bool) {
	if strings.HasPrefix(p.Text, "<|im_start|>") {
		return p.Text, true
	}
	t := template
	if n := len(p.Images); n > 0 {
		t = strings.Replace(t, "{}", strings.Repeat(chat.QwenImage, n)+"{}", 1)
	}
	if p.Template != "" {
		t = p.Template
	}
	return strings.Replace(t, "{}", p.Text, 1), true
}
