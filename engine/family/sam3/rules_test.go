package sam3_test

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/sam3"
	"comfygo/engine/tensor"
)

// mask has a value in 4x4 cells from one to another, and -1 elsewhere.
func mask(value float32, from, to int) []float32 {
	out := make([]float32, 16)
	for i := range out {
		out[i] = -1
		if i >= from && i < to {
			out[i] = value
		}
	}
	return out
}

// gone is a mask that was suppressed.
func gone() []float32 { return slices.Repeat([]float32{-10}, 16) }

// TestSuppress has values by hand: of two masks that cross by 0.3 or more the one whose object was hidden later goes, if the other was hidden, too.
func TestSuppress(t *testing.T) {
	t.Parallel()
	const frame = 7
	for name, c := range map[string]struct {
		low          [][]float32
		hidden       []int
		goes         []bool
		hiddenBehind []int
	}{
		"never hidden":       {[][]float32{mask(1, 0, 8), mask(1, 0, 8)}, []int{-1, -1}, []bool{false, false}, []int{-1, -1}},
		"first later":        {[][]float32{mask(1, 0, 8), mask(1, 0, 8)}, []int{2, 1}, []bool{true, false}, []int{frame, 1}},
		"second later":       {[][]float32{mask(1, 0, 8), mask(1, 0, 8)}, []int{1, 2}, []bool{false, true}, []int{1, frame}},
		"other never hidden": {[][]float32{mask(1, 0, 8), mask(1, 0, 8)}, []int{2, -1}, []bool{false, false}, []int{2, -1}},
		"at once":            {[][]float32{mask(1, 0, 8), mask(1, 0, 8)}, []int{2, 2}, []bool{false, false}, []int{2, 2}},
		"two of eight":       {[][]float32{mask(1, 0, 8), mask(1, 6, 14)}, []int{2, 1}, []bool{false, false}, []int{2, 1}},
		"three of eight":     {[][]float32{mask(1, 0, 8), mask(1, 5, 13)}, []int{2, 1}, []bool{true, false}, []int{frame, 1}},
		"one within another": {[][]float32{mask(1, 0, 16), mask(1, 0, 1)}, []int{0, 3}, []bool{false, true}, []int{0, frame}},
		"empty":              {[][]float32{mask(1, 0, 8), mask(1, 0, 0)}, []int{-1, -1}, []bool{false, false}, []int{-1, frame}},
		"alone":              {[][]float32{mask(1, 0, 0)}, []int{-1}, []bool{false}, []int{-1}},
		"the last of three":  {[][]float32{mask(1, 0, 8), mask(1, 0, 8), mask(1, 0, 8)}, []int{1, 2, 3}, []bool{false, true, true}, []int{1, frame, frame}},
	} {
		want := sam3.Followed{Hidden: c.hiddenBehind}
		for i, m := range c.low {
			if want.Low = append(want.Low, slices.Clone(m)); c.goes[i] {
				want.Low[i] = gone()
			}
		}
		got := sam3.Followed{Low: c.low, Hidden: c.hidden}.Suppress(frame)
		if !reflect.DeepEqual(got.Low, want.Low) || !slices.Equal(got.Hidden, want.Hidden) {
			t.Errorf("%s: %v, hidden %v; want %v, hidden %v", name, got.Low, got.Hidden, want.Low, want.Hidden)
		}
	}
}

