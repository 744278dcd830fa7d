package ort

import (
	"context"
	"math"
)

// NchwcBlock returns the number of channels per block in the blocked layout of convolutions on this CPU: 16 or 8, and 0 if
// the library rejects blocked nodes. It is determined once by a trial run, because the library does not report it.
func (r *Runtime) NchwcBlock() int { return r.block() }

func (r *Runtime) probeBlock() int {
	for _, block := range []int{16, 8, 4, 32} {
		ok, err := r.tryBlock(block)
		if err != nil {
			r.cfg.Log.Debug("probing blocked convolutions", "block", block, "err", err)
		}
		if ok {
			return block
		}
	}
	return 0
}

// tryBlock runs a 1x1 convolution over 64 channels whose weights are laid out in blocks, and compares with the sum
// worked out here. Small whole numbers make the comparison exact; every other block size moves some of them.
func (r *Runtime) tryBlock(block int) (bool, error) {
	const channels, pixels = 64, 4
	weight := func(o, i int) float32 { return float32((o*31+i*17)%23 - 11) }
	pixel := func(i, p int) float32 { return float32((i*7+p*5)%13 - 6) }

	blocked := make([]float32, 0, channels*channels)
	for ob := 0; ob < channels; ob += block {
		for ib := 0; ib < channels; ib += block {
			for i := range block {
				for o := range block {
					blocked = append(blocked, weight(ob+o, ib+i))
				}
			}
		}
	}
	x := make([]float32, 0, channels*pixels)
	for i := range channels {
		for p := range pixels {
			x = append(x, pixel(i, p))
		}
	}
	s, err := r.NewSession(context.Background(), SessionSpec{Name: "block-probe", Model: blockModel(channels, blocked), Threads: 1})
	if err != nil {
		return false, err
	}
	defer s.Close()
	out, err := s.Run(context.Background(), map[string]Value{"x": Floats(x, 1, channels, 2, 2)}, nil)
	if err != nil {
		return false, err
	}
	y, err := out["y"].Float32s()
	if err != nil {
		return false, err
	}
	for o := range channels {
		for p := range pixels {
			var want float64
			for i := range channels {
				want += float64(weight(o, i)) * float64(pixel(i, p))
			}
			if math.Abs(want-float64(y[o*pixels+p])) > 1e-3 {
				return false, nil
			}
		}
	}
	return true, nil
}

// blockModel is a 1x1 convolution of [1,channels,2,2] with weights in blocked order.
func blockModel(channels int64, weights []float32) []byte {
	x := wireTensor{name: "x", dims: []int64{1, channels, 2, 2}}
	y := wireTensor{name: "y", dims: []int64{1, channels, 2, 2}}
	w := wireTensor{name: "w", dims: []int64{channels, channels, 1, 1}, data: weights}
	return wireModel([]wireNode{
		{op: "ReorderInput", domain: blockSpace, in: []string{"x"}, out: []string{"xb"}},
		{op: "Conv", domain: blockSpace, in: []string{"xb", "w"}, out: []string{"yb"}, ints: map[string][]int64{"kernel_shape": {1, 1}}},
		{op: "ReorderOutput", domain: blockSpace, in: []string{"yb"}, out: []string{"y"}, ints: map[string][]int64{"channels": {channels}}},
	}, []wireTensor{w}, []wireTensor{x}, []wireTensor{y})
}
