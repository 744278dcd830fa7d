package textenc_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/tensor"
	"comfygo/engine/textenc"
	"comfygo/engine/tokenizer"
	"comfygo/engine/weights"
)

// layered encodes a token as (id, position) in each of its layers, the id times the layer's number from 1 on.
type layered struct{ layers, rows int }

func (l *layered) Forward(_ context.Context, rows []textenc.Row) (textenc.Output, error) {
	l.rows = len(rows)
	n := len(rows[0].IDs)
	out := tensor.New(len(rows), max(l.layers, 1), n, 2)
	pooled := tensor.New(len(rows), 1)
	for i, row := range rows {
		pooled.Data[i] = float32(row.Last)
		for k := range max(l.layers, 1) {
			for j, id := range row.IDs {
				copy(out.Data[((i*max(l.layers, 1)+k)*n+j)*2:], []float32{float32(id) * float32(k+1), float32(j)})
			}
		}
	}
	if l.layers == 0 {
		out.Shape = []int{len(rows), n, 2}
	}
	return textenc.Output{Hidden: out, Pooled: pooled}, nil
}

func chunk(ids ...int32) []tokenizer.Token {
	out := make([]tokenizer.Token, len(ids))
	for i, id := range ids {
		out[i] = tokenizer.Token{ID: id, Weight: 1}
	}
	return out
}

func TestEncode(t *testing.T) {
	t.Parallel()
	weighted := chunk(8, 4, 9, 7)
	weighted[1].Weight = 1.5
	for _, c := range []struct {
		name     string
		net      layered
		tokens   tokenizer.Tokens
		zero     bool
		rows     int
		shape    []int
		want     []float32
		mask     []float32
		settings textenc.Empty
	}{
		{
			name: "weights", tokens: tokenizer.Tokens{weighted}, rows: 2, shape: []int{1, 4, 2},
			// The empty prompt is 8 9 7 7: 4 becomes (4-9)*1.5+9.
			want: []float32{8, 0, 1.5, 1, 9, 2, 7, 3}, mask: []float32{1, 1, 1, 0}, settings: marks,
		},
		{
			name: "masked states are zero", tokens: tokenizer.Tokens{chunk(8, 4, 9, 7), chunk(8, 9, 7, 7)}, zero: true, rows: 2, shape: []int{1, 8, 2},
			want: []float32{8, 0, 4, 1, 9, 2, 0, 0, 8, 0, 9, 1, 0, 0, 0, 0}, mask: []float32{1, 1, 1, 0, 1, 1, 0, 0}, settings: marks,
		},
		{
			name: "layers", net: layered{layers: 2}, tokens: tokenizer.Tokens{chunk(4, 5), chunk(6, 7)}, rows: 2, shape: []int{1, 2, 4, 2},
			want: []float32{4, 0, 5, 1, 6, 0, 7, 1, 8, 0, 10, 1, 12, 0, 14, 1}, mask: []float32{1, 1, 1, 0},
			settings: textenc.Empty{Start: 8, End: tokenizer.None, Pad: 7},
		},
		{
			// The weight of token 1 goes to layer 1, as in upstream: (x-empty)*3+empty with the empty prompt 7 7.
			name: "weights of layers", net: layered{layers: 2}, tokens: tokenizer.Tokens{{{ID: 4, Weight: 1}, {ID: 5, Weight: 3}}}, rows: 2, shape: []int{1, 2, 2, 2},
			want: []float32{4, 0, 5, 1, -4, 0, 2, 1}, mask: []float32{1, 1},
			settings: textenc.Empty{Start: tokenizer.None, End: tokenizer.None, Pad: 7},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := textenc.Encode(t.Context(), &c.net, c.tokens, textenc.Settings{Empty: c.settings, Width: 2, ZeroMasked: c.zero})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(r.Hidden.Shape, c.shape) || !slices.Equal(r.Hidden.Data, c.want) {
				t.Errorf("hidden states %v %v, want %v %v", r.Hidden.Shape, r.Hidden.Data, c.shape, c.want)
			}
			if !slices.Equal(r.Mask.Data, c.mask) {
				t.Errorf("mask %v, want %v", r.Mask.Data, c.mask)
			}
			if c.net.rows != c.rows || len(r.Pooled.Data) != 1 {
				t.Errorf("%d rows encoded, want %d; pooled %v", c.net.rows, c.rows, r.Pooled)
			}
		})
	}
}

