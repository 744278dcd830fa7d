package ort

// #include "hostalloc.h"
// #include "trim.h"
import "C"

import "sync"

// TrimMemory gives memory of the C heap that nothing uses back to the system. ONNX Runtime allocates from several threads, and the
// allocator keeps the freed memory of each: without this call a program holds more memory after every closed session. It takes
// milliseconds, and does nothing where the C library has no such call.
func TrimMemory() {
	C.cg_trim_host()
	C.cg_trim_memory()
}

// boundMemory limits the freed memory that the C heap keeps, once for the whole process: blocks above 1 MiB go back to the system
// when they are freed.
var boundMemory = sync.OnceFunc(func() { C.cg_bound_memory() })
