package imaging

import "golang.org/x/sys/cpu"

// wide reports that the CPU has the instructions that pngfilter_amd64.s uses.
var wide = cpu.X86.HasAVX2

// turn is the number of bytes of a turn of filterVector.
const turn = 32

// filterVector makes the five forms of turns*32 bytes from line and above on, to whose left lie step more. Each form has four
// partial sums.
//
//go:noescape
func filterVector(line, above *byte, step, turns int, none, sub, up, avg, paeth *byte, sums *[5][4]uint64)

// vectors makes the forms of the bytes behind the first pixel in whole turns, adds up their bytes and returns their number.
func (f *filters) vectors(line, above []byte, sums *[5]int) int {
	turns := (len(line) - f.step) / turn
	if !wide || turns < 1 {
		return 0
	}
	var parts [5][4]uint64
	at := func(i int) *byte { return &f.lines[i][1+f.step] }
	filterVector(&line[f.step], &above[f.step], f.step, turns, at(0), at(1), at(2), at(3), at(4), &parts)
	for i, p := range parts {
		sums[i] += int(p[0] + p[1] + p[2] + p[3])
	}
	return turns * turn
}
