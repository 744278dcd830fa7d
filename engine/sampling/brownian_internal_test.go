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

// The increments are torchsde's to the bit where normal values are (from 16 values on); their divisors are not, because the square
// root of torch's vector library is not always the nearest number. That is an ulp of values up to 4.
var brownianTolerance = golden.Tolerance{MaxAbs: 5e-7}

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
		var plan []span
		for i, q := range c.Queries {
			if i%3 != 2 { // some are requested without a plan
				plan = append(plan, span{q[0], q[1]})
			}
		}
		path := newBrownianPath(c.Shape, stored.Get(t, c.ID+"/sigmas").Data, seed, plan)
		want := stored.Get(t, c.ID+"/out")
		for i, q := range c.Queries {
			golden.Compare(t, fmt.Sprintf("%s query %d", c.ID, i), path.noise(q[0], q[1]).Data, want.Index(i).Data, brownianTolerance)
		}
		path.close()
	}
}

// Increments are drawn together or alone, planned or not, and must be the same ones, at sizes around those of chunks.
func TestBrownianNoiseIsOnePath(t *testing.T) {
	t.Parallel()
	levels := []float32{10, 5, 2.5, 1, 0.3, 0.1}
	for _, n := range []int{1, 15, 16, 17, bridgeChunk - 1, bridgeChunk, bridgeChunk + 1, bridgeChunk + 17, 3*bridgeChunk + 5} {
		var plan []span
		for i := range len(levels) - 1 {
			plan = append(plan, span{levels[i], levels[i+1]})
		}
		shape := []int{1, 1, 1, n}
		planned, free := newBrownianPath(shape, levels, 7, plan), newBrownianPath(shape, levels, 7, nil)
		first := make([][]float32, len(plan))
		for i, s := range slices.Backward(plan) {
			first[i] = free.noise(s.from, s.to).Data
		}
		for i, s := range plan {
			if got := planned.noise(s.from, s.to).Data; !slices.Equal(got, first[i]) {
				t.Errorf("%d values: step %d differs when it is asked for in another way", n, i)
			}
		}
		if empty := free.noise(1, 1); slices.ContainsFunc(empty.Data, func(v float32) bool { return v != 0 }) {
			t.Error("an empty interval has an increment")
		}
		whole, parts := free.noise(10, 0.1).Data[0], float32(0)
		for i, s := range plan {
			parts += first[i][0] * sqrt32(s.from-s.to)
		}
		if want := parts / sqrt32(10-0.1); abs32(whole-want) > 1e-5 {
			t.Errorf("%d values: the steps add up to %v, the whole path is %v", n, want, whole)
		}
		planned.close()
		free.close()
	}
}

// A run that ends early leaves no goroutine after: close waits for it, wherever it is.
func TestBrownianPathEndsWhenItIsClosed(t *testing.T) {
	t.Parallel()
	plan := make([]span, 50)
	for i := range plan {
		plan[i] = span{float32(100 - i), float32(99 - i)}
	}
	for asked := range 6 {
		p := newBrownianPath([]int{1, 4, 64, 64}, []float32{100, 1}, 3, plan)
		for i := range asked {
			p.noise(plan[i].from, plan[i].to)
		}
		p.close()
	}
}
