package executor

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/big"
	"slices"
	"strconv"

	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// cacheKey identifies a result by everything it was made of: the class, its constants, the keys of the nodes before it and the fingerprint.
// Node ids are not part of it, so a renumbered graph keeps its results.
type cacheKey [sha256.Size]byte

// keyMaker computes cache keys. Each node is visited once, so that the work is linear in the number of nodes.
type keyMaker struct {
	owner       string // owners share no results
	g           *graph
	run         uint64
	unique      uint64
	fingerprint func(*node) any
	buf         []byte
}

// key returns the key of a node. A node that can never be found again (NaN, a value without a key, a missing ancestor) gets a unique key.
func (k *keyMaker) key(n *node) cacheKey {
	if n.keyed {
		return n.key
	}
	n.working = true
	for _, l := range n.links {
		if from, ok := k.g.nodes[l.from.ID]; ok && !from.working {
			k.key(from)
		}
	}
	before := k.unique
	b := appendText(k.buf[:0], n.class.Name)
	if k.owner != "" {
		b = appendText(append(b, 'O'), k.owner)
	}
	if n.class.NotIdempotent || n.class.WantsID() {
		b = appendText(b, n.id)
	}
	b = k.appendValue(b, k.fingerprint(n))
	b = k.appendInputs(b, n)
	k.buf = b
	n.key, n.keyed, n.working = sha256.Sum256(b), true, false
	n.unique = k.unique != before
	for _, l := range n.links {
		if from, ok := k.g.nodes[l.from.ID]; ok && from.unique {
			n.unique = true
		}
	}
	return n.key
}

func (k *keyMaker) appendInputs(b []byte, n *node) []byte {
	names := slices.Clone(n.inputs.Keys())
	slices.Sort(names)
	for _, name := range names {
		b = appendText(b, name)
		v, _ := n.inputs.Get(name)
		link, ok := nodes.AsLink(v)
		if !ok {
			b = k.appendValue(b, v)
			continue
		}
		from, there := k.g.nodes[link.ID]
		if !there || from.working {
			b = k.appendUnique(b)
			continue
		}
		b = append(b, 'L')
		b = append(b, from.key[:]...)
		b = binary.BigEndian.AppendUint64(b, uint64(int64(link.Slot)))
	}
	return b
}

func appendText(b []byte, s string) []byte {
	b = append(b, 'T')
	b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
	return append(b, s...)
}

// appendUnique writes something that no other key has.
func (k *keyMaker) appendUnique(b []byte) []byte {
	k.unique++
	b = append(b, 'U')
	b = binary.BigEndian.AppendUint64(b, k.run)
	return binary.BigEndian.AppendUint64(b, k.unique)
}

// appendValue writes a constant. As in Python 1, 1.0 and true are equal.
func (k *keyMaker) appendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, 'N')
	case string:
		return appendText(b, v)
	case bool:
		if v {
			return append(b, "I1;"...)
		}
		return append(b, "I0;"...)
	case int:
		return append(strconv.AppendInt(append(b, 'I'), int64(v), 10), ';')
	case int64:
		return append(strconv.AppendInt(append(b, 'I'), v, 10), ';')
	case *big.Int:
		return append(v.Append(append(b, 'I'), 10), ';')
	case float64:
		return k.appendFloat(b, v)
	case []any:
		return k.appendList(b, v)
	case pyjson.Tuple:
		return k.appendList(b, v)
	case []string:
		b = binary.BigEndian.AppendUint64(append(b, 'A'), uint64(len(v)))
		for _, s := range v {
			b = appendText(b, s)
		}
		return b
	case []byte:
		return appendText(append(b, 'B'), string(v))
	case *pyjson.Object:
		return k.appendObject(b, v)
	}
	return k.appendUnique(b)
}

func (k *keyMaker) appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return k.appendUnique(b)
	case math.IsInf(f, 0):
		return append(strconv.AppendFloat(append(b, 'F'), f, 'g', -1, 64), ';')
	case f == math.Trunc(f):
		n, _ := big.NewFloat(f).Int(nil)
		return append(n.Append(append(b, 'I'), 10), ';')
	}
	return append(strconv.AppendFloat(append(b, 'F'), f, 'g', -1, 64), ';')
}

func (k *keyMaker) appendList(b []byte, l []any) []byte {
	b = binary.BigEndian.AppendUint64(append(b, 'A'), uint64(len(l)))
	for _, e := range l {
		b = k.appendValue(b, e)
	}
	return b
}

func (k *keyMaker) appendObject(b []byte, o *pyjson.Object) []byte {
	names := slices.Clone(o.Keys())
	slices.Sort(names)
	b = binary.BigEndian.AppendUint64(append(b, 'O'), uint64(len(names)))
	for _, name := range names {
		b = appendText(b, name)
		v, _ := o.Get(name)
		b = k.appendValue(b, v)
	}
	return b
}
