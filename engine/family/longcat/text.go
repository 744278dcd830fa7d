package longcat

import (
	"regexp"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/tokenizer"
)

const (
	prefix = "<|im_start|>system\nAs an image captioning expert, generate a descriptive text prompt based on an image content, suitable for input to a text-to-image model.<|im_end|>\n<|im_start|>user\n"
	edit   = "<|im_start|>system\nAs an image editing expert, first analyze the content and attributes of the input image(s). Then, based on the user's editing instructions, clearly and precisely determine how to modify the given image(s), ensuring that only the specified parts are altered and all other aspects remain consistent with the original(s).<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
	suffix = "<|im_end|>\n<|im_start|>assistant\n"
	// promptTokens is the number of tokens of a prompt between them: more are cut, fewer padded.
	promptTokens = 512
)

// Upstream: text_encoders/longcat_image.py.
func init() {
	family.Register(family.Single{
		Label: "LongCat-Image", Order: 99, Loader: "longcat_image", Only: []string{}, Finish: cut,
		Encoder: family.SchemeEncoder{Key: lm.KeyQwen25M, Plain: true, Options: lm.Masked(0), Layout: lm.Unweighted, Compose: compose, Arrange: lm.PlaceImages},
	})
}

// compose lays a prompt out: quoted text is tokenized character by character. A prompt that begins with a template gets no
// other.
func compose(tok family.Tokenizer, p family.Prompt, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	begin, end := prefix, suffix
	switch {
	case strings.HasPrefix(p.Text, "<|im_start|>"), strings.HasPrefix(p.Text, "<|start_header_id|>"):
		begin, end = "", ""
	case len(p.Images) > 0:
		begin = edit
	}
	if p.Text == "" {
		p.Text = " "
	}
	o.Layout = func(o *tokenizer.Options) { o.Raw, o.MinLength = true, 0 }
	raw := func(pieces ...string) ([]tokenizer.Token, error) {
		var row []tokenizer.Token
		for _, piece := range pieces {
			t, err := tok(piece, o)
			if err != nil {
				return nil, err
			}
			row = append(row, t[0]...)
		}
		return row, nil
	}
	before, err := raw(begin)
	if err != nil {
		return nil, err
	}
	body, err := raw(pieces(p.Text)...)
	if err != nil {
		return nil, err
	}
	after, err := raw(end)
	if err != nil {
		return nil, err
	}
	row := append(before, body[:min(len(body), promptTokens)]...)
	for range promptTokens - len(body) {
		row = append(row, tokenizer.Token{ID: lm.TokenEnd, Weight: 1})
	}
	return tokenizer.Tokens{append(row, after...)}, nil
}

// pieces are the parts in which a prompt is tokenized: quotations in single characters, the rest whole.
func pieces(prompt string) []string {
	var out []string
	for _, part := range quotations(prompt) {
		if part.quoted {
			out = append(out, strings.Split(part.text, "")...)
		} else {
			out = append(out, part.text)
		}
	}
	return out
}

type quotation struct {
	text   string
	quoted bool
}

var (
	apostrophe = regexp.MustCompile(`[a-zA-Z]+'[a-zA-Z]+`)
	quote      = regexp.MustCompile(`'[^']*?'|"[^"]*?"|‘[^‘’]*?’|“[^“”]*?”`)
)

// quotations cuts a prompt at its quotations; an apostrophe inside a word does not quote.
func quotations(prompt string) []quotation {
	// A private-use character replaces an apostrophe that is not a quote.
	const inWord = "\uf8ff"
	prompt = apostrophe.ReplaceAllStringFunc(prompt, func(w string) string { return strings.ReplaceAll(w, "'", inWord) })
	var out []quotation
	add := func(text string, quoted bool) {
		if text != "" {
			out = append(out, quotation{strings.ReplaceAll(text, inWord, "'"), quoted})
		}
	}
	at := 0
	for _, m := range quote.FindAllStringIndex(prompt, -1) {
		add(prompt[at:m[0]], false)
		add(prompt[m[0]:m[1]], true)
		at = m[1]
	}
	add(prompt[at:], false)
	return out
}

// cut leaves the template out on both sides.
func cut(e family.Encoding, _ map[string]family.Encoding) (family.Encoding, error) {
	row, length := e.Tokens[0], e.Hidden.Dim(1)
	to := length
	for i := len(row) - 1; i >= 0; i-- {
		if row[i].ID == lm.TokenTurnEnd && row[i].Embedding == nil {
			to = length - (len(row) - i)
			break
		}
	}
	from := lm.TemplateEnd(e.Tokens, length)
	if to <= from {
		to = length
	}
	return e.Cut(from, to).WithoutFullMask(), nil
}
