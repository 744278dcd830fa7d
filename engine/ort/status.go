package ort

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
)

// Error is what ONNX Runtime reported.
type Error struct {
	Code    int // OrtErrorCode
	Message string
}

// Error returns the library's message.
func (e *Error) Error() string { return e.Message }

// check turns a status into a Go error and releases it.
func (r *Runtime) check(status *C.OrtStatus) error {
	if status == nil {
		return nil
	}
	err := &Error{Code: int(C.cg_code(r.api, status)), Message: C.GoString(C.cg_message(r.api, status))}
	C.cg_release_status(r.api, status)
	return err
}

// wrap says what was being done when err is not nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// ErrClosed is returned by calls on a closed Session or Runtime.
var ErrClosed = errors.New("it is closed")
