package pickle

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

const opStop = '.'

// maxLong bounds the bytes of an integer: pickles of weights hold small ones and one of ten bytes.
const maxLong = 64

// step runs one instruction. Instructions that no protocol up to 4 has, and those that import by number (EXT1…) or
// build out-of-band buffers, are errors.
func (m *machine) step(op byte) error {
	if f, ok := simple[op]; ok {
		return f(m)
	}
	for _, group := range [...]func(op byte) error{m.stepText, m.stepBinary, m.stepBuild} {
		if err := group(op); !errors.Is(err, errUnknown) {
			return err
		}
	}
	return errUnknown
}

var errUnknown = errors.New("instruction is not known")

// simple are the instructions without operands that push a constant or move the stack.
var simple = map[byte]func(m *machine) error{
	'N':  func(m *machine) error { return m.push(nil) },
	0x88: func(m *machine) error { return m.push(true) },
	0x89: func(m *machine) error { return m.push(false) },
	'}':  func(m *machine) error { return m.push(&Dict{}) },
	']':  func(m *machine) error { return m.push(&List{}) },
	')':  func(m *machine) error { return m.push(Tuple{}) },
	0x8f: func(m *machine) error { return m.push(&List{}) }, // EMPTY_SET
	'(':  func(m *machine) error { m.marks = append(m.marks, len(m.stack)); return nil },
	'1':  func(m *machine) error { _, err := m.popMark(); return err },
	'0': func(m *machine) error {
		if len(m.marks) > 0 && len(m.stack) == m.floor() { // POP of a mark
			m.marks = m.marks[:len(m.marks)-1]
			return nil
		}
		_, err := m.pop()
		return err
	},
	'2': func(m *machine) error {
		v, err := m.top()
		if err != nil {
			return err
		}
		return m.push(v)
	},
	0x94: func(m *machine) error { return m.put(uint64(len(m.memo))) }, // MEMOIZE
	0x95: func(m *machine) error { _, err := m.take(8); return err },   // FRAME
	0x80: func(m *machine) error { // PROTO
		v, err := m.byte()
		if err == nil && v > 5 {
			err = fmt.Errorf("protocol %d is not known", v)
		}
		return err
	},
}

// stepText runs the instructions whose operands are lines of text (protocol 0).
func (m *machine) stepText(op byte) error {
	if !strings.ContainsRune("IFLSVcipPg", rune(op)) || op >= 0x80 {
		return errUnknown
	}
	s, err := m.line()
	if err != nil {
		return err
	}
	switch op {
	case 'I', 'L':
		return m.number(strings.TrimSuffix(s, "L"), op == 'I')
	case 'F':
		f, err := strconv.ParseFloat(s, 64)
		return errors.Join(err, m.push(f))
	case 'S', 'V':
		return m.text(s, op == 'S')
	case 'c':
		name, err := m.line()
		if err != nil {
			return err
		}
		return m.global(s, name)
	case 'i': // INST: import and call with the values above the mark
		return m.inst(s)
	case 'P':
		return m.persistent(s)
	}
	i, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return fmt.Errorf("memo index: %w", err)
	}
	if op == 'p' {
		return m.put(i)
	}
	return m.get(i)
}

// number pushes a decimal integer; in the form of 'I', "00" and "01" are booleans.
func (m *machine) number(s string, booleans bool) error {
	if booleans && (s == "00" || s == "01") {
		return m.push(s == "01")
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return fmt.Errorf("integer: %w", err)
	}
	return m.push(n)
}

// text pushes the string of a line. Escapes do not occur in the pickles of weight files and are rejected.
func (m *machine) text(s string, quoted bool) error {
	if strings.ContainsRune(s, '\\') {
		return errors.New("text with escapes")
	}
	if quoted {
		if len(s) < 2 || s[0] != s[len(s)-1] || s[0] != '\'' && s[0] != '"' {
			return errors.New("text without quotes")
		}
		s = s[1 : len(s)-1]
	}
	return m.push(s)
}

func (m *machine) inst(module string) error {
	name, err := m.line()
	if err != nil {
		return err
	}
	args, err := m.popMark()
	if err != nil {
		return err
	}
	if err := m.global(module, name); err != nil {
		return err
	}
	g, err := m.pop()
	if err != nil {
		return err
	}
	return m.call(g, Tuple(args))
}

