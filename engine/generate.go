package engine

import (
	"context"
	"fmt"

	"comfygo/engine/family"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/engine/textgen"
	"comfygo/engine/warning"
)

// Generation is how text is generated.
type Generation struct {
	// MaxLength is the most tokens that are generated.
	MaxLength int
	// Choose is how each token is chosen.
	Choose textgen.Options
	// Bare leaves the template around the prompt out, Thinking asks the model to think first. Images [N,H,W,3], when set, are
	// the images that the prompt refers to.
	Bare, Thinking bool
	Images         *tensor.Tensor
	// Video [N,H,W,3] are the frames of a video of 24 a second, Audio is sound; both may be nil.
	Video *tensor.Tensor
	Audio *media.Audio
	// Progress, when set, is called after each token with the number of tokens.
	Progress func(done int)
}

// framesPerSecond is the rate of videos; the model reads one frame per second.
const framesPerSecond = 24

// Generate returns the text that the text encoder generates for a prompt. It fails if the encoder is not a language model
// with an output layer. The client is warned about options without an effect on the encoder.
func (c *CLIP) Generate(ctx context.Context, prompt string, g Generation) (string, error) {
	e, part, net, err := c.generator()
	if err != nil {
		return "", err
	}
	p := Prompt{Text: prompt, Generate: true, Bare: g.Bare, Thinking: g.Thinking}
	if g.Images != nil {
		for i := range g.Images.Dim(0) {
			p.Images = append(p.Images, g.Images.Slice(i, i+1))
		}
	}
	if g.Video != nil {
		for i := 0; i < g.Video.Dim(0); i += framesPerSecond {
			p.Frames = append(p.Frames, g.Video.Slice(i, i+1))
		}
	}
	if g.Audio != nil {
		p.Sound = &family.Sound{Waveform: g.Audio.Waveform, Rate: g.Audio.SampleRate}
	}
	withEffect(ctx, e, &p)
	tokens, err := c.TokenizePrompt(ctx, p)
	if err != nil {
		return "", err
	}
	choose, err := textgen.New(g.Choose)
	if err != nil {
		return "", err
	}
	run := c.runnerOf(e.Key, part)
	release := func() {}
	defer func() { release() }()
	cached := func(bytes int64) {
		release()
		release = c.rt.sessions.Reserve(run.device, bytes)
	}
	o := family.GenerateOptions{MaxLength: g.MaxLength, Next: choose.Next, Count: choose.Count, Progress: g.Progress, Cached: cached}
	if e.Chat != nil {
		o.Stop = e.Chat.Stop
	}
	ids, err := net.Generate(ctx, run, tokens[e.Key], o)
	if err != nil {
		return "", err
	}
	return net.Decode(ids)
}

// generator is the first encoder of the scheme that can generate text.
func (c *CLIP) generator() (family.SchemeEncoder, textPart, family.Generator, error) {
	for _, e := range c.scheme.Encoders() {
		part, ok := c.parts[e.Key]
		if !ok {
			continue
		}
		if g, ok := part.net.(family.Generator); ok {
			return e, part, g, g.CanGenerate()
		}
	}
	return family.SchemeEncoder{}, textPart{}, nil, fmt.Errorf("generating text: %s cannot; load a text encoder that is a language model", held(c.parts))
}

// withEffect removes the options without an effect on an encoder's prompts, and warns about them.
func withEffect(ctx context.Context, e family.SchemeEncoder, p *Prompt) {
	chat := family.Chat{Bare: e.Text == nil}
	if e.Chat != nil {
		chat = *e.Chat
	}
	unused := func(set bool, what string) {
		if set {
			warning.Add(ctx, fmt.Sprintf("generating text: %s has no effect with the text encoder %s", what, e.Key))
		}
	}
	unused(p.Bare && !chat.Bare, "use_default_template")
	unused(p.Thinking && !chat.Thinking, "thinking")
	unused(len(p.Images) > 0 && !chat.Images, "image")
	unused(len(p.Frames) > 0 && !chat.Video, "video")
	unused(p.Sound != nil && !chat.Audio, "audio")
	unused(len(p.Frames) > 0 && len(p.Images) > 0 && chat.Video, "image, beside a video,")
	if !chat.Video {
		p.Frames = nil
	}
	if !chat.Audio {
		p.Sound = nil
	}
	p.Bare, p.Thinking = p.Bare && chat.Bare, p.Thinking && chat.Thinking
	if !chat.Images {
		p.Images = nil
	}
}
