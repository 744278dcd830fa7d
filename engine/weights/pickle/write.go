package pickle

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
)

// Reduced is a value that a pickle makes by calling a function.
type Reduced struct {
	Function *Global
	Args     Tuple
}

// Reference is a value that a pickle names by a persistent id.
type Reference struct{ ID any }

// Codes of protocol 2 (pickletools).
const (
	opProto      = 0x80
	opNone       = 'N'
	opTrue       = 0x88
	opFalse      = 0x89
	opInt        = 'J'
	opLong       = 0x8a
	opFloat      = 'G'
	opText       = 'X'
	opEmptyList  = ']'
	opMark       = '('
	opAppends    = 'e'
	opEmptyDict  = '}'
	opSetItems   = 'u'
	opEmptyTuple = ')'
	opTuple      = 't'
	opGlobal     = 'c'
	opReduce     = 'R'
	opReference  = 'Q'
)

// Dump writes a value as a pickle of protocol 2: nil, bool, int64, *big.Int, float64, string, []any and *List as lists, Tuple, *Dict,
// *Global, *Reduced and *Reference. Other types are an error. Values that are equal are written anew each time.
func Dump(v any) ([]byte, error) {
	b, err := dump([]byte{opProto, 2}, v)
	if err != nil {
		return nil, err
	}
	return append(b, opStop), nil
}

func dump(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(b, opNone), nil
	case bool:
		if v {
			return append(b, opTrue), nil
		}
		return append(b, opFalse), nil
	case int64:
		if v == int64(int32(v)) {
			return binary.LittleEndian.AppendUint32(append(b, opInt), uint32(v)), nil
		}
		return dumpLong(b, big.NewInt(v))
	case *big.Int:
		return dumpLong(b, v)
	case float64:
		return binary.BigEndian.AppendUint64(append(b, opFloat), math.Float64bits(v)), nil
	case string:
		return append(binary.LittleEndian.AppendUint32(append(b, opText), uint32(len(v))), v...), nil
	case *List:
		return dumpItems(append(b, opEmptyList, opMark), v.Items, opAppends)
	case []any:
		return dumpItems(append(b, opEmptyList, opMark), v, opAppends)
	case Tuple:
		if len(v) == 0 {
			return append(b, opEmptyTuple), nil
		}
		return dumpItems(append(b, opMark), v, opTuple)
	case *Dict:
		b = append(b, opEmptyDict, opMark)
		for i, key := range v.Keys {
			var err error
			if b, err = dump(b, key); err != nil {
				return nil, err
			}
			if b, err = dump(b, v.Values[i]); err != nil {
				return nil, err
			}
		}
		return append(b, opSetItems), nil
	case *Global:
		return append(b, fmt.Sprintf("%c%s\n%s\n", opGlobal, v.Module, v.Name)...), nil
	case *Reduced:
		return dumpItems(b, []any{v.Function, v.Args}, opReduce)
	case *Reference:
		return dumpItems(b, []any{v.ID}, opReference)
	}
	return nil, fmt.Errorf("pickling: a %T has no form in Python", v)
}

func dumpItems(b []byte, items []any, end byte) ([]byte, error) {
	for _, e := range items {
		var err error
		if b, err = dump(b, e); err != nil {
			return nil, err
		}
	}
	return append(b, end), nil
}

// dumpLong writes an integer in two's complement, the lowest byte first.
func dumpLong(b []byte, n *big.Int) ([]byte, error) {
	size := n.BitLen()/8 + 1
	const most = 255
	if size > most {
		return nil, fmt.Errorf("pickling: an integer of %d bits", n.BitLen())
	}
	positive := n
	if n.Sign() < 0 {
		positive = new(big.Int).Add(n, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
	}
	digits := positive.FillBytes(make([]byte, size))
	b = append(b, opLong, byte(size))
	for i := range digits {
		b = append(b, digits[size-1-i])
	}
	return b, nil
}
