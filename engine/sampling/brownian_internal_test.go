package sampling

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"comfygo/tests/golden"
)

type brownianGolden struct {
	Cases []struct {
		ID      string              `json:"id"`
		Seed    string              `json:"seed"`
		Shape   []int               `json:"shape"`
		Queries [][2]float32        `json:"queries"`
		SeedSeq map[string][]uint32 `json:"seedseq"`
	} `json:"cases"`
}

// Increments are sums of a few normal values of unit size, each up to 3 ulps from torch's; the goldens' own second
// implementation is within 5e-7.
var brownianTolerance = golden.Tolerance{MaxAbs: 1e-6}

func TestBrownianNoiseEqualsTorchsde(t *testing.T) {
	t.Parallel()
	var g brownianGolden
	stored := golden.Load(t, "noise/brownian", &g)
	for _, c := range g.Cases {
		seed, err := strconv.ParseUint(c.Seed, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range c.SeedSeq {
			var spawn []uint32
			if key != "root" {
				for part := range strings.SplitSeq(key, ",") {
					v, err := strconv.ParseUint(part, 10, 32)
					if err != nil {
						t.Fatal(err)
					}
					spawn = append(spawn, uint32(v))
				}
			}
			if got := seedWords(seed, spawn, len(want)); !slices.Equal(got, want) {
				t.Errorf("%s: words of %s are %v, want %v", c.ID, key, got, want)
			}
		}
		noise := brownianNoise(c.Shape, stored.Get(t, c.ID+"/sigmas").Data, seed)
		want := stored.Get(t, c.ID+"/out")
		for i, q := range c.Queries {
			golden.Compare(t, fmt.Sprintf("%s query %d", c.ID, i), noise(q[0], q[1]).Data, want.Index(i).Data, brownianTolerance)
		}
	}
}

// The tree forgets increments between queries and must draw the same ones again.
func TestBrownianNoiseIsOnePath(t *testing.T) {
	t.Parallel()
	levels := []float32{10, 5, 2.5, 1, 0.3, 0.1}
	shape := []int{1, 1, 4, 8}
	first := brownianNoise(shape, levels, 7)
	var forward [][]float32
	for i := range len(levels) - 1 {
		forward = append(forward, first(levels[i], levels[i+1]).Data)
	}
	for i := range slices.Backward(forward) {
		if again := first(levels[i], levels[i+1]); !slices.Equal(again.Data, forward[i]) {
			t.Errorf("step %d differs when it is asked for again", i)
		}
	}
	if empty := brownianNoise(shape, levels, 7)(1, 1); slices.ContainsFunc(empty.Data, func(v float32) bool { return v != 0 }) {
		t.Error("an empty interval has an increment")
	}
}
