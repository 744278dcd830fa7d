package dataset

import "comfygo/engine/torchrand"

// newRandom seeds NumPy's generator as upstream's dataset classes do, which take the seed modulo 2^32-1.
func newRandom(seed uint64) *torchrand.Generator {
	const modulus = 1<<32 - 1
	return torchrand.New(seed % modulus)
}
