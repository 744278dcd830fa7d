package hidreamo1

import (
	"errors"

	"comfygo/engine/family"
	"comfygo/engine/family/lm"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// loader is the type of the text encoder, which only checkpoints have.
const loader = "hidream_o1"

// keyTokens is the key of a prompt's tokens [1,T] in a conditioning entry.
const keyTokens = "text_input_ids"

// The tokens of a turn, and those of HiDream: the begin of the image and the place of the time.
const (
	tokenAssistant int32 = 77091
	tokenImageTurn int32 = 151669
	tokenTime      int32 = 151673
)

func init() { family.Register(scheme{}) }

// scheme gives a prompt's tokens to the model, which reads them itself (upstream: text_encoders/hidream_o1.py).
type scheme struct{}

// Name implements family.Family.
func (scheme) Name() string { return "HiDream O1" }

// Rank implements family.Family.
func (scheme) Rank() int { return 183 }

// Type implements family.Scheme.
func (scheme) Type() string { return loader }

// Encoders implements family.Scheme.
func (scheme) Encoders() []family.SchemeEncoder {
	return []family.SchemeEncoder{{Key: loader, Plain: true, Layout: lm.Unweighted, Alone: lm.QwenTokens, Arrange: arrange}}
}

// arrange writes the user's turn around a prompt's tokens, and the begin of the model's.
func arrange(t tokenizer.Tokens, _ family.Prompt) tokenizer.Tokens {
	var out []tokenizer.Token
	add := func(ids ...int32) {
		for _, id := range ids {
			out = append(out, tokenizer.Token{ID: id, Weight: 1})
		}
	}
	add(lm.TokenTurnStart, lm.TokenUser, lm.TokenNewline)
	for _, row := range t[:min(1, len(t))] {
		for _, tok := range row {
			if tok.ID != lm.TokenEnd {
				out = append(out, tok)
			}
		}
	}
	add(lm.TokenTurnEnd, lm.TokenNewline, lm.TokenTurnStart, tokenAssistant, lm.TokenNewline, tokenImageTurn, tokenTime)
	return tokenizer.Tokens{out}
}

// Join implements family.Scheme.
func (scheme) Join(parts map[string]family.Encoding) (family.Encoding, error) {
	e, ok := parts[loader]
	if !ok || len(e.Tokens) == 0 {
		return family.Encoding{}, errors.New("encoding the prompt: it has no tokens")
	}
	row := e.Tokens[0]
	ids := tensor.New(1, len(row))
	for i, t := range row {
		ids.Data[i] = float32(t.ID)
	}
	return family.Encoding{
		Hidden: &tensor.Tensor{Shape: []int{1, len(row), 1}, Data: ids.Data}, Extra: map[string]any{keyTokens: ids},
	}, nil
}
