package sampling

import (
	"context"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"comfygo/engine/tensor"
	"comfygo/engine/torchrand"
)

// The schedules of windows and the ways in which their predictions are fused, by upstream's names.
const (
	WindowsStatic  = "standard_static"
	WindowsUniform = "standard_uniform"
	WindowsLooped  = "looped_uniform"
	WindowsBatched = "batched"

	FusePyramid  = "pyramid"
	FuseRelative = "relative"
	FuseFlat     = "flat"
	FuseLinear   = "overlap-linear"
)

// Windows have long latents predicted in parts that overlap. Upstream: context_windows.py IndexListContextHandler.
type Windows struct {
	// Schedule selects the windows of a step, Fuse the weights of their predictions.
	Schedule, Fuse string
	// Length and Overlap are the sizes of a window and of its overlap with the next, in places of axis Dim of the latent.
	// Stride limits the distance of a window's places, for uniform schedules. Closed lets the windows of the looped schedule
	// wrap around.
	Length, Overlap, Stride, Dim int
	Closed                       bool
	// FreeNoise repeats the noise of the first window, in another order, in those after it (Qiu et al. 2023, arXiv:2310.15169).
	FreeNoise bool
	// KeepInputs and KeepLatent are places at which every window reads the start of the inputs or of the latent.
	KeepInputs, KeepLatent []int
	// Split gives each window one of the entries of a side, by where it lies.
	Split bool
	// Anchor adds the place before a window to its start, if the network has a frame of another kind there.
	Anchor bool
}

// InTime is implemented by rules of inputs that have places of their own along the axis of windows.
type InTime interface {
	// Axis returns the axis of the input, how many of its places belong to one of the latent, and how many places of the
	// latent at the start have none.
	Axis() (axis, scale, skip int)
}

// ByFrames is ByRows for values whose given axis has a place for each frame of the latent.
func ByFrames(axis int) Rule { return framesRule{axis: axis, scale: 1} }

// ByFramesFrom is ByFrames with the given number of places per frame, and none for the first skip frames.
func ByFramesFrom(axis, scale, skip int) Rule {
	return framesRule{axis: axis, scale: scale, skip: skip}
}

type framesRule struct {
	rowsRule
	axis, scale, skip int
}

// Axis implements InTime.
func (r framesRule) Axis() (axis, scale, skip int) { return r.axis, r.scale, r.skip }

// Check fails for settings by which no windows can be made.
func (w *Windows) Check() error {
	switch {
	case w.Length < 1 || w.Overlap < 0 || w.Stride < 1 || w.Dim < 0:
		return fmt.Errorf("making context windows: a length of %d, an overlap of %d, a stride of %d, axis %d", w.Length, w.Overlap, w.Stride, w.Dim)
	case w.Schedule != WindowsBatched && w.Overlap >= w.Length:
		return fmt.Errorf("making context windows: an overlap of %d is not smaller than the length, %d", w.Overlap, w.Length)
	case !slices.Contains([]string{WindowsStatic, WindowsUniform, WindowsLooped, WindowsBatched}, w.Schedule):
		return fmt.Errorf("making context windows: there is no schedule %q", w.Schedule)
	case !slices.Contains([]string{FusePyramid, FuseRelative, FuseFlat, FuseLinear}, w.Fuse):
		return fmt.Errorf("making context windows: there is no fuse method %q", w.Fuse)
	}
	return nil
}

// List returns the windows of a step over n places.
func (w *Windows) List(n, step int) [][]int {
	if n < w.Length || n == w.Length && w.Schedule != WindowsLooped {
		return [][]int{steps(0, n, 1)}
	}
	switch w.Schedule {
	case WindowsUniform:
		return unrolled(w.uniform(n, step, false), n, w.Length)
	case WindowsLooped:
		return w.uniform(n, step, w.Closed)
	}
	var out [][]int
	delta := w.Length
	if w.Schedule == WindowsStatic {
		delta -= w.Overlap
	}
	for start := 0; start < n; start += delta {
		end := start + w.Length
		if w.Schedule == WindowsStatic && end >= n {
			return append(out, steps(n-w.Length, w.Length, 1))
		}
		out = append(out, steps(start, min(end, n)-start, 1))
	}
	return out
}

// steps are count numbers from start on.
func steps(start, count, step int) []int {
	out := make([]int, count)
	for i := range out {
		out[i] = start + i*step
	}
	return out
}

// uniform are windows whose start moves from step to step and whose places wrap around, at strides of powers of two.
func (w *Windows) uniform(n, step int, closed bool) [][]int {
	var out [][]int
	strides := min(w.Stride, int(math.Ceil(math.Log2(float64(n)/float64(w.Length))))+1)
	halved := float64(bits.Reverse64(uint64(step))) / (1 << 64)
	pad := int(math.RoundToEven(float64(n) * halved))
	for k := range max(strides, 0) {
		stride := 1 << k
		end := n + pad
		if !closed {
			end -= w.Overlap
		}
		for from := int(halved*float64(stride)) + pad; from < end; from += w.Length*stride - w.Overlap {
			window := steps(from, w.Length, stride)
			for i := range window {
				window[i] %= n
			}
			out = append(out, window)
		}
	}
	return out
}

