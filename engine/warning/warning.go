// Package warning carries warnings from their source to the client of the job: an option of a job was
// left out, and the job continues without it. The receiver is stored in the context, so intermediate layers do not depend on
// it.
//
// It does not know nodes, clients or logs.
package warning

import "context"

type receiverKey struct{}

// With returns a context whose warnings go to receive, which may be called from several goroutines.
func With(ctx context.Context, receive func(text string)) context.Context {
	return context.WithValue(ctx, receiverKey{}, receive)
}

// Add hands a warning to the receiver of ctx. It reports whether there is one.
func Add(ctx context.Context, text string) bool {
	receive, ok := ctx.Value(receiverKey{}).(func(string))
	if ok {
		receive(text)
	}
	return ok
}
