package nodes

import (
	"errors"
	"fmt"
)

// Error is a node's error with the exception type that clients see, as upstream names it (ValueError, OSError, RuntimeError, …).
type Error struct {
	Type string
	Err  error
}

// Error returns the message alone: it becomes exception_message.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExceptionType returns the name that clients see.
func (e *Error) ExceptionType() string { return e.Type }

// Errorf makes an error of an exception type; %w works as in fmt.Errorf.
func Errorf(typ, format string, args ...any) error {
	return &Error{Type: typ, Err: fmt.Errorf(format, args...)}
}

// ExceptionType returns the exception type of an error: that of the first error in its chain that has one, else RuntimeError.
func ExceptionType(err error) string {
	var typed interface{ ExceptionType() string }
	if errors.As(err, &typed) {
		return typed.ExceptionType()
	}
	return "RuntimeError"
}

// invalid is a validator's verdict.
type invalid struct{ message string }

func (e *invalid) Error() string {
	if e.message == "" {
		return "refusing the input"
	}
	return e.message
}

// Invalid is returned by ValidateInputs with the reason that the client is to see.
func Invalid(format string, args ...any) error { return &invalid{fmt.Sprintf(format, args...)} }

// Refused is returned by ValidateInputs to refuse without a reason.
func Refused() error { return &invalid{} }

// Verdict splits a validator's error: ok is true if err is a verdict, and reason is its message ("" for Refused).
func Verdict(err error) (reason string, ok bool) {
	var v *invalid
	if errors.As(err, &v) {
		return v.message, true
	}
	return "", false
}

// Unwritten is returned by Run of a skeleton from tools/newnode until it is written; a test refuses it in the tree.
func Unwritten(class string) (Result, error) {
	return Result{}, Errorf("NotImplementedError", "running %s: the class has no implementation", class)
}
