package ort

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Error is what ONNX Runtime reported.
type Error struct {
	Code    int // OrtErrorCode
	Message string
}

// Error returns the library's message.
func (e *Error) Error() string { return e.Message }

// outOfMemory are beginnings and parts of the messages by which the library, its allocators and CUDA report that memory ran
// out; the status code of such errors is that of any failure. Seen with ONNX Runtime 1.31.1.
var outOfMemory = []string{
	"Failed to allocate memory", "out of memory", "OUT_OF_MEMORY", "bad_alloc", "CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED",
	"Available memory of", // the arena's limit
}

// OutOfMemory reports whether err is the library's report that a device's memory did not suffice.
func OutOfMemory(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	return slices.ContainsFunc(outOfMemory, func(part string) bool { return strings.Contains(e.Message, part) })
}

// check turns a status into a Go error and releases it.
func (r *Runtime) check(status *C.OrtStatus) error {
	if status == nil {
		return nil
	}
	err := &Error{Code: int(C.cg_code(r.api, status)), Message: C.GoString(C.cg_message(r.api, status))}
	C.cg_release_status(r.api, status)
	return err
}

// wrap adds the action to err, unless err is nil.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// ErrClosed is returned by calls on a closed Session or Runtime.
var ErrClosed = errors.New("it is closed")
