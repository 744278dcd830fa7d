package ort

import (
	"sync"
	"testing"
)

func TestThread(t *testing.T) {
	t.Parallel()
	one := newThread()
	count := 0
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() { one.do(func() { count++ }) }) // one at a time
	}
	callers.Wait()
	one.end()
	if count != 8 {
		t.Errorf("%d of 8 calls were made", count)
	}
	var none *thread
	none.do(func() { count = 0 })
	none.end()
	if count != 0 {
		t.Error("without a thread nothing was called")
	}
}
