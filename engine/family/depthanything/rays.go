package depthanything

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"comfygo/engine/family/dino"
	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
)

// The search for the homography of a view. Upstream: ray_pose.py.
const (
	trials, sampled = 100, 8
	part            = 0.3 // of the pixels, the most confident ones, samples are drawn from
	reach           = 0.2 // of a pixel that fits
	mostFitting     = 8000
	// leastDepth is that of a ray whose pixel counts.
	leastDepth = 1e-4
)

var errRays = errors.New("finding cameras from rays: the network gave rays that are not finite: use float32 weights, or the method cam_dec")

// pairs are pixels of the plane of an identity camera, where their rays meet that plane, and how far both count.
type pairs struct {
	from, to [][2]float64
	weight   []float64
}

// cameras finds the cameras of views from the rays of their pixels [B,7,h,w] (a direction, an origin, the logarithm of the confidence less one), for
// images of height x width pixels. Samples are drawn by torch's generator from seed 0: upstream leaves the seed to what ran before. Upstream: ray_pose.py
// get_extrinsic_from_camray.
func cameras(ctx context.Context, rays *tensor.Tensor, height, width int) (extrinsics, intrinsics *tensor.Tensor, err error) {
	for _, v := range rays.Data {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return nil, nil, errRays
		}
	}
	n := rays.Dim(2) * rays.Dim(3)
	random := torchrand.New(0)
	best := max(sampled, int(float64(n)*part))
	samples := make([][]int, trials)
	for i := range samples {
		samples[i] = random.Randperm(best)[:sampled]
	}
	list := make([]camera, rays.Dim(0))
	for i := range list {
		view := rays.Index(i)
		p := pairsOf(view)
		h, err := p.homography(ctx, samples, best, random)
		if err != nil {
			return nil, nil, err
		}
		if h.determinant() < 0 {
			for k := range h {
				h[k] = -h[k]
			}
		}
		c := &list[i]
		var lower matrix
		c.turn, lower = orthogonalLower(h)
		scale := lower[8]
		focal, centre := [2]float64{lower[0] / scale, lower[4] / scale}, [2]float64{lower[6] / scale, lower[7] / scale}
		c.focal = [2]float64{1 / focal[0] / 2 * float64(width), 1 / focal[1] / 2 * float64(height)}
		c.centre = [2]float64{(centre[0] + 1) * float64(width) * 0.5, (centre[1] + 1) * float64(height) * 0.5}
		c.place = placeOf(view, p.confidence(view))
	}
	extrinsics, intrinsics = packed(list)
	return extrinsics, intrinsics, nil
}

// pairsOf reads the pixels of a view [7,h,w].
func pairsOf(view *tensor.Tensor) pairs {
	h, w := view.Dim(1), view.Dim(2)
	n := h * w
	across, down := dino.Spaced(1, w), dino.Spaced(1, h)
	p := pairs{from: make([][2]float64, n), to: make([][2]float64, n), weight: make([]float64, n)}
	for i := range n {
		p.from[i] = [2]float64{float64(across[i%w]), float64(down[i/w])}
		x, y, z := float64(view.Data[i]), float64(view.Data[n+i]), float64(view.Data[2*n+i])
		if math.Abs(z) > leastDepth {
			p.to[i], p.weight[i] = [2]float64{x / z, y / z}, confident(view, i)
		} else {
			p.to[i] = [2]float64{x, y}
		}
	}
	return p
}

// confident is the confidence of pixel i of a view.
func confident(view *tensor.Tensor, i int) float64 {
	n := view.Dim(1) * view.Dim(2)
	return min(math.Exp(float64(view.Data[(rayValues-1)*n+i]))+1, math.MaxFloat32)
}

// confidence are the confidences of a view, those of pixels whose rays do not count among them.
func (p pairs) confidence(view *tensor.Tensor) []float64 {
	out := make([]float64, len(p.weight))
	for i := range out {
		out[i] = confident(view, i)
	}
	return out
}

// placeOf is the mean of the origins of a view's rays.
func placeOf(view *tensor.Tensor, weight []float64) (out [3]float64) {
	n, sum := len(weight), 0.0
	for i, v := range weight {
		sum += v
		for k := range out {
			out[k] += v * float64(view.Data[(3+k)*n+i])
		}
	}
	for k := range out {
		out[k] /= sum
	}
	return out
}

// homography finds the homography that most pairs fit, from trials on samples of the best pairs, and then from all that fit. Upstream: ray_pose.py
// _ransac_find_homography_weighted_batched.
func (p pairs) homography(ctx context.Context, samples [][]int, best int, random *torchrand.Generator) (matrix, error) {
	order := sorted(p.weight)[:min(best, len(p.weight))]
	var fitting []int
	most := -1.0
	for _, sample := range samples {
		if err := context.Cause(ctx); err != nil {
			return matrix{}, err
		}
		at := make([]int, len(sample))
		for i, k := range sample {
			at[i] = order[min(k, len(order)-1)]
		}
		h := p.fit(at)
		score, found := 0.0, []int(nil)
		for i := range p.from {
			if p.distance(h, i) < reach {
				score += p.weight[i]
				found = append(found, i)
			}
		}
		if score > most {
			most, fitting = score, found
		}
	}
	const enough = 4
	if len(fitting) < enough {
		return matrix{0: 1, 4: 1, 8: 1}, nil
	}
	weights := make([]float64, len(fitting))
	for i, k := range fitting {
		weights[i] = p.weight[k]
	}
	by := sorted(weights)
	if len(by) > mostFitting {
		keep := max(int(float64(len(by))*0.95), mostFitting)
		kept := make([]int, mostFitting)
		for i, k := range random.Randperm(keep)[:mostFitting] {
			kept[i] = by[k]
		}
		by = kept
	}
	for i, k := range by {
		by[i] = fitting[k]
	}
	return p.fit(by), nil
}

