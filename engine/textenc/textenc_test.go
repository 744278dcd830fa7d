package textenc_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
)

// ramp encodes a token as (id, place, row): easy to follow through the weighting.
type ramp struct {
	rows [][]tokenizer.Token
	err  error
}

func (r *ramp) Forward(_ context.Context, rows [][]tokenizer.Token) (*tensor.Tensor, *tensor.Tensor, error) {
	r.rows = rows
	cond, pooled := tensor.New(len(rows), len(rows[0]), 2), tensor.New(len(rows), 1)
	for i, row := range rows {
		pooled.Data[i] = float32(10 + i)
		for j, t := range row {
			copy(cond.Data[(i*len(row)+j)*2:], []float32{float32(t.ID), float32(j)})
		}
	}
	return cond, pooled, r.err
}

var marks = textenc.Empty{Start: 8, End: 9, Pad: 7}

func TestWeightsMoveAwayFromTheEmptyPrompt(t *testing.T) {
	t.Parallel()
	enc := &ramp{}
	tokens := tokenizer.Tokens{
		{{ID: 8, Weight: 1}, {ID: 4, Weight: 1.5}, {ID: 9, Weight: 1}, {ID: 7, Weight: 1}},
		{{ID: 8, Weight: 1}, {ID: 2, Weight: 0}, {ID: 3, Weight: 2}, {ID: 9, Weight: 1}},
	}
	cond, pooled, err := textenc.EncodeWeighted(t.Context(), enc, tokens, marks)
	if err != nil {
		t.Fatal(err)
	}
	// The empty prompt is 8 9 7 7: 4 becomes (4-9)*1.5+9, 2 becomes 9, 3 becomes (3-7)*2+7.
	want := []float32{8, 0, 1.5, 1, 9, 2, 7, 3, 8, 0, 9, 1, -1, 2, 9, 3}
	if !slices.Equal(cond.Data, want) || !slices.Equal(cond.Shape, []int{1, 8, 2}) {
		t.Errorf("got %v %v, want %v", cond.Shape, cond.Data, want)
	}
	if len(pooled.Data) != 1 || pooled.Data[0] != 10 {
		t.Errorf("pooled is %v, want the first row's", pooled.Data)
	}
	if len(enc.rows) != 3 {
		t.Errorf("%d rows were encoded, want both chunks and the empty prompt", len(enc.rows))
	}
}

func TestPlainPromptEncodesNothingElse(t *testing.T) {
	t.Parallel()
	enc := &ramp{}
	_, _, err := textenc.EncodeWeighted(t.Context(), enc, tokenizer.Tokens{{{ID: 1, Weight: 1}, {ID: 2, Weight: 1}}}, marks)
	if err != nil || len(enc.rows) != 1 {
		t.Errorf("%d rows, %v; want one row", len(enc.rows), err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	if _, _, err := textenc.EncodeWeighted(t.Context(), &ramp{}, nil, marks); err == nil {
		t.Error("no error for a prompt without chunks")
	}
	broken := errors.New("broken")
	_, _, err := textenc.EncodeWeighted(t.Context(), &ramp{err: broken}, tokenizer.Tokens{{{ID: 1, Weight: 1}}}, marks)
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want the network's error", err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	two, three := []float32{1, 2}, []float32{1, 2, 3}
	r := textenc.Resolve([]tokenizer.Token{
		{ID: 8}, {Embedding: two}, {Embedding: three}, {ID: 5}, {ID: 9}, {ID: 9}, {Embedding: two},
	}, 2, marks)
	if want := []int64{8, 0, 5, 9, 9, 0, 7}; !slices.Equal(r.IDs, want) {
		t.Errorf("ids %v, want %v", r.IDs, want)
	}
	if want := []int64{1, 1, 1, 1, 0, 1, 0}; !slices.Equal(r.Mask, want) {
		t.Errorf("mask %v, want %v", r.Mask, want)
	}
	if r.Dropped != 1 || r.Last != 4 || len(r.Vectors) != 2 || r.Vectors[1] == nil || r.Vectors[5] == nil {
		t.Errorf("got %+v", r)
	}
}
