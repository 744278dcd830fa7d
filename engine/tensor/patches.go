package tensor

import "fmt"

// PatchOrder is the order of a patch's elements within a token.
type PatchOrder int

const (
	// ChannelsFirst orders by channel, then by position in the patch: einops "(c ph pw)".
	ChannelsFirst PatchOrder = iota
	// ChannelsLast orders by position in the patch, then by channel: einops "(ph pw c)".
	ChannelsLast
)

// WrapTo extends the last two axes of x [B,C,H,W] to multiples of size, where the added part repeats the rows and columns
// from the start: the circular padding by which upstream makes latents divisible into patches (ldm/common_dit.py
// pad_to_patch_size). x itself is returned when nothing is added.
func WrapTo(x *Tensor, size int) (*Tensor, error) {
	if len(x.Shape) != 4 || size < 1 || Count(x.Shape) == 0 {
		return nil, fmt.Errorf("padding %v to multiples of %d: it has to have four axes that are not empty", x.Shape, size)
	}
	h, w := x.Dim(2), x.Dim(3)
	toH, toW := (h+size-1)/size*size, (w+size-1)/size*size
	if toH == h && toW == w {
		return x, nil
	}
	out := New(x.Dim(0), x.Dim(1), toH, toW)
	for plane := range x.Dim(0) * x.Dim(1) {
		src, dst := x.Data[plane*h*w:], out.Data[plane*toH*toW:]
		for r := range toH {
			for c := range toW {
				dst[r*toW+c] = src[r%h*w+c%w]
			}
		}
	}
	return out, nil
}

// ToPatches cuts x [B,C,H,W], whose sizes size divides, into square patches, each of which becomes a token:
// [B,(H/size)·(W/size),C·size²], patches in row-major order.
func ToPatches(x *Tensor, size int, order PatchOrder) (*Tensor, error) {
	if len(x.Shape) != 4 || size < 1 || x.Dim(2)%size != 0 || x.Dim(3)%size != 0 {
		return nil, fmt.Errorf("cutting %v into patches of %d: it does not divide", x.Shape, size)
	}
	out := New(x.Dim(0), x.Dim(2)/size*(x.Dim(3)/size), x.Dim(1)*size*size)
	eachPatched(x.Shape, size, order, func(cell, element int) { out.Data[element] = x.Data[cell] })
	return out, nil
}

// FromPatches is the inverse of ToPatches: tokens [B,S,C·size²] become [B,C,h,w]. Tokens after the last patch are left out.
func FromPatches(tokens *Tensor, size int, order PatchOrder, h, w int) (*Tensor, error) {
	if len(tokens.Shape) != 3 || size < 1 || h%size != 0 || w%size != 0 || tokens.Dim(2)%(size*size) != 0 || tokens.Dim(1) < h/size*(w/size) {
		return nil, fmt.Errorf("joining tokens %v to a latent of %dx%d in patches of %d: they do not fit", tokens.Shape, h, w, size)
	}
	n, used := tokens.Dim(1)*tokens.Dim(2), h/size*(w/size)*tokens.Dim(2)
	out := New(tokens.Dim(0), tokens.Dim(2)/(size*size), h, w)
	for b := range tokens.Dim(0) {
		row, from := out.Index(b), tokens.Data[b*n:b*n+used]
		eachPatched(append([]int{1}, row.Shape...), size, order, func(cell, element int) { row.Data[cell] = from[element] })
	}
	return out, nil
}

// Crop returns the first h rows and w columns of x [B,C,H,W].
func Crop(x *Tensor, h, w int) (*Tensor, error) {
	if len(x.Shape) != 4 || h > x.Dim(2) || w > x.Dim(3) || h < 0 || w < 0 {
		return nil, fmt.Errorf("cropping %v to %dx%d: it is smaller", x.Shape, h, w)
	}
	if h == x.Dim(2) && w == x.Dim(3) {
		return x, nil
	}
	out := New(x.Dim(0), x.Dim(1), h, w)
	for plane := range x.Dim(0) * x.Dim(1) {
		for r := range h {
			copy(out.Data[(plane*h+r)*w:][:w], x.Data[(plane*x.Dim(2)+r)*x.Dim(3):])
		}
	}
	return out, nil
}

// eachPatched calls f with the index of each element of a latent of the given shape [B,C,H,W] and that of its place among
// the elements of the tokens.
func eachPatched(shape []int, size int, order PatchOrder, f func(cell, element int)) {
	channels, h, w := shape[1], shape[2], shape[3]
	width := channels * size * size
	cell := 0
	for b := range shape[0] {
		for c := range channels {
			for r := range h {
				for x := range w {
					token := (b*(h/size)+r/size)*(w/size) + x/size
					at := r%size*size + x%size
					if order == ChannelsFirst {
						f(cell, token*width+c*size*size+at)
					} else {
						f(cell, token*width+at*channels+c)
					}
					cell++
				}
			}
		}
	}
}
