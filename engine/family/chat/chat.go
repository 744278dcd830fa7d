// Package chat is the text encoding with language models that are read by themselves whatever a loader's type: Gemma 3 12B,
// Qwen 3 VL and Ministral, which above all generate text.
package chat

import (
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/lm"
)

// QwenImage is the place of an image in a prompt of Qwen.
const QwenImage = "<|vision_start|><|image_pad|><|vision_end|>"

// The templates of text generation, and their suffix without thinking.
const (
	qwen       = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
	qwenSilent = "<think>\n\n</think>\n\n"

	gemma      = "<start_of_turn>system\nYou are a helpful assistant.<end_of_turn>\n<start_of_turn>user\n{}<end_of_turn>\n<start_of_turn>model\n"
	gemmaImage = "<start_of_turn>system\nYou are a helpful assistant.<end_of_turn>\n<start_of_turn>user\n\n<image_soft_token>{}<end_of_turn>\n\n<start_of_turn>model\n"
)

// Qwen3VL is how Qwen 3 VL is prompted for text; template is that of a prompt without images (upstream: text_encoders/qwen3vl.py
// Qwen3VLTokenizer).
func Qwen3VL(template string) *family.Chat {
	return &family.Chat{Bare: true, Thinking: true, Images: true, Write: func(p family.Prompt) string {
		if p.Bare || strings.HasPrefix(p.Text, "<|im_start|>") {
			return p.Text
		}
		t := template
		if n := len(p.Images); n > 0 {
			t = strings.Replace(qwen, "{}", strings.Repeat(QwenImage, n)+"{}", 1)
		}
		text := strings.Replace(t, "{}", p.Text, 1)
		if !p.Thinking {
			text += qwenSilent
		}
		return text
	}}
}

// Templated is how Qwen 3 VL is prompted for text by families with templates of their own: text is the text of a prompt.
func Templated(text func(p family.Prompt) (string, bool)) *family.Chat {
	return &family.Chat{Bare: true, Thinking: true, Images: true, Write: func(p family.Prompt) string {
		if p.Bare {
			return p.Text
		}
		out, _ := text(p)
		if !p.Thinking && !strings.HasPrefix(p.Text, "<|im_start|>") {
			out += qwenSilent
		}
		return out
	}}
}

// Gemma3 is how Gemma 3 is prompted for text, ended by the tokens in stop, or by the model's own if stop is empty (upstream:
// text_encoders/lt.py Gemma3_Tokenizer).
func Gemma3(stop ...int32) *family.Chat {
	return &family.Chat{Bare: true, Images: true, Padded: true, Stop: stop, Write: func(p family.Prompt) string {
		t := gemma
		switch {
		case p.Bare || strings.HasPrefix(p.Text, "<start_of_turn>"):
			return p.Text
		case len(p.Images) > 0:
			t = gemmaImage
		}
		return strings.Replace(t, "{}", p.Text, 1)
	}}
}

// GemmaTurnEnd is <end_of_turn>, which alone ends a text of Gemma 3 12B.
const GemmaTurnEnd = 106

// Upstream: sd.py load_text_encoder_state_dicts, where only the file decides; lt.py gemma3_te, qwen3vl.py, ernie.py.
func init() {
	all := lm.Masked(0)
	all.AllLayers = true
	family.Register(family.Single{
		Label: "Gemma 3 12B", Order: 150, Loader: "ltxv",
		Encoder: family.SchemeEncoder{Key: lm.KeyGemma3M, Plain: true, Options: all, Chat: Gemma3(GemmaTurnEnd), Arrange: lm.PlaceSoftImages},
	})
	for i, e := range []struct {
		key string
		not []string
	}{
		{lm.KeyQwen3VLM, []string{"flux", "flux2", "krea2", "mage"}},
		{lm.KeyQwen3VLL, []string{"flux", "flux2", "ideogram4", "boogu", "joyimage"}},
	} {
		family.Register(family.Single{
			Label: "Qwen 3 VL", Order: 151 + i, Loader: "qwen_image", Not: e.not,
			Encoder: family.SchemeEncoder{
				Key: e.key, Options: lm.Masked(-1), Layout: lm.Unweighted, Arrange: lm.PlaceImages, Chat: Qwen3VL(qwen),
				Text: func(p family.Prompt) (string, bool) { return encoded(p), true },
			},
		})
	}
	family.Register(family.Single{
		Label: "Ministral 3", Order: 153, Loader: "flux2",
		Encoder: family.SchemeEncoder{Key: lm.KeyMinistral, Options: lm.Masked(-2)},
	})
}

// encoded is the text that Qwen 3 VL encodes for a prompt.
func encoded(p family.Prompt) string {
	if p.Template != "" && !strings.HasPrefix(p.Text, "<|im_start|>") {
		return strings.Replace(p.Template, "{}", p.Text, 1) + qwenSilent
	}
	return Qwen3VL(qwen).Write(p)
}
