package ort

// #include "dequant.h"
import "C"

import (
	"runtime"
	"unsafe"

	"comfygo/engine/quant"
)

func init() { quant.Use(dequantize) }

// dequantize is a quant.Decoder.
func dequantize(m quant.Matrix, from, n int, dst []float32) {
	need(m.Check() == nil && from >= 0 && n > 0 && from+n <= m.Rows && len(dst) == n*m.Cols && m.Cols > 0)
	var pin runtime.Pinner
	defer pin.Unpin()
	c := C.cg_matrix{scale: 1, format: C.int(m.Format), row0: C.size_t(m.First), rows: C.size_t(m.Rows), cols: C.size_t(m.Cols)}
	pin.Pin(unsafe.SliceData(m.Data))
	c.data = (*C.uint8_t)(unsafe.SliceData(m.Data))
	if len(m.Blocks) > 0 {
		pin.Pin(unsafe.SliceData(m.Blocks))
		c.scales = (*C.uint8_t)(unsafe.SliceData(m.Blocks))
	}
	scales := m.Scales
	if m.Format.Grouped() {
		pin.Pin(unsafe.SliceData(scales))
		c.levels = (*C.float)(unsafe.SliceData(scales))
		scales = scales[quant.Levels:]
		if len(scales) == 1 {
			c.row_scales = (*C.float)(unsafe.SliceData(scales))
			scales = nil
		}
	}
	switch len(scales) {
	case 0:
	case 1:
		c.scale = C.float(scales[0])
	default:
		pin.Pin(unsafe.SliceData(scales))
		c.row_scales = (*C.float)(unsafe.SliceData(scales))
	}
	C.cg_dequantize(&c, C.size_t(from), C.size_t(n), (*C.float)(unsafe.SliceData(dst)))
}

// blockSize returns the C code's block size of a format, for tests.
func blockSize(f quant.Format) (elements, bytes int) {
	var e, b C.size_t
	if C.cg_block_size(C.int(f), &e, &b) == 0 {
		return 0, 0
	}
	return int(e), int(b)
}
