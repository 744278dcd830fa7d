// Package noisewarp moves noise along with the motion in a video so that it stays Gaussian (Burgert et al., "Go-with-the-Flow").
//
// It knows tensors and torch's random numbers, and neither networks nor nodes.
package noisewarp

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
	"comfygo/internal/imaging"
)

// Warper holds noise, with a weight of each pixel: how many pixels of the noise before went into it. Upstream: void_noise_warp.py NoiseWarper.
type Warper struct {
	h, w    int
	noise   [][]float32 // by channel
	weights []float32
	random  *torchrand.Generator
}

// New draws noise of a size.
func New(channels, h, w int, random *torchrand.Generator) *Warper {
	n := h * w
	x := &Warper{h: h, w: w, weights: make([]float32, n), random: random, noise: make([][]float32, channels)}
	all := make([]float32, channels*n)
	random.Randn(all)
	for c := range x.noise {
		x.noise[c] = all[c*n : (c+1)*n : (c+1)*n]
	}
	for i := range x.weights {
		x.weights[i] = 1
	}
	return x
}

// Bytes is the memory that a Warper of a size takes while it moves.
func Bytes(channels, h, w int) int64 {
	const perPixel = 4*(2+2+3+2+4) + 2*16 // flow, places, weights, random numbers, groups and their sorting
	return int64(h) * int64(w) * int64(4*channels+perPixel)
}

// Smaller returns the noise [channels,h/factor,w/factor] as means of squares, times factor, so that its deviation stays 1.
func (x *Warper) Smaller(factor int) (*tensor.Tensor, error) {
	h, w := x.h/factor, x.w/factor
	out := tensor.New(len(x.noise), h, w)
	plane := tensor.New(1, 1, x.h, x.w)
	for c, noise := range x.noise {
		for i, v := range noise {
			weight := x.weights[i]
			plane.Data[i] = float32(v*weight) / float32(math.Sqrt(float64(weight*weight)))
		}
		small, err := imaging.Upscale(plane, w, h, "area", "")
		if err != nil {
			return nil, err
		}
		for i, v := range small.Data {
			out.Index(c).Data[i] = v * float32(factor)
		}
	}
	return out, nil
}

// moves are where the pixels of noise go and come from.
type moves struct {
	// to is the pixel to which each one goes, -1 for none; kept reports that it takes its noise along. from is the pixel of which a place that none
	// went to is a copy, -1 for none; covered reports the places that pixels went to.
	to, from      []int32
	kept, covered []bool
}

// Warp moves the noise by a flow [2,H,W]: how far each pixel moves to the right and down, in pixels of that size.
func (x *Warper) Warp(ctx context.Context, flow *tensor.Tensor) error {
	if len(flow.Shape) != 3 || flow.Dim(0) != 2 || flow.Len() == 0 {
		return fmt.Errorf("moving noise: the flow has shape %v, wanted [2, height, width]", flow.Shape)
	}
	scaled, err := imaging.Upscale(&tensor.Tensor{Shape: append([]int{1}, flow.Shape...), Data: flow.Data}, x.w, x.h, "bilinear", "")
	if err != nil {
		return fmt.Errorf("scaling the flow: %w", err)
	}
	n := x.h * x.w
	fx, fy := scaled.Data[:n], scaled.Data[n:]
	across, down := float32(float64(x.h)/float64(flow.Dim(1))), float32(float64(x.w)/float64(flow.Dim(2))) // in upstream's order
	for i := range n {
		fx[i] *= across
		fy[i] *= down
	}
	return x.regroup(ctx, x.moves(fx, fy))
}

// round rounds as torch does, halves to even.
func round(v float32) float32 { return float32(math.RoundToEven(float64(v))) }

// inside reports whether a place lies in a range of n; NaN lies in none.
func inside(v float32, n int) bool { return v >= 0 && v < float32(n) }

func (x *Warper) moves(fx, fy []float32) moves {
	n := x.h * x.w
	m := moves{to: make([]int32, n), from: make([]int32, n), kept: make([]bool, n), covered: make([]bool, n)}
	// place is where torch's grid_sample looks for a place in pixels, which goes through -1…1.
	place := func(at float32, size int) float32 {
		norm := float32(at/float32(size-1))*2 - 1
		return round((norm + 1) * (float32(size-1) / 2))
	}
	for i := range n {
		col, row := float32(i%x.w), float32(i/x.w)
		m.to[i], m.from[i] = int32(i), -1
		if inside(round(col+fx[i]), x.w) && inside(round(row+fy[i]), x.h) {
			m.kept[i] = true
			toX, toY := round(fx[i])+col, round(fy[i])+row
			m.to[i] = -1
			if inside(toX, x.w) && inside(toY, x.h) {
				m.to[i] = int32(toY)*int32(x.w) + int32(toX)
			}
		}
		if m.to[i] >= 0 {
			m.covered[m.to[i]] = true
		}
		fromX, fromY := place(-fx[i]+col, x.w), place(-fy[i]+row, x.h)
		if inside(fromX, x.w) && inside(fromY, x.h) {
			m.from[i] = int32(fromY)*int32(x.w) + int32(fromX)
		}
	}
	return m
}

