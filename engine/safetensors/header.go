package safetensors

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"

	"comfygo/engine/dtype"
)

// extraBits gives the bits per element of types that the format has and the engine does not compute with.
// Files that hold them still open: only a use of the tensor fails.
var extraBits = map[string]uint64{
	"U16": 16, "U32": 32, "U64": 64, "C64": 64, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
	"F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
}

// info is one tensor's header record.
type info struct {
	name, typeName string
	shape          []int
	begin, end     uint64
}

type header struct {
	infos    []info
	metadata map[string]string
}

// parseHeader reads the JSON of a header. Unknown members of a tensor's record are skipped, as the reference does.
func parseHeader(b []byte) (*header, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("not valid UTF-8")
	}
	if len(b) == 0 || b[0] != '{' {
		return nil, errors.New("does not start with '{'")
	}
	p := &parser{b: b}
	h := &header{infos: make([]info, 0, len(b)/96)}
	seen := make(map[string]struct{}, len(b)/96)
	err := p.object(func(name string) error {
		if _, dup := seen[name]; dup {
			return fmt.Errorf("tensor %q: the name occurs twice", name)
		}
		seen[name] = struct{}{}
		if name == "__metadata__" {
			var err error
			if h.metadata, err = p.metadata(); err != nil {
				return fmt.Errorf("__metadata__: %w", err)
			}
			return nil
		}
		t, err := p.record()
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		t.name = name
		h.infos = append(h.infos, t)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if p.space(); p.i != len(b) {
		return nil, p.errorf("data after the closing brace")
	}
	return h, nil
}

// metadata reads an object of strings, or null.
// metadata reads the text pairs of a file. Metadata never keeps a file from loading: values that are not text, which the
// format does not allow and some programs write, are kept as the JSON that they are, and metadata of another kind is
// left out.
func (p *parser) metadata() (map[string]string, error) {
	if p.next() != '{' {
		return nil, p.skip(0)
	}
	m := map[string]string{}
	err := p.object(func(key string) error {
		text := p.next() == '"'
		start := p.i
		if err := p.skip(0); err != nil {
			return fmt.Errorf("value of %q: %w", key, err)
		}
		raw := p.b[start:p.i]
		if !text {
			m[key] = string(raw)
			return nil
		}
		v, err := (&parser{b: raw}).str()
		m[key] = v
		return err
	})
	return m, err
}

// record reads {"dtype":…,"shape":[…],"data_offsets":[…]}.
func (p *parser) record() (info, error) {
	var t info
	var got [3]bool
	once := func(i int, key string) error {
		if got[i] {
			return fmt.Errorf("%s occurs twice", key)
		}
		got[i] = true
		return nil
	}
	err := p.object(func(key string) (err error) {
		switch key {
		case "dtype":
			if err = once(0, key); err == nil {
				t.typeName, err = p.str()
			}
		case "shape":
			if err = once(1, key); err == nil {
				t.shape, err = p.shape()
			}
		case "data_offsets":
			if err = once(2, key); err == nil {
				t.begin, t.end, err = p.offsets()
			}
		default:
			err = p.skip(0)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return t, err
	}
	for i, key := range [...]string{"dtype", "shape", "data_offsets"} {
		if !got[i] {
			return t, fmt.Errorf("%s is missing", key)
		}
	}
	return t, nil
}

func (p *parser) shape() ([]int, error) {
	shape := []int{}
	err := p.array(func() error {
		n, err := p.uint()
		if err == nil && n > math.MaxInt {
			err = fmt.Errorf("dimension %d is too large", n)
		}
		shape = append(shape, int(n))
		return err
	})
	return shape, err
}

func (p *parser) offsets() (begin, end uint64, err error) {
	var v []uint64
	err = p.array(func() error {
		n, err := p.uint()
		if len(v) == 2 {
			return errors.New("more than two numbers")
		}
		v = append(v, n)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	if len(v) != 2 {
		return 0, 0, fmt.Errorf("%d numbers instead of 2", len(v))
	}
	return v[0], v[1], nil
}

// place checks the records against each other and against the file, and cuts out the tensors, in file order.
func (h *header) place(file []byte, base int64) ([]Tensor, error) {
	slices.SortStableFunc(h.infos, func(a, b info) int {
		if a.begin != b.begin {
			if a.begin < b.begin {
				return -1
			}
			return 1
		}
		if a.end < b.end {
			return -1
		} else if a.end > b.end {
			return 1
		}
		return 0
	})
	data := file[base:]
	tensors := make([]Tensor, len(h.infos))
	pos, prev := uint64(0), ""
	for i, t := range h.infos {
		if err := t.check(pos, prev, uint64(len(data))); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.name, err)
		}
		d, _ := dtype.Parse(t.typeName)
		tensors[i] = Tensor{
			Name: t.name, DType: d, TypeName: t.typeName, Shape: t.shape,
			Data: data[t.begin:t.end:t.end], Offset: base + int64(t.begin),
		}
		pos, prev = t.end, t.name
	}
	if pos != uint64(len(data)) {
		return nil, fmt.Errorf("the file has %d bytes after the last tensor", uint64(len(data))-pos)
	}
	return tensors, nil
}

// check tests one record; pos is where the tensor before it, prev, ended and size is the length of the data part.
func (t *info) check(pos uint64, prev string, size uint64) error {
	width, err := typeBits(t.typeName)
	if err != nil {
		return err
	}
	count := uint64(1)
	for _, d := range t.shape {
		hi, lo := bits.Mul64(count, uint64(d))
		if hi != 0 {
			return fmt.Errorf("shape %v overflows", t.shape)
		}
		count = lo
	}
	hi, total := bits.Mul64(count, width)
	switch {
	case hi != 0:
		return fmt.Errorf("shape %v of %s overflows", t.shape, t.typeName)
	case total%8 != 0:
		return fmt.Errorf("shape %v of %s does not fill whole bytes", t.shape, t.typeName)
	case t.end < t.begin:
		return fmt.Errorf("data_offsets [%d,%d] run backwards", t.begin, t.end)
	case t.begin < pos:
		return fmt.Errorf("data_offsets [%d,%d] overlap tensor %q, which ends at %d", t.begin, t.end, prev, pos)
	case t.begin > pos:
		return fmt.Errorf("data_offsets [%d,%d] leave a hole from %d", t.begin, t.end, pos)
	case t.end-t.begin != total/8:
		return fmt.Errorf("data_offsets [%d,%d] hold %d bytes, shape %v of %s needs %d",
			t.begin, t.end, t.end-t.begin, t.shape, t.typeName, total/8)
	case t.end > size:
		return fmt.Errorf("ends at byte %d of the data, the file has only %d: truncated file?", t.end, size)
	}
	return nil
}

func typeBits(name string) (uint64, error) {
	if d, ok := dtype.Parse(name); ok {
		return uint64(d.Size()) * 8, nil
	}
	if n, ok := extraBits[name]; ok {
		return n, nil
	}
	return 0, fmt.Errorf("unknown element type %q", name)
}
