package sampling

import (
	"runtime"
	"sync"

	"comfygo/engine/tensor"
	"comfygo/engine/vec"
)

// parallelFrom is the number of elements from which work is spread over the CPUs; latents of images stay below.
const parallelFrom = 1 << 19

// spread calls f with ranges that cover [0,n), at once when n is large.
func spread(n int, f func(from, to int)) {
	if n < parallelFrom {
		f(0, n)
		return
	}
	workers := runtime.GOMAXPROCS(0)
	if workers == 1 {
		f(0, n)
		return
	}
	step := (n + workers - 1) / workers
	var wg sync.WaitGroup
	for from := 0; from < n; from += step {
		wg.Go(func() { f(from, min(from+step, n)) })
	}
	wg.Wait()
}

// like returns a tensor of zeros of the same shape.
func like(x *tensor.Tensor) *tensor.Tensor { return tensor.New(x.Shape...) }

// apply returns f of each element.
func apply(x *tensor.Tensor, f func(v float32) float32) *tensor.Tensor {
	out := like(x)
	spread(len(x.Data), func(from, to int) {
		for i := from; i < to; i++ {
			out.Data[i] = f(x.Data[i])
		}
	})
	return out
}

// zip returns f of each pair of elements of two tensors of the same shape.
func zip(x, y *tensor.Tensor, f func(a, b float32) float32) *tensor.Tensor {
	out := like(x)
	spread(len(x.Data), func(from, to int) {
		for i := from; i < to; i++ {
			out.Data[i] = f(x.Data[i], y.Data[i])
		}
	})
	return out
}

// term is a tensor with its factor in a sum.
type term struct {
	factor float32
	value  *tensor.Tensor
}

// chunk is how many elements of a sum are finished before the next ones, few enough to stay in the nearest cache.
const chunk = 2048

// sum returns factor1*value1 + factor2*value2 + …, rounding after each operation as torch does when it goes term by
// term.
func sum(terms ...term) *tensor.Tensor {
	out := like(terms[0].value)
	spread(len(out.Data), func(from, to int) {
		for ; from < to; from += chunk {
			end := min(from+chunk, to)
			total := out.Data[from:end]
			vec.Scale(total, terms[0].value.Data[from:end], terms[0].factor)
			for _, t := range terms[1:] {
				vec.AddScaled(total, t.value.Data[from:end], t.factor)
			}
		}
	})
	return out
}

// slope returns (x - denoised)/sigma, the derivative of x by sigma (Karras et al., 2022). Upstream: to_d.
func slope(x *tensor.Tensor, sigma float32, denoised *tensor.Tensor) *tensor.Tensor {
	out := like(x)
	spread(len(out.Data), func(from, to int) {
		vec.Slope(out.Data[from:to], x.Data[from:to], denoised.Data[from:to], sigma)
	})
	return out
}

// quotient returns x/d.
func quotient(x *tensor.Tensor, d float32) *tensor.Tensor {
	out := like(x)
	spread(len(out.Data), func(from, to int) { vec.Divide(out.Data[from:to], x.Data[from:to], d) })
	return out
}

// quotients returns x/y, element by element.
func quotients(x, y *tensor.Tensor) *tensor.Tensor {
	out := like(x)
	spread(len(out.Data), func(from, to int) { vec.Quotients(out.Data[from:to], x.Data[from:to], y.Data[from:to]) })
	return out
}

// filled returns a tensor of x's shape that holds a value everywhere.
func filled(x *tensor.Tensor, v float32) *tensor.Tensor {
	out := like(x)
	for i := range out.Data {
		out.Data[i] = v
	}
	return out
}
