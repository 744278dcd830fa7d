package torchrand

import (
	"math"

	"golang.org/x/sys/cpu"
)

// vectors reports that the CPU has what vector_amd64.s uses.
var vectors = cpu.X86.HasAVX2 && cpu.X86.HasFMA

// lanes is the number of values of a vector.
const lanes = 8

// row is a constant for each lane.
type row [lanes]uint32

// constants are the rows that boxMullerVector reads, in the order of its offsets.
var constants = newConstants()

func newConstants() *[33]row {
	words := []uint32{0x7f, 0x007fffff, 1, ^uint32(1), 2, 4}
	for _, f := range []float32{1, 0.5, -0.5, -2, rootHalf, ln2Low, ln2High, float32(2 * math.Pi), fourByPi, piHigh, piMiddle, piLow} {
		words = append(words, math.Float32bits(f))
	}
	for _, terms := range [][]float32{logTerms[:], cosTerms[:], sinTerms[:]} {
		for _, f := range terms {
			words = append(words, math.Float32bits(f))
		}
	}
	out := new([33]row)
	for i, w := range words {
		for k := range out[i] {
			out[i][k] = w
		}
	}
	return out
}

// twistVector replaces words[i] by ahead[i] ^ twist(words[i], words[i+1]) for the first 8*n words; ahead may be the part of the
// same ring that was replaced before, at least 8 words away.
//
//go:noescape
func twistVector(words, ahead *uint32, n int)

// uniformVector converts 8*n words to uniform values.
//
//go:noescape
func uniformVector(out *float32, words *uint32, n int)

// boxMullerVector is boxMullerPlain for n blocks of 16.
//
//go:noescape
func boxMullerVector(values *float32, n int, constants *[33]row)

// twistRun replaces the words that fill whole vectors, and returns their number. The last of words is only read.
func twistRun(words, ahead []uint32) int {
	n := min(len(words)-1, len(ahead)) / lanes
	if !vectors || n == 0 {
		return 0
	}
	twistVector(&words[0], &ahead[0], n)
	return n * lanes
}

// uniformRun converts the words that fill whole vectors to uniform values, and returns their number.
func uniformRun(out []float32, words []uint32) int {
	n := min(len(out), len(words)) / lanes
	if !vectors || n == 0 {
		return 0
	}
	uniformVector(&out[0], &words[0], n)
	return n * lanes
}

// boxMuller turns blocks of 16 uniform values into normal ones in place.
func boxMuller(values []float32) {
	n := len(values) / blockLen
	if !vectors || n == 0 {
		boxMullerPlain(values)
		return
	}
	boxMullerVector(&values[0], n, constants)
}
