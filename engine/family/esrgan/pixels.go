package esrgan

import "comfygo/engine/tensor"

func roundedUp(n, multiple int) int { return (n + multiple - 1) / multiple * multiple }

// mirrored extends [B,C,H,W] to h x w by mirroring the pixels at the edge; the last one is repeated as needed.
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

// cut copies the window of size h x w at (top, left) of [1,C,H,W].
func cut(x *tensor.Tensor, top, left, h, w int) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1), h, w)
	sw := x.Dim(3)
	for c := range x.Dim(0) * x.Dim(1) {
		for y := range h {
			from := (c*x.Dim(2)+top+y)*sw + left
			copy(out.Data[(c*h+y)*w:(c*h+y+1)*w], x.Data[from:from+w])
		}
	}
	return out
}
