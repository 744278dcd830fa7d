package imaging

import (
	"fmt"

	"comfygo/engine/tensor"
)

// Composite returns a copy of dst with src put onto it, the corner of src at row top and column left; what sticks out on
// the right or below is cut off. Both are [B,C,H,W], or [B,H,W,C] when channelsLast is set; src is repeated or cut to
// the batch of dst. mask, when not nil, is [B,H,W] of any size: it is scaled to src and says how much of src shows.
func Composite(dst, src, mask *tensor.Tensor, top, left int, channelsLast bool) (*tensor.Tensor, error) {
	for _, t := range []*tensor.Tensor{dst, src} {
		if err := checkRank("composing", t, 4); err != nil {
			return nil, err
		}
	}
	if top < 0 || left < 0 {
		return nil, fmt.Errorf("composing: the offset %d, %d is negative", left, top)
	}
	out := dst.Clone()
	to, from := planes(out), planes(src)
	if channelsLast {
		to, from = pixels(out), pixels(src)
	}
	if from.c != to.c && from.c != 1 {
		return nil, fmt.Errorf("composing: %d channels do not fit %d", from.c, to.c)
	}
	weights, err := maskFor(mask, from.n, from.h, from.w)
	if err != nil {
		return nil, err
	}
	h, w := min(from.h, to.h-top), min(from.w, to.w-left)
	if channelsLast && from.c == to.c {
		compositePixels(to, from, weights, top, left, h, w)
		return out, nil
	}
	for n := range to.n {
		for c := range to.c {
			for y := range max(h, 0) {
				sn := n % from.n
				line, under := from.row(sn, min(c, from.c-1), y), to.row(n, c, top+y)
				for x := range max(w, 0) {
					at := &under[(left+x)*to.sw]
					m := float32(1)
					if weights != nil {
						m = weights.Data[(sn%weights.Shape[0]*from.h+y)*from.w+x]
					}
					*at = float32(m*line[x*from.sw]) + float32((1-m)*(*at))
				}
			}
		}
	}
	return out, nil
}

// compositePixels is Composite for images with interleaved channels, h rows of w pixels.
func compositePixels(to, from view, weights *tensor.Tensor, top, left, h, w int) {
	for n := range to.n {
		for y := range max(h, 0) {
			sn := n % from.n
			if w <= 0 {
				return
			}
			line, under := from.row(sn, 0, y)[:w*from.c], to.row(n, 0, top+y)[left*to.c:][:w*to.c]
			if weights == nil {
				for i, v := range line { // with a weight of 1
					under[i] = v + float32(0*under[i])
				}
				continue
			}
			mask := weights.Data[(sn%weights.Shape[0]*from.h+y)*from.w:][:w]
			if from.c == 3 {
				for x, m := range mask {
					a, b, rest := line[3*x:][:3], under[3*x:][:3], 1-m
					b[0] = float32(m*a[0]) + float32(rest*b[0])
					b[1] = float32(m*a[1]) + float32(rest*b[1])
					b[2] = float32(m*a[2]) + float32(rest*b[2])
				}
				continue
			}
			for i, v := range line {
				m := mask[i/from.c]
				under[i] = float32(m*v) + float32((1-m)*under[i])
			}
		}
	}
}

// maskFor scales a mask to h x w and cuts it to at most n rows of a batch.
func maskFor(mask *tensor.Tensor, n, h, w int) (*tensor.Tensor, error) {
	if mask == nil {
		return nil, nil
	}
	m, err := ResizeMask(mask, h, w)
	if err != nil {
		return nil, err
	}
	return m.Slice(0, min(n, m.Shape[0])), nil
}

// ResizeMask scales a mask of any rank to [B,height,width], bilinear.
func ResizeMask(mask *tensor.Tensor, height, width int) (*tensor.Tensor, error) {
	if len(mask.Shape) < 2 || len(mask.Data) == 0 {
		return nil, fmt.Errorf("scaling a mask: the shape %v is not one of a mask", mask.Shape)
	}
	flat, err := mask.Reshape(-1, 1, mask.Dim(-2), mask.Dim(-1))
	if err != nil {
		return nil, err
	}
	scaled, err := Upscale(flat, width, height, "bilinear", "disabled")
	if err != nil {
		return nil, err
	}
	return scaled.Reshape(-1, height, width)
}

// WithChannels returns an image, [B,H,W,C], with that many channels: some are dropped, or added with one value.
func WithChannels(t *tensor.Tensor, channels int, value float32) *tensor.Tensor {
	has := t.Shape[3]
	if has == channels {
		return t
	}
	out := tensor.New(t.Shape[0], t.Shape[1], t.Shape[2], channels)
	if has == 3 && channels == 4 { // most calls
		for from, to := t.Data, out.Data; len(from) >= 3 && len(to) >= 4; from, to = from[3:], to[4:] {
			to[0], to[1], to[2], to[3] = from[0], from[1], from[2], value
		}
		return out
	}
	for i := range len(t.Data) / has {
		to := out.Data[i*channels:][:channels]
		for c := copy(to, t.Data[i*has:][:has]); c < channels; c++ {
			to[c] = value
		}
	}
	return out
}
