package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"comfygo/engine/embedding"
	"comfygo/engine/family"
	"comfygo/engine/sampling"
	"comfygo/engine/tokenizer"
)

// Prompt is the input of text encoders.
type Prompt = family.Prompt

// Tokens are a prompt's tokens for each text encoder, by its key.
type Tokens map[string]tokenizer.Tokens

// NoTokens is a prompt of no chunk at all, which is encoded as an empty one without padding.
var NoTokens = tokenizer.Tokens{}

// Tokenize lays a prompt out for each text encoder.
func (c *CLIP) Tokenize(ctx context.Context, prompt string) (Tokens, error) {
	return c.TokenizePrompt(ctx, Prompt{Text: prompt})
}

// TokenizePrompt is Tokenize for a prompt with more than its text.
func (c *CLIP) TokenizePrompt(ctx context.Context, p Prompt) (Tokens, error) {
	return c.tokenize(ctx, p, func(string) string { return p.Text })
}

// Takes reports whether the encoders' scheme has one of a key, and whether it is loaded.
func (c *CLIP) Takes(key string) (taken, loaded bool) {
	_, loaded = c.parts[key]
	for _, e := range c.scheme.Encoders() {
		taken = taken || e.Key == key
	}
	return taken, loaded
}

// Type is the type of the encoders' scheme, as the loaders have it.
func (c *CLIP) Type() string { return c.scheme.Type() }

// TokenizeEach is Tokenize with a prompt of its own for each encoder, by key. Prompts of different lengths are laid out in
// the same number of chunks for the encoders in even: the shorter ones are followed by empty chunks.
func (c *CLIP) TokenizeEach(ctx context.Context, prompt func(key string) string, even ...string) (Tokens, error) {
	t, err := c.tokenize(ctx, Prompt{}, prompt)
	if err != nil {
		return nil, err
	}
	return t, c.level(t, even)
}

func (c *CLIP) tokenize(ctx context.Context, p Prompt, text func(key string) string) (Tokens, error) {
	out := Tokens{}
	if p.Layout == nil {
		p.Layout = c.lengths.layout
	}
	for _, e := range c.scheme.Encoders() {
		part, ok := c.parts[e.Network()]
		if !ok && e.Network() != "" || e.Follows {
			continue
		}
		p.Text = text(e.Key)
		o, tok := family.TokenizeOptions{}, e.Alone
		if ok {
			look := &embedding.Lookup{Context: ctx, File: c.rt.cfg.Embeddings, Key: e.Network(), Width: part.net.Width()}
			o, tok = family.TokenizeOptions{Embedding: look.Find, Missing: look.Missing}, part.net.Tokenize
		}
		if e.Beside != nil {
			tok = e.Beside(c.first().net.Weights())
		}
		prompt := p
		if prep, ok := part.net.(family.Preparer); ok {
			prompt.Images, prompt.Frames = slices.Clone(p.Images), slices.Clone(p.Frames)
			if err := prep.Prepare(ctx, &prompt); err != nil {
				return nil, fmt.Errorf("reading the prompt: %w", err)
			}
		}
		tokens, err := e.Tokenize(tok, prompt, o)
		if err != nil {
			return nil, fmt.Errorf("reading the prompt: %w", err)
		}
		if tokens != nil {
			out[e.Key] = tokens
		}
	}
	return out, nil
}

// first is the first of the scheme's encoders that is loaded.
func (c *CLIP) first() textPart {
	for _, e := range c.scheme.Encoders() {
		if p, ok := c.parts[e.Key]; ok {
			return p
		}
	}
	return textPart{}
}

// level pads the encoders of the given keys to the largest number of chunks among them. Upstream: CLIPTextEncodeSDXL.
func (c *CLIP) level(t Tokens, even []string) error {
	most := 0
	for key, chunks := range t {
		if slices.Contains(even, key) {
			most = max(most, len(chunks))
		}
	}
	for key, chunks := range t {
		for slices.Contains(even, key) && len(chunks) < most {
			empty, err := c.parts[key].net.Tokenize("", family.TokenizeOptions{})
			if err != nil {
				return fmt.Errorf("reading the prompt: %w", err)
			}
			chunks = append(chunks, empty...)
		}
		t[key] = chunks
	}
	return nil
}

// Encode encodes a prompt with weights in upstream's syntax.
func (c *CLIP) Encode(ctx context.Context, prompt string) (Conditioning, error) {
	return c.EncodePrompt(ctx, Prompt{Text: prompt})
}

