package gemma4

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/tokenizer"
)

// The marks of turns and of a prompt's media.
const (
	turn       = "<|turn>"
	imageMark  = "<|image><|image|><image|>"
	frameMark  = "<|image><|video|><image|>"
	soundStart = "<|audio>"
	soundMark  = "<|audio|>"
	soundEnd   = "<audio|>"
)

// The tokens in whose places the embeddings of images, frames and audio go.
const (
	tokenImage int32 = 258880
	tokenSound int32 = 258881
	tokenFrame int32 = 258884
)

// Upstream: sd.py load_text_encoder_state_dicts, where only the file decides; gemma4.py Gemma4_Tokenizer.
func init() {
	all := family.EncodeOptions{AllLayers: true, RawHidden: true, Masked: true, ReturnMask: true}
	family.Register(family.Single{Label: "Gemma 4", Order: 182, Loader: "ltxv", Encoder: SchemeEncoder(Key, all)})
}

// SchemeEncoder returns a scheme's encoder with Gemma 4's prompt layout and generation; options are those of encoding.
func SchemeEncoder(key string, options family.EncodeOptions) family.SchemeEncoder {
	return family.SchemeEncoder{Key: key, Plain: true, Options: options, Arrange: arrange, Chat: &family.Chat{
		Bare: true, Thinking: true, Images: true, Video: true, Audio: true, Write: write,
	}}
}

// write is the text that the model continues.
func write(p family.Prompt) string {
	if p.Bare || strings.HasPrefix(p.Text, turn) {
		return p.Text
	}
	system, open := "", ""
	if p.Thinking {
		system = "<|turn>system\n<|think|>\n<turn|>\n"
	} else if p.Primed {
		open = "<|channel>thought\n<channel|>"
	}
	return system + "<|turn>user\n" + p.Text + shown(p) + "<turn|>\n<|turn>model\n" + open
}

// shown are the marks of a prompt's media.
func shown(p family.Prompt) string {
	var marks []string
	between := "\n\n\n\n"
	for range p.Images {
		marks = append(marks, imageMark)
	}
	if len(p.Frames) > 0 {
		marks, between = nil, " "
		for i := range p.Frames {
			marks = append(marks, fmt.Sprintf("%02d:%02d %s", i/60, i%60, frameMark))
		}
	}
	out := strings.Join(marks, between)
	if out != "" {
		out = "\n\n" + out + "\n\n"
	}
	if p.Sound != nil {
		out += soundStart
		if p.Features != nil {
			out += soundMark
		}
		out += soundEnd
	}
	return out
}

// arrange puts images, or the frames of a video, and sound in the places of their tokens.
func arrange(t tokenizer.Tokens, p family.Prompt) tokenizer.Tokens {
	images, mark := p.Images, tokenImage
	if len(p.Frames) > 0 {
		images, mark = p.Frames, tokenFrame
	}
	for r, row := range t {
		next := 0
		for i := range row {
			switch {
			case row[i].Embedding != nil:
			case row[i].ID == mark && next < len(images):
				row[i].Image = images[next]
				next++
			case row[i].ID == tokenSound && p.Features != nil:
				row[i].Audio = p.Features
			}
		}
		t[r] = row
	}
	return t
}

var _ family.Preparer = (*Encoder)(nil)

// Prepare implements family.Preparer: images and frames get the size that the model reads, sound becomes features.
func (e *Encoder) Prepare(ctx context.Context, p *family.Prompt) error {
	p.Primed = e.Primed
	most := imageTokens
	list := p.Images
	if len(p.Frames) > 0 {
		most, list = frameTokens, p.Frames
	}
	for i, x := range list {
		var err error
		if list[i], err = fit(x, most); err != nil {
			return err
		}
	}
	if p.Sound == nil || p.Features != nil {
		return nil
	}
	if e.audio == nil {
		return fmt.Errorf("encoding a prompt with sound: %s has no audio tower; use a file of the text encoder that carries one, or leave the sound out", e.src.Path())
	}
	samples, err := mono(ctx, p.Sound.Waveform, p.Sound.Rate)
	if err != nil {
		return err
	}
	if e.audio.marks(len(samples)) > 0 {
		p.Features = e.audio.features(samples)
	}
	return nil
}

var (
	thought = regexp.MustCompile(`(?s)<\|channel>thought\n(.*?)<channel\|>`)
	marks   = regexp.MustCompile(`<\|channel>\w*\n?|<channel\|>|<\|turn>\w*\n?|<turn\|>`)
)

// cleaned is generated text with thoughts between <think> and </think>, and without other marks.
func cleaned(text string) string {
	text = thought.ReplaceAllString(text, "<think>\n$1</think>")
	text = strings.ReplaceAll(text, "<|channel>thought\n", "<think>\n")
	return strings.TrimSpace(strings.ReplaceAll(marks.ReplaceAllString(text, ""), "<eos>", ""))
}
