package imaging

import (
	"context"
	"fmt"
	"math"
)

// Filter is a resampling filter of Pillow.
type Filter uint8

// Pillow's filters.
const (
	Nearest Filter = iota
	Box
	Bilinear
	Hamming
	Bicubic
	Lanczos
)

// support is half the width of each filter at scale 1.
var support = [...]float64{Box: 0.5, Bilinear: 1, Hamming: 1, Bicubic: 2, Lanczos: 3}

// weight evaluates a filter (Pillow's src/libImaging/Resample.c).
func (f Filter) weight(x float64) float64 {
	if f == Box { // the half-open window decides which of two pixels a tie takes
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}
	if f == Lanczos {
		if x >= -3 && x < 3 {
			return sinc(x) * sinc(x/3)
		}
		return 0
	}
	x = math.Abs(x)
	switch f {
	case Bilinear:
		return max(1-x, 0)
	case Hamming:
		switch {
		case x == 0:
			return 1
		case x >= 1:
			return 0
		}
		x *= math.Pi
		return math.Sin(x) / x * (0.54 + 0.46*math.Cos(x))
	case Bicubic:
		const a = -0.5
		switch {
		case x < 1:
			return ((a+2)*x-(a+3))*x*x + 1
		case x < 2:
			return (((x-5)*x+8)*x - 4) * a
		}
	}
	return 0
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// precision is the number of fraction bits of the fixed-point weights.
const precision = 32 - 8 - 2

// kernel holds the fixed-point weights of one axis: target i sums len(weights[i]) pixels from first[i] on.
type kernel struct {
	first   []int
	weights [][]int32
}

func newKernel(in, out int, f Filter) kernel {
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	reach := support[f] * stretch
	k := kernel{first: make([]int, out), weights: make([][]int32, out)}
	var exact []float64
	for i := range out {
		center := (float64(i) + 0.5) * scale
		from := max(int(center-reach+0.5), 0)
		to := min(int(center+reach+0.5), in)
		exact = exact[:0]
		sum, inv := 0.0, 1/stretch
		for x := from; x < to; x++ {
			w := f.weight((float64(x) - center + 0.5) * inv)
			exact = append(exact, w)
			sum += w
		}
		fixed := make([]int32, len(exact))
		for j, w := range exact {
			if sum != 0 {
				w /= sum
			}
			fixed[j] = int32(math.Trunc(math.Copysign(0.5, w) + w*(1<<precision)))
		}
		k.first[i], k.weights[i] = from, fixed
	}
	return k
}

// Resize8 resamples an 8-bit image with interleaved channels to the bytes that the Image.resize of Pillow 13 gives. Channels
// are 1 (L), 2 (LA), 3 (RGB) or 4 (RGBA); as in Pillow colours with alpha are weighted by it except for Nearest.
func Resize8(pix []byte, w, h, channels, outW, outH int, f Filter) ([]byte, error) {
	return Resize8Context(context.Background(), pix, w, h, channels, outW, outH, f)
}

// Resize8Context is Resize8 that looks before each pass over the image whether the context has ended.
func Resize8Context(ctx context.Context, pix []byte, w, h, channels, outW, outH int, f Filter) ([]byte, error) {
	switch {
	case channels < 1 || channels > 4:
		return nil, fmt.Errorf("resizing an image: it has %d channels, not 1 to 4", channels)
	case w < 1 || h < 1 || outW < 1 || outH < 1:
		return nil, fmt.Errorf("resizing an image: %dx%d to %dx%d", w, h, outW, outH)
	case len(pix) != w*h*channels:
		return nil, fmt.Errorf("resizing an image: %d bytes given for %dx%dx%d", len(pix), w, h, channels)
	case w == outW && h == outH:
		return append([]byte(nil), pix...), nil
	case f == Nearest:
		return resizeNearest(pix, w, h, channels, outW, outH), nil
	}
	alpha := channels == 2 || channels == 4
	if alpha {
		pix = premultiply(pix, channels)
	}
	// Pillow (from 12 on) shrinks the columns first where the height loses more than twice what the width does. The
	// order shows in the bytes, because each pass rounds.
	if h-outH > 0 && h-outH > 2*(w-outW) {
		pix, h = resampleColumns(pix, w, channels, newKernel(h, outH, f)), outH
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if w != outW {
		pix = resampleRows(pix, w, h, channels, newKernel(w, outW, f))
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if h != outH {
		pix = resampleColumns(pix, outW, channels, newKernel(h, outH, f))
	}
	if alpha {
		unmultiply(pix, channels)
	}
	return pix, nil
}

func resampleRows(pix []byte, w, h, ch int, k kernel) []byte {
	if ch == 3 {
		if out := resampleRGBRows(pix, w, h, k); out != nil {
			return out
		}
	}
	out := make([]byte, len(k.first)*h*ch)
	resampleRowsInto(out, pix, w, h, ch, k)
	return out
}

func resampleRowsInto(out, pix []byte, w, h, ch int, k kernel) {
	outW := len(k.first)
	parallel(h, outW*ch*8, func(from, to int) {
		for y := from; y < to; y++ {
			src, dst := pix[y*w*ch:(y+1)*w*ch], out[y*outW*ch:(y+1)*outW*ch]
			for x := range outW {
				at := src[k.first[x]*ch:]
				if ch == 3 {
					weighRGB(dst[3*x:], at, k.weights[x])
					continue
				}
				for c := range ch {
					dst[x*ch+c] = weighBytes(at[c:], ch, k.weights[x])
				}
			}
		}
	})
}

func resampleColumns(pix []byte, w, ch int, k kernel) []byte {
	line := w * ch
	out := make([]byte, len(k.first)*line)
	parallel(len(k.first), line*8, func(from, to int) {
		var all []int32
		for y := from; y < to; y++ {
			dst := out[y*line:][:line]
			done := weighColumns(dst, pix[k.first[y]*line:], line, k.weights[y])
			if done == line {
				continue
			}
			if all == nil {
				all = make([]int32, line)
			}
			sums := all[done:]
			for i := range sums {
				sums[i] = 1 << (precision - 1)
			}
			weights, from := k.weights[y], pix[k.first[y]*line:]
			for ; len(weights) >= 4; weights, from = weights[4:], from[4*line:] {
				addFour(sums, from[done:], line, weights)
			}
			for j, wt := range weights {
				for i, p := range from[j*line+done:][:len(sums)] {
					sums[i] += int32(p) * wt
				}
			}
			for i, s := range sums {
				dst[done+i] = clip8(s)
			}
		}
	})
	return out
}

func weighBytes(src []byte, step int, weights []int32) byte {
	sum, at := int32(1<<(precision-1)), 0
	for _, w := range weights {
		sum += int32(src[at]) * w
		at += step
	}
	return clip8(sum)
}

// weighRGB is weighBytes for three interleaved channels at once.
func weighRGB(to, src []byte, weights []int32) {
	r, g, b := int32(1<<(precision-1)), int32(1<<(precision-1)), int32(1<<(precision-1))
	for _, w := range weights {
		if len(src) < 3 {
			break
		}
		r += int32(src[0]) * w
		g += int32(src[1]) * w
		b += int32(src[2]) * w
		src = src[3:]
	}
	to[0], to[1], to[2] = clip8(r), clip8(g), clip8(b)
}

// addFour adds four weighted lines of pixels to sums in one pass.
func addFour(sums []int32, lines []byte, line int, weights []int32) {
	n := len(sums)
	a, b, c, d := lines[:n], lines[line:][:n], lines[2*line:][:n], lines[3*line:][:n]
	wa, wb, wc, wd := weights[0], weights[1], weights[2], weights[3]
	for i := range sums {
		sums[i] += int32(a[i])*wa + int32(b[i])*wb + int32(c[i])*wc + int32(d[i])*wd
	}
}

func clip8(sum int32) byte { return byte(min(max(sum>>precision, 0), 255)) }

// resizeNearest steps through the source as Pillow's affine transform does.
func resizeNearest(pix []byte, w, h, ch, outW, outH int) []byte {
	axis := func(in, out int) []int {
		idx, step := make([]int, out), float64(in)/float64(out)
		at := step * 0.5
		for i := range idx {
			idx[i] = min(int(at), in-1)
			at += step
		}
		return idx
	}
	cols, rows := axis(w, outW), axis(h, outH)
	out := make([]byte, 0, outW*outH*ch)
	for _, y := range rows {
		line := pix[y*w*ch : (y+1)*w*ch]
		for _, x := range cols {
			out = append(out, line[x*ch:(x+1)*ch]...)
		}
	}
	return out
}

// premultiply weights the colours by the alpha, which is the last channel; it returns a copy.
func premultiply(pix []byte, ch int) []byte {
	out := append([]byte(nil), pix...)
	for i := 0; i < len(out); i += ch {
		a := uint32(out[i+ch-1])
		for c := range ch - 1 {
			t := uint32(out[i+c])*a + 128
			out[i+c] = byte((t>>8 + t) >> 8)
		}
	}
	return out
}

func unmultiply(pix []byte, ch int) {
	for i := 0; i < len(pix); i += ch {
		a := int(pix[i+ch-1])
		if a == 0 || a == 255 {
			continue
		}
		for c := range ch - 1 {
			pix[i+c] = byte(min(255*int(pix[i+c])/a, 255))
		}
	}
}
