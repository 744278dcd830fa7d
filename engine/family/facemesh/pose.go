package facemesh

import (
	"fmt"
	"math"

	"comfygo/engine/family"
	"comfygo/engine/weights"
)

// vector is a point in space.
type vector [3]float64

// matrix3 is a matrix by rows.
type matrix3 [3][3]float64

// Pose implements family.FaceNetwork: the similarity that takes the model of a face to landmarks, which are unprojected from the image twice, the second
// time with a scale that the first found. Upstream: mediapipe/face_geometry.py.
func (m *model) Pose(f *family.Face, w, h int) ([4][4]float32, error) {
	const fieldOfView, near = 63 * math.Pi / 180, 1.0
	var out [4][4]float32
	tables, err := m.tables("canonical_vertices", "procrustes_indices", "procrustes_weights")
	if err != nil {
		return out, err
	}
	vertices, indices, shares := tables[0], tables[1], tables[2]
	if len(f.Marks) != marks || len(f.Points) != marks || w < 1 || h < 1 {
		return out, fmt.Errorf("placing the model of a face: %d landmarks in an image of %dx%d", len(f.Marks), w, h)
	}
	height := 2 * near * math.Tan(fieldOfView/2)
	width := float64(w) * height / float64(h)
	depth := depthScale(f) / float64(w)
	source, screen, factors := make([]vector, len(indices)), make([]vector, len(indices)), make([]float64, len(indices))
	mean := 0.0
	for i, v := range indices {
		k := int(v)
		if k < 0 || k >= marks || 3*k+3 > len(vertices) {
			return out, fmt.Errorf("placing the model of a face: procrustes_indices names the landmark %v of %d", v, min(marks, len(vertices)/3))
		}
		p := f.Marks[k]
		x, y, z := float64(p[0]/float32(w)), float64(p[1]/float32(h)), float64(f.Points[k][2]*float32(depth))
		screen[i] = vector{x*width - width/2, (1-y)*height - height/2, z * width}
		source[i] = vector{float64(vertices[3*k]), float64(vertices[3*k+1]), float64(vertices[3*k+2])}
		factors[i] = float64(shares[i])
		mean += screen[i][2]
	}
	mean /= float64(len(screen))
	target := make([]vector, len(screen))
	unproject := func(scale float64) {
		for i, s := range screen {
			z := (s[2] - mean + near) / scale
			target[i] = vector{s[0] * z / near, s[1] * z / near, -z}
		}
	}
	for i, s := range screen {
		target[i] = vector{s[0], s[1], -s[2]}
	}
	scale := 1.0
	for range 2 {
		turn, _, err := similarity(source, target, factors)
		if err != nil {
			return out, err
		}
		scale *= math.Sqrt(turn[0][0]*turn[0][0] + turn[1][0]*turn[1][0] + turn[2][0]*turn[2][0])
		unproject(scale)
	}
	turn, move, err := similarity(source, target, factors)
	for i := range 3 {
		for k := range 3 {
			out[i][k] = float32(turn[i][k])
		}
		out[i][3] = float32(move[i])
	}
	out[3][3] = 1
	return out, err
}

// tables are the values of tensors.
func (m *model) tables(names ...string) ([][]float32, error) {
	var out [][]float32
	for _, name := range names {
		e, ok := m.src.Lookup(name)
		if !ok {
			return nil, fmt.Errorf("reading the model of a face: there is no tensor %s", name)
		}
		v := make([]float32, e.Count())
		if err := weights.Range(v, e, 0); err != nil {
			return nil, fmt.Errorf("reading the model of a face: %w", err)
		}
		out = append(out, v)
	}
	return out, nil
}

// depthScale is the number of pixels of the image in one of the square across which the network sees the face, by least squares.
func depthScale(f *family.Face) float64 {
	const least = 1e-6
	var mx, my, tx, ty float64
	n := float64(len(f.Points))
	for i, p := range f.Points {
		mx, my = mx+float64(p[0])/n, my+float64(p[1])/n
		tx, ty = tx+float64(f.Marks[i][0])/n, ty+float64(f.Marks[i][1])/n
	}
	var xx, xy, yy, ax, bx, ay, by float64
	for i, p := range f.Points {
		x, y := float64(p[0])-mx, float64(p[1])-my
		u, v := float64(f.Marks[i][0])-tx, float64(f.Marks[i][1])-ty
		xx, xy, yy = xx+x*x, xy+x*y, yy+y*y
		ax, bx, ay, by = ax+x*u, bx+x*v, ay+y*u, by+y*v
	}
	d := xx*yy - xy*xy
	scale := math.Hypot((ax*yy-ay*xy)/d, (bx*yy-by*xy)/d)
	if !(scale > least) {
		return 1
	}
	return scale
}

