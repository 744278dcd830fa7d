package torchrand

// fma returns a*b+c rounded once: the compiler uses the CPU's instruction for it.
func fma(a, b, c float32) float32 { return a*b + c }