// stepBinary runs the instructions that push a value given in binary.
func (m *machine) stepBinary(op byte) error {
	switch op {
	case 'J':
		n, err := m.uint(4)
		return errors.Join(err, m.push(int64(int32(n))))
	case 'K', 'M':
		n, err := m.uint(map[byte]int{'K': 1, 'M': 2}[op])
		return errors.Join(err, m.push(int64(n)))
	case 'G':
		b, err := m.take(8)
		if err != nil {
			return err
		}
		return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	case 0x8a, 0x8b: // LONG1, LONG4
		b, err := m.counted(map[byte]int{0x8a: 1, 0x8b: 4}[op])
		if err != nil {
			return err
		}
		return m.long(b)
	case 'X', 0x8c, 0x8d: // BINUNICODE, SHORT_BINUNICODE, BINUNICODE8
		b, err := m.counted(map[byte]int{'X': 4, 0x8c: 1, 0x8d: 8}[op])
		if err == nil && !utf8.Valid(b) {
			err = errors.New("string is not valid UTF-8")
		}
		return errors.Join(err, m.push(string(b)))
	case 'T', 'U': // BINSTRING, SHORT_BINSTRING: Python 2 text
		b, err := m.counted(map[byte]int{'T': 4, 'U': 1}[op])
		return errors.Join(err, m.push(string(b)))
	case 'B', 'C', 0x8e: // BINBYTES, SHORT_BINBYTES, BINBYTES8
		b, err := m.counted(map[byte]int{'B': 4, 'C': 1, 0x8e: 8}[op])
		return errors.Join(err, m.push(slices.Clone(b)))
	case 'h', 'j': // BINGET, LONG_BINGET
		i, err := m.uint(map[byte]int{'h': 1, 'j': 4}[op])
		if err != nil {
			return err
		}
		return m.get(i)
	case 'q', 'r': // BINPUT, LONG_BINPUT
		i, err := m.uint(map[byte]int{'q': 1, 'r': 4}[op])
		if err != nil {
			return err
		}
		return m.put(i)
	}
	return errUnknown
}

// long pushes a little-endian two's complement integer.
func (m *machine) long(b []byte) error {
	if len(b) > maxLong {
		return fmt.Errorf("integer of %d bytes", len(b))
	}
	r := slices.Clone(b)
	slices.Reverse(r)
	n := new(big.Int).SetBytes(r)
	if len(r) > 0 && r[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(r))))
	}
	if n.IsInt64() {
		return m.push(n.Int64())
	}
	return m.push(n)
}

// stepBuild runs the instructions that combine values of the stack.
func (m *machine) stepBuild(op byte) error {
	switch op {
	case 0x85, 0x86, 0x87: // TUPLE1 to TUPLE3
		v, err := m.popN(int(op - 0x84))
		return errors.Join(err, m.push(Tuple(v)))
	case 'a', 's', 'b', 'R', 0x81, 0x93: // these take the topmost value or two
		return m.stepTop(op)
	case 'Q':
		id, err := m.pop()
		if err != nil {
			return err
		}
		return m.persistent(id)
	case 't', 'l', 'd', 'e', 'u', 'o', 0x90, 0x91: // these take the values above the mark
		items, err := m.popMark()
		if err != nil {
			return err
		}
		return m.stepMark(op, items)
	}
	return errUnknown
}

func (m *machine) stepTop(op byte) error {
	n := 2
	if op == 'a' || op == 'b' {
		n = 1
	}
	v, err := m.popN(n)
	if err != nil {
		return err
	}
	switch op {
	case 'a':
		return m.fill(v, false)
	case 's':
		return m.fill(v, true)
	case 'b': // BUILD sets attributes; only objects keep them
		target, err := m.top()
		if o, ok := target.(*Object); ok {
			o.State = v[0]
		}
		return err
	case 0x93: // STACK_GLOBAL
		module, ok1 := v[0].(string)
		name, ok2 := v[1].(string)
		if !ok1 || !ok2 {
			return errors.New("importing something that is no name")
		}
		return m.global(module, name)
	}
	return m.call(v[0], v[1]) // REDUCE, NEWOBJ
}

func (m *machine) stepMark(op byte, items []any) error {
	switch op {
	case 't':
		return m.push(Tuple(items))
	case 'l', 0x91: // LIST, FROZENSET
		return m.push(&List{Items: items})
	case 'd':
		if err := m.push(&Dict{}); err != nil {
			return err
		}
		return m.fill(items, true)
	case 'e', 0x90: // APPENDS, ADDITEMS
		return m.fill(items, false)
	case 'u':
		return m.fill(items, true)
	}
	if len(items) == 0 { // OBJ
		return errors.New("constructing nothing")
	}
	return m.call(items[0], Tuple(items[1:]))
}
