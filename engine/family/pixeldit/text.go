package pixeldit

import (
	"strings"

	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// loader is the type of the family's text encoder in the CLIP loaders.
const loader = "pixeldit"

// mostTokens is the number of tokens of an encoding.
const mostTokens = 300

// The instruction before a prompt, and how a prompt begins that carries it already.
const (
	begin       = "Given a user prompt, generate an \"Enhanced prompt\""
	instruction = begin + " that provides detailed visual descriptions suitable for image generation. Evaluate the level of detail in the user prompt:\n" +
		"- If the prompt is simple, focus on adding specifics about colors, shapes, sizes, textures, and spatial relationships to create vivid and concrete scenes.\n" +
		"- If the prompt is already detailed, refine and enhance the existing details slightly without overcomplicating.\n" +
		"Here are examples of how to transform or refine prompts:\n" +
		"- User Prompt: A cat sleeping -> Enhanced: A small, fluffy white cat curled up in a round shape, sleeping peacefully on a warm sunny windowsill, surrounded by pots of blooming red flowers.\n" +
		"- User Prompt: A busy city street -> Enhanced: A bustling city street scene at dusk, featuring glowing street lamps, a diverse crowd of people in colorful clothing, and a double-decker bus passing by towering glass skyscrapers.\n" +
		"Please generate only the enhanced description for the prompt below and avoid including any additional commentary or evaluations:\n" +
		"User Prompt: "
)

// Upstream: text_encoders/pixeldit.py: Gemma 2 after its last norm, of which the first and the last tokens count.
func init() {
	family.Register(family.Single{
		Label: "PixelDiT", Order: 163, Loader: loader, Only: []string{},
		Encoder: family.SchemeEncoder{Key: lm.KeyGemma2, Plain: true, Options: lm.Masked(0), Compose: compose},
		Finish: func(e family.Encoding, _ map[string]family.Encoding) (family.Encoding, error) {
			return firstAndLast(e), nil
		},
	})
}

// compose lays a prompt out after the instruction, padded to the instruction's tokens plus 298.
func compose(tok family.Tokenizer, p family.Prompt, o family.TokenizeOptions) (tokenizer.Tokens, error) {
	if p.Generate {
		return tok(p.Text, o)
	}
	least := func(n int) family.TokenizeOptions {
		with := o
		with.Layout = func(rules *tokenizer.Options) {
			if o.Layout != nil {
				o.Layout(rules)
			}
			rules.Unweighted, rules.MinLength = true, n
		}
		return with
	}
	if strings.TrimSpace(p.Text) == "" {
		return tok("", least(mostTokens))
	}
	before, err := tok(instruction, least(1))
	if err != nil {
		return nil, err
	}
	text := p.Text
	if !strings.HasPrefix(text, begin) {
		text = instruction + text
	}
	length := len(before[0]) + mostTokens - 2
	out, err := tok(text, least(length))
	if err != nil {
		return nil, err
	}
	return tokenizer.Tokens{out[0][:min(length, len(out[0]))]}, nil
}

// firstAndLast keeps the first and the last tokens of a long encoding.
func firstAndLast(e family.Encoding) family.Encoding {
	n, width := e.Hidden.Dim(1), e.Hidden.Dim(2)
	if n <= mostTokens {
		return e
	}
	hidden := tensor.New(1, mostTokens, width)
	copy(hidden.Data[copy(hidden.Data, e.Hidden.Data[:width]):], e.Hidden.Data[(n-mostTokens+1)*width:])
	e.Hidden = hidden
	if e.Mask != nil {
		mask := &tensor.Tensor{Shape: []int{1, mostTokens}, Data: append([]float32{e.Mask.Data[0]}, e.Mask.Data[n-mostTokens+1:]...)}
		e.Mask = mask
	}
	return e
}
