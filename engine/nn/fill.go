package nn

import (
	"fmt"
	"runtime"
	"unsafe"

	"comfygo/engine/dtype"
	"comfygo/engine/weights"
)

// Kernels are faster ways to convert weights of the common types; a zero value leaves everything to this package.
type Kernels struct {
	// Reads reports the element types that the functions take.
	Reads func(t dtype.DType) bool
	// Widen converts len(dst) elements to float32.
	Widen func(dst []float32, src []byte, t dtype.DType)
	// Block converts block row row of a convolution weight [o,i,k] into the blocked layout; dst is that row alone.
	Block func(dst []float32, src []byte, t dtype.DType, o, i, k, block, row int)
	// Transpose converts rows [from, from+rows) of [n,k] into columns of dst [k,n].
	Transpose func(dst []float32, src []byte, t dtype.DType, n, k, from, rows int)
}

// direct reports that k can read the weight as stored in the file.
func (k Kernels) direct(s Layout) bool {
	return k.Reads != nil && !s.Entry.Computed() && s.Entry.Scheme == nil && k.Reads(s.Entry.DType) && (s.Via == dtype.Invalid || s.Via == s.Entry.DType) &&
		len(s.Entry.Data) == s.Entry.Count()*s.Entry.DType.Size()
}

// Tasks implements Source.
func (s Layout) Tasks(dst []byte, k Kernels) []func() error {
	if len(dst) != s.Size() {
		return []func() error{func() error {
			return fmt.Errorf("preparing weight %s: %d bytes of room for %d", s.Entry.Name, len(dst), s.Size())
		}}
	}
	switch s.Form {
	case Transposed:
		return s.transposeTasks(floats(dst), k)
	case Blocked, Phase:
		return s.convTasks(floats(dst), k)
	case Last:
		return s.lastTasks(dst, k)
	case Padded:
		return []func() error{func() error {
			f := floats(dst)
			clear(f[s.Entry.Count():])
			return s.read(f[:s.Entry.Count()], 0, k)
		}}
	}
	return []func() error{func() error { return s.fillPlain(dst, k) }}
}

// read converts len(dst) elements from index from on to float32, rounded to Via.
func (s Layout) read(dst []float32, from int, k Kernels) error {
	if k.direct(s) {
		if err := s.probe(from, len(dst)); err != nil {
			return err
		}
		k.Widen(dst, s.Entry.Data[from*s.Entry.DType.Size():], s.Entry.DType)
		runtime.KeepAlive(s)
		return nil
	}
	if err := weights.Range(dst, s.Entry, from); err != nil {
		return err
	}
	if s.Via != dtype.Invalid && s.Via != s.Entry.DType {
		return weights.Round(dst, s.Via)
	}
	return nil
}

// probe makes sure that n elements from index from on can be read, before code reads them that cannot catch a fault.
func (s Layout) probe(from, n int) error {
	size := s.Entry.DType.Size()
	if err := s.Entry.Probe(from*size, (from+n)*size); err != nil {
		return fmt.Errorf("reading %v of %s: %w", s.Entry, s.Entry.File, err)
	}
	return nil
}

