package clipvision

import (
	"fmt"
	"math"

	"comfygo/engine/tensor"
	"comfygo/engine/weights"
	"comfygo/internal/imaging"
)

// Preprocess turns images [B,H,W,C] in 0…1 into the network's pixels [B,3,h,w]: resized (with crop: so that the shorter
// side fits, then cut at the centre; without: squeezed), rounded to 8 bits and normalised. Upstream: clip_preprocess and
// siglip2_preprocess.
func (e *Encoder) Preprocess(images *tensor.Tensor, crop bool) (*tensor.Tensor, error) {
	if len(images.Shape) != 4 || images.Dim(3) < 3 || images.Dim(1) < 1 || images.Dim(2) < 1 {
		return nil, fmt.Errorf("encoding an image: it has the shape %v, wanted batch, height, width and at least 3 channels", images.Shape)
	}
	x := planes(images)
	switch {
	case e.LinearPatches:
		h, w := e.flexible(x.Dim(2), x.Dim(3))
		x = imaging.Antialias(x, h, w, imaging.Bilinear)
	case x.Dim(2) == e.Image && x.Dim(3) == e.Image:
	case crop:
		scale := float64(e.Image) / float64(min(x.Dim(2), x.Dim(3)))
		side := func(n int) int { return int(math.RoundToEven(scale * float64(n))) }
		x = center(imaging.Antialias(x, side(x.Dim(2)), side(x.Dim(3)), imaging.Bicubic), e.Image)
	default:
		x = imaging.Antialias(x, e.Image, e.Image, imaging.Bicubic)
	}
	e.normalise(x)
	return x, nil
}

// planes moves the first three channels in front: [B,H,W,C] to [B,3,H,W].
func planes(images *tensor.Tensor) *tensor.Tensor {
	b, h, w, c := images.Dim(0), images.Dim(1), images.Dim(2), images.Dim(3)
	out := tensor.New(b, 3, h, w)
	for n := range b {
		src, dst := images.Index(n).Data, out.Index(n).Data
		for i := range h * w {
			for k := range 3 {
				dst[k*h*w+i] = src[i*c+k]
			}
		}
	}
	return out
}

// center cuts a square out of the middle of [B,3,H,W].
func center(x *tensor.Tensor, side int) *tensor.Tensor {
	h, w := x.Dim(2), x.Dim(3)
	top, left := (h-side)/2, (w-side)/2
	out := tensor.New(x.Dim(0), 3, side, side)
	for p := range x.Dim(0) * 3 {
		for y := range side {
			copy(out.Data[(p*side+y)*side:][:side], x.Data[(p*h+top+y)*w+left:])
		}
	}
	return out
}

func (e *Encoder) normalise(x *tensor.Tensor) {
	size := x.Dim(2) * x.Dim(3)
	for i, v := range x.Data {
		c := i / size % 3
		v = float32(math.RoundToEven(float64(min(max(255*v, 0), 255)))) / 255
		x.Data[i] = (v - e.Mean[c]) / e.Std[c]
	}
}

// flexible returns the largest size with about the aspect of an image whose patches do not exceed those of the network
// (upstream: siglip2_flex_calc_resolution).
func (e *Encoder) flexible(h, w int) (height, width int) {
	const eps = 1e-5
	side := func(n int, scale float64) int {
		return max(e.Patch, int(math.Ceil(float64(n)*scale/float64(e.Patch)))*e.Patch)
	}
	low, high := eps/10, 100.0
	for high-low >= eps {
		mid := (low + high) / 2
		if side(h, mid)/e.Patch*(side(w, mid)/e.Patch) <= e.Patches {
			low = mid
		} else {
			high = mid
		}
	}
	return side(h, low), side(w, low)
}

// grid is the number of patches along both sides.
type grid struct{ h, w int }

func (e *Encoder) grid(pixels *tensor.Tensor) grid {
	return grid{pixels.Dim(2) / e.Patch, pixels.Dim(3) / e.Patch}
}

// patches cuts pixels [B,3,H,W] into rows of patches, channels innermost: [B,patches,patch·patch·3].
func patches(x *tensor.Tensor, patch int) *tensor.Tensor {
	b, h, w := x.Dim(0), x.Dim(2), x.Dim(3)
	rows, cols := h/patch, w/patch
	out := tensor.New(b, rows*cols, 3*patch*patch)
	at := 0
	for n := range b {
		img := x.Index(n).Data
		for p := range rows * cols {
			top, left := p/cols*patch, p%cols*patch
			for i := range patch * patch {
				for c := range 3 {
					out.Data[at] = img[(c*h+top+i/patch)*w+left+i%patch]
					at++
				}
			}
		}
	}
	return out
}

// positions interpolates the position table to a grid: [patches,width] (upstream: siglip2_pos_embed).
func (e *Encoder) positions(g grid) (*tensor.Tensor, error) {
	s := weights.NewScope(e.src)
	ref := s.Weight(keyPositions, e.Patches, e.Width)
	if err := s.Err(); err != nil {
		return nil, err
	}
	table, err := weights.Float32s(ref.Entry)
	if err != nil {
		return nil, err
	}
	side := root(e.Patches)
	x := tensor.New(1, e.Width, side, side)
	for p := range e.Patches {
		for c := range e.Width {
			x.Data[c*e.Patches+p] = table[p*e.Width+c]
		}
	}
	x = imaging.Antialias(x, g.h, g.w, imaging.Bilinear)
	out := tensor.New(g.h*g.w, e.Width)
	for p := range g.h * g.w {
		for c := range e.Width {
			out.Data[p*e.Width+c] = x.Data[c*g.h*g.w+p]
		}
	}
	return out, nil
}
