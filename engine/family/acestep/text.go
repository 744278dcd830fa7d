package acestep

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"comfygo/engine/family"
	"comfygo/engine/family/song"
	"comfygo/engine/family/t5"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/hf"
	"comfygo/engine/weights"
)

const (
	// loader is the type of the CLIP loaders.
	loader = "ace"
	// keyLyrics is the key of a conditioning entry under which the tokens of lyrics [1,T] are, entryLyrics that of a prompt's tokens.
	keyLyrics   = "conditioning_lyrics"
	entryLyrics = "lyrics"
)

// Upstream: text_encoders/ace.py, which is taken for a file of UMT5 base whatever a loader's type.
func init() {
	family.Register(family.Single{
		Label: "ACE-Step", Order: 770, Loader: loader,
		Encoder: family.SchemeEncoder{Key: t5.KeyUMT5Base, Plain: true, Options: family.EncodeOptions{Masked: true}, Layout: family.MinLength(1)},
		Beside: []family.SchemeEncoder{{
			Key: entryLyrics, Beside: lyricsTokenizer, Plain: true, Layout: family.MinLength(1),
			Text: func(p family.Prompt) (string, bool) { return song.Of(p).Lyrics, true },
		}},
		Finish: finish,
	})
}

// finish adds the tokens of the lyrics to the encoding.
func finish(e family.Encoding, parts map[string]family.Encoding) (family.Encoding, error) {
	rows := parts[entryLyrics].Tokens
	if len(rows) != 1 || len(rows[0]) == 0 {
		return e, errors.New("encoding the prompt: ACE-Step needs the tokens of the lyrics")
	}
	tokens := tensor.New(1, len(rows[0]))
	for i, t := range rows[0] {
		tokens.Data[i] = float32(t.ID)
	}
	e.Extra = map[string]any{keyLyrics: tokens}
	return e, nil
}

// Special tokens of lyrics.
const (
	start   = 261
	newLine = 2
)

// rules are how lyrics are laid out. Upstream: LyricsTokenizer.
var rules = tokenizer.Options{Start: start, End: tokenizer.None, Pad: newLine, MinLength: 1}

// lyricsTokenizer lays out lyrics by the vocabulary beside a file. It is not part of the program, because its licence is
// unclear. Lyrics without letters need no vocabulary.
func lyricsTokenizer(src weights.Source) family.Tokenizer {
	return func(lyrics string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
		return tokenizer.New(&lines{src: src}, o.Apply(rules)).Tokenize(lyrics, nil)
	}
}

// vocabularies are the loaded vocabularies, by the folder of the weight file.
var vocabularies sync.Map

// wordsBeside reads the vocabulary in a weight file's folder.
func wordsBeside(src weights.Source) (tokenizer.Model, error) {
	dir := filepath.Dir(src.Path())
	if m, ok := vocabularies.Load(dir); ok {
		return m.(tokenizer.Model), nil
	}
	const folder, file = "ace_lyrics_tokenizer", "vocab.json"
	data, err := textenc.Beside(src, "the vocabulary of lyrics", filepath.Join(folder, file))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, fmt.Errorf("reading the lyrics: the vocabulary of ACE-Step's lyrics is missing, which is no part of this program: copy the folder %s of ComfyUI's comfy/text_encoders into %s", folder, dir)
	}
	m, err := hf.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, folder, file), err)
	}
	vocabularies.Store(dir, m)
	return m, nil
}
