package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"comfygo/engine/dtype"
	"comfygo/engine/quant"
	"comfygo/engine/safetensors/filemap"
	"comfygo/engine/tensor"
)

// ggufMagic begins a GGUF file. Format: docs/gguf.md of ggml.
const ggufMagic = "GGUF"

// Limits for the parts of a header that are read.
const (
	maxGGUFTensors = 1 << 16
	maxGGUFPairs   = 1 << 16
	maxGGUFName    = 1 << 10
	maxGGUFText    = 1 << 20 // of a value that is kept
	maxGGUFDims    = 8
	maxGGUFHeader  = 256 << 20 // the header of a vocabulary of 262144 tokens with its merges takes about 20 MiB
)

// plainGGUF are the element types that are stored one by one, by ggml's numbers.
var plainGGUF = map[uint32]dtype.DType{
	0: dtype.F32, 1: dtype.F16, 24: dtype.I8, 25: dtype.I16, 26: dtype.I32, 27: dtype.I64, 28: dtype.F64, 30: dtype.BF16,
}

// gguf is a source of a GGUF file. Tensors of block types have the scheme "GGUF Q4_K" and so on.
type gguf struct {
	m       *filemap.File
	names   []string
	entries map[string]Entry
	meta    map[string]string
}

// Names implements Source.
func (g *gguf) Names() []string { return g.names }

// Metadata implements Source: the file's pairs whose value is a text, a number or a truth value. Arrays of vocabularies are
// among the tensors; see GGUFTexts.
func (g *gguf) Metadata() map[string]string { return g.meta }

// Path implements Source.
func (g *gguf) Path() string { return g.m.Path() }

// Close implements Source.
func (g *gguf) Close() error { return g.m.Close() }

// Lookup implements Source.
func (g *gguf) Lookup(name string) (Entry, bool) {
	e, ok := g.entries[name]
	return e, ok
}

// openGGUF reads the header of a mapped file, which it closes when it fails.
func openGGUF(m *filemap.File) (Source, error) {
	g := &gguf{m: m, entries: map[string]Entry{}, meta: map[string]string{}}
	if err := filemap.Guard(g.read); err != nil {
		_ = m.Close()
		return nil, fmt.Errorf("reading the GGUF file %s: %w", m.Path(), err)
	}
	return g, nil
}

// read reads the header.
func (g *gguf) read() error {
	r := &ggufReader{data: g.m.Bytes(), at: len(ggufMagic)}
	if len(r.data) > maxGGUFHeader {
		r.data, r.cut = r.data[:maxGGUFHeader], true
	}
	version := r.u32()
	if r.err == nil && (version < 2 || version > 3) {
		return fmt.Errorf("version %d of the format is not known; convert the file with a current tool", version)
	}
	tensors, pairs := r.u64(), r.u64()
	if r.err == nil && (tensors > maxGGUFTensors || pairs > maxGGUFPairs) {
		return fmt.Errorf("%d tensors and %d pairs are over the limits of %d and %d", tensors, pairs, maxGGUFTensors, maxGGUFPairs)
	}
	shapes := map[string][]int{}
	for range pairs {
		if err := g.pair(r, shapes); err != nil {
			return err
		}
	}
	infos := make([]ggufTensor, 0, min(tensors, 1<<12))
	for range tensors {
		infos = append(infos, r.tensor())
		if r.err != nil {
			return r.err
		}
	}
	start, err := g.dataStart(r)
	if err != nil {
		return err
	}
	for _, t := range infos {
		if err := g.add(t, start, shapes[t.name]); err != nil {
			return fmt.Errorf("tensor %q: %w", t.name, err)
		}
	}
	return nil
}

// dataStart is where the tensors' data begins: after the header, at the alignment that the file states.
func (g *gguf) dataStart(r *ggufReader) (int, error) {
	alignment := 32
	if text, ok := g.meta["general.alignment"]; ok {
		if _, err := fmt.Sscan(text, &alignment); err != nil || alignment < 1 || alignment > 1<<20 {
			return 0, fmt.Errorf("the alignment %q is no number from 1 to %d", text, 1<<20)
		}
	}
	return (r.at + alignment - 1) / alignment * alignment, r.err
}

