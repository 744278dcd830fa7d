package hidreamo1

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"comfygo/engine/family"
	"comfygo/engine/family/dit"
	"comfygo/engine/family/lm"
	"comfygo/engine/tensor"
	"comfygo/internal/imaging"
)

// reference is an image that the model reads twice: in patches of its own size, and by the vision tower.
type reference struct {
	patches    *tensor.Tensor // [patches,3072]
	rows, cols int            // of patches
	vectors    *tensor.Tensor // [tokens,width]
	tall, wide int            // of the tower's tokens
}

// seenSide is the side of the area that the vision tower reads.
const seenSide = 384

// areas are the sides of the areas of each of n reference images for a target, in patches and for the vision tower. Upstream: ref_max_size,
// cond_image_size.
func areas(n, target int) (patched, seen int) {
	switch {
	case n == 1:
		patched = target
	case n == 2:
		patched = target * 48 / 64
	case n <= 4:
		patched = target / 2
	case n <= 8:
		patched = target * 24 / 64
	default:
		patched = target / 4
	}
	switch {
	case n <= 4:
		seen = seenSide
	case n <= 8:
		seen = seenSide * 48 / 64
	default:
		seen = seenSide / 2
	}
	return patched, seen
}

// references prepares images for a target's size, or returns those of the last call.
func (m *model) references(ctx context.Context, run family.Runner, images []*tensor.Tensor, height, width int) ([]reference, error) {
	if len(images) == 0 {
		return nil, nil
	}
	if m.vision == nil {
		return nil, errors.New("the file has no vision tower (visual.…), which reference images need")
	}
	m.last.mu.Lock()
	defer m.last.mu.Unlock()
	if m.last.height == height && m.last.width == width && slices.Equal(m.last.images, images) {
		return m.last.refs, nil
	}
	patched, seen := areas(len(images), max(height, width))
	out := make([]reference, len(images))
	for i, x := range images {
		fitted, err := fit(x, patched)
		if err != nil {
			return nil, fmt.Errorf("reading reference image %d: %w", i+1, err)
		}
		out[i], err = m.reference(ctx, run, fitted, seen)
		if err != nil {
			return nil, fmt.Errorf("reading reference image %d: %w", i+1, err)
		}
	}
	m.last.images, m.last.height, m.last.width, m.last.refs = images, height, width, out
	return out, nil
}

// reference reads an image [1,3,H,W] of values from 0 to 1.
func (m *model) reference(ctx context.Context, run family.Runner, x *tensor.Tensor, area int) (reference, error) {
	centred := x.Clone()
	for i, v := range centred.Data {
		centred.Data[i] = (v - 0.5) / 0.5
	}
	patches, grid, err := dit.Patchify(centred, side, tensor.ChannelsFirst)
	if err != nil {
		return reference{}, err
	}
	w := math.Sqrt(float64(area*area) * (float64(x.Dim(3)) / float64(x.Dim(2))))
	h := w / (float64(x.Dim(3)) / float64(x.Dim(2)))
	wide, tall := max(int(w/side)*side, side), max(int(h/side)*side, side)
	small, err := imaging.Upscale(x, wide, tall, "lanczos", "disabled")
	if err != nil {
		return reference{}, err
	}
	vectors, err := m.vision.Read(ctx, run, small)
	if err != nil {
		return reference{}, err
	}
	return reference{patches: patches, rows: grid.Height, cols: grid.Width, vectors: vectors, tall: tall / side, wide: wide / side}, nil
}

