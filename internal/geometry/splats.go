package geometry

import (
	"context"
	"fmt"
	"math"
)

// Splats is the value of SPLAT links: a batch of Gaussian splats, ready to be rendered, each item with its own number
// of splats. Coordinates have Y down and Z forward, as in files of Gaussian splats.
type Splats struct {
	Items []SplatItem
}

// SplatItem are N Gaussians.
type SplatItem struct {
	Positions []float32 // [N,3]
	Scales    []float32 // [N,3], standard deviations along the axes
	Rotations []float32 // [N,4], quaternions w, x, y, z of length 1
	Opacities []float32 // [N], 0…1
	// SH are coefficients of spherical harmonics for R, G and B: [N,K,3], K = (degree+1)². The first is the base color.
	SH []float32
	K  int
}

// SHBase is the value of the spherical harmonic of degree 0: a base color c is stored as (c-0.5)/SHBase.
const SHBase = 0.28209479177387814

// Count returns the number of Gaussians.
func (it *SplatItem) Count() int { return len(it.Opacities) }

// Color returns the base color of a Gaussian, clipped to 0…1.
func (it *SplatItem) Color(i int) (rgb [3]float32) {
	for c := range rgb {
		rgb[c] = min(max(it.SH[3*it.K*i+c]*SHBase+0.5, 0), 1)
	}
	return rgb
}

// SplatBytes returns the memory that n Gaussians with k coefficients take.
func SplatBytes(n, k int64) int64 { return 4 * n * (3 + 3 + 4 + 1 + 3*k) }

// MemoryBytes is the size in host memory.
func (s *Splats) MemoryBytes() int64 {
	if s == nil {
		return 0
	}
	var n int64
	for i := range s.Items {
		n += SplatBytes(int64(s.Items[i].Count()), int64(s.Items[i].K))
	}
	return n
}

// Check reports the faults of splats that came over a link: no items, attributes of other lengths.
func (s *Splats) Check() error {
	if s == nil || len(s.Items) == 0 {
		return fmt.Errorf("the batch is empty; connect splats with at least one item")
	}
	for i := range s.Items {
		it := &s.Items[i]
		n := it.Count()
		if it.K < 1 || len(it.Positions) != 3*n || len(it.Scales) != 3*n || len(it.Rotations) != 4*n || len(it.SH) != 3*n*it.K {
			return fmt.Errorf("item %d: %d positions, %d scales, %d rotations and %d coefficients do not belong to %d Gaussians",
				i, len(it.Positions), len(it.Scales), len(it.Rotations), len(it.SH), n)
		}
	}
	return nil
}

// CheckFinite reports values that are not finite numbers, with which nothing can be computed.
func (it *SplatItem) CheckFinite() error {
	for _, a := range []struct {
		name   string
		values []float32
		each   int
	}{{"position", it.Positions, 3}, {"scale", it.Scales, 3}, {"rotation", it.Rotations, 4}, {"opacity", it.Opacities, 1}} {
		for i, v := range a.values {
			if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
				return fmt.Errorf("Gaussian %d has the %s %v, want a finite number", i/a.each, a.name, v) //nolint:staticcheck // a name
			}
		}
	}
	for i := range it.Count() {
		for _, v := range it.SH[3*it.K*i:][:3] {
			if math.IsNaN(float64(v)) {
				return fmt.Errorf("Gaussian %d has a color that is not a number", i) //nolint:staticcheck // a name
			}
		}
	}
	return nil
}

// Select returns an item with the Gaussians that keep chooses.
func (it *SplatItem) Select(ctx context.Context, keep func(i int) bool) (SplatItem, error) {
	out := SplatItem{K: it.K}
	err := Each(ctx, it.Count(), func(i int) {
		if !keep(i) {
			return
		}
		out.Positions = append(out.Positions, it.Positions[3*i:3*i+3]...)
		out.Scales = append(out.Scales, it.Scales[3*i:3*i+3]...)
		out.Rotations = append(out.Rotations, it.Rotations[4*i:4*i+4]...)
		out.Opacities = append(out.Opacities, it.Opacities[i])
		out.SH = append(out.SH, it.SH[3*it.K*i:3*it.K*(i+1)]...)
	})
	return out, err
}
