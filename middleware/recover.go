package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/labstack/echo/v4"
)

// PanicError is the error for a handler's panic.
type PanicError struct {
	Value any
	Stack []byte
}

// Error returns the panic's message.
func (e *PanicError) Error() string { return fmt.Sprintf("handling a request: panic: %v", e.Value) }

// Recover turns a handler's panic into a *PanicError. http.ErrAbortHandler is raised again, as net/http wants it.
func Recover() echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) (err error) {
			defer func() {
				v := recover()
				if v == nil {
					return
				}
				if e, ok := v.(error); ok && errors.Is(e, http.ErrAbortHandler) {
					panic(v)
				}
				err = &PanicError{Value: v, Stack: debug.Stack()}
			}()
			return next(c)
		}
	}
}