// sorted are the indices of values, the largest first.
func sorted(values []float64) []int {
	out := make([]int, len(values))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(values[b], values[a]) })
	return out
}

// distance is that of pair i from a homography.
func (p pairs) distance(h matrix, i int) float64 {
	to := h.times([3]float64{p.from[i][0], p.from[i][1], 1})
	return math.Hypot(to[0]/to[2]-p.to[i][0], to[1]/to[2]-p.to[i][1])
}

// fit is the homography with the least squares for some pairs: the last singular vector of their equations, which is the vector of the least
// eigenvalue of the product with their transpose. Upstream: ray_pose.py _find_homography_weighted_lsq.
func (p pairs) fit(at []int) matrix {
	var product symmetric
	for _, i := range at {
		x, y, u, v, w := p.from[i][0], p.from[i][1], p.to[i][0], p.to[i][1], p.weight[i]
		product.add([unknowns]float64{-x, -y, -1, 0, 0, 0, x * u, y * u, u}, w)
		product.add([unknowns]float64{0, 0, 0, -x, -y, -1, x * v, y * v, v}, w)
	}
	h := matrix(product.least())
	last := h[8]
	for k := range h {
		h[k] /= last
	}
	return h
}

// unknowns is the number of elements of a homography.
const unknowns = 9

// symmetric is a symmetric matrix.
type symmetric [unknowns][unknowns]float64

// add adds the product of a row with its transpose, times weight.
func (a *symmetric) add(row [unknowns]float64, weight float64) {
	for i, v := range row {
		for k, u := range row {
			a[i][k] += weight * v * u
		}
	}
}

// least is the eigenvector of the least eigenvalue, by Jacobi's rotations (Golub and Van Loan, "Matrix Computations", 8.5).
func (a symmetric) least() [unknowns]float64 {
	const sweeps, small = 50, 1e-30
	var vectors symmetric
	total := 0.0
	for i := range a {
		vectors[i][i] = 1
		for _, v := range a[i] {
			total += v * v
		}
	}
	for range sweeps {
		rest := 0.0
		for i := range unknowns {
			for k := range i {
				rest += a[i][k] * a[i][k]
				a.rotate(&vectors, k, i)
			}
		}
		if rest <= small*total {
			break
		}
	}
	at := 0
	for i := range a {
		if a[i][i] < a[at][at] {
			at = i
		}
	}
	var out [unknowns]float64
	for i := range out {
		out[i] = vectors[i][at]
	}
	return out
}

// rotate makes element (p, q) zero.
func (a *symmetric) rotate(vectors *symmetric, p, q int) {
	if a[p][q] == 0 {
		return
	}
	theta := (a[q][q] - a[p][p]) / (2 * a[p][q])
	t := math.Copysign(1/(math.Abs(theta)+math.Sqrt(theta*theta+1)), theta)
	c := 1 / math.Sqrt(t*t+1)
	s := t * c
	for k := range unknowns {
		a[k][p], a[k][q] = c*a[k][p]-s*a[k][q], s*a[k][p]+c*a[k][q]
	}
	for k := range unknowns {
		a[p][k], a[q][k] = c*a[p][k]-s*a[q][k], s*a[p][k]+c*a[q][k]
		vectors[k][p], vectors[k][q] = c*vectors[k][p]-s*vectors[k][q], s*vectors[k][p]+c*vectors[k][q]
	}
}

// orthogonalLower writes a matrix as the product of an orthogonal and a lower triangular one whose diagonal is not negative, by Gram and Schmidt from the
// last column. Upstream: ray_pose.py _ql_decomposition.
func orthogonalLower(a matrix) (orthogonal, lower matrix) {
	for column := 2; column >= 0; column-- {
		v := [3]float64{a[column], a[3+column], a[6+column]}
		for range 2 { // again, for what rounding leaves
			for k := column + 1; k < 3; k++ {
				along := orthogonal[k]*v[0] + orthogonal[3+k]*v[1] + orthogonal[6+k]*v[2]
				lower[3*k+column] += along
				for row := range v {
					v[row] -= along * orthogonal[3*row+k]
				}
			}
		}
		length := math.Sqrt(v[0]*v[0] + v[1]*v[1] + v[2]*v[2])
		lower[3*column+column] = length
		for row := range v {
			orthogonal[3*row+column] = v[row] / length
		}
	}
	return orthogonal, lower
}
