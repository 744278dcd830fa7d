package ort

// #include "trim.h"
import "C"

import "sync"

// TrimMemory gives memory of the C heap that nothing uses back to the system. ONNX Runtime allocates from several threads, for each of
// which the allocator keeps what was freed: without this a program holds more after every session that it made and closed. It takes
// milliseconds, and does nothing where the C library has no such call.
func TrimMemory() { C.cg_trim_memory() }

// boundMemory bounds what the C heap keeps of freed memory, once and for all of the process: blocks above 1 MiB go back to the system
// when they are freed.
var boundMemory = sync.OnceFunc(func() { C.cg_bound_memory() })
