package codec

import (
	"runtime"
	"sync"
)

// Parallel calls work for disjoint ranges that cover [0,n) and returns when all calls have. Small jobs, where each of
// the n items costs about cost operations, run in the calling goroutine.
func Parallel(n, cost int, work func(from, to int)) {
	const worthwhile = 1 << 16
	workers := min(runtime.GOMAXPROCS(0), n*max(cost, 1)/worthwhile)
	if workers <= 1 {
		work(0, n)
		return
	}
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() { work(i*n/workers, (i+1)*n/workers) })
	}
	wg.Wait()
}
