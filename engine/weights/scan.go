package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors/filemap"
)

// ErrNonFinite is wrapped by Scan's error when a weight is NaN or infinite.
var ErrNonFinite = errors.New("weights are not finite numbers")

// lanes describes how to test several elements of a float type in one 64-bit word: an element is infinite or NaN when all
// its exponent bits are set (for F8_E4M3: all bits but the sign), so masking these and adding their lowest one carries into
// the sign bit, and never beyond, exactly then.
var lanes = map[dtype.DType]struct{ exponent, lowest, sign uint64 }{
	dtype.F64:    {0x7ff0000000000000, 0x0010000000000000, 0x8000000000000000},
	dtype.F32:    {0x7f8000007f800000, 0x0080000000800000, 0x8000000080000000},
	dtype.F16:    {0x7c007c007c007c00, 0x0400040004000400, 0x8000800080008000},
	dtype.BF16:   {0x7f807f807f807f80, 0x0080008000800080, 0x8000800080008000},
	dtype.F8E4M3: {0x7f7f7f7f7f7f7f7f, 0x0101010101010101, 0x8080808080808080},
	dtype.F8E5M2: {0x7c7c7c7c7c7c7c7c, 0x0404040404040404, 0x8080808080808080},
}

// Scan searches e for NaN and infinities, at about the speed of reading it, on all CPUs. Its error wraps ErrNonFinite and
// names the tensor and the first bad element. Entries of integer types pass; of a computed entry the parts are scanned, of a
// quantized one the scales, too. Data of a mapped file that passed once is not scanned again.
func Scan(e Entry) error {
	if e.computed != nil {
		for _, p := range e.Parts() {
			if err := Scan(p); err != nil {
				return err
			}
		}
		return nil
	}
	if e.Scheme != nil {
		for _, c := range e.Scheme.Companions {
			if err := Scan(c); err != nil {
				return err
			}
		}
		stored := e
		stored.DType, stored.Scheme, stored.Shape = e.Scheme.Stored, nil, []int{len(e.Data)}
		if stored.DType.Size() != 1 {
			return nil
		}
		return Scan(stored)
	}
	l, ok := lanes[e.DType]
	if !ok {
		return nil
	}
	if err := e.check(); err != nil {
		return fmt.Errorf("scanning %v of %s: %w", e, e.File, err)
	}
	part := scanned{e.DType, e.Offset, int64(len(e.Data))}
	inFile := e.owner != nil && e.Offset >= 0
	if inFile && e.owner.Has(part) {
		return nil
	}
	size := e.DType.Size()
	err := parallel(len(e.Data)/8+1, 1<<15, func(from, to int) error {
		return filemap.Guard(func() error {
			data := e.Data[from*8 : min(to*8, len(e.Data))]
			i := 0
			for ; i+64 <= len(data); i += 64 {
				var bad uint64
				for at := i; at < i+64; at += 8 {
					bad |= binary.LittleEndian.Uint64(data[at:])&l.exponent + l.lowest
				}
				if bad&l.sign != 0 {
					break
				}
			}
			for ; i+8 <= len(data); i += 8 {
				if (binary.LittleEndian.Uint64(data[i:])&l.exponent+l.lowest)&l.sign != 0 {
					break
				}
			}
			return firstBad(e, (from*8+i)/size, (from*8+len(data))/size)
		})
	})
	runtime.KeepAlive(e.owner)
	if err != nil {
		return fmt.Errorf("scanning %s: %w", e.File, err)
	}
	if inFile {
		e.owner.Note(part)
	}
	return nil
}

// scanned notes at a mapped file that a part of it holds finite numbers: the weights that adapters change are read for every
// strength.
type scanned struct {
	dtype        dtype.DType
	offset, size int64
}

// firstBad tests elements from to to one by one.
func firstBad(e Entry, from, to int) error {
	var v [1]float32
	size := e.DType.Size()
	for i := from; i < to; i++ {
		convert(v[:], e.Data[i*size:(i+1)*size], e.DType)
		f := float64(v[0])
		if e.DType == dtype.F64 { // a large float64 is finite although float32 cannot hold it
			f = math.Float64frombits(binary.LittleEndian.Uint64(e.Data[i*8:]))
		}
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("%w: element %d of tensor %v is %g", ErrNonFinite, i, e, f)
		}
	}
	return nil
}
