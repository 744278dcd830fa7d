// Package torchrand is torch's random generator on the CPU, to the bit: the Mersenne Twister, and the ways in which
// torch.randn turns its words into normal values.
//
// It knows numbers alone: no latent, no sampler, no seed's meaning.
package torchrand
