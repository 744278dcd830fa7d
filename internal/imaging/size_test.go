package imaging

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestCheckSize(t *testing.T) {
	t.Parallel()
	const gb = 1 << 30
	for _, c := range []struct {
		free uint64
		dims []int
		ok   bool
	}{
		{2 * gb, []int{1, 512, 512, 3}, true},
		{2 * gb, []int{1, 16384, 16384, 3}, false},
		{8 * gb, []int{1, 16384, 16384, 3}, true},
		{1, []int{1, 64, 64}, true},
		{math.MaxUint64, []int{math.MaxInt, math.MaxInt, 4}, false},
		{gb, []int{0, math.MaxInt, math.MaxInt}, true},
		{gb, []int{-1, 5}, false},
	} {
		err := checkSize("a picture", func() uint64 { return c.free }, c.dims)
		if (err == nil) != c.ok {
			t.Errorf("%v in %d: %v", c.dims, c.free, err)
		}
		var size *SizeError
		if errors.As(err, &size) && (size.Free != c.free || size.ExceptionType() != "MemoryError" || !strings.Contains(err.Error(), "a picture")) {
			t.Errorf("%v: %#v", c.dims, size)
		}
	}
}

func TestFreeMemoryIsPlausible(t *testing.T) {
	t.Parallel()
	if free := freeMemory(); free < 1<<20 || free > 1<<50 {
		t.Errorf("%d bytes are free", free)
	}
}
