package sampling

import "encoding/binary"

// seedWords returns n words of NumPy's SeedSequence(entropy, spawn_key, pool_size=24), the hash that torchsde derives the
// seeds of its tree from (after O'Neill's seed_seq_fe).
func seedWords(entropy uint64, spawnKey []uint32, n int) []uint32 {
	const (
		pool           = 24
		initA, multA   = 0x43b0d7e5, 0x931e8875
		initB, multB   = 0x8b51f9dd, 0x58f38ded
		mixL, mixR     = 0xca01f9dd, 0x4973f715
		shift          = 16
		wordsOfEntropy = 2
	)
	words := binary.LittleEndian.AppendUint64(nil, entropy)
	input := make([]uint32, 0, pool+len(spawnKey))
	for i := range wordsOfEntropy {
		input = append(input, binary.LittleEndian.Uint32(words[4*i:]))
	}
	for len(input) < pool { // the rest of the pool hashes zeros, with a spawn key after it or without
		input = append(input, 0)
	}
	input = append(input, spawnKey...)

	hash := uint32(initA)
	mixIn := func(v uint32) uint32 {
		v ^= hash
		hash *= multA
		v *= hash
		return v ^ v>>shift
	}
	mix := func(x, y uint32) uint32 {
		v := mixL*x - mixR*y
		return v ^ v>>shift
	}
	var state [pool]uint32
	for i := range state {
		state[i] = mixIn(input[i])
	}
	for src := range state {
		for dst := range state {
			if src != dst {
				state[dst] = mix(state[dst], mixIn(state[src]))
			}
		}
	}
	for _, v := range input[pool:] {
		for dst := range state {
			state[dst] = mix(state[dst], mixIn(v))
		}
	}
	out := make([]uint32, n)
	hash = initB
	for i := range out {
		v := state[i%pool] ^ hash
		hash *= multB
		v *= hash
		out[i] = v ^ v>>shift
	}
	return out
}
