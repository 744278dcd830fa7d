package engine_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"comfygo/engine/dtype"
	"comfygo/engine/nn"
	"comfygo/engine/ort"
	"comfygo/engine/weights"
)

// TestKernelsAgree lays weights out with the vector code and with plain Go; the bytes must be equal.
func TestKernelsAgree(t *testing.T) {
	t.Parallel()
	fast := nn.Kernels{Reads: ort.CanWiden, Widen: ort.Widen, Block: ort.Block, Transpose: ort.Transpose}
	shapes := []struct {
		form  nn.Form
		shape []int
		block int
	}{
		{nn.Transposed, []int{130, 77}, 0},
		{nn.Transposed, []int{64, 64}, 0},
		{nn.Transposed, []int{7, 3}, 0},
		{nn.Transposed, []int{65, 41, 1, 1}, 0},
		{nn.Blocked, []int{32, 48, 3, 3}, 16},
		{nn.Blocked, []int{3, 16, 3, 3}, 16},
		{nn.Blocked, []int{32, 4, 3, 3}, 16},
		{nn.Blocked, []int{24, 16, 1, 1}, 8},
		{nn.Phase, []int{32, 32, 3, 3}, 16},
		{nn.Plain, []int{123}, 0},
		{nn.Padded, []int{5}, 16},
	}
	for _, d := range []dtype.DType{dtype.F16, dtype.BF16, dtype.F32} {
		for _, c := range shapes {
			t.Run(fmt.Sprint(d, c.form, c.shape), func(t *testing.T) {
				t.Parallel()
				s := nn.Layout{Entry: pattern(d, c.shape), Form: c.form, DType: dtype.F32, Block: c.block}
				if a, b := made(t, s, nn.Kernels{}), made(t, s, fast); !slices.Equal(a, b) {
					t.Fatal("the bytes differ")
				}
			})
		}
	}
}

// pattern is a weight whose elements all differ, in a type that holds them.
func pattern(d dtype.DType, shape []int) weights.Entry {
	n := 1
	for _, s := range shape {
		n *= s
	}
	data := make([]byte, n*d.Size())
	for i := range n {
		if d == dtype.F32 {
			binary.LittleEndian.PutUint32(data[4*i:], 0x3f800000+uint32(i))
		} else {
			binary.LittleEndian.PutUint16(data[2*i:], uint16(i%0x7000))
		}
	}
	return weights.Entry{Name: "w", DType: d, Shape: shape, Data: data}
}

func made(t *testing.T, s nn.Source, k nn.Kernels) []byte {
	t.Helper()
	words := make([]uint32, s.Size()/4)
	dst := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), s.Size())
	for _, task := range s.Tasks(dst, k) {
		if err := task(); err != nil {
			t.Fatal(err)
		}
	}
	return dst
}
