package weights_test

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// requantized holds ComfyUI's results for changed quantized weights; see testdata/requantized.py.
type requantized struct {
	Key   string
	Cases []struct {
		Name                   string
		Stored                 map[string]bytesOfJSON
		Shapes                 map[string][]int
		Before, Changed, After []float32
	}
	Rounded []struct {
		Type          string
		Values, After []float32
	}
	Recast struct{ E5M2, E4M3 []float32 }
}

// bytesOfJSON is a list of numbers, not base64.
type bytesOfJSON []byte

func (b *bytesOfJSON) UnmarshalJSON(text []byte) error {
	var v []uint16
	err := json.Unmarshal(text, &v)
	for _, x := range v {
		*b = append(*b, byte(x))
	}
	return err
}

func recordedRequantized(t *testing.T) (r requantized) {
	t.Helper()
	f, err := os.Open("testdata/requantized.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err == nil {
		err = json.NewDecoder(z).Decode(&r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// requantizedTypes are the types of the tensors of a format by the end of their names; the others are float32.
var requantizedTypes = map[string]dtype.DType{
	"float8_e4m3fn": dtype.F8E4M3, "float8_e5m2": dtype.F8E5M2, "mxfp8": dtype.F8E4M3, "nvfp4": dtype.U8, "int8_tensorwise": dtype.I8,
	"mxfp8scale": dtype.U8, "nvfp4scale": dtype.U8,
}

// TestRequantized stores changed weights again in each format. Values are equal to ComfyUI's except for those that a rounding
// of float32 moves over a threshold: at most one in 500 may be a step away.
func TestRequantized(t *testing.T) {
	t.Parallel()
	recorded := recordedRequantized(t)
	for _, c := range recorded.Cases {
		format, variant, _ := strings.Cut(c.Name, " ")
		options := `{"format": "` + format + `"`
		if variant == "rotated" {
			options += `, "convrot": true, "convrot_groupsize": 16`
		}
		entries := []weights.Entry{description("l", options+"}")}
		for end, data := range c.Stored {
			name := strings.TrimSuffix("l.weight_"+end, "_")
			d := requantizedTypes[format+end]
			if d == dtype.Invalid {
				d = dtype.F32
			}
			entries = append(entries, weights.Entry{Name: name, DType: d, Shape: c.Shapes[end], Data: data, Offset: -1})
		}
		src, err := weights.Memory("file", entries...)
		if err != nil {
			t.Fatal(err)
		}
		like, _ := src.Lookup("l.weight")
		before, err := weights.Float32s(like)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if n := different(before, c.Before); n > 0 {
			t.Errorf("%s: %d of %d values are read differently", c.Name, n, len(before))
		}
		if !like.Requantizable() {
			t.Errorf("%s is not requantizable", c.Name)
			continue
		}
		again, err := weights.Requantized(like, slices.Clone(c.Changed), recorded.Key, "id")
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		after, err := weights.Float32s(again)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if n := different(after, c.After); n > len(after)/500 {
			t.Errorf("%s: %d of %d values differ", c.Name, n, len(after))
		}
		if again.Key() == like.Key() || !slices.Equal(again.Shape, like.Shape) || again.Scheme.Format != like.Scheme.Format {
			t.Errorf("%s became %v, key %s", c.Name, again, again.Key())
		}
	}
}

// different counts the values that differ by more than a rounding of float32 beside the largest.
func different(got, want []float32) int {
	n, most := 0, max(slices.Max(want), -slices.Min(want))
	for i, v := range got {
		if math.Abs(float64(v-want[i])) > 1e-6*float64(most) {
			n++
		}
	}
	return n
}

// TestRoundedAtRandom rounds plain weights to 8-bit floats, as a user asks for by a loader's weight_dtype.
func TestRoundedAtRandom(t *testing.T) {
	t.Parallel()
	recorded := recordedRequantized(t)
	for i, d := range []dtype.DType{dtype.F8E4M3, dtype.F8E5M2} {
		c := recorded.Rounded[i]
		e, err := weights.Requantized(weights.Entry{Name: "l.weight", DType: d, Shape: []int{len(c.Values)}}, slices.Clone(c.Values), recorded.Key, "id")
		if err != nil {
			t.Fatal(err)
		}
		got, err := weights.Float32s(e)
		if err != nil || !slices.Equal(got, c.After) {
			t.Errorf("%s: %d values differ, %v", c.Type, different(got, c.After), err)
		}
	}
}

// TestStatedTypeDecides reads files that state one 8-bit float and hold the other: old ones, whose marker's type does not count,
// and those with descriptions.
func TestStatedTypeDecides(t *testing.T) {
	t.Parallel()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	recorded := recordedRequantized(t).Recast
	scale := bytesEntry("l.scale_weight", dtype.F32, "\x00\x00\x80\x3f")
	for name, c := range map[string]struct {
		marker []weights.Entry
		held   dtype.DType
		want   []float32
	}{
		"old, E5M2":   {[]weights.Entry{bytesEntry("scaled_fp8", dtype.F8E5M2, "", 0), scale}, dtype.F8E5M2, recorded.E5M2},
		"E5M2 inside": {[]weights.Entry{description("l", `{"format": "float8_e4m3fn"}`), scale}, dtype.F8E5M2, recorded.E5M2},
		"E4M3 inside": {[]weights.Entry{description("l", `{"format": "float8_e5m2"}`), scale}, dtype.F8E4M3, recorded.E4M3},
	} {
		src, err := weights.Memory("file", append(c.marker, weights.Entry{Name: "l.weight", DType: c.held, Shape: []int{16, 16}, Data: every, Offset: -1})...)
		if err != nil {
			t.Fatal(err)
		}
		e, _ := src.Lookup("l.weight")
		got, err := weights.Float32s(e)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != v {
				got[i] = -1 // as recorded
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if at := func(v float32) float32 { return recorded.E5M2[indexOf(t, v)] }; at(1024) != 448 || at(9.1552734375e-5) != 0 {
		t.Errorf("1024 is %v and 1e-4 is %v", at(1024), at(9.1552734375e-5))
	}
}

// indexOf is the byte of an E5M2 value.
func indexOf(t *testing.T, v float32) int {
	t.Helper()
	for b := range 128 {
		if weights.F16ToF32(uint16(b)<<8) == v {
			return b
		}
	}
	t.Fatalf("%v is no E5M2 value", v)
	return 0
}
