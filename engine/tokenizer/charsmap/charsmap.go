// Package charsmap reads SentencePiece's precompiled character maps: replacement rules for strings (normalisation such
// as NFKC), held in a double-array trie.
package charsmap

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Map holds replacement rules.
type Map struct {
	trie []uint32
	// blob holds the replacements, each ended by a zero byte.
	blob []byte
}

// errTruncated reports data that ends too early.
var errTruncated = errors.New("reading a precompiled character map: the data is truncated")

// Parse reads the serialized form: the trie's size in bytes, the trie and the replacements.
func Parse(data []byte) (*Map, error) {
	if len(data) < 4 {
		return nil, errTruncated
	}
	size := int(binary.LittleEndian.Uint32(data))
	data = data[4:]
	if size > len(data) {
		return nil, errTruncated
	}
	if size%4 != 0 || size == 0 {
		return nil, fmt.Errorf("reading a precompiled character map: a trie of %d bytes", size)
	}
	m := &Map{trie: make([]uint32, size/4), blob: append([]byte(nil), data[size:]...)}
	for i := range m.trie {
		m.trie[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	return m, nil
}

// The bit fields of a trie unit (Darts-clone).
const (
	leafFlag  = 1 << 8
	wideFlag  = 1 << 9
	valueMask = 1<<31 - 1
	labelMask = 1<<31 | 0xff
)

func offset(unit uint32) uint32 { return unit >> 10 << (unit & wideFlag >> 6) }

// each calls yield with the length and the replacement's position of each rule that text begins with, shortest first.
func (m *Map) each(text string, yield func(n int, value uint32) bool) {
	at := offset(m.trie[0])
	for i := range len(text) {
		at ^= uint32(text[i])
		if int64(at) >= int64(len(m.trie)) || m.trie[at]&labelMask != uint32(text[i]) {
			return
		}
		unit := m.trie[at]
		at ^= offset(unit)
		if unit&leafFlag == 0 {
			continue
		}
		if int64(at) >= int64(len(m.trie)) || !yield(i+1, m.trie[at]&valueMask) {
			return
		}
	}
}

// Longest returns the replacement of the longest rule that text begins with, and that rule's length.
func (m *Map) Longest(text string) (replacement string, n int, ok bool) {
	var value uint32
	m.each(text, func(length int, v uint32) bool {
		n, value, ok = length, v, true
		return true
	})
	if !ok {
		return "", 0, false
	}
	return m.replacement(value), n, true
}

// Shortest returns the replacement of the shortest rule that text begins with.
func (m *Map) Shortest(text string) (replacement string, ok bool) {
	var value uint32
	m.each(text, func(_ int, v uint32) bool {
		value, ok = v, true
		return false
	})
	if !ok {
		return "", false
	}
	return m.replacement(value), true
}

func (m *Map) replacement(at uint32) string {
	if int64(at) >= int64(len(m.blob)) {
		return ""
	}
	s := m.blob[at:]
	if i := bytes.IndexByte(s, 0); i >= 0 {
		s = s[:i]
	}
	return string(s)
}
