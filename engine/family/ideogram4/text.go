package ideogram4

import (
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/chat"
	"comfygo/engine/family/lm"
)

// loader is the type of the family's text encoder in the CLIP loaders.
const loader = "ideogram4"

const template = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"

// Upstream: text_encoders/ideogram4.py: thirteen layers of Qwen 3 VL 8B, the last after its norm, the values of a place in all of
// them side by side.
func init() {
	o := lm.Masked(0)
	for layer := 1; layer < 36; layer += 3 {
		o.Layers = append(o.Layers, layer)
	}
	o.Layers = append(o.Layers, 36)
	family.Register(family.Single{
		Label: "Ideogram 4", Order: 162, Loader: loader, Only: []string{},
		Encoder: family.SchemeEncoder{Key: lm.KeyQwen3VLL, Plain: true, Options: o, Layout: lm.Unweighted, Text: text, Arrange: lm.PlaceImages, Chat: chat.Templated(text)},
		Finish: func(e family.Encoding, _ map[string]family.Encoding) (family.Encoding, error) {
			return e.LayersWithinWidth(), nil
		},
	})
}

// text is the text that the encoder reads for a prompt.
func text(p family.Prompt) (string, bool) {
	if strings.HasPrefix(p.Text, "<|im_start|>") {
		return p.Text, true
	}
	t := p.Template
	if t == "" {
		t = strings.Replace(template, "{}", strings.Repeat(chat.QwenImage, len(p.Images))+"{}", 1)
	}
	return strings.Replace(t, "{}", p.Text, 1), true
}
