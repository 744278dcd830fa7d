package onnx

import (
	"encoding/binary"
	"fmt"
	"math"

	"comfygo/engine/dtype"
)

// Ints returns a 1-D int64 constant; equal constants are shared.
func (g *Graph) Ints(v ...int) *Value {
	raw := make([]byte, 8*len(v))
	for i, n := range v {
		binary.LittleEndian.PutUint64(raw[8*i:], uint64(int64(n)))
	}
	return g.constant(dtype.I64, []int{len(v)}, raw)
}

// Floats returns a float32 constant of the given shape; equal constants are shared.
func (g *Graph) Floats(v []float32, shape ...int) *Value {
	raw := make([]byte, 4*len(v))
	for i, f := range v {
		binary.LittleEndian.PutUint32(raw[4*i:], math.Float32bits(f))
	}
	return g.constant(dtype.F32, shape, raw)
}

// Scalar returns a rank-0 constant of type t, cast in the graph when t is not float32.
func (g *Graph) Scalar(t dtype.DType, f float32) *Value {
	v := g.Floats([]float32{f})
	if t != dtype.F32 {
		return g.Cast(v, t)
	}
	return v
}

func (g *Graph) constant(t dtype.DType, dims []int, raw []byte) *Value {
	key := fmt.Sprintf("%d%v%x", t, dims, raw)
	if v, ok := g.byConst[key]; ok {
		return v
	}
	v := &Value{Name: fmt.Sprintf("c%d", len(g.consts)), DType: t, Shape: Dims(dims...)}
	g.byConst[key] = v
	g.consts = append(g.consts, constant{name: v.Name, dtype: t, dims: dims, raw: raw})
	return v
}