func TestPlainPromptEncodesNothingElse(t *testing.T) {
	t.Parallel()
	net := &layered{}
	r, err := textenc.Encode(t.Context(), net, tokenizer.Tokens{chunk(8, 4, 9, 7), chunk(8, 9, 7, 7)}, textenc.Settings{Empty: marks, Width: 2})
	if err != nil || net.rows != 2 || !slices.Equal(r.Pooled.Data, []float32{2}) {
		t.Errorf("%d rows, pooled %v, %v; want two rows and the first one's pooled output", net.rows, r.Pooled, err)
	}
}

// broken is a network that fails, or returns states of too few rows.
type broken struct{ err error }

func (b broken) Forward(context.Context, []textenc.Row) (textenc.Output, error) {
	return textenc.Output{Hidden: tensor.New(1, 1, 2)}, b.err
}

func TestEncodeErrors(t *testing.T) {
	t.Parallel()
	fails := errors.New("broken")
	if _, err := textenc.Encode(t.Context(), broken{fails}, tokenizer.Tokens{chunk(1)}, textenc.Settings{Empty: marks, Width: 2}); !errors.Is(err, fails) {
		t.Errorf("got %v, want the network's error", err)
	}
	if _, err := textenc.Encode(t.Context(), broken{}, tokenizer.Tokens{chunk(1, 2)}, textenc.Settings{Empty: marks, Width: 2}); err == nil {
		t.Error("no error for states of another shape")
	}
	for name, tokens := range map[string]tokenizer.Tokens{
		"no chunks": nil, "empty chunk": {{}}, "uneven chunks": {chunk(1), chunk(1, 2)},
	} {
		if _, err := textenc.Encode(t.Context(), &layered{}, tokens, textenc.Settings{Empty: marks, Width: 2}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestMasks(t *testing.T) {
	t.Parallel()
	none := tokenizer.None
	for _, c := range []struct {
		name  string
		ids   []int32
		empty textenc.Empty
		want  []int64
		last  int
	}{
		{"end", []int32{8, 5, 9, 9, 7}, marks, []int64{1, 1, 1, 0, 0}, 2},
		{"padding is the end token", []int32{8, 5, 9, 9}, textenc.Empty{Start: 8, End: 9, Pad: 9}, []int64{1, 1, 1, 0}, 2},
		{"no end token", []int32{5, 6, 7, 7}, textenc.Empty{Start: none, End: none, Pad: 7}, []int64{1, 1, 0, 0}, 1},
		{"padding on the left", []int32{7, 7, 8, 5}, textenc.Empty{Start: 8, End: none, Pad: 7}, []int64{0, 0, 1, 1}, 1},
		{"padding on both sides", []int32{7, 8, 5, 7, 5}, textenc.Empty{Start: 8, End: none, Pad: 7}, []int64{0, 1, 1, 0, 0}, 1},
		{"all padding", []int32{7, 7}, textenc.Empty{Start: none, End: none, Pad: 7}, []int64{0, 0}, 0},
	} {
		r := textenc.Resolve(chunk(c.ids...), 2, c.empty)
		if !slices.Equal(r.Mask, c.want) || r.Last != c.last {
			t.Errorf("%s: mask %v, last %d; want %v, %d", c.name, r.Mask, r.Last, c.want, c.last)
		}
	}
}

func TestEmbed(t *testing.T) {
	t.Parallel()
	raw := make([]byte, 4*6)
	for i := range 6 {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(float32(i)))
	}
	table := weights.Entry{Name: "table", DType: dtype.F32, Shape: []int{3, 2}, Data: raw}
	got, err := textenc.Embed([]textenc.Row{{IDs: []int64{2, 0}, Vectors: map[int][]float32{1: {8, 9}}}}, table)
	if err != nil || !slices.Equal(got.Shape, []int{1, 2, 2}) || !slices.Equal(got.Data, []float32{4, 5, 8, 9}) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := textenc.Embed([]textenc.Row{{IDs: []int64{3}}}, table); err == nil {
		t.Error("no error for a token outside the table")
	}
	if _, err := textenc.Embed([]textenc.Row{{IDs: []int64{1}}, {IDs: []int64{1, 1}}}, table); err == nil {
		t.Error("no error for uneven rows")
	}
}

// TestNoChunks encodes a prompt that was left out: the special tokens alone, as upstream does for a list of no chunks.
func TestNoChunks(t *testing.T) {
	t.Parallel()
	for _, unended := range []bool{false, true} {
		net := &layered{}
		r, err := textenc.Encode(t.Context(), net, tokenizer.Tokens{}, textenc.Settings{Empty: marks, Width: 2, Unended: unended})
		want := 2
		if unended {
			want = 1
		}
		if err != nil || net.rows != 1 || r.Mask.Len() != want {
			t.Errorf("unended %t: %d rows, mask %v, %v; want one row of %d tokens", unended, net.rows, r.Mask, err, want)
		}
	}
}
