package imaging

import (
	"context"
	"fmt"

	"comfygo/engine/tensor"
)

// view reads or writes a batch of images in either layout: channel planes ([B,C,H,W]) or interleaved channels
// ([B,H,W,C]). The s fields are the distances between neighbours of each axis.
type view struct {
	data           []float32
	n, c, h, w     int
	sn, sc, sh, sw int
	// ctx, when set on the target, ends the work on it.
	ctx context.Context
}

// stopped reports whether the work on the target has to end.
func (v view) stopped() bool { return v.ctx != nil && v.ctx.Err() != nil }

// planes views a [B,C,H,W] tensor.
func planes(t *tensor.Tensor) view {
	n, c, h, w := t.Shape[0], t.Shape[1], t.Shape[2], t.Shape[3]
	return view{data: t.Data, n: n, c: c, h: h, w: w, sn: c * h * w, sc: h * w, sh: w, sw: 1}
}

// pixels views a [B,H,W,C] tensor.
func pixels(t *tensor.Tensor) view {
	n, h, w, c := t.Shape[0], t.Shape[1], t.Shape[2], t.Shape[3]
	return view{data: t.Data, n: n, c: c, h: h, w: w, sn: c * h * w, sc: 1, sh: w * c, sw: c}
}

// interleaved reports whether the channels of a pixel lie together, and the pixels of a row.
func (v view) interleaved() bool { return v.sc == 1 && v.sw == v.c }

// crop returns the view without x columns at both sides and y rows at both ends.
func (v view) crop(x, y int) view {
	v.data = v.data[y*v.sh+x*v.sw:]
	v.w -= 2 * x
	v.h -= 2 * y
	return v
}

// row returns the values of one row of one channel, from its first pixel on; pixel x is at x*sw.
func (v view) row(n, c, y int) []float32 { return v.data[n*v.sn+c*v.sc+y*v.sh:] }

// line is the values of one row of one channel in memory, with the gaps between its pixels but not behind the last one.
func (v view) line(n, c, y int) []float32 { return v.row(n, c, y)[:(v.w-1)*v.sw+1] }

// finite reports whether no value is infinite or NaN.
func (v view) finite() bool {
	for n := range v.n {
		for c := range v.c {
			for y := range v.h {
				line, zero := v.line(n, c, y), float32(0)
				for x := 0; x < len(line); x += v.sw {
					zero += line[x] - line[x] // NaN for both
				}
				if zero != 0 {
					return false
				}
			}
		}
	}
	return true
}

// copyFrom sets all values to those of a view of equal size.
func (v view) copyFrom(from view) {
	for n := range v.n {
		for c := range v.c {
			for y := range v.h {
				to, line := v.line(n, c, y), from.line(n, c, y)
				if v.sw == 1 && from.sw == 1 {
					copy(to, line)
					continue
				}
				for x := range v.w {
					to[x*v.sw] = line[x*from.sw]
				}
			}
		}
	}
}

// checkRank fails when t has another number of axes or an axis of size 0.
func checkRank(what string, t *tensor.Tensor, rank int) error {
	if len(t.Shape) != rank {
		return fmt.Errorf("%s: want %d axes, have the shape %v", what, rank, t.Shape)
	}
	for _, d := range t.Shape {
		if d < 1 {
			return fmt.Errorf("%s: the shape %v is empty", what, t.Shape)
		}
	}
	return nil
}
