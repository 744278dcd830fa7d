package qwen35

import (
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/chat"
	"comfygo/engine/family/lm"
	"comfygo/engine/tokenizer"
)

// The template of prompts, and its suffix without thinking.
const (
	template = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
	silent   = "<think>\n</think>\n"
)

// Upstream: sd.py load_text_encoder_state_dicts, where only the file decides; qwen35.py Qwen35ImageTokenizer, which always writes the template.
func init() {
	var widths []int
	for w := range keys {
		widths = append(widths, w)
	}
	slices.Sort(widths)
	for i, w := range widths {
		family.Register(family.Single{
			Label: "Qwen 3.5", Order: 190 + i, Loader: "qwen_image",
			Encoder: family.SchemeEncoder{
				Key: keys[w], Plain: true, Options: lm.Masked(-2), Layout: lm.Unweighted, Arrange: arrange,
				Text: func(p family.Prompt) (string, bool) { return write(p), true },
				Chat: &family.Chat{Thinking: true, Images: true, Write: write},
			},
		})
	}
}

// write is the text that the model reads for a prompt.
func write(p family.Prompt) string {
	if strings.HasPrefix(p.Text, "<|im_start|>") {
		return p.Text
	}
	t := template
	switch {
	case p.Template != "":
		t = p.Template
	case len(p.Images) > 0:
		t = strings.Replace(t, "{}", strings.Repeat(chat.QwenImage, len(p.Images))+"{}", 1)
	}
	text := strings.Replace(t, "{}", p.Text, 1)
	if !p.Thinking {
		text += silent
	}
	return text
}

// arrange puts images in the places of their tokens.
func arrange(t tokenizer.Tokens, p family.Prompt) tokenizer.Tokens {
	next := 0
	for _, row := range t {
		for i := range row {
			if next < len(p.Images) && row[i].ID == tokenImage && row[i].Embedding == nil {
				row[i].Image = p.Images[next]
				next++
			}
		}
	}
	return t
}
