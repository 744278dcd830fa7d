package splat

import (
	"context"
	"fmt"
	"math"

	"comfygo/internal/geometry"
)

// Transform rotates splats by angles in degrees around X, then Y, then Z, scales them along the axes, and moves them.
func Transform(ctx context.Context, it *geometry.SplatItem, move, angles, scale [3]float64) (geometry.SplatItem, error) {
	n := it.Count()
	out := geometry.SplatItem{
		Positions: make([]float32, 3*n), Scales: make([]float32, 3*n), Rotations: make([]float32, 4*n),
		Opacities: it.Opacities, SH: it.SH, K: it.K,
	}
	turn := quat{math.Cos(radians(angles[2]) / 2), 0, 0, math.Sin(radians(angles[2]) / 2)}.
		times(quat{math.Cos(radians(angles[1]) / 2), 0, math.Sin(radians(angles[1]) / 2), 0}).
		times(quat{math.Cos(radians(angles[0]) / 2), math.Sin(radians(angles[0]) / 2), 0, 0})
	m := turn.matrix()
	for a := range m {
		m[a] = m[a].times(scale[a])
	}
	uniform := scale[0] == scale[1] && scale[1] == scale[2]
	return out, geometry.Each(ctx, n, func(i int) {
		p := vec{float64(it.Positions[3*i]), float64(it.Positions[3*i+1]), float64(it.Positions[3*i+2])}
		for a := range 3 {
			out.Positions[3*i+a] = float32(m[a].dot(p) + move[a])
		}
		q := quat{float64(it.Rotations[4*i]), float64(it.Rotations[4*i+1]), float64(it.Rotations[4*i+2]), float64(it.Rotations[4*i+3])}
		s := vec{float64(it.Scales[3*i]), float64(it.Scales[3*i+1]), float64(it.Scales[3*i+2])}
		if uniform {
			q, s = turn.times(q).unit(), s.times(scale[0])
		} else {
			q, s = stretched(m, q, s)
		}
		for a := range 3 {
			out.Scales[3*i+a] = float32(s[a])
		}
		for a := range 4 {
			out.Rotations[4*i+a] = float32(q[a])
		}
	})
}

// stretched applies a matrix to a Gaussian's covariance and takes axes and sizes from it again, the smallest first.
func stretched(m [3]vec, q quat, size vec) (quat, vec) {
	r := q.matrix()
	var mr [3]vec
	for a := range 3 {
		for b := range 3 {
			mr[a][b] = m[a].dot(column(r, b))
		}
	}
	values, axes := eigen(covariance(mr, size))
	for a := range values {
		values[a] = math.Sqrt(max(values[a], 0))
	}
	if column(axes, 0).cross(column(axes, 1)).dot(column(axes, 2)) < 0 {
		for a := range axes {
			axes[a] = axes[a].times(-1)
		}
	}
	return quatOf(axes), values
}

// eigen returns the eigenvalues of a symmetric matrix (xx, xy, xz, yy, yz, zz) from the smallest on, and their unit vectors
// as columns, by Jacobi's method.
func eigen(s [6]float64) (values vec, axes [3]vec) {
	a := [3]vec{{s[0], s[1], s[2]}, {s[1], s[3], s[4]}, {s[2], s[4], s[5]}}
	axes = [3]vec{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	const sweeps = 32 // it converges within eight
	for range sweeps {
		if math.Abs(a[0][1])+math.Abs(a[0][2])+math.Abs(a[1][2]) == 0 {
			break
		}
		for p := range 2 {
			for q := p + 1; q < 3; q++ {
				if a[p][q] == 0 {
					continue
				}
				theta := (a[q][q] - a[p][p]) / (2 * a[p][q])
				t := 1 / (math.Abs(theta) + math.Sqrt(theta*theta+1))
				if theta < 0 {
					t = -t
				}
				c := 1 / math.Sqrt(t*t+1)
				sin := t * c
				for k := range 3 {
					a[k][p], a[k][q] = c*a[k][p]-sin*a[k][q], sin*a[k][p]+c*a[k][q]
				}
				for k := range 3 {
					a[p][k], a[q][k] = c*a[p][k]-sin*a[q][k], sin*a[p][k]+c*a[q][k]
					axes[k][p], axes[k][q] = c*axes[k][p]-sin*axes[k][q], sin*axes[k][p]+c*axes[k][q]
				}
				a[p][q], a[q][p] = 0, 0
			}
		}
	}
	values = vec{a[0][0], a[1][1], a[2][2]}
	for range 2 {
		for i := range 2 {
			if values[i] > values[i+1] {
				values[i], values[i+1] = values[i+1], values[i]
				for k := range 3 {
					axes[k][i], axes[k][i+1] = axes[k][i+1], axes[k][i]
				}
			}
		}
	}
	return values, axes
}

// Merge joins batches item by item. Gaussians with fewer coefficients get zeros.
func Merge(ctx context.Context, batches []*geometry.Splats, reserve Reserve) (*geometry.Splats, error) {
	out := &geometry.Splats{}
	k := 1
	for _, b := range batches {
		if len(b.Items) != len(batches[0].Items) {
			return nil, fmt.Errorf("one batch has %d items, another %d", len(batches[0].Items), len(b.Items))
		}
		for i := range b.Items {
			k = max(k, b.Items[i].K)
		}
	}
	for i := range batches[0].Items {
		n := 0
		for _, b := range batches {
			n += b.Items[i].Count()
		}
		if err := reserve(geometry.SplatBytes(int64(n), int64(k))); err != nil {
			return nil, err
		}
		it := geometry.SplatItem{K: k}
		for _, b := range batches {
			in := &b.Items[i]
			it.Positions = append(it.Positions, in.Positions...)
			it.Scales = append(it.Scales, in.Scales...)
			it.Rotations = append(it.Rotations, in.Rotations...)
			it.Opacities = append(it.Opacities, in.Opacities...)
			err := geometry.Each(ctx, in.Count(), func(g int) {
				it.SH = append(it.SH, in.SH[3*in.K*g:3*in.K*(g+1)]...)
				it.SH = append(it.SH, make([]float32, 3*(k-in.K))...)
			})
			if err != nil {
				return nil, err
			}
		}
		out.Items = append(out.Items, it)
	}
	return out, nil
}
