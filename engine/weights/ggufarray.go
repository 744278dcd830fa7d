package weights

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors/filemap"
)

// vocabularyKeys begin the keys of a GGUF file's arrays that are kept: as tensors of bytes with the name of the key, which GGUFTexts and
// GGUFNumbers read.
const vocabularyKeys = "tokenizer.ggml."

// maxGGUFElements bounds the elements of an array that is read.
const maxGGUFElements = 1 << 21

// array keeps a pair's array, from its type at byte from of the header on, as an entry of bytes.
func (g *gguf) array(key string, from, to int) {
	if _, twice := g.entries[key]; twice || !strings.HasPrefix(key, vocabularyKeys) {
		return
	}
	data := g.m.Bytes()[from:to:to]
	g.names = append(g.names, key)
	g.entries[key] = Entry{
		Name: key, DType: dtype.U8, TypeName: dtype.U8.String(), Shape: []int{len(data)}, Data: data, Offset: int64(from), File: g.m.Path(), owner: g.m, origin: g.m.ID(),
	}
}

// GGUFTexts reads an array of texts that a GGUF file's header has under a key; nil if it has none.
func GGUFTexts(src Source, key string) ([]string, error) {
	var out []string
	err := ggufArrayOf(src, key, func(r *ggufReader, kind uint32, n int) error {
		if kind != ggufString {
			return fmt.Errorf("its values have the type %d, wanted texts", kind)
		}
		out = make([]string, 0, min(n, 1<<16))
		for range n {
			if out = append(out, r.text(maxGGUFText)); r.err != nil {
				return r.err
			}
		}
		return nil
	})
	return out, err
}

// GGUFNumbers reads an array of numbers that a GGUF file's header has under a key; nil if it has none.
func GGUFNumbers(src Source, key string) ([]float64, error) {
	var out []float64
	err := ggufArrayOf(src, key, func(r *ggufReader, kind uint32, n int) error {
		size, ok := ggufSizes[kind]
		if !ok {
			return fmt.Errorf("its values have the type %d, wanted numbers", kind)
		}
		out = make([]float64, 0, min(n, 1<<16))
		for range n {
			b := make([]byte, 8)
			copy(b, r.take(size))
			if r.err != nil {
				return r.err
			}
			out = append(out, ggufNumber(kind, binary.LittleEndian.Uint64(b)))
		}
		return nil
	})
	return out, err
}

// ggufNumber is a value of a fixed size.
func ggufNumber(kind uint32, v uint64) float64 {
	switch kind {
	case 1:
		return float64(int8(v))
	case 3:
		return float64(int16(v))
	case 5:
		return float64(int32(v))
	case 6:
		return float64(math.Float32frombits(uint32(v)))
	case 11:
		return float64(int64(v))
	case 12:
		return math.Float64frombits(v)
	}
	return float64(v)
}

// ggufArrayOf has read read the elements of an array.
func ggufArrayOf(src Source, key string, read func(r *ggufReader, kind uint32, n int) error) error {
	e, ok := src.Lookup(key)
	if !ok {
		return nil
	}
	err := filemap.Guard(func() error {
		r := &ggufReader{data: e.Data}
		kind, n := r.u32(), r.u64()
		if r.err == nil && n > maxGGUFElements {
			r.err = fmt.Errorf("%d values are over the limit of %d", n, maxGGUFElements)
		}
		if r.err != nil {
			return r.err
		}
		return read(r, kind, int(n))
	})
	if err != nil {
		return fmt.Errorf("reading %s of %s: %w", key, src.Path(), err)
	}
	return nil
}
