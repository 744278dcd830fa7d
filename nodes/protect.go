package nodes

import "comfygo/internal/protect"

// PanicError is a panic in a node's work that became an error.
type PanicError = protect.PanicError

// Group runs parts of a node's work in goroutines of their own. A panic in one of them is an error of Wait, so that it ends the node and not the
// program. The zero value is ready.
type Group = protect.Group

// Protect calls f and returns a panic in it as a *PanicError.
func Protect(f func() error) error { return protect.Call(f) }
