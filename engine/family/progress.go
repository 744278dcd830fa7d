package family

import "context"

type progressKey struct{}

// WithProgress returns a context whose long runs, such as those of a video VAE, call f with the finished part and the total of their
// input. f is called in the goroutine of the run.
func WithProgress(ctx context.Context, f func(done, all int)) context.Context {
	return context.WithValue(ctx, progressKey{}, f)
}

// Advance reports the progress of a run to the context's function, if it has one.
func Advance(ctx context.Context, done, all int) {
	if f, ok := ctx.Value(progressKey{}).(func(done, all int)); ok && f != nil {
		f(done, all)
	}
}

// PartOf returns a context whose progress is that of part i of n equal ones.
func PartOf(ctx context.Context, i, n int) context.Context {
	if n <= 1 || ctx.Value(progressKey{}) == nil {
		return ctx
	}
	return WithProgress(ctx, func(done, all int) { Advance(ctx, i*all+done, n*all) })
}
