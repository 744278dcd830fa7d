package imaging

import (
	"context"
	"fmt"

	"comfygo/engine/tensor"
)

// Extreme replaces every value of pictures, [B,H,W,C], by the greatest (or, with least set, the least) one in the square
// of side values around it; an even side reaches one place further to the left and up for the least value, and to the right
// and down for the greatest, so that one after the other leaves things where they are (kornia 0.9). What lies outside of the
// picture does not count. It ends early when ctx does.
func Extreme(ctx context.Context, t *tensor.Tensor, side int, least bool) (*tensor.Tensor, error) {
	if err := checkRank("morphology", t, 4); err != nil {
		return nil, err
	}
	if side < 1 {
		return nil, fmt.Errorf("morphology: the square's side is %d", side)
	}
	n, h, w, c := t.Shape[0], t.Shape[1], t.Shape[2], t.Shape[3]
	across, out := tensor.New(t.Shape...), tensor.New(t.Shape...)
	parallel(n*h, w*c*4, func(from, to int) {
		s := newSlider(w)
		for r := from; r < to && ctx.Err() == nil; r++ {
			for i := range c {
				at := r*w*c + i
				s.run(across.Data[at:], t.Data[at:], w, c, side, least)
			}
		}
	})
	parallel(n*w*c, h*4, func(from, to int) {
		s := newSlider(h)
		for k := from; k < to && ctx.Err() == nil; k++ {
			at := k/(w*c)*h*w*c + k%(w*c)
			s.run(out.Data[at:], across.Data[at:], h, w*c, side, least)
		}
	})
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return out, nil
}

// slider finds the extreme of a moving window: queue holds the places that can still become it, best first (Lemire,
// "Streaming maximum-minimum filter", 2006).
type slider struct{ queue []int }

func newSlider(n int) *slider { return &slider{queue: make([]int, 0, n)} }

// run filters n values that lie step apart.
func (s *slider) run(dst, src []float32, n, step, side int, least bool) {
	before, after := side/2, side-side/2-1
	if !least {
		before, after = after, before
	}
	s.queue = s.queue[:0]
	head, next := 0, 0
	for x := range n {
		for ; next < n && next <= x+after; next++ {
			v := src[next*step]
			for len(s.queue) > head {
				last := src[s.queue[len(s.queue)-1]*step]
				if least && last < v || !least && last > v {
					break
				}
				s.queue = s.queue[:len(s.queue)-1]
			}
			s.queue = append(s.queue, next)
		}
		for s.queue[head] < x-before {
			head++
		}
		dst[x*step] = src[s.queue[head]*step]
	}
}