// EncodePrompt is Encode for a prompt with more than its text.
func (c *CLIP) EncodePrompt(ctx context.Context, p Prompt) (Conditioning, error) {
	tokens, err := c.TokenizePrompt(ctx, p)
	if err != nil {
		return nil, err
	}
	return c.encode(ctx, tokens, p)
}

// EncodeTokens encodes the tokens of a prompt.
//
// It gives one entry, or one for each part of the run that WithHooks distinguishes.
func (c *CLIP) EncodeTokens(ctx context.Context, tokens Tokens) (Conditioning, error) {
	return c.encode(ctx, tokens, Prompt{})
}

func (c *CLIP) encode(ctx context.Context, tokens Tokens, p Prompt) (Conditioning, error) {
	if len(c.spans) == 0 {
		return c.encodeTokens(ctx, tokens, p)
	}
	var all Conditioning
	for _, span := range c.spans {
		d := *c
		d.loras = span.loras
		one, err := d.encodeTokens(ctx, tokens, p)
		if err != nil {
			return nil, err
		}
		all = append(all, one.With(map[string]any{sampling.KeyClipStart: span.start, sampling.KeyClipEnd: span.end})...)
	}
	return all, nil
}

func (c *CLIP) encodeTokens(ctx context.Context, tokens Tokens, prompt Prompt) (Conditioning, error) {
	parts := map[string]family.Encoding{}
	for _, e := range c.scheme.Encoders() {
		t, ok := tokens[e.Key]
		if !ok {
			continue
		}
		if e.Network() == "" {
			parts[e.Key] = family.Encoding{Tokens: t}
			continue
		}
		p, ok := c.parts[e.Network()]
		if !ok {
			continue
		}
		enc, err := c.encodeEntry(ctx, e, p, tokens, prompt)
		if err != nil {
			return nil, fmt.Errorf("encoding the prompt: %w", err)
		}
		enc.Tokens = t
		parts[e.Key] = enc
	}
	enc, err := c.scheme.Join(parts)
	if err != nil {
		return nil, err
	}
	for _, e := range c.scheme.Encoders() {
		p, ok := c.parts[e.Key]
		follower, follows := p.net.(family.Follower)
		if !ok || !e.Follows || !follows {
			continue
		}
		if enc, err = follower.Follow(ctx, c.runnerOf(e.Key, p), enc); err != nil {
			return nil, err
		}
	}
	values := map[string]any{}
	maps.Copy(values, enc.Extra)
	if enc.Mask != nil {
		values["attention_mask"] = enc.Mask
	}
	if c.hooks != nil {
		values[sampling.KeyHooks] = c.hooks
	}
	return Conditioning{{Tokens: enc.Hidden, Pooled: enc.Pooled, Values: values}}, nil
}

// runnerOf is the runner of one of the encoders, with its adapters.
func (c *CLIP) runnerOf(key string, p textPart) runner {
	run := c.rt.runner(family.RoleText, c.onCPU, p.file)
	run.adapters = c.loras.Storing(c.storage(key)).Part(textPrefix(key))
	return c.place.on(run)
}

// encodeEntry encodes the tokens of an entry of the scheme by its network.
func (c *CLIP) encodeEntry(ctx context.Context, e family.SchemeEncoder, p textPart, tokens Tokens, prompt Prompt) (family.Encoding, error) {
	run := c.runnerOf(e.Network(), p)
	if e.Run != nil {
		release := func() {}
		defer func() { release() }()
		return e.Run(ctx, family.SchemeCall{Net: p.net, Runner: run, Prompt: prompt, Tokens: tokens, Cached: func(bytes int64) {
			release()
			release = c.rt.sessions.Reserve(run.device, bytes)
		}})
	}
	o := e.Options
	if c.layer < 0 {
		o.Chosen = c.layer
	}
	o.Projected = o.Projected && !c.unprojected
	return p.net.Encode(ctx, run, tokens[e.Key], o)
}

// lengths are a user's lengths of padding by the key of an encoder.
type lengths map[string]Padding

// Padding configures the padding of prompts: Length is the least length of a prompt, Least the least number of padding
// tokens.
type Padding struct{ Length, Least int }

func (l lengths) layout(key string, o *tokenizer.Options) {
	if p, ok := l[key]; ok {
		o.MinLength, o.MinPadding = p.Length, p.Least
	}
}

// WithPadding returns the encoders with other paddings for those of the given keys.
func (c *CLIP) WithPadding(p Padding, keys ...string) *CLIP {
	d := *c
	d.lengths = maps.Clone(c.lengths)
	if d.lengths == nil {
		d.lengths = lengths{}
	}
	for _, key := range keys {
		d.lengths[key] = p
	}
	return &d
}
