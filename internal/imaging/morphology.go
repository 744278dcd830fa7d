package imaging

import (
	"context"
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
)

// Extreme replaces every value of images, [B,H,W,C], by the greatest (or, with least set, the least) one in the square
// of side values around it; an even side reaches one place further to the left and up for the least value, and to the right
// and down for the greatest, so that one after the other leaves things where they are (kornia 0.9). What lies outside of the
// image does not count. It ends early when ctx does.
func Extreme(ctx context.Context, t *tensor.Tensor, side int, least bool) (*tensor.Tensor, error) {
	if err := checkRank("morphology", t, 4); err != nil {
		return nil, err
	}
	if side < 1 {
		return nil, fmt.Errorf("morphology: the square's side is %d", side)
	}
	n, h, w, c := t.Shape[0], t.Shape[1], t.Shape[2], t.Shape[3]
	across, out := tensor.New(t.Shape...), tensor.New(t.Shape...)
	before, after := side/2, side-side/2-1
	if !least {
		before, after = after, before
	}
	line := newMoving(w, before, after, c, least)
	parallel(n*h, w*c*4, func(from, to int) {
		buf := line.buffer()
		for r := from; r < to && ctx.Err() == nil; r++ {
			copy(line.values(buf), t.Data[r*w*c:][:w*c])
			copy(across.Data[r*w*c:][:w*c], line.run(buf))
		}
	})
	const stripe = 64 // columns at a time, whose rows stay in the cache
	stripes := (w*c + stripe - 1) / stripe
	parallel(n*stripes, h*stripe*4, func(from, to int) {
		for s := from; s < to && ctx.Err() == nil; s++ {
			left := s % stripes * stripe
			width, at := min(stripe, w*c-left), s/stripes*h*w*c+left
			column := newMoving(h, before, after, width, least)
			buf := column.buffer()
			for y := range h {
				copy(column.values(buf)[y*width:][:width], across.Data[at+y*w*c:])
			}
			for y, found := 0, column.run(buf); y < h; y++ {
				copy(out.Data[at+y*w*c:][:width], found[y*width:][:width])
			}
		}
	})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, nil
}

// movingWindow finds the extremes of a moving window over n groups of values, from before places before each to after places behind it.
type movingWindow struct {
	n, before, after, group int
	combine                 func(out, a, b []float32)
	nothing                 float32 // what does not change an extreme
}

// newMoving leaves out of the window what lies beyond the ends wherever it is.
func newMoving(n, before, after, group int, least bool) movingWindow {
	w := movingWindow{n: n, before: min(before, max(n-1, 0)), after: min(after, max(n-1, 0)), group: group, combine: vec.Max, nothing: float32(math.Inf(-1))}
	if least {
		w.combine, w.nothing = vec.Min, float32(math.Inf(1))
	}
	return w
}

// buffer is room for the values and what surrounds them.
func (w movingWindow) buffer() []float32 {
	return make([]float32, (w.before+w.n+w.after)*w.group)
}

// values is the part of a buffer that the values are written to.
func (w movingWindow) values(buf []float32) []float32 { return buf[w.before*w.group:][:w.n*w.group] }

// run returns the extremes, at the start of the buffer. Windows of 1, 2, 4 … places are joined to ones of twice the size.
func (w movingWindow) run(buf []float32) []float32 {
	for i := range w.before * w.group {
		buf[i] = w.nothing
	}
	for i := (w.before + w.n) * w.group; i < len(buf); i++ {
		buf[i] = w.nothing
	}
	have, want := 1, w.before+w.after+1
	for have < want {
		shift := min(have, want-have)
		have += shift
		n := len(buf) - (have-1)*w.group
		w.combine(buf[:n], buf, buf[shift*w.group:])
	}
	return buf[:w.n*w.group]
}
