package census_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/census"
)

// measured is a run that tools/activations measured: the highest anonymous memory less that before the session was made, on
// a CPU with AVX-512, two threads, lean weights.
type measured struct {
	Model  string
	Shape  []int
	Tokens int
	Peak   int64
}

// TestMemoryIsAsMeasured compares the estimates of activations with measurements. Most are within 15 %. The others are within a quarter:
// where the memory planner of ONNX Runtime joins operators, the order of allocations differs a little from that of onnx.Graph.Peak, and
// the arena's regions grow by doubling.
func TestMemoryIsAsMeasured(t *testing.T) {
	t.Parallel()
	const most, usual = 0.25, 0.15
	samples, err := census.Samples()
	if err != nil {
		t.Fatal(err)
	}
	nets := map[string]family.Denoiser{}
	for _, s := range samples {
		if d, _, err := family.Open(family.Default, s.Source()).Checkpoint(); err == nil {
			nets[s.Name] = d
		}
	}
	raw, err := os.ReadFile(filepath.Join("testdata", "memory.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	runs, close := 0, 0
	for line := range strings.Lines(string(raw)) {
		var m measured
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		net := nets[m.Model]
		if net == nil {
			t.Errorf("there is no sample %s", m.Model)
			continue
		}
		runs++
		off := float64(net.Memory(m.Shape, m.Tokens))/float64(m.Peak) - 1
		if off < 0 {
			off = -off
		}
		if off <= usual {
			close++
		}
		if off > most {
			t.Errorf("%s %v with %d tokens: estimated %d, measured %d", m.Model, m.Shape, m.Tokens, net.Memory(m.Shape, m.Tokens), m.Peak)
		}
	}
	if runs < 20 || 4*close < 3*runs {
		t.Errorf("of %d estimates %d are within 15 %%", runs, close)
	}
}

// TestMemoryGrowsWithWork checks that estimates grow with the batch, the size and the text, for every family that runs.
func TestMemoryGrowsWithWork(t *testing.T) {
	t.Parallel()
	samples, err := census.Samples()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples {
		d, fam, err := family.Open(family.Default, s.Source()).Checkpoint()
		if err != nil || slices.Contains(s.Stored, "U8") { // samples lack what says how bytes are packed
			continue
		}
		shape := func(rows, side int) []int {
			if d.Latent().Video {
				return []int{rows, d.Latent().Channels, 1, side, side}
			}
			return []int{rows, d.Latent().Channels, side, side}
		}
		one := d.Memory(shape(1, 32), 77)
		if rows, size, text := d.Memory(shape(4, 32), 77), d.Memory(shape(1, 64), 77), d.Memory(shape(1, 32), 4096); one <= 0 || rows <= one || size <= one || text < one {
			t.Errorf("%s (%s): %d, with four rows %d, twice the side %d, a long text %d", s.Name, fam.Name(), one, rows, size, text)
		}
	}
}
