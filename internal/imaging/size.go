package imaging

import (
	"fmt"
	"math"
	"math/bits"

	"comfygo/internal/memory"
)

// SizeError is the error of something too big for the free memory.
type SizeError = memory.SizeError

// CheckSize fails with a *SizeError if a float32 array of these dimensions does not fit into the memory that the process
// may still use. Call it before allocating anything of a requested size. what describes it for the message.
func CheckSize(what string, dims ...int) error {
	need := uint64(4)
	for _, d := range dims {
		if d < 0 {
			return fmt.Errorf("allocating %s: negative size in %v", what, dims)
		}
		hi, lo := bits.Mul64(need, uint64(d))
		if hi != 0 {
			lo = math.MaxUint64
		}
		if need = lo; d == 0 {
			return nil
		}
	}
	return memory.Process.Check(what, need)
}
