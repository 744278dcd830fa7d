package sampling_test

import (
	"math"
	"strconv"
	"testing"

	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/tests/golden"
)

type noiseGolden struct {
	Cases []struct {
		ID        string `json:"id"`
		Seed      string `json:"seed"`
		Shape     []int  `json:"shape"`
		BatchInds []int  `json:"batch_inds"`
		SHA256    string `json:"sha256"`
	} `json:"cases"`
}

// ulps returns the distance of two float32 in units of the last place.
func ulps(a, b float32) int64 {
	order := func(f float32) int64 {
		bits := int64(int32(math.Float32bits(f)))
		if bits < 0 {
			return math.MinInt32 - bits
		}
		return bits
	}
	d := order(a) - order(b)
	return max(d, -d)
}

// Below 16 values the normal ones are made in float64 by the C library, whose logarithm and sine differ from Go's in the
// last place. From 16 on they are torch's to the bit.
const noiseUlps = 3

func TestNoiseEqualsTorch(t *testing.T) {
	t.Parallel()
	var g noiseGolden
	stored := golden.Load(t, "noise/randn", &g)
	worst, exact := int64(0), 0
	for _, c := range g.Cases {
		seed, err := strconv.ParseUint(c.Seed, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := sampling.PrepareNoise(c.Shape, seed, c.BatchInds)
		if err != nil {
			t.Errorf("%s: %v", c.ID, err)
			continue
		}
		if golden.SHA256(got.Data) == c.SHA256 {
			exact++
		} else if tensor.Count(c.Shape[1:]) >= 16 {
			t.Errorf("%s: the noise of shape %v is not torch's to the bit", c.ID, c.Shape)
		}
		parts := map[string][]float32{"noise": got.Data}
		if !stored.Has(c.ID + "/noise") {
			parts = map[string][]float32{"first": got.Data[:32], "last": got.Data[len(got.Data)-32:]}
		}
		for name, part := range parts {
			want := stored.Get(t, c.ID+"/"+name).Data
			for i := range want {
				if d := ulps(part[i], want[i]); d > noiseUlps && math.Abs(float64(part[i]-want[i])) > 1e-7 {
					t.Errorf("%s: %s value %d is %v, want %v (%d ulps)", c.ID, name, i, part[i], want[i], d)
					break
				} else {
					worst = max(worst, d)
				}
			}
		}
	}
	t.Logf("%d of %d tensors bit-equal, worst %d ulps", exact, len(g.Cases), worst)
}

func TestWrongBatchIndicesAreErrors(t *testing.T) {
	t.Parallel()
	for _, indices := range [][]int{{0}, {0, -1}, {0, math.MaxInt}} {
		if _, err := sampling.PrepareNoise([]int{2, 4, 2, 2}, 1, indices); err == nil {
			t.Errorf("indices %v were accepted for two rows", indices)
		}
	}
}

func BenchmarkNoise(b *testing.B) {
	shape := []int{1, 4, 128, 128}
	b.SetBytes(int64(tensor.Count(shape) * 4))
	for b.Loop() {
		if _, err := sampling.PrepareNoise(shape, 1, nil); err != nil {
			b.Fatal(err)
		}
	}
}