// similarity is the rotation with a scale, and the shift, that take source to target with the least squares by weights. Upstream:
// _solve_weighted_orthogonal_problem.
func similarity(source, target []vector, factors []float64) (turn matrix3, move vector, err error) {
	const least = 1e-12
	var total float64
	var center vector
	for i, f := range factors {
		total += f
		for k := range 3 {
			center[k] += f * source[i][k]
		}
	}
	for k := range 3 {
		center[k] /= total
	}
	var product matrix3 // of target and centered source
	var below float64
	for i, f := range factors {
		for r := range 3 {
			for c := range 3 {
				product[r][c] += f * target[i][r] * (source[i][c] - center[c])
			}
			below += f * (source[i][r] - center[r]) * source[i][r]
		}
	}
	if !(below >= least) {
		return turn, move, fmt.Errorf("placing the model of a face: all its points are one: use the file of MediaPipe's face landmarker that ComfyUI reads")
	}
	turn = rotation(product)
	var above float64
	for r := range 3 {
		for c := range 3 {
			above += turn[r][c] * product[r][c]
		}
	}
	scale := above / below
	for r := range 3 {
		for c := range 3 {
			turn[r][c] *= scale
		}
	}
	for i, f := range factors {
		for r := range 3 {
			move[r] += f * (target[i][r] - turn[r][0]*source[i][0] - turn[r][1]*source[i][1] - turn[r][2]*source[i][2]) / total
		}
	}
	return turn, move, nil
}

// rotation is the rotation nearest to a matrix: U·Vᵀ of its singular values, of which the least counts negative where that would be a reflection.
// One-sided Jacobi rotations make the columns orthogonal.
func rotation(a matrix3) (r matrix3) {
	v := matrix3{{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}
	column := func(m *matrix3, k int) vector { return vector{m[0][k], m[1][k], m[2][k]} }
	dot := func(x, y vector) float64 { return x[0]*y[0] + x[1]*y[1] + x[2]*y[2] }
	const sweeps = 30
	for range sweeps {
		for _, pair := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
			p, q := pair[0], pair[1]
			x, y := column(&a, p), column(&a, q)
			c := dot(x, y)
			if c == 0 {
				continue
			}
			zeta := (dot(y, y) - dot(x, x)) / (2 * c)
			t := math.Copysign(1/(math.Abs(zeta)+math.Sqrt(1+zeta*zeta)), zeta)
			cos := 1 / math.Sqrt(1+t*t)
			for _, m := range []*matrix3{&a, &v} {
				for k := range 3 {
					m[k][p], m[k][q] = cos*m[k][p]-cos*t*m[k][q], cos*t*m[k][p]+cos*m[k][q]
				}
			}
		}
	}
	least, sizes := 0, vector{}
	for k := range 3 {
		x := column(&a, k)
		if sizes[k] = math.Sqrt(dot(x, x)); sizes[k] < sizes[least] {
			least = k
		}
	}
	// The columns of U; that of the least singular value is normal to the others, in the direction that makes U·Vᵀ a rotation.
	i, k := (least+1)%3, (least+2)%3
	var u [3]vector
	for _, c := range []int{i, k} {
		x := column(&a, c)
		u[c] = vector{x[0] / sizes[c], x[1] / sizes[c], x[2] / sizes[c]}
	}
	cross := func(x, y vector) vector {
		return vector{x[1]*y[2] - x[2]*y[1], x[2]*y[0] - x[0]*y[2], x[0]*y[1] - x[1]*y[0]}
	}
	u[least] = cross(u[i], u[k])
	if w := column(&v, least); dot(cross(column(&v, i), column(&v, k)), w) < 0 {
		u[least] = vector{-u[least][0], -u[least][1], -u[least][2]}
	}
	for row := range 3 {
		for col := range 3 {
			for n := range 3 {
				r[row][col] += u[n][row] * v[col][n]
			}
		}
	}
	return r
}