// both calls f for each pixel of both halves, row by row, the pixels that go somewhere before the copies of a row: with the place in the joined
// image, the half (0 or 1), and the pixel.
func (x *Warper) both(f func(at, half, i int)) {
	at := 0
	for row := range x.h {
		for half := range 2 {
			for i := row * x.w; i < (row+1)*x.w; i++ {
				f(at, half, i)
				at++
			}
		}
	}
}

// value is what a pixel of a half takes of a plane, or none.
func (m moves) value(half, i int, plane []float32, none float32) float32 {
	switch {
	case half == 0 && m.kept[i]:
		return plane[i]
	case half == 1 && !m.covered[i] && m.from[i] >= 0:
		return plane[m.from[i]]
	}
	return none
}

// regroup makes the noise anew after moves. Pixels of equal noise get other noise added whose mean over them is zero; then those that went to one
// place are summed. Upstream: warp_state, regaussianize.
func (x *Warper) regroup(ctx context.Context, m moves) error {
	n := x.h * x.w
	first := make([]float32, 2*n)
	x.both(func(at, half, i int) { first[at] = m.value(half, i, x.noise[0], 0) })
	groups, counts := equal(first)
	shares, sums, squares := first, make([]float32, n), make([]float32, n) // the weights of the joined image, those of each place, their squares
	x.both(func(at, half, i int) {
		weight := m.value(half, i, x.weights, 1)
		if half == 1 && weight == 0 {
			weight = 1
		}
		shares[at] = weight / float32(counts[groups[at]])
		if to := m.to[i]; half == 0 && to >= 0 {
			sums[to] += shares[at]
			squares[to] += float32(shares[at] * shares[at])
		}
	})
	other, means, moved := make([]float32, 2*n), make([]float32, len(counts)), make([]float32, n)
	for _, plane := range x.noise {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		x.random.Randn(other)
		clear(means)
		for at, v := range other {
			means[groups[at]] += v
		}
		for g := range means {
			means[g] /= float32(counts[g])
		}
		clear(moved)
		x.both(func(at, half, i int) {
			g := groups[at]
			v := m.value(half, i, plane, 0)/float32(math.Sqrt(float64(counts[g]))) + (other[at] - means[g])
			switch {
			case half == 0 && m.to[i] >= 0:
				moved[m.to[i]] += float32(v * shares[at])
			case half == 1:
				other[i] = v // whose place was read: at is not before i
			}
		})
		for i := range plane {
			if plane[i] = other[i]; m.covered[i] {
				plane[i] = moved[i] / float32(math.Sqrt(float64(squares[i])))
			}
		}
	}
	x.reweigh(m, shares, sums)
	return nil
}

// reweigh sets the weights to those of places, or of copies.
func (x *Warper) reweigh(m moves, shares, sums []float32) {
	total := 0.0
	x.both(func(at, half, i int) {
		if half == 0 {
			return
		}
		x.weights[i] = shares[at]
		if m.covered[i] {
			x.weights[i] = sums[i]
		}
		total += float64(x.weights[i])
	})
	const floor, slack = 1e-5, float32(0.9999)
	mean := float32(total / float64(len(x.weights)))
	for i, v := range x.weights {
		x.weights[i] = float32(math.Pow(float64(v/mean+floor), float64(slack)))
	}
}

// equal numbers the groups of equal values, and returns how many are in each.
func equal(values []float32) (groups []int32, counts []int32) {
	const digits, radix = 11, 1 << 11
	list, other := make([]uint64, len(values)), make([]uint64, len(values))
	for i, v := range values {
		list[i] = uint64(math.Float32bits(v+0))<<32 | uint64(i) // -0 equals 0
	}
	for shift := 32; shift < 64; shift += digits {
		var starts [radix]int
		for _, v := range list {
			starts[v>>shift&(radix-1)]++
		}
		sum := 0
		for i, n := range starts {
			starts[i] = sum
			sum += n
		}
		for _, v := range list {
			d := v >> shift & (radix - 1)
			other[starts[d]] = v
			starts[d]++
		}
		list, other = other, list
	}
	groups = make([]int32, len(values))
	for i, v := range list {
		if i == 0 || v>>32 != list[i-1]>>32 {
			counts = append(counts, 0)
		}
		counts[len(counts)-1]++
		groups[uint32(v)] = int32(len(counts) - 1)
	}
	return groups, counts
}
