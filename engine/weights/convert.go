package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors/filemap"
	"comfygo/engine/vec"
)

// ToFloat32 converts all elements of e, of any type but Invalid, into dst, which must have e.Count() elements. The
// result is exact where float32 can hold the value and rounded to nearest even otherwise; BOOL gives 0 and 1. It runs
// on the calling goroutine; different entries, or parts of dst by way of Range, may be converted in parallel.
func ToFloat32(dst []float32, e Entry) error { return Range(dst, e, 0) }

// Range converts the len(dst) elements of e from index from on, in row-major order.
func Range(dst []float32, e Entry, from int) error {
	size := e.DType.Size()
	if size == 0 {
		return fmt.Errorf("converting %v of %s: elements of this type cannot be computed with", e, e.File)
	}
	if e.Scheme != nil {
		err := e.check()
		if err == nil && (from < 0 || from+len(dst) > e.Count()) {
			err = fmt.Errorf("elements %d to %d wanted", from, from+len(dst))
		}
		if err == nil {
			err = e.decode(dst, from)
		}
		if err != nil {
			return fmt.Errorf("converting %v of %s: %w", e, e.File, err)
		}
		return nil
	}
	if e.computed != nil && from >= 0 && from+len(dst) <= e.Count() {
		return e.computed.read(dst, from)
	}
	if n := e.Count(); from < 0 || from+len(dst) > n || len(e.Data) != n*size {
		return fmt.Errorf("converting %v of %s: elements %d to %d wanted, %d bytes there", e, e.File, from, from+len(dst), len(e.Data))
	}
	src := e.Data[from*size : (from+len(dst))*size]
	if err := filemap.Guard(func() error { convert(dst, src, e.DType); return nil }); err != nil {
		return fmt.Errorf("converting %v of %s: %w", e, e.File, err)
	}
	runtime.KeepAlive(e.owner)
	return nil
}

// Float32s returns all elements of e, converted on all CPUs when there are many.
func Float32s(e Entry) ([]float32, error) {
	if err := e.check(); err != nil {
		return nil, fmt.Errorf("converting %v of %s: %w", e, e.File, err)
	}
	dst := make([]float32, e.Count())
	return dst, parallel(len(dst), 1<<18, func(from, to int) error { return Range(dst[from:to], e, from) })
}

// parallel calls work on consecutive ranges that cover [0, n), on one goroutine per CPU, each with at least grain items at a
// time. It returns when all ranges are done, with the error of the lowest range that failed.
func parallel(n, grain int, work func(from, to int) error) error {
	parts := min(runtime.GOMAXPROCS(0), max(n/max(grain, 1), 1))
	if parts == 1 {
		return work(0, n)
	}
	errs := make([]error, parts)
	var wg sync.WaitGroup
	for i := range parts {
		wg.Go(func() { errs[i] = work(i*n/parts, (i+1)*n/parts) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// convert is the inner loop; len(src) is len(dst) elements of type d.
func convert(dst []float32, src []byte, d dtype.DType) {
	switch d {
	case dtype.F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case dtype.F16:
		convertF16(dst, src)
	case dtype.BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case dtype.F8E4M3:
		for i := range dst {
			dst[i] = f8e4m3[src[i]]
		}
	case dtype.F8E5M2:
		for i := range dst {
			dst[i] = f8e5m2[src[i]]
		}
	default:
		convertWide(dst, src, d)
	}
}

// convertF16 converts most values with vector instructions, and four of the other halves at a time, three times as fast as one by one. If none of
// the four is infinite or NaN, which takes one test, it suffices to move sign, exponent and mantissa into place (an arithmetic shift brings all
// three; the mask clears what it smeared) and to multiply by 2^112, the difference of the exponents' biases.
func convertF16(dst []float32, src []byte) {
	const place = 0x8fffe000
	n := vec.Halves(dst, src)
	dst, src = dst[n:], src[2*n:]
	for len(dst) >= 4 && len(src) >= 8 {
		v := binary.LittleEndian.Uint64(src)
		d := (*[4]float32)(dst)
		if (v&0x7c007c007c007c00+0x0400040004000400)&0x8000800080008000 == 0 {
			d[0] = math.Float32frombits(uint32(int32(int16(v))<<13)&place) * 0x1p112
			d[1] = math.Float32frombits(uint32(int32(v)>>3)&place) * 0x1p112
			d[2] = math.Float32frombits(uint32(int32(int16(v>>32))<<13)&place) * 0x1p112
			d[3] = math.Float32frombits(uint32(int32(v>>32)>>3)&place) * 0x1p112
		} else {
			for i := range d {
				d[i] = F16ToF32(uint16(v >> (16 * i)))
			}
		}
		dst, src = dst[4:], src[8:]
	}
	for i := range dst {
		dst[i] = F16ToF32(binary.LittleEndian.Uint16(src[2*i:]))
	}
}

// convertWide handles the types that weights rarely have.
func convertWide(dst []float32, src []byte, d dtype.DType) {
	for i := range dst {
		switch d {
		case dtype.F64:
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		case dtype.I64:
			dst[i] = float32(int64(binary.LittleEndian.Uint64(src[8*i:])))
		case dtype.I32:
			dst[i] = float32(int32(binary.LittleEndian.Uint32(src[4*i:])))
		case dtype.I16:
			dst[i] = float32(int16(binary.LittleEndian.Uint16(src[2*i:])))
		case dtype.I8:
			dst[i] = float32(int8(src[i]))
		case dtype.U8:
			dst[i] = float32(src[i])
		case dtype.Bool:
			dst[i] = 0
			if src[i] != 0 {
				dst[i] = 1
			}
		}
	}
}

// FromFloat32 encodes src as little-endian elements of type d: F32, F16 or BF16, rounding to nearest even. dst must
// have len(src)*d.Size() bytes.
func FromFloat32(dst []byte, src []float32, d dtype.DType) error {
	if d.Size() == 0 || len(dst) != len(src)*d.Size() {
		return fmt.Errorf("encoding %d values as %s: %d bytes given", len(src), d, len(dst))
	}
	switch d {
	case dtype.F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
	case dtype.F16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], F32ToF16(v))
		}
	case dtype.BF16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], F32ToBF16(v))
		}
	default:
		return fmt.Errorf("encoding %d values as %s: only float types of 16 and 32 bits can be made", len(src), d)
	}
	return nil
}