// unrolled moves windows that wrap around to the end, and removes duplicates.
func unrolled(windows [][]int, n, length int) [][]int {
	var drop []int
	for i := 0; i < len(windows); i++ {
		w := windows[i]
		if at := rolled(w); at > 0 {
			first, start := w[at], w[0]
			shift := n - 1 - (w[len(w)-1]-start+n)%n
			for k := range w {
				w[k] = (w[k]-start+n)%n + shift
			}
			if !slices.Contains(windows[(i+1)%len(windows)], first) {
				windows = slices.Insert(windows, i+1, steps(min(first, n-length), length, 1)) // upstream goes beyond the end
			}
		}
		if slices.ContainsFunc(windows[:i], func(o []int) bool { return slices.Equal(o, w) }) {
			drop = append(drop, i)
		}
	}
	for _, i := range slices.Backward(drop) {
		windows = slices.Delete(windows, i, i+1)
	}
	return windows
}

// rolled is the number of the first place of a window that is smaller than the one before it, 0 without one.
func rolled(w []int) int {
	for i := 1; i < len(w); i++ {
		if w[i] < w[i-1] {
			return i
		}
	}
	return 0
}

// weights are the weights of the places of a window over n places.
func (w *Windows) weights(window []int, n int) []float32 {
	out := make([]float32, len(window))
	for i := range out {
		out[i] = 1
		if w.Fuse == FusePyramid {
			out[i] = float32(min(i+1, len(out)-i))
		}
	}
	if w.Fuse != FuseLinear {
		return out
	}
	k := min(w.Overlap, len(out))
	if slices.Min(window) > 0 {
		copy(out, ramp(1e-37, 1, k))
	}
	if slices.Max(window) < n-1 {
		copy(out[len(out)-k:], ramp(1, 1e-37, k))
	}
	return out
}

// ramp is torch.linspace.
func ramp(from, to float32, n int) []float32 {
	out := make([]float32, n)
	step := (to - from) / float32(max(n-1, 1))
	for i := range out {
		if out[i] = from + float32(step*float32(i)); i >= n/2 && n > 1 {
			out[i] = to - float32(step*float32(n-1-i))
		}
	}
	return out
}

// pick takes places of an axis of x; at the places keep of the result are those of x.
func pick(x *tensor.Tensor, axis int, places, keep []int) *tensor.Tensor {
	shape := slices.Clone(x.Shape)
	shape[axis] = len(places)
	out := tensor.New(shape...)
	inner := tensor.Count(x.Shape[axis+1:])
	for block := range tensor.Count(x.Shape[:axis]) {
		from, to := x.Data[block*x.Dim(axis)*inner:][:x.Dim(axis)*inner], out.Data[block*len(places)*inner:]
		for i, p := range places {
			if slices.Contains(keep, i) {
				p = i
			}
			copy(to[i*inner:(i+1)*inner], from[p*inner:])
		}
	}
	return out
}

// videoAxes are the axes of a video [N,C,T,H,W].
const videoAxes = 5

// active reports whether latents of a shape are longer than a window.
func (w *Windows) active(shape []int) bool {
	return w != nil && w.Dim < len(shape) && shape[w.Dim] > w.Length
}

// windowed is predict in windows.
func (g *guide) windowed(ctx context.Context, w *Windows, sides [][]*entry, x *tensor.Tensor, sigma float32) ([]*tensor.Tensor, error) {
	if g.params.parts != nil {
		return nil, fmt.Errorf("predicting in context windows: the latent has %d parts, of which windows cannot be taken", len(g.params.parts))
	}
	for i, s := range g.sigmas {
		if math.Abs(float64(s-sigma)) <= 1e-8+1e-4*math.Abs(float64(sigma)) {
			g.windowStep = i
			break
		}
	}
	n := x.Dim(w.Dim)
	f := newFusion(w, len(sides), x)
	for _, window := range w.List(n, g.windowStep) {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		places := window
		if before := window[0] - 1; w.Anchor && before >= 0 {
			places = append([]int{before}, window...)
		}
		parts := make([][]*entry, len(sides))
		for i, side := range sides {
			parts[i] = w.entries(side, places, window, n)
		}
		out, err := g.whole(ctx, parts, pick(x, w.Dim, places, w.KeepLatent), sigma)
		if err != nil {
			return nil, err
		}
		for side, y := range out {
			if len(places) > len(window) {
				y = pick(y, w.Dim, steps(1, len(window), 1), nil)
			}
			f.add(side, window, y)
		}
	}
	return f.done(), nil
}

