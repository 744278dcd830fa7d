package imaging

import (
	"fmt"
	"math"
	"math/bits"

	"comfygo/internal/memory"
)

// SizeError says that something is too big for the memory that is free.
type SizeError = memory.SizeError

// CheckSize fails with a *SizeError when a float32 array of these dimensions does not fit into the memory that the process
// may still take. Call it before making anything whose size a request decides. what describes it for the message.
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
