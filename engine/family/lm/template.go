package lm

import (
	"slices"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/tokenizer"
)

// Chat is a chat template around a prompt for Qwen: WithImages replaces Text if the prompt has images. A prompt that begins
// with a template is read unchanged, and with NonEmpty an empty prompt becomes a space.
type Chat struct {
	Text, WithImages string
	NonEmpty         bool
}

// Write is a Text for family.SchemeEncoder.
func (c Chat) Write(p family.Prompt) (string, bool) {
	if strings.HasPrefix(p.Text, "<|im_start|>") || strings.HasPrefix(p.Text, "<|start_header_id|>") {
		return p.Text, true
	}
	if c.NonEmpty && p.Text == "" {
		p.Text = " "
	}
	t := c.Text
	if c.WithImages != "" && len(p.Images) > 0 {
		t = c.WithImages
	}
	return family.Template(t)(p)
}

// Unweighted has parentheses be text: a Layout for family.SchemeEncoder.
func Unweighted(o *tokenizer.Options) { o.Unweighted = true }

// TemplateEnd is the first token after the system's part of a chat template and the user's opening, among length encoded
// tokens (upstream: qwen_image.py QwenImageTEModel).
func TemplateEnd(t tokenizer.Tokens, length int) int {
	row, end := t[0], -1
	for i, turns := 0, 0; i < len(row) && turns < 2; i++ {
		if row[i].ID == TokenTurnStart && row[i].Embedding == nil {
			end = i
			turns++
		}
	}
	if length > end+3 && is(row, end+1, TokenUser) && is(row, end+2, TokenNewline) {
		end += 3
	}
	if end < 0 {
		return length - 1
	}
	return end
}

func is(row []tokenizer.Token, i int, id int32) bool {
	return i < len(row) && row[i].ID == id && row[i].Embedding == nil
}

// WithoutTemplate cuts the template off an encoding: a Finish for family.Single.
func WithoutTemplate(e family.Encoding, _ map[string]family.Encoding) (family.Encoding, error) {
	length := e.Hidden.Shape[len(e.Hidden.Shape)-2]
	return e.Cut(TemplateEnd(e.Tokens, length), length).WithoutFullMask(), nil
}

// Masked are the options of encoders that hide padding and return its mask with the encoding, as all of these encoders do:
// the states of a layer (see family.EncodeOptions.Layer), without the final norm.
func Masked(layer int) family.EncodeOptions {
	return family.EncodeOptions{Layer: layer, RawHidden: true, Masked: true, ReturnMask: true}
}

// PlaceImages puts a prompt's images in place of its image tokens: an Arrange for family.SchemeEncoder.
func PlaceImages(t tokenizer.Tokens, p family.Prompt) tokenizer.Tokens {
	next := 0
	for _, row := range t {
		for i := range row {
			if next < len(p.Images) && row[i].ID == TokenImage && row[i].Embedding == nil {
				row[i].Image = p.Images[next]
				next++
			}
		}
	}
	return t
}

// PlaceSoftImages puts all of a prompt's images in place of the first soft token of Gemma 3: an Arrange for
// family.SchemeEncoder.
func PlaceSoftImages(t tokenizer.Tokens, p family.Prompt) tokenizer.Tokens {
	if len(p.Images) == 0 {
		return t
	}
	for r, row := range t {
		for i, soft := range row {
			if soft.ID != TokenSoftImage || soft.Embedding != nil {
				continue
			}
			images := make([]tokenizer.Token, len(p.Images))
			for k, x := range p.Images {
				images[k] = tokenizer.Token{ID: soft.ID, Weight: soft.Weight, WordID: soft.WordID, Image: x}
			}
			t[r] = slices.Replace(row, i, i+1, images...)
			return t
		}
	}
	return t
}
