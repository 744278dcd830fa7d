package lm_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/familytest"
	"comfygo/engine/family/lm"
	"comfygo/engine/textgen"
	inner "comfygo/internal/golden"
)

// rows is what testdata/rows.py recorded.
type rows struct {
	Config      json.RawMessage `json:"config"`
	Shapes      [][2]any        `json:"shapes"`
	Prompts     [][]int32       `json:"prompts"`
	Padding     int32           `json:"padding"`
	First, Last int
	Cases       []struct {
		Scale       float64 `json:"cfg_scale"`
		Temperature float64 `json:"temperature"`
		TopP        float64 `json:"top_p"`
		TopK        int     `json:"top_k"`
		MinP        float64 `json:"min_p"`
		Seed        uint64  `json:"seed"`
		Codes       []int32 `json:"codes"`
	} `json:"cases"`
}

func recordedRows(t *testing.T) (rows, *lm.Encoder) {
	t.Helper()
	var doc rows
	if err := inner.ReadJSON("testdata/rows.json", &doc); err != nil {
		t.Fatal(err)
	}
	e, err := lm.Small("Qwen3_06B", doc.Config, weightsOf(t, "rows", doc.Shapes))
	if err != nil {
		t.Fatal(err)
	}
	return doc, e
}

// TestRowsEqualUpstream generates with a guidance between a prompt and a shorter one with padding before it, and without. The tokens
// are equal.
func TestRowsEqualUpstream(t *testing.T) {
	t.Parallel()
	doc, e := recordedRows(t)
	for _, c := range doc.Cases {
		choose, err := textgen.NewGuided(textgen.Options{Sample: true, Temperature: c.Temperature, TopP: c.TopP, TopK: c.TopK, MinP: c.MinP, Seed: c.Seed}, c.Scale, doc.First)
		if err != nil {
			t.Fatal(err)
		}
		prompts, steps, bytes := doc.Prompts, 0, int64(0)
		if c.Scale == 1 {
			prompts = prompts[:1]
		}
		got, err := e.GenerateRows(t.Context(), familytest.Runner{}, prompts, family.RowOptions{
			Count: len(c.Codes), From: doc.First, To: doc.Last, Padding: doc.Padding, Next: choose.Next, Progress: func(int) { steps++ }, Cached: func(n int64) { bytes = n },
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			got[i] -= int32(doc.First) //nolint:gosec // below the number of tokens
		}
		if !slices.Equal(got, c.Codes) || steps != len(got) || bytes < int64(len(prompts))*e.CacheBytes(18) {
			t.Errorf("seed %d: %v after %d steps with %d bytes kept, want %v", c.Seed, got, steps, bytes, c.Codes)
		}
	}
}

func TestRowErrors(t *testing.T) {
	t.Parallel()
	doc, e := recordedRows(t)
	next := func([][]float32, int) (int32, error) { return 1, nil }
	for says, prompts := range map[string][][]int32{"wanted as many": {{1, 2}, {1}}, "at least one": {{}}} {
		if _, err := e.GenerateRows(t.Context(), familytest.Runner{}, prompts, family.RowOptions{Count: 1, To: 90, Next: next}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want an error that says %q", err, says)
		}
	}
	if _, err := e.GenerateRows(t.Context(), familytest.Runner{}, doc.Prompts, family.RowOptions{Count: 1, To: 97, Next: next}); err == nil || !strings.Contains(err.Error(), "knows 96 tokens") {
		t.Errorf("more tokens than there are: %v", err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	ended := errors.New("ended")
	_, err := e.GenerateRows(ctx, familytest.Runner{}, doc.Prompts, family.RowOptions{Count: 5, To: 90, Next: func(l [][]float32, all int) (int32, error) {
		stop(ended)
		return next(l, all)
	}})
	if !errors.Is(err, ended) {
		t.Errorf("an interrupted text: %v", err)
	}
}
