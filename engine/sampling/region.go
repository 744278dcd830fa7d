package sampling

import (
	"comfygo/engine/tensor"
	"comfygo/engine/vec"
)

// rows calls f for each run of neighbouring cells of the region inside a tensor [B,C,axes…] of the given shape: whole is
// where the run starts in the tensor, part where it starts in a tensor of the region alone, n its length.
func (r *region) rows(shape []int, f func(whole, part, n int)) {
	dims := shape[2:]
	last := len(dims) - 1
	n := r.size[last]
	lines := tensor.Count(r.size[:last])
	plane := tensor.Count(dims)
	part := 0
	for p := range shape[0] * shape[1] {
		for line := range lines {
			at, stride, rest := r.offset[last], dims[last], line
			for axis := last - 1; axis >= 0; axis-- {
				at += (r.offset[axis] + rest%r.size[axis]) * stride
				rest /= r.size[axis]
				stride *= dims[axis]
			}
			f(p*plane+at, part, n)
			part += n
		}
	}
}

// cut returns the region of x, or x itself for nil.
func (r *region) cut(x *tensor.Tensor) *tensor.Tensor {
	if r == nil {
		return x
	}
	out := tensor.New(append(append([]int(nil), x.Shape[:2]...), r.size...)...)
	r.rows(x.Shape, func(whole, part, n int) { copy(out.Data[part:part+n], x.Data[whole:whole+n]) })
	return out
}

// accumulate adds values*weights to the region of sums and weights to the same region of totals.
func (r *region) accumulate(sums, totals, values, weights *tensor.Tensor) {
	add := func(whole, part, n int) {
		w := weights.Data[part : part+n]
		vec.AddProducts(sums.Data[whole:whole+n], values.Data[part:part+n], w)
		vec.AddScaled(totals.Data[whole:whole+n], w, 1)
	}
	if r == nil {
		spread(len(sums.Data), func(from, to int) { add(from, from, to-from) })
		return
	}
	r.rows(sums.Shape, add)
}

// featherCells is the width of the ramp at an area's inner edges.
const featherCells = 8

// feather fades a weight [B,C,axes…] of the region towards those of its edges that lie inside a latent with the given
// axes, so that neighbouring areas blend.
func (r *region) feather(weight *tensor.Tensor, dims []int) {
	stride := 1
	for axis := len(dims) - 1; axis >= 0; axis-- {
		size := r.size[axis]
		ramp := min(featherCells, size/4)
		scale := func(at int, factor float32) {
			for i := at * stride; i < len(weight.Data); i += size * stride {
				for j := range stride {
					weight.Data[i+j] *= factor
				}
			}
		}
		for t := range ramp {
			factor := float32(1 / float64(ramp) * float64(t+1))
			if r.offset[axis] != 0 {
				scale(t, factor)
			}
			if size+r.offset[axis] < dims[axis] {
				scale(size-1-t, factor)
			}
		}
		stride *= size
	}
}
