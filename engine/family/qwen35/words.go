package qwen35

import (
	"fmt"
	"path/filepath"
	"strings"

	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/tokenizer/hf"
	"comfygo/engine/weights"
)

// folder is the folder of the vocabulary beside a file. Its ids do not follow from the merges, unlike those of Qwen 2, and it is not part
// of this program.
const folder = "qwen35_tokenizer"

// firstAdded is <|endoftext|>, the first of the added tokens. The names after a bar are special, which decoding leaves out.
const (
	firstAdded = 248044
	addedNames = "|<|endoftext|> |<|im_start|> |<|im_end|> |<|object_ref_start|> |<|object_ref_end|> |<|box_start|> |<|box_end|> |<|quad_start|> |<|quad_end|> " +
		"|<|vision_start|> |<|vision_end|> |<|vision_pad|> |<|image_pad|> |<|video_pad|> <tool_call> </tool_call> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> <|fim_pad|> " +
		"<|repo_name|> <|file_sep|> <tool_response> </tool_response> <think> </think> |<|audio_start|> |<|audio_end|> |<tts_pad> |<tts_text_bos> |<tts_text_eod> |<tts_text_bos_single> |<|audio_pad|>"
)

func added() []hf.AddedToken {
	var out []hf.AddedToken
	for i, name := range strings.Fields(addedNames) {
		name, special := strings.CutPrefix(name, "|")
		if !strings.HasPrefix(name, "<") {
			name, special = "|"+name, false
		}
		out = append(out, hf.AddedToken{ID: firstAdded + int32(i), Content: name, Special: special})
	}
	return out
}

// words reads the vocabulary from beside a file: vocab.json and merges.txt, or tokenizer.json.
func words(src weights.Source) (tokenizer.Model, error) {
	const what = "the tokenizer"
	vocab, err := textenc.Beside(src, what, filepath.Join(folder, "vocab.json"), "vocab.json")
	if err != nil {
		return nil, err
	}
	merges, err := textenc.Beside(src, what, filepath.Join(folder, "merges.txt"), "merges.txt")
	if err != nil {
		return nil, err
	}
	whole, err := textenc.Beside(src, what, filepath.Join(folder, "tokenizer.json"), "tokenizer.json")
	if err != nil {
		return nil, err
	}
	var p *hf.Pipeline
	switch {
	case vocab != nil && merges != nil:
		p, err = hf.ByteLevel{Vocab: vocab, Merges: merges, Pattern: hf.PatternQwen2, NFC: true, Added: added()}.Build()
	case whole != nil:
		p, err = hf.Parse(whole)
	default:
		return nil, fmt.Errorf("reading the tokenizer of %s: that of Qwen 3.5 is not part of this program; put vocab.json and merges.txt of the model (or of ComfyUI's folder comfy/text_encoders/%s), or its tokenizer.json, into the folder %s beside the file", src.Path(), folder, folder)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the tokenizer of %s: %w", src.Path(), err)
	}
	return p, nil
}
