package acestep15

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/family/song"
	"comfygo/engine/tensor"
	"comfygo/engine/textgen"
	"comfygo/engine/tokenizer"
	"comfygo/internal/pystr"
)

// loader is the type of the CLIP loaders.
const loader = "ace"

// writers are the language models that write audio codes, of which there is one.
var writers = []string{lm.KeyQwen3S, lm.KeyQwen3M}

// The keys of a conditioning entry: the embeddings of the lyrics' tokens [1,T,C], the codes [1,N], and latents that provide the timbre.
const (
	keyLyrics = "conditioning_lyrics"
	keyCodes  = "audio_codes"
	keyVoice  = "reference_audio_timbre_latents"
)

// Entries of a prompt's tokens beside those of the encoders.
const (
	entryLyrics   = "lyrics"
	entryNegative = "lm_prompt_negative"
)

// facts are the song's figures, as YAML with its keys in order. Upstream: ACE15Tokenizer._metas_to_cot.
func facts(s song.Song) string {
	var out []string
	if s.BPM != 0 {
		out = append(out, fmt.Sprintf("bpm: %d", s.BPM))
	}
	out = append(out, fmt.Sprintf("duration: %d", s.Seconds()))
	if s.Key != "" {
		out = append(out, "keyscale: "+s.Key)
	}
	if s.Beats != 0 {
		out = append(out, fmt.Sprintf("timesignature: %d", s.Beats))
	}
	return strings.Join(out, "\n")
}

// list are the song's figures as a list. Upstream: ACE15Tokenizer._metas_to_cap.
func list(s song.Song) string {
	known := func(n int) string {
		if n == 0 {
			return "N/A"
		}
		return fmt.Sprint(n)
	}
	key := s.Key
	if key == "" {
		key = "N/A"
	}
	return fmt.Sprintf("- bpm: %s\n- timesignature: %s\n- keyscale: %s\n- duration: %d seconds", known(s.BPM), known(s.Beats), key, s.Seconds())
}

// caption is the prompt of the text encoding.
func caption(p family.Prompt) (string, bool) {
	return fmt.Sprintf("# Instruction\nGenerate audio semantic tokens based on the given conditions:\n\n# Caption\n%s\n\n# Metas\n%s\n<|endoftext|>\n<|endoftext|>",
		pystr.Strip(p.Text), list(song.Of(p))), true
}

// sung is the text of the lyrics' tokens.
func sung(p family.Prompt) (string, bool) {
	s := song.Of(p)
	return fmt.Sprintf("# Languages\n%s\n\n# Lyric\n%s<|endoftext|><|endoftext|>", s.Language, s.Lyrics), true
}

// task is the prompt of the language model with thoughts about the song.
func task(p family.Prompt, thoughts string) (string, bool) {
	s := song.Of(p)
	return fmt.Sprintf("<|im_start|>system\n# Instruction\nGenerate audio semantic tokens based on the given conditions:\n\n<|im_end|>\n<|im_start|>user\n# Caption\n%s\n\n# Lyric\n%s\n<|im_end|>\n"+
		"<|im_start|>assistant\n<think>\n%s\n</think>\n\n<|im_end|>\n", pystr.Strip(p.Text), pystr.Strip(s.Lyrics), thoughts), !s.NoCodes
}

func init() {
	layout := func(o *tokenizer.Options) { o.MinLength, o.Unweighted = 1, true }
	encoders := []family.SchemeEncoder{
		{Key: lm.KeyQwen3XS, Options: family.EncodeOptions{Masked: true}, Text: caption, Layout: layout},
		{Key: entryLyrics, Of: lm.KeyQwen3XS, Options: family.EncodeOptions{Masked: true, Layers: []int{0}}, Text: sung, Layout: layout},
		{
			Key: entryNegative, Of: lm.KeyQwen3XS, Layout: layout, Text: func(p family.Prompt) (string, bool) { return task(p, "") },
			Run: func(context.Context, family.SchemeCall) (family.Encoding, error) { return family.Encoding{}, nil },
		},
	}
	for _, key := range writers {
		encoders = append(encoders, family.SchemeEncoder{
			Key: key, Optional: true, Layout: layout, Text: func(p family.Prompt) (string, bool) { return task(p, facts(song.Of(p))) }, Run: write,
		})
	}
	family.Register(scheme{encoders})
}