// pair reads a pair. shapes receives the shapes of tensors that the format could not hold (ComfyUI-GGUF writes them).
func (g *gguf) pair(r *ggufReader, shapes map[string][]int) error {
	key := r.text(maxGGUFName)
	kind := r.u32()
	if r.err != nil {
		return r.err
	}
	const shapeOf = "comfy.gguf.orig_shape."
	if kind == ggufArray && len(key) > len(shapeOf) && key[:len(shapeOf)] == shapeOf {
		dims, err := r.shape()
		if err != nil {
			return fmt.Errorf("the shape %s: %w", key, err)
		}
		shapes[key[len(shapeOf):]] = dims
		return nil
	}
	from := r.at
	if v, ok := r.value(kind, 0); ok {
		g.meta[key] = v
	} else if r.err == nil && kind == ggufArray {
		g.array(key, from, r.at)
	}
	return r.err
}

// add makes the entry of a tensor.
func (g *gguf) add(t ggufTensor, start int, shape []int) error {
	if _, twice := g.entries[t.name]; twice {
		return errors.New("it occurs twice")
	}
	count, err := product(t.dims)
	if err != nil {
		return err
	}
	if count > math.MaxInt64/8 {
		return fmt.Errorf("shape %v overflows", t.dims)
	}
	e := Entry{Name: t.name, Shape: t.dims, TypeName: fmt.Sprintf("GGUF type %d", t.kind), File: g.m.Path(), Offset: -1, owner: g.m, origin: g.m.ID()}
	size := uint64(0)
	scheme := Scheme{Format: e.TypeName, Cols: 1}
	if n := len(t.dims); n > 0 {
		scheme.Cols = t.dims[n-1]
	}
	if d, plain := plainGGUF[t.kind]; plain {
		e.DType, e.TypeName, size = d, d.String(), count*uint64(d.Size())
	} else {
		e.DType, e.Scheme, scheme.Stored = dtype.F32, &scheme, dtype.U8
		if f, ok := quant.GGUF(int(t.kind)); ok {
			elements, bytes := f.Block()
			if scheme.Cols%elements != 0 {
				return fmt.Errorf("rows of %d elements do not consist of blocks of %d, as %s has them", scheme.Cols, elements, f)
			}
			scheme.Format, size = f.String(), count/uint64(elements)*uint64(bytes)
			e.TypeName = scheme.Format
		}
	}
	if len(shape) > 0 && uint64(tensor.Count(shape)) == count {
		e.Shape = shape
	}
	data := g.m.Bytes()
	from := uint64(start) + t.offset
	if t.offset > uint64(len(data)) || from > uint64(len(data)) || size > uint64(len(data))-from {
		return fmt.Errorf("its data ends at byte %d of a file of %d: truncated file?", from+size, len(data))
	}
	e.Data, e.Offset = data[from:from+size:from+size], int64(from)
	g.names = append(g.names, t.name)
	g.entries[t.name] = e
	return nil
}

// ggufTensor is the description of a tensor; dims are in the order of other files, the last one running fastest.
type ggufTensor struct {
	name   string
	dims   []int
	kind   uint32
	offset uint64
}

// ggufReader reads a header. After an error, which it keeps, it reads zeros.
type ggufReader struct {
	data []byte
	cut  bool // data is a prefix of the file, limited to the size of a header
	at   int
	err  error
}