// fit converts the first of images [N,H,W,C] to about the area of a square by bicubic interpolation, and cuts its middle to whole patches:
// [1,3,H,W]. Upstream: resize_tensor.
func fit(images *tensor.Tensor, area int) (*tensor.Tensor, error) {
	h, w, c := images.Dim(1), images.Dim(2), images.Dim(3)
	x := tensor.New(1, rgb, h, w)
	for i := range h * w {
		for k := range rgb {
			x.Data[k*h*w+i] = min(max(images.Data[i*c+k], 0), 1)
		}
	}
	for min(x.Dim(2), x.Dim(3)) >= 2*area {
		x = halved(x)
	}
	h, w = x.Dim(2), x.Dim(3)
	most := area * area
	scale := math.Sqrt(float64(most) / float64(w*h))
	round := func(n int, f func(float64) float64) int { return int(f(float64(n)*scale)) / side * side }
	near, below := math.RoundToEven, math.Floor
	sizes := [][2]int{
		{round(w, near), round(h, near)}, {round(w, near), round(h, below)}, {round(w, below), round(h, near)}, {round(w, below), round(h, below)},
	}
	slices.SortStableFunc(sizes, func(a, b [2]int) int { return b[0]*b[1] - a[0]*a[1] })
	size := sizes[len(sizes)-1]
	for _, s := range sizes {
		if s[0]*s[1] <= most {
			size = s
			break
		}
	}
	if size[0] < side || size[1] < side {
		return nil, fmt.Errorf("its size of %dx%d leaves no patch of %d pixels within an area of %dx%d", w, h, side, area, area)
	}
	s1, s2 := float64(w)/float64(size[0]), float64(h)/float64(size[1])
	width, height := size[0], size[1]
	if s1 < s2 {
		height = int(math.RoundToEven(float64(h) / s1))
	} else {
		width = int(math.RoundToEven(float64(w) / s2))
	}
	x, err := imaging.Upscale(x, width, height, "bicubic", "disabled")
	if err != nil {
		return nil, err
	}
	top, left := (height-size[1])/2, (width-size[0])/2
	out := tensor.New(1, rgb, size[1], size[0])
	for k := range rgb {
		for y := range size[1] {
			copy(out.Data[(k*size[1]+y)*size[0]:][:size[0]], x.Data[(k*height+top+y)*width+left:])
		}
	}
	return out, nil
}

// halved averages squares of four values.
func halved(x *tensor.Tensor) *tensor.Tensor {
	h, w := x.Dim(2)/2, x.Dim(3)/2
	out := tensor.New(1, x.Dim(1), h, w)
	for k := range x.Dim(1) {
		for y := range h {
			for i := range w {
				at := (k*x.Dim(2)+2*y)*x.Dim(3) + 2*i
				next := at + x.Dim(3)
				out.Data[(k*h+y)*w+i] = (x.Data[at] + x.Data[at+1] + x.Data[next] + x.Data[next+1]) / 4
			}
		}
	}
	return out
}

// fixed is the position from which the rows and columns of the image count.
const fixed = 4096

// opening is the number of tokens of a prompt before its images.
const opening = 3

// layOut returns the tokens of a prompt with those of reference images among them, and the positions (time, row, column) of these and of
// all patches. Upstream: conditioning.py build_extra_conds, utils.py get_rope_index_fix_point.
func layOut(prompt []float32, target dit.Grid, refs []reference) (ids []int64, places [][3]int) {
	next := 0
	text := func(id int64) {
		ids = append(ids, id)
		places = append(places, [3]int{next, next, next})
		next++
	}
	grid := func(from, rows, cols int) {
		for i := range rows * cols {
			places = append(places, [3]int{from, from + i/cols, from + i%cols})
		}
		next = from + max(rows, cols)
	}
	for _, id := range prompt[:min(opening, len(prompt))] {
		text(int64(id))
	}
	for _, r := range refs {
		text(int64(lm.TokenVisionStart))
		for range r.tall * r.wide {
			ids = append(ids, int64(lm.TokenImage))
		}
		grid(next, r.tall, r.wide)
		text(int64(lm.TokenVisionEnd))
	}
	for _, id := range prompt[min(opening, len(prompt)):] {
		text(int64(id))
	}
	grid(fixed, target.Height, target.Width)
	for _, r := range refs {
		grid(next, r.rows, r.cols)
	}
	return ids, places
}
