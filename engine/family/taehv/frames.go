package taehv

import "comfygo/engine/tensor"

// swapped exchanges the first two axes of [A,B,H,W].
func swapped(x *tensor.Tensor) *tensor.Tensor {
	a, b, plane := x.Dim(0), x.Dim(1), x.Dim(2)*x.Dim(3)
	out := tensor.New(b, a, x.Dim(2), x.Dim(3))
	for i := range a {
		for k := range b {
			copy(out.Data[(k*a+i)*plane:][:plane], x.Data[(i*b+k)*plane:][:plane])
		}
	}
	return out
}

// padFrames lengthens a video to n frames: by before black ones at its start, then at its end by its last frame or by black ones.
func padFrames(x *tensor.Tensor, before, n int, repeat bool) *tensor.Tensor {
	if x.Dim(0) == n {
		return x
	}
	out := tensor.New(append([]int{n}, x.Shape[1:]...)...)
	size := tensor.Count(x.Shape[1:])
	copy(out.Data[before*size:], x.Data)
	for i := before + x.Dim(0); repeat && i < n; i++ {
		copy(out.Data[i*size:(i+1)*size], x.Data[len(x.Data)-size:])
	}
	return out
}

func joinFrames(parts []*tensor.Tensor) *tensor.Tensor {
	n := 0
	for _, p := range parts {
		n += p.Dim(0)
	}
	out := tensor.New(append([]int{n}, parts[0].Shape[1:]...)...)
	at := 0
	for _, p := range parts {
		at += copy(out.Data[at:], p.Data)
	}
	return out
}

// spreadPixels turns [T,C·r²,H,W] into [T,C,H·r,W·r]: r² neighbouring channels are the pixels of a square.
func spreadPixels(x *tensor.Tensor, r int) *tensor.Tensor {
	if r == 1 {
		return x
	}
	out := tensor.New(x.Dim(0), x.Dim(1)/(r*r), x.Dim(2)*r, x.Dim(3)*r)
	eachSquare(x, r, func(gathered, spread int) { out.Data[spread] = x.Data[gathered] })
	return out
}

// gatherPixels is the inverse of spreadPixels; what does not fill a square is left out.
func gatherPixels(x *tensor.Tensor, r int) *tensor.Tensor {
	if r == 1 {
		return x
	}
	out := tensor.New(x.Dim(0), x.Dim(1)*r*r, x.Dim(2)/r, x.Dim(3)/r)
	eachSquare(out, r, func(gathered, spread int) { out.Data[gathered] = x.Data[spread] })
	return out
}

// eachSquare calls f with the places of each value in gathered and in spread pixels.
func eachSquare(gathered *tensor.Tensor, r int, f func(gathered, spread int)) {
	h, w := gathered.Dim(2), gathered.Dim(3)
	for p := range gathered.Dim(0) * gathered.Dim(1) {
		plane, dy, dx := p/(r*r), p/r%r, p%r
		for y := range h {
			for x := range w {
				f((p*h+y)*w+x, (plane*h*r+y*r+dy)*w*r+x*r+dx)
			}
		}
	}
}
