package textgen_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/textgen"
	"comfygo/tests/golden"
)

const vocabulary = 400

// TestTokensEqualUpstream checks tokens that were chosen by chance. They are equal: probabilities that are off in their last bit
// decide only where two tokens are as good as equal, which none of these is.
func TestTokensEqualUpstream(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Temperature float64 `json:"temperature"`
		TopK        int     `json:"top_k"`
		TopP        float64 `json:"top_p"`
		MinP        float64 `json:"min_p"`
		Repetition  float64 `json:"repetition_penalty"`
		Presence    float64 `json:"presence_penalty"`
		Seed        uint64  `json:"seed"`
		IDs         []int32 `json:"ids"`
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 7 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		choose, err := textgen.New(textgen.Options{
			Sample: true, Temperature: c.Temperature, TopK: c.TopK, TopP: c.TopP, MinP: c.MinP, Repetition: c.Repetition, Presence: c.Presence, Seed: c.Seed,
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []int32
		for i := range c.IDs {
			id, err := choose.Next(golden.Scale(golden.Normal(fmt.Sprintf("textgen/%d", i), vocabulary), 3).Data)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
		}
		if !slices.Equal(got, c.IDs) {
			t.Errorf("seed %d: %v, want %v", c.Seed, got, c.IDs)
		}
	}
}

func TestGreedy(t *testing.T) {
	t.Parallel()
	for _, o := range []textgen.Options{{}, {Sample: true, TopP: 1, Repetition: 1}} {
		choose, err := textgen.New(o)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := choose.Next([]float32{-3, 2, float32(math.NaN()), 2}); id != 1 || err != nil {
			t.Errorf("%d, %v; want the first of the highest", id, err)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]textgen.Options{
		"temperature": {Sample: true, Temperature: -1}, "top_k": {Sample: true, TopK: -1}, "top_p": {Sample: true, TopP: 1.5},
		"min_p": {Sample: true, MinP: math.NaN()}, "repetition_penalty": {Sample: true, Repetition: math.Inf(1)}, "presence_penalty": {Sample: true, Presence: -1},
	} {
		if _, err := textgen.New(o); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	choose, err := textgen.New(textgen.Options{Sample: true, Temperature: 1, TopP: 1})
	if err != nil {
		t.Fatal(err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, logits := range [][]float32{nil, {nan}, {inf, 1}, {-inf}} {
		if _, err := choose.Next(logits); err == nil {
			t.Errorf("%v: no error", logits)
		}
	}
	if _, err := choose.Next([]float32{1, 0}); err != nil {
		t.Error(err)
	}
	if _, err := choose.Next([]float32{1, 1}); err == nil || !strings.Contains(err.Error(), "repetition penalty") {
		t.Errorf("a penalty of 0 on a positive logit: %v", err)
	}
}
