package inpaint

import (
	"math"

	"comfygo/engine"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
	"comfygo/nodes"
)

// masked is an image [B,H,W,C] with its mask [N,H,W], both cut at the centre to a multiple of some grid.
type masked struct {
	pixels, mask *tensor.Tensor
}

// fit converts a mask to the size of an image and cuts both to the grid.
func fit(pixels, mask *tensor.Tensor, grid int) (masked, error) {
	if err := checkPixels(pixels); err != nil {
		return masked{}, err
	}
	if mask == nil || len(mask.Shape) < 2 || mask.Len() == 0 {
		return masked{}, nodes.Errorf("ValueError", "the input mask is no mask")
	}
	mask, err := imaging.ResizeMask(mask, pixels.Dim(1), pixels.Dim(2))
	if err != nil {
		return masked{}, err
	}
	plane, err := mask.Reshape(mask.Dim(0), mask.Dim(1), mask.Dim(2), 1)
	if err != nil {
		return masked{}, err
	}
	cut := cutToGrid(plane, grid)
	if mask, err = cut.Reshape(cut.Shape[:3]...); err != nil {
		return masked{}, err
	}
	pixels = cutToGrid(pixels, grid)
	if pixels.Len() == 0 {
		return masked{}, nodes.Errorf("ValueError", "the image is smaller than %d pixels", grid)
	}
	return masked{pixels: pixels, mask: mask}, nil
}

func checkPixels(pixels *tensor.Tensor) error {
	if pixels == nil || len(pixels.Shape) != 4 || pixels.Dim(3) < 3 || pixels.Len() == 0 {
		return nodes.Errorf("ValueError", "the input pixels is no image")
	}
	return nil
}

// cutToGrid cuts [B,H,W,C] at the centre to multiples of the grid.
func cutToGrid(t *tensor.Tensor, grid int) *tensor.Tensor {
	h, w, c := t.Dim(1)/grid*grid, t.Dim(2)/grid*grid, t.Dim(3)
	if h == t.Dim(1) && w == t.Dim(2) {
		return t
	}
	top, left := t.Dim(1)%grid/2, t.Dim(2)%grid/2
	out := tensor.New(t.Dim(0), h, w, c)
	for b := range t.Dim(0) {
		from, to := t.Index(b).Data, out.Index(b).Data
		for y := range h {
			copy(to[y*w*c:(y+1)*w*c], from[((top+y)*t.Dim(2)+left)*c:])
		}
	}
	return out
}

// greyed returns the image with grey where the mask is at least a half, which carries no information for an encoder.
func (m masked) greyed() (*tensor.Tensor, error) {
	n, c := m.mask.Dim(0), m.pixels.Dim(3)
	if n != 1 && n != m.pixels.Dim(0) {
		return nil, nodes.Errorf("RuntimeError", "inpainting: %d masks do not fit %d images", n, m.pixels.Dim(0))
	}
	out := m.pixels.Clone()
	plane := m.mask.Dim(1) * m.mask.Dim(2)
	for i := range out.Len() / c {
		row, at := i/plane, i%plane
		keep := 1 - round(m.mask.Data[row%n*plane+at])
		for k := range 3 {
			v := &out.Data[i*c+k]
			*v = float32((*v-0.5)*keep) + 0.5
		}
	}
	return out, nil
}

// round is to the nearest whole number, a half to the even one.
func round(v float32) float32 { return float32(math.RoundToEven(float64(v))) }

// noiseMask returns the mask as a sampler's [N,1,H,W].
func noiseMask(mask *tensor.Tensor) *tensor.Tensor {
	return &tensor.Tensor{Shape: []int{mask.Dim(0), 1, mask.Dim(1), mask.Dim(2)}, Data: mask.Data}
}

// grown returns the mask with zeros and ones, its ones grown by a square window of the given side; a side of 0 only
// rounds. Windows of an even side reach one pixel further up and left, as upstream's do.
func grown(mask *tensor.Tensor, side int) *tensor.Tensor {
	out := tensor.New(mask.Shape...)
	for i, v := range mask.Data {
		out.Data[i] = round(v)
	}
	if side < 1 {
		return out
	}
	h, w := mask.Dim(1), mask.Dim(2)
	for n := range mask.Dim(0) {
		plane := out.Index(n).Data
		for y := range h {
			sumWindow(plane[y*w:], w, 1, side)
		}
		for x := range w {
			sumWindow(plane[x:], h, w, side)
		}
	}
	for i, v := range out.Data {
		out.Data[i] = round(min(max(v, 0), 1))
	}
	return out
}

// sumWindow replaces each of n values, step apart, by the sum of the side values around it. The values are whole, so
// that the running sum is exact.
func sumWindow(line []float32, n, step, side int) {
	before := side / 2
	sums := make([]float64, n+1)
	for i := range n {
		sums[i+1] = sums[i] + float64(line[i*step])
	}
	for i := range n {
		from, to := max(i-before, 0), min(i-before+side, n)
		line[i*step] = float32(sums[max(from, to)] - sums[from])
	}
}

func errNoVAE() error {
	return nodes.Errorf("RuntimeError", "inpainting: there is no VAE. A checkpoint without one was loaded; add a node that loads it from its own file")
}

// encode turns an image into latents.
func encode(ctx *nodes.Context, vae *engine.VAE, pixels *tensor.Tensor) (*tensor.Tensor, error) {
	if vae == nil {
		return nil, errNoVAE()
	}
	return vae.Encode(ctx, pixels)
}
