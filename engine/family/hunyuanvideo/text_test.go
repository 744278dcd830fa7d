package hunyuanvideo_test

import (
	"slices"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/clip"
	"comfygo/engine/family/lm"
	"comfygo/engine/tensor"
	"comfygo/engine/tokenizer"
)

// TestImageTokens puts the vectors of an image into a prompt: every second one goes in front of the user's turn, as upstream's HunyuanVideoClipModel does.
func TestImageTokens(t *testing.T) {
	t.Parallel()
	var scheme family.Scheme
	for _, s := range family.Default.Schemes() {
		if s.Type() == "hunyuan_video" {
			scheme = s
		}
	}
	const image, header, user, headEnd, lines, turnEnd = 128257, 128006, 882, 128007, 271, 128009
	var row []tokenizer.Token
	for _, id := range []int32{128000, image, 9, header, user, headEnd, lines, 20, image, 21, turnEnd, 30} {
		row = append(row, tokenizer.Token{ID: id, Weight: 1})
	}
	vectors := tensor.New(1, 5, 2)
	arrange := scheme.Encoders()[0].Arrange
	if got := arrange(tokenizer.Tokens{row}, family.Prompt{}); len(got[0]) != len(row) {
		t.Errorf("without an image there are %d tokens", len(got[0]))
	}
	tokens := arrange(tokenizer.Tokens{row}, family.Prompt{Vectors: vectors, Interleave: 2})
	if len(tokens[0]) != len(row)+4 || tokens[0][1].Embedding == nil || tokens[0][12].ID != image {
		t.Fatalf("%d tokens: %+v", len(tokens[0]), tokens[0])
	}
	hidden := tensor.New(1, len(tokens[0]), 1)
	for i := range hidden.Data {
		hidden.Data[i] = float32(i)
	}
	out, err := scheme.Join(map[string]family.Encoding{lm.KeyLlama3: {Hidden: hidden, Tokens: tokens}, clip.KeyL: {Pooled: tensor.New(1, 3)}})
	// The image takes places 1 to 5; after the user's header in 7 to 10 the turn continues to 14.
	if want := []float32{1, 3, 5, 11, 12, 13, 14}; err != nil || !slices.Equal(out.Hidden.Data, want) || out.Pooled.Len() != 3 {
		t.Errorf("states %v, want %v: %v", out.Hidden.Data, want, err)
	}
}
