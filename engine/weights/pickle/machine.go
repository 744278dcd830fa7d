package pickle

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Config resolves names for the machine. A nil function rejects every name.
type Config struct {
	// Find returns the class or function that a pickle names, or an error with the reason.
	Find func(module, name string) (*Global, error)
	// Persistent returns the object of a persistent id.
	Persistent func(id any) (any, error)
}

// Load runs the pickle at the start of data and returns its value and its length. Memory and time are bounded by a
// small multiple of len(data): no instruction makes more than one value, and copies share.
func Load(data []byte, c Config) (value any, n int, err error) {
	m := &machine{Config: c, data: data, memo: map[uint64]any{}}
	for {
		at := m.pos
		op, err := m.byte()
		if err != nil {
			return nil, 0, fmt.Errorf("unpickling: %w", err)
		}
		if op == opStop {
			v, err := m.pop()
			if err != nil {
				return nil, 0, fmt.Errorf("unpickling: %w", err)
			}
			return v, m.pos, nil
		}
		if err := m.step(op); err != nil {
			return nil, 0, fmt.Errorf("unpickling instruction %#02x at byte %d: %w", op, at, err)
		}
	}
}

// machine is the state of the stack machine.
type machine struct {
	Config
	data  []byte
	pos   int
	stack []any
	marks []int // heights of the stack at each mark
	memo  map[uint64]any
}

var errEnd = errors.New("data ends in the middle")

func (m *machine) byte() (byte, error) {
	if m.pos >= len(m.data) {
		return 0, errEnd
	}
	m.pos++
	return m.data[m.pos-1], nil
}

// take returns the next n bytes.
func (m *machine) take(n uint64) ([]byte, error) {
	if n > uint64(len(m.data)-m.pos) {
		return nil, errEnd
	}
	b := m.data[m.pos : m.pos+int(n)]
	m.pos += int(n)
	return b, nil
}

// uint reads a little-endian number of size bytes, at most 8.
func (m *machine) uint(size int) (uint64, error) {
	var b [8]byte
	p, err := m.take(uint64(size))
	copy(b[:], p)
	return binary.LittleEndian.Uint64(b[:]), err
}

// counted reads a length of size bytes and that many bytes.
func (m *machine) counted(size int) ([]byte, error) {
	n, err := m.uint(size)
	if err != nil {
		return nil, err
	}
	return m.take(n)
}

// line reads up to a newline, which it drops.
func (m *machine) line() (string, error) {
	for i := m.pos; i < len(m.data); i++ {
		if m.data[i] == '\n' {
			s := string(m.data[m.pos:i])
			m.pos = i + 1
			return s, nil
		}
	}
	return "", errEnd
}

func (m *machine) push(v any) error {
	m.stack = append(m.stack, v)
	return nil
}

// floor is the height below which pop must not reach: values under a mark belong to the time before it.
func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

var errStack = errors.New("stack is empty")

func (m *machine) pop() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errStack
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

func (m *machine) top() (any, error) {
	if len(m.stack) <= m.floor() {
		return nil, errStack
	}
	return m.stack[len(m.stack)-1], nil
}

// popN returns the topmost n values, lowest first.
func (m *machine) popN(n int) ([]any, error) {
	if len(m.stack)-m.floor() < n {
		return nil, errStack
	}
	v := append([]any(nil), m.stack[len(m.stack)-n:]...)
	m.stack = m.stack[:len(m.stack)-n]
	return v, nil
}

// popMark returns the values above the last mark and drops the mark.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("no mark on the stack")
	}
	v, err := m.popN(len(m.stack) - m.floor())
	m.marks = m.marks[:len(m.marks)-1]
	return v, err
}

// fill adds items to the list, or pairs to the dict, on top of the stack.
func (m *machine) fill(items []any, pairs bool) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case *List:
		if !pairs {
			v.Items = append(v.Items, items...)
			return nil
		}
	case *Dict:
		if pairs && len(items)%2 == 0 {
			for i := 0; i < len(items); i += 2 {
				v.Set(items[i], items[i+1])
			}
			return nil
		}
	case *Object: // a subclass of list or dict
		if !pairs {
			v.Items = append(v.Items, items...)
			return nil
		}
		if len(items)%2 == 0 {
			for i := 0; i < len(items); i += 2 {
				v.Pairs.Set(items[i], items[i+1])
			}
			return nil
		}
	}
	return fmt.Errorf("filling %s with %d values", describe(v), len(items))
}

// global pushes a class or function.
func (m *machine) global(module, name string) error {
	if m.Find == nil {
		return fmt.Errorf("%s.%s is not allowed", module, name)
	}
	g, err := m.Find(module, name)
	if err != nil {
		return err
	}
	return m.push(g)
}

// call returns the value for a function or class and its arguments: only the table's Call is ever run.
func (m *machine) call(f, args any) error {
	g, ok := f.(*Global)
	if o, isObject := f.(*Object); isObject { // the result has no meaning either
		g, ok = &Global{Module: o.Class.Module, Name: o.Class.Name}, true
	}
	if !ok {
		return fmt.Errorf("calling %s", describe(f))
	}
	a, ok := args.(Tuple)
	if !ok {
		return fmt.Errorf("calling %v with %s instead of a tuple", g, describe(args))
	}
	if g.Call == nil {
		return m.push(&Object{Class: g})
	}
	v, err := g.Call(a)
	if err != nil {
		return fmt.Errorf("%v: %w", g, err)
	}
	return m.push(v)
}

func (m *machine) persistent(id any) error {
	if m.Persistent == nil {
		return errors.New("persistent ids are not allowed")
	}
	v, err := m.Persistent(id)
	if err != nil {
		return err
	}
	return m.push(v)
}

func (m *machine) put(i uint64) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	m.memo[i] = v
	return nil
}

func (m *machine) get(i uint64) error {
	v, ok := m.memo[i]
	if !ok {
		return fmt.Errorf("memo %d is empty", i)
	}
	return m.push(v)
}
