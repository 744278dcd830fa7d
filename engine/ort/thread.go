package ort

import "runtime"

// thread is a thread of the system on which the runs of a session on CUDA are made. ONNX Runtime keeps captured graphs, and handles of
// cuBLAS and cuDNN with their memory, for each thread that runs a session; a goroutine's calls may come from any.
type thread struct {
	work  chan func()
	ended chan struct{}
}

func newThread() *thread {
	t := &thread{work: make(chan func()), ended: make(chan struct{})}
	go func() {
		defer close(t.ended)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		for f := range t.work {
			f()
		}
	}()
	return t
}

// do calls f on the thread and waits for it; on the caller's for no thread.
func (t *thread) do(f func()) {
	if t == nil {
		f()
		return
	}
	done := make(chan struct{})
	t.work <- func() {
		defer close(done)
		f()
	}
	<-done
}

// end ends the thread; do must not be called any more.
func (t *thread) end() {
	if t != nil {
		close(t.work)
		<-t.ended
	}
}
