package nodes

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

// Protect calls f and returns a panic in it as a *PanicError.
func Protect(f func() error) (err error) {
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

// Group runs functions in goroutines of their own and waits for them. A panic in one of them is an error of Wait, so that it ends the node and not
// the program. The zero value is ready.
type Group struct {
	wg   sync.WaitGroup
	once sync.Once
	err  error
}

// Go starts f.
func (g *Group) Go(f func() error) {
	g.wg.Go(func() {
		if err := Protect(f); err != nil {
			g.once.Do(func() { g.err = err })
		}
	})
}

// Wait waits for all functions and returns the first error.
func (g *Group) Wait() error {
	g.wg.Wait()
	return g.err
}
