package vec

// Filter sets element i*outStep of out, for each i below n, to the sum of the products of w with the elements of in from i*inStep on. It reports
// false, having done nothing, on a CPU without the instructions; each product is added unrounded. len(w) is a multiple of 8, so that a filter of
// another length has zeros behind it, and in holds the elements that these are multiplied with.
func Filter(out, in, w []float32, n, outStep, inStep int) bool {
	const eight = 8
	if n <= 0 {
		return true
	}
	if len(w) == 0 || len(w)%eight != 0 || outStep < 0 || inStep < 0 {
		panic("vec: a filter's length is a multiple of 8, and its steps are not negative")
	}
	_, _ = out[(n-1)*outStep], in[(n-1)*inStep+len(w)-1]
	return filterRun(out, in, w, n, outStep, inStep)
}
