package imaging

import (
	"context"
	"math"
)

// Canny finds the edges of a gray image of h rows and w columns, both at least 3, as kornia's canny does with its defaults: a Gaussian of 5x5
// with sigma 1, Sobel gradients, thinning along the gradient, and edges above low that touch one above high. It ends with the context's cause.
func Canny(ctx context.Context, gray []float32, h, w int, low, high float64) ([]bool, error) {
	const epsilon = 1e-6
	smooth, err := blurred(ctx, gray, h, w)
	if err != nil {
		return nil, err
	}
	gx, gy, err := sobel(ctx, smooth, h, w)
	if err != nil {
		return nil, err
	}
	magnitude := make([]float32, len(gx))
	for i := range gx {
		magnitude[i] = float32(math.Sqrt(float64(float32(gx[i]*gx[i]) + float32(gy[i]*gy[i]) + epsilon)))
	}
	outside := float32(math.Sqrt(float64(float32(epsilon))))
	at := func(y, x int) float32 {
		if y < 0 || x < 0 || y >= h || x >= w {
			return outside
		}
		return magnitude[y*w+x]
	}
	weak, strong := make([]bool, len(gx)), []int(nil)
	edges := make([]bool, len(gx))
	for y := range h {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for x := range w {
			i := y*w + x
			m := magnitude[i]
			if !(m > outside) || !isPeak(m, gx[i], gy[i], func(dy, dx int) float32 { return at(y+dy, x+dx) }) {
				continue
			}
			weak[i] = m > float32(low)
			if m > float32(high) {
				edges[i], strong = true, append(strong, i)
			}
		}
	}
	for steps := 0; len(strong) > 0; steps++ {
		const part = 1 << 16
		if steps%part == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		i := strong[len(strong)-1]
		strong = strong[:len(strong)-1]
		for dy := -1; dy <= 1; dy++ {
			for dx := -1; dx <= 1; dx++ {
				y, x := i/w+dy, i%w+dx
				if j := y*w + x; y >= 0 && x >= 0 && y < h && x < w && weak[j] && !edges[j] {
					edges[j], strong = true, append(strong, j)
				}
			}
		}
	}
	return edges, nil
}

// directions are the neighbors of a pixel from the right one on, clockwise, in steps of 45 degrees.
var directions = [8][2]int{{0, 1}, {1, 1}, {1, 0}, {1, -1}, {0, -1}, {-1, -1}, {-1, 0}, {-1, 1}}

// isPeak reports whether a magnitude is above those of both neighbors along the gradient; right and lower neighbors may be equal.
func isPeak(m, gx, gy float32, neighbor func(dy, dx int) float32) bool {
	turn := math.RoundToEven(float64(float32(math.Atan2(float64(gy), float64(gx))) * float32(4/math.Pi)))
	if math.IsNaN(turn) {
		turn = 0
	}
	for _, d := range []int{(int(turn) + 8) % 8, (int(turn) + 12) % 8} {
		other := neighbor(directions[d][0], directions[d][1])
		if !(m > other || (d == 0 || d == 2) && m == other) {
			return false
		}
	}
	return true
}

// blurred applies the Gaussian; beyond the edges the image is mirrored, the edge itself not repeated.
func blurred(ctx context.Context, gray []float32, h, w int) ([]float32, error) {
	var kernel [5]float32
	sum := float32(0)
	for i := range kernel {
		d := float64(i - 2)
		kernel[i] = float32(math.Exp(-d * d / 2))
		sum += kernel[i]
	}
	for i := range kernel {
		kernel[i] /= sum
	}
	mirrored := func(i, n int) int {
		if i < 0 {
			i = -i
		}
		if i >= n {
			i = 2*(n-1) - i
		}
		return i
	}
	rows, out := make([]float32, len(gray)), make([]float32, len(gray))
	for y := range h {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for x := range w {
			v := float32(0)
			for k, f := range kernel {
				v += float32(f * gray[y*w+mirrored(x+k-2, w)])
			}
			rows[y*w+x] = v
		}
	}
	for y := range h {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		for x := range w {
			v := float32(0)
			for k, f := range kernel {
				v += float32(f * rows[mirrored(y+k-2, h)*w+x])
			}
			out[y*w+x] = v
		}
	}
	return out, nil
}

// sobel returns the gradients; beyond the edges the border pixels are repeated.
func sobel(ctx context.Context, gray []float32, h, w int) (gx, gy []float32, err error) {
	gx, gy = make([]float32, len(gray)), make([]float32, len(gray))
	for y := range h {
		if err := context.Cause(ctx); err != nil {
			return nil, nil, err
		}
		for x := range w {
			at := func(dy, dx int) float32 {
				return gray[min(max(y+dy, 0), h-1)*w+min(max(x+dx, 0), w-1)]
			}
			gx[y*w+x] = at(-1, 1) - at(-1, -1) + 2*(at(0, 1)-at(0, -1)) + at(1, 1) - at(1, -1)
			gy[y*w+x] = at(1, -1) - at(-1, -1) + 2*(at(1, 0)-at(-1, 0)) + at(1, 1) - at(-1, 1)
		}
	}
	return gx, gy, nil
}
