package imaging

import "math"

// bislerp fills dst by spherical interpolation of the channel vectors, first along the rows and then along the columns,
// as comfy.utils.bislerp does: directions are interpolated on the sphere and lengths linearly; nearly equal directions
// take the first vector and opposite ones the straight line.
func bislerp(dst, src view) {
	mid := view{data: make([]float32, src.n*src.c*src.h*dst.w), n: src.n, c: src.c, h: src.h, w: dst.w}
	mid.sn, mid.sc, mid.sh, mid.sw = src.c*src.h*dst.w, src.h*dst.w, dst.w, 1
	across := slerpTaps(src.w, dst.w)
	eachVector(mid, func(n, y, x int, a, b, out []float32) {
		src.vector(a, n, y, across[x].from)
		src.vector(b, n, y, across[x].to)
		slerp(out, a, b, across[x].ratio)
		mid.setVector(out, n, y, x)
	})
	down := slerpTaps(src.h, dst.h)
	eachVector(dst, func(n, y, x int, a, b, out []float32) {
		mid.vector(a, n, down[y].from, x)
		mid.vector(b, n, down[y].to, x)
		slerp(out, a, b, down[y].ratio)
		dst.setVector(out, n, y, x)
	})
}

// eachVector visits all pixels of v, rows side by side, with three scratch vectors of v.c values.
func eachVector(v view, visit func(n, y, x int, a, b, out []float32)) {
	parallel(v.n*v.h, v.w*v.c*16, func(from, to int) {
		scratch := make([]float32, 3*v.c)
		a, b, out := scratch[:v.c], scratch[v.c:2*v.c], scratch[2*v.c:]
		for r := from; r < to; r++ {
			for x := range v.w {
				visit(r/v.h, r%v.h, x, a, b, out)
			}
		}
	})
}

func (v view) vector(to []float32, n, y, x int) {
	at := n*v.sn + y*v.sh + x*v.sw
	for c := range to {
		to[c] = v.data[at+c*v.sc]
	}
}

func (v view) setVector(from []float32, n, y, x int) {
	at := n*v.sn + y*v.sh + x*v.sw
	for c, f := range from {
		v.data[at+c*v.sc] = f
	}
}

type slerpTap struct {
	from, to int
	ratio    float32
}

// SlerpTaps returns, for each position of a line that bislerp scales from in to out positions, the two positions between
// which it interpolates and how far it is from the first.
func SlerpTaps(in, out int) (from, to []int, ratio []float32) {
	for _, t := range slerpTaps(in, out) {
		from, to, ratio = append(from, t.from), append(to, t.to), append(ratio, t.ratio)
	}
	return from, to, ratio
}

// slerpTaps interpolates the positions themselves and cuts off their fractions, as upstream does.
func slerpTaps(in, out int) []slerpTap {
	t := linearTaps(in, out)
	taps := make([]slerpTap, out)
	for i := range taps {
		i0, i1 := t.idx[2*i], t.idx[2*i+1]
		w0, w1 := t.wt[2*i], t.wt[2*i+1]
		at := float32(float32(i0)*w0) + float32(float32(i1)*w1)
		next := float32(float32(min(i0+1, in-1))*w0) + float32(float32(min(i1+1, in-1))*w1)
		taps[i] = slerpTap{from: int(at), to: int(next), ratio: at - float32(math.Floor(float64(at)))}
	}
	return taps
}

func slerp(out, a, b []float32, r float32) {
	na, nb := norm(a), norm(b)
	var dot float32
	for i := range a {
		dot += float32(unit(a[i], na) * unit(b[i], nb))
	}
	const near = 1e-5
	switch {
	case dot > 1-near:
		copy(out, a)
	case dot < near-1:
		for i := range out {
			out[i] = float32(a[i]*(1-r)) + float32(b[i]*r)
		}
	default:
		// Each step is rounded to float32, as upstream's are: of nearly opposite vectors the sine is small, and the rounding shows.
		omega := float32(math.Acos(float64(dot)))
		so := sin(omega)
		wa := sin(float32((1-r)*omega)) / so
		wb := sin(float32(r*omega)) / so
		length := float32(na*(1-r)) + float32(nb*r)
		for i := range out {
			out[i] = (float32(wa*unit(a[i], na)) + float32(wb*unit(b[i], nb))) * length
		}
	}
}

func sin(x float32) float32 { return float32(math.Sin(float64(x))) }

func norm(v []float32) float32 {
	var sum float64
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return float32(math.Sqrt(sum))
}

func unit(x, norm float32) float32 {
	if norm == 0 {
		return 0
	}
	return x / norm
}
