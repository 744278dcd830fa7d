package t5

import (
	_ "embed"
	"fmt"
	"strconv"

	"comfygo/engine/family"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/hf"
	"comfygo/engine/tokenizer/packed"
	"comfygo/engine/tokenizer/sentencepiece"
	"comfygo/engine/weights"
)

var (
	//go:embed data/t5.json.bz2
	t5Packed []byte
	//go:embed data/pile-t5.model.bz2
	pilePacked []byte
)

var (
	t5Words   = packed.New("of T5", t5Packed, func(b []byte) (tokenizer.Model, error) { return hf.Parse(b) })
	pileWords = packed.New("of Pile-T5", pilePacked, sentencePiece)
)

func sentencePiece(file []byte) (tokenizer.Model, error) { return sentencepiece.Parse(file) }

// special are the special tokens of an encoder.
func special(key string) textenc.Empty {
	if key == KeyPile {
		return textenc.Empty{Start: tokenizer.None, End: 2, Pad: 1}
	}
	return textenc.Empty{Start: tokenizer.None, End: 1, Pad: 0}
}

// length is the least length of a prompt by the encoder's own rules; schemes have others.
func length(key string) int {
	switch key {
	case KeyBase:
		return 128
	case KeyPile, KeyMT5, KeyUMT5Base:
		return 256
	case KeyUMT5, KeyOld:
		return 512
	case KeyByT5:
		return 1
	}
	return 77
}

// words returns the vocabulary of an encoder where it is part of the program; nil otherwise.
func words(key string) tokenizer.Model {
	switch key {
	case KeyXXL, KeyOld, KeyBase:
		return t5Words
	case KeyPile:
		return pileWords
	case KeyByT5:
		return byteWords
	}
	return nil
}

// spiece is the tensor in which a weight file carries a SentencePiece model.
const spiece = "spiece_model"

// wordsIn returns the vocabulary of an encoder: its own, or the one that the file carries.
func wordsIn(key string, src weights.Source) (tokenizer.Model, error) {
	if m := words(key); m != nil {
		return m, nil
	}
	return textenc.Vocabulary(src, spiece, "the tokenizer", sentencePiece)
}

// tokenize lays a prompt out for the encoder of a key.
func tokenize(m tokenizer.Model, key, prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	s := special(key)
	rules := tokenizer.Options{Start: s.Start, End: s.End, Pad: s.Pad, MinLength: length(key)}
	return tokenizer.New(m, o.Apply(rules)).Tokenize(prompt, o.Embedding)
}

// Tokenize lays a prompt out as T5-XXL does, for models that read its tokens without the network.
func Tokenize(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	return tokenize(t5Words, KeyXXL, prompt, o)
}

var _ family.Vocabulary = kind{}

// Tokenizer implements family.Vocabulary.
func (kind) Tokenizer(key string) family.Tokenizer {
	m := words(key)
	if m == nil {
		return nil
	}
	return func(prompt string, o family.TokenizeOptions) (tokenizer.Tokens, error) {
		return tokenize(m, key, prompt, o)
	}
}

// The tokens of ByT5: three special ones, the 256 bytes, and further special ones.
const (
	firstByte  = 3
	extraBytes = 125
)

var byteWords = tokenizer.Specials{Model: bytesModel{}, Tokens: byteSpecials()}

// bytesModel has a token for each byte of UTF-8.
type bytesModel struct{}

// Encode implements tokenizer.Model.
func (bytesModel) Encode(text string) ([]int32, error) {
	ids := make([]int32, len(text))
	for i := range len(text) {
		ids[i] = int32(text[i]) + firstByte
	}
	return ids, nil
}

func byteSpecials() []tokenizer.Special {
	out := []tokenizer.Special{{Text: "<pad>", ID: 0}, {Text: "</s>", ID: 1}, {Text: "<unk>", ID: 2}}
	for i := range extraBytes {
		out = append(out, tokenizer.Special{Text: fmt.Sprintf("<extra_id_%s>", strconv.Itoa(i)), ID: int32(firstByte + 256 + i)})
	}
	return out
}
