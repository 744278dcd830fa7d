package ort

import (
	"fmt"

	"comfygo/engine/dtype"
)

// onnxTypes are the numbers that ONNX gives to element types.
var onnxTypes = map[dtype.DType]int{
	dtype.F32: 1, dtype.U8: 2, dtype.I8: 3, dtype.I16: 5, dtype.I32: 6, dtype.I64: 7, dtype.Bool: 9,
	dtype.F16: 10, dtype.F64: 11, dtype.BF16: 16, dtype.F8E4M3: 17, dtype.F8E5M2: 19,
}

func onnxType(d dtype.DType) (int, error) {
	if n, ok := onnxTypes[d]; ok {
		return n, nil
	}
	return 0, fmt.Errorf("element type %v has no counterpart in ONNX", d)
}

func fromONNX(n int) dtype.DType {
	for d, m := range onnxTypes {
		if m == n {
			return d
		}
	}
	return dtype.Invalid
}
