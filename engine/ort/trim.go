package ort

// #include "hostalloc.h"
// #include "trim.h"
import "C"

import "sync"

// TrimMemory gives memory back to the system: buffers that wait for sessions that run once (hostalloc.h), and what nothing uses of the C heap, where the C
// library can. ONNX Runtime allocates from several threads, and the allocator keeps the freed memory of each: without this call a program holds more
// memory after every closed session. It takes milliseconds.
func TrimMemory() {
	C.cg_trim_host()
	C.cg_trim_memory()
}

// boundMemory limits the freed memory that the C heap keeps, once for the whole process: blocks above 1 MiB go back to the system
// when they are freed.
var boundMemory = sync.OnceFunc(func() { C.cg_bound_memory() })
