package dino3_test

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"comfygo/engine/family"
	"comfygo/engine/family/dryrun"
	"comfygo/engine/family/familytest"
	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	inner "comfygo/internal/golden"
	"comfygo/tests/golden"
)

// refiner is an encoder with the recorded upsampler, whose periods are those of the published one.
func refiner(t *testing.T) (*inner.Tensors, weights.Source, family.Refiner) {
	t.Helper()
	_, plain := familytest.Recorded(t, "testdata/plain", "dino3")
	stored, naf := familytest.Recorded(t, "testdata/naf", "dino3")
	var list []weights.Entry
	for _, src := range []weights.Source{plain, naf} {
		for _, name := range src.Names() {
			e, _ := src.Lookup(name)
			if strings.HasSuffix(name, "periods") {
				e.Data = nil
				for i := range 4 {
					e.Data = binary.LittleEndian.AppendUint32(e.Data, math.Float32bits(float32(math.Pow(100, float64(i)/4))))
				}
			}
			list = append(list, e)
		}
	}
	src := dryrun.Described(list)
	v, err := family.Open(family.Default, src).Vision()
	if err != nil {
		t.Fatal(err)
	}
	return stored, src, v.(family.Refiner)
}

// pictured is the recorded image [1,64,64,3].
func pictured() *tensor.Tensor {
	const side, c = 64, 3
	x, out := golden.Normal("dino3/image", 1, c, side, side), tensor.New(1, side, side, c)
	for i, v := range x.Data {
		out.Data[i%(side*side)*c+i/(side*side)] = min(max(v/6+0.5, 0), 1)
	}
	return out
}

// TestRefine compares fine features of pixels, of places between them, and of such beyond the border; torch's own error in float32 is about 1e-6.
func TestRefine(t *testing.T) {
	t.Parallel()
	stored, src, e := refiner(t)
	if !e.CanRefine() {
		t.Fatal("the upsampler was not found")
	}
	features := golden.Normal("dino3/features", 1, 8, 8, 8)
	for name, c := range map[string]struct{ side, down, across int }{"fine": {32, 3, 5}, "same": {64, 7, 9}} {
		var points []float32
		rows := 0
		for y := 0; y < c.side; y += c.down {
			rows++
			for x := 0; x < c.side; x += c.across {
				points = append(points, float32(x), float32(y))
			}
		}
		y, err := e.Refine(t.Context(), familytest.Runner{}, pictured(), features, c.side, points)
		if err != nil {
			t.Fatal(err)
		}
		n := len(points) / 2
		got := tensor.New(1, 8, rows, n/rows)
		for i, v := range y.Data {
			got.Data[i%8*n+i/8] = v
		}
		familytest.Compare(t, stored, name, got, golden.Tolerance{RMSRel: 1e-5})
	}
	y, err := e.Refine(t.Context(), familytest.Runner{}, pictured(), features, 32, []float32{-3, 5, 0.25, 31.75, 17.5, 12.125, 40, 40})
	if err != nil {
		t.Fatal(err)
	}
	familytest.Compare(t, stored, "sampled", y, golden.Tolerance{RMSRel: 1e-5})
	familytest.CheckCUDA(t, src, 2)
}

// TestRefineErrors passes what does not fit.
func TestRefineErrors(t *testing.T) {
	t.Parallel()
	_, src, e := refiner(t)
	_, plain := familytest.Recorded(t, "testdata/plain", "dino3")
	features := golden.Normal("dino3/features", 1, 8, 8, 8)
	for want, c := range map[string]struct {
		e               family.Refiner
		image, features *tensor.Tensor
		side            int
	}{
		"holds no upsampler":            {read(t, plain).(family.Refiner), pictured(), features, 32},
		"an image of shape []":          {e, nil, features, 32},
		"an image of shape [1 2 3 3]":   {e, tensor.New(1, 2, 3, 3), features, 32},
		"with features of [1 6 8 8]":    {e, pictured(), tensor.New(1, 6, 8, 8), 32},
		"64 pixels, 31 fine and 8":      {e, pictured(), features, 31},
		"64 pixels, 4096 fine and 8":    {e, pictured(), features, 4096},
		"64 pixels, 0 fine and 8 coars": {e, pictured(), features, 0},
	} {
		if _, err := c.e.Refine(t.Context(), familytest.Runner{}, c.image, c.features, c.side, []float32{1, 2}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := family.Open(family.Default, familytest.Without(src, "rope.periods")).Vision(); err == nil || !strings.Contains(err.Error(), "rope.periods []") {
		t.Errorf("no periods: %v", err)
	}
}
