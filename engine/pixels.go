package engine

import "comfygo/engine/tensor"

// planar brings pictures [B,H,W,C] to [B,C,H,W].
func planar(p *tensor.Tensor) *tensor.Tensor {
	n, c := p.Dim(1)*p.Dim(2), p.Dim(3)
	out := tensor.New(p.Dim(0), c, p.Dim(1), p.Dim(2))
	for b := range p.Dim(0) {
		src, dst := p.Index(b), out.Index(b)
		for i := range n {
			for k := range c {
				dst.Data[k*n+i] = src.Data[i*c+k]
			}
		}
	}
	return out
}

// interleaved brings [B,C,H,W] to pictures [B,H,W,C].
func interleaved(x *tensor.Tensor) *tensor.Tensor {
	n, c := x.Dim(2)*x.Dim(3), x.Dim(1)
	out := tensor.New(x.Dim(0), x.Dim(2), x.Dim(3), c)
	for b := range x.Dim(0) {
		src, dst := x.Index(b), out.Index(b)
		for k := range c {
			for i, v := range src.Data[k*n : (k+1)*n] {
				dst.Data[i*c+k] = v
			}
		}
	}
	return out
}

func roundedUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }

// mirrored extends [B,C,H,W] to h x w: the pixels before the edge again, the last of them as often as it takes.
func mirrored(x *tensor.Tensor, h, w int) *tensor.Tensor {
	oh, ow := x.Dim(2), x.Dim(3)
	if h == oh && w == ow {
		return x
	}
	from := func(i, size int) int { return max(0, min(i, 2*(size-1)-i)) }
	out := tensor.New(x.Dim(0), x.Dim(1), h, w)
	for p := range x.Dim(0) * x.Dim(1) {
		for y := range h {
			row := x.Data[(p*oh+from(y, oh))*ow:]
			for c := range w {
				out.Data[(p*h+y)*w+c] = row[from(c, ow)]
			}
		}
	}
	return out
}

// unshuffled puts squares of side x side pixels into channels: [B,C,H,W] becomes [B,C·side²,H/side,W/side], pixel (i,j) of
// channel c becoming channel (c·side+i)·side+j.
func unshuffled(x *tensor.Tensor, side int) *tensor.Tensor {
	if side == 1 {
		return x
	}
	h, w := x.Dim(2)/side, x.Dim(3)/side
	out := tensor.New(x.Dim(0), x.Dim(1)*side*side, h, w)
	eachShuffled(out, side, func(small, large int) { out.Data[small] = x.Data[large] })
	return out
}

// shuffled undoes unshuffled.
func shuffled(x *tensor.Tensor, side int) *tensor.Tensor {
	if side == 1 {
		return x
	}
	out := tensor.New(x.Dim(0), x.Dim(1)/side/side, x.Dim(2)*side, x.Dim(3)*side)
	eachShuffled(x, side, func(small, large int) { out.Data[large] = x.Data[small] })
	return out
}

// eachShuffled calls f with the places of each value in the tensor with more channels and in the one with more pixels.
func eachShuffled(small *tensor.Tensor, side int, f func(small, large int)) {
	h, w := small.Dim(2), small.Dim(3)
	at := 0
	for p := range small.Dim(0) * small.Dim(1) {
		plane, i, j := p/(side*side), p/side%side, p%side
		for y := range h {
			row := ((plane*h+y)*side+i)*w*side + j
			for x := range w {
				f(at, row+x*side)
				at++
			}
		}
	}
}

// addNearest adds x [B,C,H,W], each pixel scale x scale times, to y [B,C,H·scale,W·scale].
func addNearest(y, x *tensor.Tensor, scale int) {
	h, w := x.Dim(2), x.Dim(3)
	for p := range x.Dim(0) * x.Dim(1) {
		for r := range h * scale {
			row, src := y.Data[(p*h*scale+r)*w*scale:], x.Data[(p*h+r/scale)*w:]
			for c := range w * scale {
				row[c] += src[c/scale]
			}
		}
	}
}
