package imaging

import "comfygo/internal/imaging/codec"

// parallel calls work for disjoint ranges that cover [0,n) and returns when all calls have; see codec.Parallel.
func parallel(n, cost int, work func(from, to int)) { codec.Parallel(n, cost, work) }