// take returns the next n bytes.
func (r *ggufReader) take(n uint64) []byte {
	if r.err == nil && n > uint64(len(r.data)-r.at) {
		r.err = errors.New("the header ends too early: truncated file?")
		if r.cut {
			r.err = fmt.Errorf("the header is over the limit of %d bytes", maxGGUFHeader)
		}
	}
	if r.err != nil {
		return make([]byte, min(n, 8))
	}
	b := r.data[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

func (r *ggufReader) u32() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }
func (r *ggufReader) u64() uint64 { return binary.LittleEndian.Uint64(r.take(8)) }

// text reads a string of at most most bytes.
func (r *ggufReader) text(most uint64) string {
	n := r.u64()
	if r.err == nil && n > most {
		r.err = fmt.Errorf("a text of %d bytes is over the limit of %d", n, most)
	}
	if r.err != nil {
		return ""
	}
	return string(r.take(n))
}

func (r *ggufReader) tensor() ggufTensor {
	t := ggufTensor{name: r.text(maxGGUFName)}
	n := r.u32()
	if r.err == nil && n > maxGGUFDims {
		r.err = fmt.Errorf("tensor %q: %d axes are over the limit of %d", t.name, n, maxGGUFDims)
	}
	if r.err != nil {
		return t
	}
	t.dims = make([]int, n)
	for i := range t.dims {
		d := r.u64()
		if d > math.MaxInt32 {
			r.err = fmt.Errorf("tensor %q: an axis of %d elements", t.name, d)
		}
		t.dims[int(n)-1-i] = int(d)
	}
	t.kind, t.offset = r.u32(), r.u64()
	return t
}

// shape reads an array of 32-bit integers.
func (r *ggufReader) shape() ([]int, error) {
	kind, n := r.u32(), r.u64()
	if r.err != nil || kind != 4 && kind != 5 || n > maxGGUFDims {
		return nil, errors.Join(r.err, fmt.Errorf("%d values of type %d", n, kind))
	}
	dims := make([]int, n)
	for i := range dims {
		dims[i] = int(int32(r.u32()))
		if dims[i] < 0 {
			return nil, fmt.Errorf("an axis of %d elements", dims[i])
		}
	}
	_, err := product(dims)
	return dims, errors.Join(r.err, err)
}

// The types of values.
const (
	ggufBool   = 7
	ggufString = 8
	ggufArray  = 9
)

// ggufSizes are the bytes of the values of fixed size, by type.
var ggufSizes = map[uint32]uint64{0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, ggufBool: 1, 10: 8, 11: 8, 12: 8}

// value reads a value as text; false for an array, which is passed over.
func (r *ggufReader) value(kind uint32, depth int) (string, bool) {
	switch kind {
	case ggufString:
		return r.text(maxGGUFText), true
	case ggufArray:
		r.skip(depth)
		return "", false
	}
	size, ok := ggufSizes[kind]
	if !ok {
		if r.err == nil {
			r.err = fmt.Errorf("a value has the type %d, which is not known", kind)
		}
		return "", false
	}
	b := make([]byte, 8)
	copy(b, r.take(size))
	v := binary.LittleEndian.Uint64(b)
	switch kind {
	case 1:
		return fmt.Sprint(int8(v)), true
	case 3:
		return fmt.Sprint(int16(v)), true
	case 5:
		return fmt.Sprint(int32(v)), true
	case 6:
		return fmt.Sprint(math.Float32frombits(uint32(v))), true
	case ggufBool:
		return fmt.Sprint(v != 0), true
	case 11:
		return fmt.Sprint(int64(v)), true
	case 12:
		return fmt.Sprint(math.Float64frombits(v)), true
	}
	return fmt.Sprint(v), true
}

// skip passes over an array.
func (r *ggufReader) skip(depth int) {
	kind, n := r.u32(), r.u64()
	if size, ok := ggufSizes[kind]; ok {
		if n > uint64(len(r.data))/size {
			n = uint64(len(r.data)) // more than there is: take says so
		}
		r.take(n * size)
		return
	}
	const deepest = 4
	if depth > deepest && r.err == nil {
		r.err = errors.New("arrays lie too deep in each other")
	}
	for i := uint64(0); i < n && r.err == nil; i++ {
		if kind == ggufString {
			r.take(r.u64())
		} else {
			r.value(kind, depth+1)
		}
	}
}
