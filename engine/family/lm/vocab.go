package lm

import (
	_ "embed"
	"fmt"
	"path/filepath"
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/hf"
	"comfygo/engine/tokenizer/packed"
	"comfygo/engine/tokenizer/sentencepiece"
	"comfygo/engine/weights"
)

//go:embed data/qwen2-merges.txt.bz2
var qwenPacked []byte

var qwenWords = packed.New("of Qwen 2", qwenPacked, func(merges []byte) (tokenizer.Model, error) {
	return hf.ByteLevel{Merges: merges, Pattern: hf.PatternQwen2, NFC: true, Added: qwenAdded()}.Build()
})

// Tokens of Qwen 2, 2.5 and 3 that schemes know.
const (
	TokenEnd         int32 = 151643 + iota // <|endoftext|>, which pads
	TokenTurnStart                         // <|im_start|>
	TokenTurnEnd                           // <|im_end|>
	TokenVisionStart int32 = 151652        // <|vision_start|>
	TokenVisionEnd   int32 = 151653        // <|vision_end|>
	TokenImage       int32 = 151655        // <|image_pad|>
	TokenUser        int32 = 872           // "user"
	TokenNewline     int32 = 198
	TokenColon       int32 = 25
)

// qwenNames are the added tokens from TokenEnd on.
const qwenNames = "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> <|box_end|> <|quad_start|> <|quad_end|> " +
	"<|vision_start|> <|vision_end|> <|vision_pad|> <|image_pad|> <|video_pad|> <tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> " +
	"<|repo_name|> <|file_sep|> <tool_response> </tool_response> <think> </think>"

// lastSpecial is <|video_pad|>, the last of the added tokens that are left out of decoded text.
const lastSpecial = TokenImage + 1

func qwenAdded() []hf.AddedToken {
	var out []hf.AddedToken
	for i, name := range strings.Fields(qwenNames) {
		id := TokenEnd + int32(i)
		out = append(out, hf.AddedToken{ID: id, Content: name, Special: id <= lastSpecial})
	}
	return out
}

// isQwen reports that an encoder reads the vocabulary of Qwen 2.
func isQwen(key string) bool { return strings.HasPrefix(key, "qwen") }

// special are the special tokens of the network itself; those of the prompt layout partly differ.
func special(key string) textenc.Empty {
	switch {
	case isQwen(key):
		return textenc.Empty{Start: tokenizer.None, End: tokenizer.None, Pad: TokenEnd}
	case key == KeyLlama3:
		return textenc.Empty{Start: 128000, End: tokenizer.None, Pad: 128258}
	case key == KeyMistral || key == KeyMinistral:
		return textenc.Empty{Start: 1, End: tokenizer.None, Pad: 0}
	}
	return textenc.Empty{Start: 2, End: tokenizer.None, Pad: 0}
}

// rules are how prompts are laid out (upstream: the tokenizer classes of each encoder).
func rules(key string) tokenizer.Options {
	s := special(key)
	o := tokenizer.Options{Start: s.Start, End: s.End, Pad: s.Pad, MinLength: 1}
	switch key {
	case KeyMistral, KeyMinistral:
		o.Pad, o.PadLeft, o.Unweighted = 11, true, true
	case KeyGemma3S:
		o.Unweighted = true
	case KeyGemma3M:
		o.Unweighted, o.PadLeft, o.MinLength = true, true, 1024
	}
	return o
}

// tokenize lays a prompt out for the encoder of a key.
func tokenize(m tokenizer.Model, key, prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	return tokenizer.New(m, o.Apply(rules(key))).Tokenize(prompt, o.Embedding)
}

var _ family.Vocabulary = kind{}

// Tokenizer implements family.Vocabulary.
func (kind) Tokenizer(key string) family.Tokenizer {
	if !isQwen(key) {
		return nil
	}
	return func(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
		return tokenize(qwenWords, key, prompt, o)
	}
}

// The tensors in which weight files carry tokenizers, and the file beside them.
const (
	spiece  = "spiece_model"
	tekken  = "tekken_model"
	words   = "tokenizer_json"
	besides = "tokenizer.json"
)

// wordsIn returns the vocabulary of an encoder: the one of the program, or the one in the file or beside it.
func wordsIn(key string, src weights.Source) (tokenizer.Model, error) {
	const what = "the tokenizer"
	switch {
	case isQwen(key):
		return qwenWords, nil
	case key == KeyLlama3:
		return llamaWords(src)
	case key == KeyMistral || key == KeyMinistral:
		return textenc.Vocabulary(src, tekken, what, func(data []byte) (tokenizer.Model, error) { return hf.Tekken(data) })
	}
	p, err := textenc.Vocabulary(src, spiece, what, func(data []byte) (tokenizer.Model, error) { return sentencepiece.Parse(data) })
	if err != nil {
		return nil, err
	}
	return tokenizer.Specials{Model: p, Tokens: gemmaSpecials(key), DropFirst: true}, nil
}

// TokenSoftImage is Gemma 3's <image_soft_token>.
const TokenSoftImage int32 = 262144

// gemmaSpecials are the tokens that are found in the text itself.
func gemmaSpecials(key string) []tokenizer.Special {
	const turnEnd = "<end_of_turn>"
	if key == KeyGemma2 {
		return []tokenizer.Special{{Text: turnEnd, ID: 107}}
	}
	return []tokenizer.Special{{Text: "<image_soft_token>", ID: TokenSoftImage}, {Text: turnEnd, ID: 106}}
}

// llamaWords reads Llama 3's vocabulary, whose licence does not allow shipping it with this program: from the weight file,
// from llama_tokenizer/tokenizer.json beside it, or from tokenizer.json there.
func llamaWords(src weights.Source) (tokenizer.Model, error) {
	const what = "the tokenizer"
	read := func() ([]byte, error) {
		return textenc.Beside(src, what, filepath.Join("llama_tokenizer", besides), besides)
	}
	if _, ok := src.Lookup(words); ok {
		read = func() ([]byte, error) { return textenc.Embedded(src, words, what) }
	}
	data, err := read()
	if err != nil {
		return nil, err
	}
	if data == nil {
		if m, err := textenc.GGUF(src); m != nil || err != nil {
			return m, err
		}
		return nil, fmt.Errorf("reading the tokenizer of %s: Llama 3's tokenizer is not part of this program; put the tokenizer.json of the model into the folder llama_tokenizer beside the file", src.Path())
	}
	return hf.Parse(data)
}

// QwenTokens lays a prompt out as Qwen 2, 2.5 and 3 do, for models that read the tokens without an encoder of their own.
func QwenTokens(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	return tokenize(qwenWords, KeyQwen3XS, prompt, o)
}
