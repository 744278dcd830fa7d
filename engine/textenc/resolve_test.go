package textenc_test

import (
	"slices"
	"testing"

	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
)

var marks = textenc.Empty{Start: 8, End: 9, Pad: 7}

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