// scheme is the way in which the text encoders of ACE-Step 1.5 act together. Upstream: text_encoders/ace15.py.
type scheme struct{ encoders []family.SchemeEncoder }

// Name implements family.Family.
func (scheme) Name() string { return "ACE-Step 1.5" }

// Rank implements family.Family.
func (scheme) Rank() int { return 780 }

// Type implements family.Scheme.
func (scheme) Type() string { return loader }

// Encoders implements family.Scheme.
func (s scheme) Encoders() []family.SchemeEncoder { return s.encoders }

// Join implements family.Scheme.
func (scheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	out, lyrics := parts[lm.KeyQwen3XS], parts[entryLyrics].Hidden
	if out.Hidden == nil || lyrics == nil || len(lyrics.Shape) != 4 {
		return out, errors.New("encoding the prompt: ACE-Step 1.5 needs the tokens of the tags and of the lyrics")
	}
	out.Extra = map[string]any{keyLyrics: &tensor.Tensor{Shape: []int{lyrics.Dim(0), lyrics.Dim(2), lyrics.Dim(3)}, Data: lyrics.Data}}
	_, wanted := parts[entryNegative]
	for _, key := range writers {
		if codes := parts[key].Hidden; codes != nil {
			out.Extra[keyCodes], wanted = codes, false
		}
	}
	if wanted {
		return out, fmt.Errorf("encoding the prompt: audio codes are written by a language model, which is missing: load it beside the text encoder with DualCLIPLoader of type %s, or switch generate_audio_codes off", loader)
	}
	return out, nil
}

// The tokens that represent audio codes.
const (
	firstCode = 151669
	lastCode  = 215669
	perSecond = 5
	padding   = 151643
)

// write generates the codes of a song with a language model, [1,N] in Hidden.
func write(ctx context.Context, c family.SchemeCall) (family.Encoding, error) {
	net, ok := c.Net.(family.RowGenerator)
	if !ok {
		return family.Encoding{}, fmt.Errorf("writing audio codes: the text encoder %s cannot generate", c.Net.Key())
	}
	s := song.Of(c.Prompt)
	rows := []tokenizer.Tokens{c.Tokens[c.Net.Key()]}
	if s.Guidance != 1 {
		rows = append(rows, c.Tokens[entryNegative])
	}
	ids, err := even(rows)
	if err != nil {
		return family.Encoding{}, err
	}
	choose, err := textgen.NewGuided(s.Choose, s.Guidance, firstCode)
	if err != nil {
		return family.Encoding{}, err
	}
	n := perSecond * s.Seconds()
	o := family.RowOptions{Count: n, From: firstCode, To: lastCode, Padding: padding, Next: choose.Next, Cached: c.Cached}
	if s.Progress != nil {
		o.Progress = func(done int) { s.Progress(done, n) }
	}
	tokens, err := net.GenerateRows(ctx, c.Runner, ids, o)
	if err != nil {
		return family.Encoding{}, err
	}
	out := tensor.New(1, len(tokens))
	for i, id := range tokens {
		out.Data[i] = float32(id - firstCode)
	}
	return family.Encoding{Hidden: out}, nil
}

// even are the tokens of prompts of one chunk each, with padding before the shorter ones.
func even(rows []tokenizer.Tokens) ([][]int32, error) {
	longest := 0
	for _, r := range rows {
		if len(r) != 1 || len(r[0]) == 0 {
			return nil, fmt.Errorf("writing audio codes: the prompt has %d chunks of tokens, wanted one that is not empty", len(r))
		}
		longest = max(longest, len(r[0]))
	}
	out := make([][]int32, len(rows))
	for i, r := range rows {
		for range longest - len(r[0]) {
			out[i] = append(out[i], padding)
		}
		for _, t := range r[0] {
			out[i] = append(out[i], t.ID)
		}
	}
	return out, nil
}
