package taesd

import "comfygo/engine/tensor"

// Mapped returns x with f applied to every value.
func Mapped(x *tensor.Tensor, f func(float32) float32) *tensor.Tensor {
	out := tensor.New(x.Shape...)
	for i, v := range x.Data {
		out.Data[i] = f(v)
	}
	return out
}

// unfold turns [B,4C,H,W] into [B,C,2H,2W]: four neighbouring channels are the four pixels of a square.
func unfold(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1)/4, x.Dim(2)*2, x.Dim(3)*2)
	eachFolded(x, out, func(folded, flat int) { out.Data[flat] = x.Data[folded] })
	return out
}

// fold is the inverse of unfold; H and W are even.
func fold(x *tensor.Tensor) *tensor.Tensor {
	out := tensor.New(x.Dim(0), x.Dim(1)*4, x.Dim(2)/2, x.Dim(3)/2)
	eachFolded(out, x, func(folded, flat int) { out.Data[folded] = x.Data[flat] })
	return out
}

// eachFolded calls f with the places of each value in a folded and in a flat tensor.
func eachFolded(folded, flat *tensor.Tensor, f func(folded, flat int)) {
	h, w := folded.Dim(2), folded.Dim(3)
	for p := range folded.Dim(0) * folded.Dim(1) {
		plane, dy, dx := p/4, p/2%2, p%2
		for y := range h {
			for x := range w {
				f((p*h+y)*w+x, (plane*2*h+2*y+dy)*2*w+2*x+dx)
			}
		}
	}
}