// TestLost has values by hand: an object is lost that keeps less than 0.3 of its cells where each cell belongs to the highest logit.
func TestLost(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		low  [][]float32
		want []bool
	}{
		"alone":             {[][]float32{mask(1, 0, 0)}, []bool{false}},
		"apart":             {[][]float32{mask(1, 0, 8), mask(1, 8, 16)}, []bool{false, false}},
		"covered":           {[][]float32{mask(1, 0, 16), mask(2, 0, 16)}, []bool{true, false}},
		"equal, first wins": {[][]float32{mask(1, 0, 16), mask(1, 0, 16)}, []bool{false, true}},
		"three of ten left": {[][]float32{mask(1, 0, 10), mask(2, 0, 7)}, []bool{false, false}},
		"two of ten left":   {[][]float32{mask(1, 0, 10), mask(2, 0, 8)}, []bool{true, false}},
		"empty":             {[][]float32{mask(1, 0, 0), mask(1, 0, 8)}, []bool{true, false}},
	} {
		if got := (sam3.Followed{Low: c.low}).Lost(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// memory stands for the graph that remembers masks, and counts its runs.
type memory struct {
	familytest.Runner
	runs *int
}

// Run implements family.Runner.
func (m memory) Run(context.Context, family.Graph, []family.Value, ...string) (map[string]*tensor.Tensor, error) {
	*m.runs++
	return map[string]*tensor.Tensor{"memory": tensor.New(1, 1, 1), "image": tensor.New(1, 1, 1)}, nil
}

// TestMatch has values by hand: an overlap of 0.5 is agreement, a score of 0.8 replaces a mask, and what agrees with nothing is new while there is room.
func TestMatch(t *testing.T) {
	t.Parallel()
	objects := func() [][]float32 { return [][]float32{mask(1, 0, 4), mask(1, 8, 12)} }
	for name, c := range map[string]struct {
		alive  []int
		found  [][]float32
		scores []float32
		most   int
		want   sam3.Followed
		runs   int
	}{
		"nothing found": {[]int{1, -4}, nil, nil, 0, sam3.Followed{Low: objects(), Scores: []float32{1, 1}, Alive: []int{0, -4}, Hidden: []int{-1, -1}}, 0},
		"agreement": {
			[]int{1, 8},
			[][]float32{mask(2, 2, 6), mask(2, 8, 12)},
			[]float32{0.7, 0.7},
			0,
			sam3.Followed{Low: objects(), Scores: []float32{1, 1}, Alive: []int{2, 8}, Hidden: []int{-1, -1}},
			0,
		},
		"a sure one replaces": {
			[]int{1, 1},
			[][]float32{mask(2, 2, 6)},
			[]float32{0.8},
			0,
			sam3.Followed{Low: [][]float32{mask(2, 2, 6), mask(1, 8, 12)}, Scores: []float32{1, 1}, Alive: []int{2, 0}, Hidden: []int{-1, -1}},
			1,
		},
		"a new one": {
			[]int{1, 1},
			[][]float32{mask(2, 3, 7)},
			[]float32{0.9},
			0,
			sam3.Followed{Low: append(objects(), mask(2, 3, 7)), Scores: []float32{1, 1, 0.9}, Alive: []int{0, 0, 1}, Hidden: []int{-1, -1, -1}},
			1,
		},
		"one place for two": {
			[]int{1, 1},
			[][]float32{mask(2, 4, 8), mask(2, 12, 16)},
			[]float32{0.9, 0.6},
			3,
			sam3.Followed{Low: append(objects(), mask(2, 4, 8)), Scores: []float32{1, 1, 0.9}, Alive: []int{0, 0, 1}, Hidden: []int{-1, -1, -1}},
			1,
		},
		"no place": {
			[]int{1, 1},
			[][]float32{mask(2, 4, 8)},
			[]float32{0.9},
			2,
			sam3.Followed{Low: objects(), Scores: []float32{1, 1}, Alive: []int{0, 0}, Hidden: []int{-1, -1}},
			0,
		},
		"replaced and new": {
			[]int{1, 1},
			[][]float32{mask(2, 0, 4), mask(2, 12, 16)},
			[]float32{0.9, 0.5},
			0,
			sam3.Followed{Low: [][]float32{mask(2, 0, 4), mask(1, 8, 12), mask(2, 12, 16)}, Scores: []float32{1, 1, 0.5}, Alive: []int{2, 0, 1}, Hidden: []int{-1, -1, -1}},
			2,
		},
	} {
		runs := 0
		got, err := sam3.Followed{Low: objects(), Alive: c.alive}.Match(c.found, c.scores, c.most, memory{runs: &runs})
		if err != nil || !reflect.DeepEqual(got, c.want) || runs != c.runs {
			t.Errorf("%s: %+v, %d runs, %v; want %+v, %d runs", name, got, runs, err, c.want, c.runs)
		}
	}
}
