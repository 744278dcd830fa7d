package minimaxmusic

import (
	"encoding/binary"
	"math/bits"
)

// blakeIV are the initial values of BLAKE2b (RFC 7693).
var blakeIV = [8]uint64{
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
}

// blakeOrder are the orders of a block's words in the rounds.
var blakeOrder = [10][16]int{
	{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
	{14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
	{11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
	{7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
	{9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
	{2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
	{12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
	{13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
	{6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
	{10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
}

// personalDigest is the BLAKE2b digest of 8 bytes of a message of one block at most, with a personalisation of 16 bytes at most: the package
// golang.org/x/crypto/blake2b has none (RFC 7693, section 2.8 of the BLAKE2 specification).
func personalDigest(message []byte, person string) uint64 {
	const digest, rounds = 8, 12
	var block [128]byte
	copy(block[:], message)
	var name [16]byte
	copy(name[:], person)
	h := blakeIV
	h[0] ^= digest | 1<<16 | 1<<24
	h[6] ^= binary.LittleEndian.Uint64(name[:])
	h[7] ^= binary.LittleEndian.Uint64(name[8:])
	var v [16]uint64
	copy(v[:], h[:])
	copy(v[8:], blakeIV[:])
	v[12] ^= uint64(len(message))
	v[14] = ^v[14]
	word := func(i int) uint64 { return binary.LittleEndian.Uint64(block[8*i:]) }
	for r := range rounds {
		o := blakeOrder[r%len(blakeOrder)]
		for i, q := range [8][4]int{{0, 4, 8, 12}, {1, 5, 9, 13}, {2, 6, 10, 14}, {3, 7, 11, 15}, {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13}, {3, 4, 9, 14}} {
			a, b, c, d := q[0], q[1], q[2], q[3]
			v[a] += v[b] + word(o[2*i])
			v[d] = bits.RotateLeft64(v[d]^v[a], -32)
			v[c] += v[d]
			v[b] = bits.RotateLeft64(v[b]^v[c], -24)
			v[a] += v[b] + word(o[2*i+1])
			v[d] = bits.RotateLeft64(v[d]^v[a], -16)
			v[c] += v[d]
			v[b] = bits.RotateLeft64(v[b]^v[c], -63)
		}
	}
	return h[0] ^ v[0] ^ v[8]
}
