package golden

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
)

// Tolerance bounds the difference to a golden. A zero field bounds nothing beside one that is set; the zero value allows no difference at all.
type Tolerance struct {
	RMSRel float64 // sqrt(mean((got-want)²) / mean(want²))
	MaxAbs float64 // the greatest |got-want|
}

// Diff is the difference of two vectors.
type Diff struct {
	RMSRel, MaxAbs float64
	At             int // index of the greatest difference
	Got, Want      float32
}

// String prints the figures.
func (d Diff) String() string {
	return fmt.Sprintf("rms_rel %.3g, max_abs %.3g (at %d: %g, want %g)", d.RMSRel, d.MaxAbs, d.At, d.Got, d.Want)
}

// Loops over all values of a result are left out by the race detector (go:norace), which costs ten times their work: the code under test
// made the values, and it is watched.

// Difference compares got with want, which must be equally long. A NaN or infinity in one only makes both figures
// infinite. When want is all zeros, RMSRel is the plain rms of got.
//
//go:norace
func Difference(got, want []float32) Diff {
	var d Diff
	var num, den float64
	for i, w := range want {
		g, w := float64(got[i]), float64(w)
		if g == w || math.IsNaN(g) && math.IsNaN(w) {
			if !math.IsNaN(w) && !math.IsInf(w, 0) {
				den += w * w
			}
			continue
		}
		e := math.Abs(g - w)
		if math.IsNaN(e) {
			e = math.Inf(1)
		}
		if e > d.MaxAbs {
			d.MaxAbs, d.At, d.Got, d.Want = e, i, got[i], want[i]
		}
		num += e * e
		den += w * w
	}
	n := float64(max(len(want), 1))
	d.RMSRel = math.Sqrt(num / n)
	if den > 0 {
		d.RMSRel = math.Sqrt(num / den)
	}
	if math.IsInf(num, 0) || math.IsNaN(d.RMSRel) {
		d.RMSRel = math.Inf(1)
	}
	return d
}

// Within reports whether d keeps to the tolerance.
func (t Tolerance) Within(d Diff) bool {
	if t == (Tolerance{}) {
		return d.RMSRel == 0 && d.MaxAbs == 0
	}
	return (t.RMSRel == 0 || d.RMSRel <= t.RMSRel) && (t.MaxAbs == 0 || d.MaxAbs <= t.MaxAbs)
}

// Strided returns every k-th value from the first on: what names that end in _sK hold.
//
//go:norace
func Strided(v []float32, k int) []float32 {
	out := make([]float32, 0, (len(v)+k-1)/k)
	for i := 0; i < len(v); i += k {
		out = append(out, v[i])
	}
	return out
}

// SHA256 returns the digest of the little-endian bytes of v in hexadecimal, as the goldens' JSON states it.
//
//go:norace
func SHA256(v []float32) string {
	h := sha256.New()
	b := make([]byte, 0, 4096)
	for _, x := range v {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		if len(b) == cap(b) {
			h.Write(b)
			b = b[:0]
		}
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}
