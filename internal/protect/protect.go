// Package protect turns panics into errors, so that a fault in the work on one job ends that job and not the program: a panic in a goroutine that
// nothing protects ends the process.
//
// It must not know what the work is.
package protect

import (
	"fmt"
	"runtime/debug"
	"sync"
)

// PanicError is a panic that became an error, with the stack of the goroutine it happened in.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns what was panicked with.
func (e *PanicError) Error() string { return fmt.Sprint(e.Value) }

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Call calls f and returns a panic in it as a *PanicError.
func Call(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			if p, ok := v.(*PanicError); ok {
				err = p
				return
			}
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return f()
}

// Group runs functions in goroutines of their own and waits for them. A panic in one of them is an error of Wait. The zero value is ready.
type Group struct {
	wg   sync.WaitGroup
	once sync.Once
	err  error
}

// Go starts f.
func (g *Group) Go(f func() error) {
	g.wg.Go(func() {
		if err := Call(f); err != nil {
			g.once.Do(func() { g.err = err })
		}
	})
}

// Wait waits for all functions and returns the first error.
func (g *Group) Wait() error {
	g.wg.Wait()
	return g.err
}