func floats(b []byte) []float32 {
	if len(b) == 0 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

func (s Layout) fillPlain(dst []byte, k Kernels) error {
	if s.Entry.Copies(s.DType) && (s.Via == dtype.Invalid || s.Via == s.DType) {
		return weights.Copy(dst, s.Entry, 0)
	}
	if s.DType == dtype.F32 {
		return s.read(floats(dst), 0, k)
	}
	const chunk = 1 << 14
	buf := make([]float32, min(chunk, s.Entry.Count()))
	size := s.DType.Size()
	for from := 0; from < s.Entry.Count(); from += len(buf) {
		part := buf[:min(len(buf), s.Entry.Count()-from)]
		if err := s.read(part, from, k); err != nil {
			return err
		}
		if err := weights.FromFloat32(dst[from*size:(from+len(part))*size], part, s.DType); err != nil {
			return err
		}
	}
	return nil
}

// stripe is the number of rows that one task converts: a multiple of every block in use.
const stripe = 64

// transposeTasks turns [N,K] into [K,N], a stripe of rows at a time, so that each written line of the cache is filled.
func (s Layout) transposeTasks(dst []float32, kern Kernels) []func() error {
	n := s.Entry.Shape[0]
	k := s.Entry.Count() / max(n, 1)
	var tasks []func() error
	for from := 0; from < n; from += stripe {
		rows := min(stripe, n-from)
		tasks = append(tasks, func() error {
			if kern.direct(s) {
				if err := s.probe(from*k, rows*k); err != nil {
					return err
				}
				kern.Transpose(dst, s.Entry.Data, s.Entry.DType, n, k, from, rows)
				runtime.KeepAlive(s)
				return nil
			}
			buf := make([]float32, rows*k)
			if err := s.read(buf, from*k, kern); err != nil {
				return err
			}
			for c := range k {
				line := dst[c*n+from : c*n+from+rows]
				for r := range line {
					line[r] = buf[r*k+c]
				}
			}
			return nil
		})
	}
	return tasks
}

// lastTasks lays a convolution weight out with its input channels last, some output channels at a time.
func (s Layout) lastTasks(dst []byte, k Kernels) []func() error {
	o, i := s.Entry.Shape[0], s.Entry.Shape[1]
	taps := s.Entry.Count() / max(o*i, 1)
	size := s.DType.Size()
	var tasks []func() error
	for from := 0; from < o; from += stripe {
		rows := min(stripe, o-from)
		tasks = append(tasks, func() error {
			buf, out := make([]float32, rows*i*taps), make([]float32, rows*i*taps)
			if err := s.read(buf, from*i*taps, k); err != nil {
				return err
			}
			for r := range rows {
				for c := range i {
					for t, v := range buf[(r*i+c)*taps : (r*i+c+1)*taps] {
						out[(r*taps+t)*i+c] = v
					}
				}
			}
			return weights.FromFloat32(dst[from*i*taps*size:(from+rows)*i*taps*size], out, s.DType)
		})
	}
	return tasks
}

// convTasks lays a convolution weight out, one block of output channels at a time.
func (s Layout) convTasks(dst []float32, k Kernels) []func() error {
	o, i := s.Entry.Shape[0], s.Entry.Shape[1]
	taps := s.Entry.Shape[2] * s.Entry.Shape[3]
	block := max(s.Block, 1)
	outTaps := taps
	if s.Form == Phase {
		outTaps = 4
	}
	var tasks []func() error
	for from := 0; from < o; from += block {
		rows := min(block, o-from)
		part := dst[from*i*outTaps : (from+block)*i*outTaps]
		tasks = append(tasks, func() error {
			if s.Form == Blocked && k.direct(s) {
				if err := s.probe(from*i*taps, rows*i*taps); err != nil {
					return err
				}
				k.Block(part, s.Entry.Data, s.Entry.DType, o, i, taps, block, from/block)
				runtime.KeepAlive(s)
				return nil
			}
			buf := make([]float32, rows*i*taps)
			if err := s.read(buf, from*i*taps, k); err != nil {
				return err
			}
			if s.Form == Phase {
				buf = s.phase(buf)
			}
			interleave(part, buf, block, rows, i, outTaps)
			return nil
		})
	}
	return tasks
}

// interleave writes rows×[I,taps] as [I/b][taps][b in][b out], or as [I][taps][b out] when I is less than a block; rows that
// a padded block lacks become zeros. block 1 is the plain layout.
func interleave(dst, src []float32, block, rows, in, taps int) {
	if block == 1 {
		copy(dst, src)
		return
	}
	row := in * taps
	at := 0
	inBlock := block
	if in < block {
		inBlock = 1
	}
	for ib := 0; ib < in; ib += inBlock {
		for t := range taps {
			for bi := range inBlock {
				p := (ib+bi)*taps + t
				line := dst[at : at+block]
				for bo := range rows {
					line[bo] = src[bo*row+p]
				}
				clear(line[rows:])
				at += block
			}
		}
	}
}

// phase sums the taps of 3x3 kernels that fall on the same source pixel once the image has been doubled: rows
// 0 | 1+2 for phase 0 and 0+1 | 2 for phase 1, and columns likewise.
func (s Layout) phase(k3 []float32) []float32 {
	out := make([]float32, len(k3)/9*4)
	group := func(phase, tap int) (from, to int) {
		cut := 1 + phase
		if tap == 0 {
			return 0, cut
		}
		return cut, 3
	}
	for n := range len(k3) / 9 {
		k := k3[n*9 : n*9+9]
		for y := range 2 {
			y0, y1 := group(s.Row, y)
			for x := range 2 {
				x0, x1 := group(s.Col, x)
				var sum float64
				for r := y0; r < y1; r++ {
					for c := x0; c < x1; c++ {
						sum += float64(k[r*3+c])
					}
				}
				out[n*4+y*2+x] = float32(sum)
			}
		}
	}
	return out
}