// entries are the entries of a side for the places of a window over n.
func (w *Windows) entries(side []*entry, places, window []int, n int) []*entry {
	if w.Split && len(side) > 1 {
		centre := float64(slices.Min(window)+slices.Max(window)) / float64(2*n)
		at := min(max(int(centre*float64(len(side))), 0), len(side)-1)
		side = side[at : at+1]
	}
	out := make([]*entry, len(side))
	for i, e := range side {
		part := *e
		part.inputs = slices.Clone(e.inputs)
		for k, in := range part.inputs {
			part.inputs[k].Value = w.input(in, places, len(places) > len(window), n)
		}
		out[i] = &part
	}
	return out
}

// input returns the part of an input for the places of a window; anchored reports that the first place is not the window's
// own.
func (w *Windows) input(in Input, places []int, anchored bool, n int) *tensor.Tensor {
	v := in.Value
	axis, scale, skip := w.Dim, 1, 0
	if r, ok := in.Rule.(InTime); ok {
		axis, scale, skip = r.Axis()
	} else if axis > 0 && !in.Rule.Spatial() && len(v.Shape) != videoAxes { // no video
		return v
	}
	switch {
	case axis >= len(v.Shape) || scale == 1 && v.Dim(axis) != n-skip || axis == 0 && v.Dim(0) == 1:
		return v
	case scale == 1 && skip == 0:
		return pick(v, axis, places, w.KeepInputs)
	}
	own := places
	if anchored {
		own = places[1:]
		skip = max(skip-1, 0)
	}
	_, _, offset := in.Rule.(InTime).Axis()
	var list []int
	for _, p := range own[min(skip, len(own)):] {
		for k := range scale {
			if at := (p-offset)*scale + k; p >= offset && at < v.Dim(axis) {
				list = append(list, at)
			}
		}
	}
	if len(list) == 0 {
		return v
	}
	return pick(v, axis, list, nil)
}

// fusion gathers the predictions of windows.
type fusion struct {
	w      *Windows
	sums   []*tensor.Tensor
	counts [][]float32
}

func newFusion(w *Windows, sides int, x *tensor.Tensor) *fusion {
	f := &fusion{w: w}
	for range sides {
		f.sums = append(f.sums, like(x))
		f.counts = append(f.counts, make([]float32, x.Dim(w.Dim)))
	}
	return f
}

// add adds the prediction of a window.
func (f *fusion) add(side int, window []int, y *tensor.Tensor) {
	sum, counts := f.sums[side], f.counts[side]
	n, inner := sum.Dim(f.w.Dim), tensor.Count(sum.Shape[f.w.Dim+1:])
	weights := f.w.weights(window, n)
	old, fresh := make([]float32, len(window)), weights
	if f.w.Fuse == FuseRelative {
		fresh = make([]float32, len(window))
		for i, p := range window {
			first, last := float64(window[0]), float64(window[len(window)-1])
			bias := max(1e-2, 1-math.Abs(float64(p)-(first+last)/2)/((last-first+1e-2)/2))
			total := float64(counts[p])
			old[i], fresh[i] = float32(total/(total+bias)), float32(bias/(total+bias))
			counts[p] = float32(total + bias)
		}
	} else {
		for i, p := range window {
			old[i] = 1
			if slices.Contains(window[i+1:], p) { // of a place that is there twice the last one counts
				fresh[i] = 0
			}
			counts[p] += fresh[i]
		}
	}
	for block := range tensor.Count(sum.Shape[:f.w.Dim]) {
		for i, p := range window {
			to, from := sum.Data[(block*n+p)*inner:][:inner], y.Data[(block*len(window)+i)*inner:][:inner]
			for k, v := range from {
				to[k] = float32(to[k]*old[i]) + float32(v*fresh[i])
			}
		}
	}
}

// done returns the fused predictions.
func (f *fusion) done() []*tensor.Tensor {
	if f.w.Fuse == FuseRelative {
		return f.sums
	}
	for side, sum := range f.sums {
		n, inner := sum.Dim(f.w.Dim), tensor.Count(sum.Shape[f.w.Dim+1:])
		for i := range sum.Data {
			sum.Data[i] /= f.counts[side][i/inner%n]
		}
	}
	return f.sums
}

// freeNoise repeats noise from window to window; see FreeNoise.
func (w *Windows) freeNoise(noise *tensor.Tensor, seed uint64) *tensor.Tensor {
	if w.Dim >= len(noise.Shape) {
		return noise
	}
	places := steps(0, noise.Dim(w.Dim), 1)
	random := torchrand.New(seed)
	delta := w.Length - w.Overlap
	for start := 0; start < len(places)-w.Length && delta > 0; start += delta {
		to := start + w.Length
		for i, p := range randomOrder(random, min(delta, len(places)-to)) {
			places[to+i] = places[start+p]
		}
	}
	return pick(noise, w.Dim, places, nil)
}

// randomOrder is torch.randperm on the CPU.
func randomOrder(r *torchrand.Generator, n int) []int {
	out := steps(0, n, 1)
	for i := range max(n-1, 0) {
		k := i + int(r.Uint32()%uint32(n-i))
		out[i], out[k] = out[k], out[i]
	}
	return out
}
