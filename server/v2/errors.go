package v2

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"comfygo/folders"
	"comfygo/queue"
)

// Code identifies an error for programs.
type Code string

// The codes of the contract, and additional ones for cases where it names none.
const (
	InvalidWorkflow     Code = "invalid_workflow"
	WorkflowFormatUI    Code = "workflow_format_ui"
	MissingAsset        Code = "missing_asset"
	HashMismatch        Code = "hash_mismatch"
	BlobNotFound        Code = "blob_not_found"
	IdempotencyKeyReuse Code = "idempotency_key_reuse"
	QueueFull           Code = "queue_full"
	NotFound            Code = "not_found"
	Unauthorized        Code = "unauthorized"
	Forbidden           Code = "forbidden"
	RateLimited         Code = "rate_limited"
	TooManyStreams      Code = "too_many_streams"
	UpstreamError       Code = "upstream_error"
	MetadataInvalid     Code = "metadata_invalid"
	InvalidCursor       Code = "invalid_cursor"
	InvalidFilter       Code = "invalid_metadata_filter"

	InvalidRequest     Code = "invalid_request"
	RequestTooLarge    Code = "request_too_large"
	MethodNotAllowed   Code = "method_not_allowed"
	ServiceUnavailable Code = "service_unavailable"
	RangeNotSatisfied  Code = "range_not_satisfiable"
)

// Problem is an error as clients get it.
type Problem struct {
	Status  int
	Code    Code
	Message string
	// Details may be nil.
	Details map[string]any
	// RetryAfter is sent in whole seconds if above 0.
	RetryAfter time.Duration
}

// Error returns the message.
func (p *Problem) Error() string { return p.Message }

func problem(status int, code Code, format string, args ...any) *Problem {
	return &Problem{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) *Problem {
	return problem(http.StatusUnprocessableEntity, InvalidRequest, format, args...)
}

// statusCodes are the codes of answers that others than this package's handlers have decided on.
var statusCodes = map[int]Code{
	http.StatusUnauthorized:          Unauthorized,
	http.StatusForbidden:             Forbidden,
	http.StatusNotFound:              NotFound,
	http.StatusMethodNotAllowed:      MethodNotAllowed,
	http.StatusRequestEntityTooLarge: RequestTooLarge,
	http.StatusTooManyRequests:       RateLimited,
	http.StatusServiceUnavailable:    ServiceUnavailable,
}

// CodeOf returns the code for a status without further information.
func CodeOf(status int) Code {
	if code, ok := statusCodes[status]; ok {
		return code
	}
	if status >= http.StatusInternalServerError {
		return UpstreamError
	}
	return InvalidRequest
}

// Covers reports whether answers to a path are the API's, errors included.
func Covers(path string) bool {
	for _, p := range []string{"/assets", "/jobs"} {
		if rest, ok := strings.CutPrefix(path, Prefix+p); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}

// Envelope is an error as JSON.
func Envelope(code Code, message string, details map[string]any) []byte {
	type inner struct {
		Code    Code           `json:"code"`
		Message string         `json:"message"`
		Details map[string]any `json:"details,omitempty"`
	}
	data, err := json.Marshal(struct {
		Error inner `json:"error"`
	}{inner{code, message, details}})
	if err != nil { // details that are no JSON: the rest is
		return Envelope(code, message, nil)
	}
	return data
}

// Fail answers with an error.
func Fail(c echo.Context, p *Problem) error {
	h := c.Response().Header()
	if p.RetryAfter > 0 {
		h.Set(echo.HeaderRetryAfter, strconv.Itoa(max(1, int(p.RetryAfter.Round(time.Second).Seconds()))))
	}
	h.Set("Cache-Control", "no-store")
	return reply(c, p.Status, Envelope(p.Code, p.Message, p.Details))
}

const jsonType = "application/json; charset=utf-8"

func reply(c echo.Context, status int, data []byte) error {
	c.Response().Header().Set(echo.HeaderContentLength, strconv.Itoa(len(data)))
	if c.Request().Method == http.MethodHead {
		c.Response().Header().Set(echo.HeaderContentType, jsonType)
		c.Response().WriteHeader(status)
		return nil
	}
	return c.Blob(status, jsonType, data)
}

func send(c echo.Context, status int, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return reply(c, status, data)
}

// answering turns a handler's errors into the API's own.
func (a *API) answering(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := next(c)
		if err == nil || c.Response().Committed {
			return err
		}
		if p := a.known(err); p != nil {
			return Fail(c, p)
		}
		return err // the server's business: too large, broken off, or trouble of our own
	}
}

// known returns the problem in an error, or nil if it has none that a client should read.
func (a *API) known(err error) *Problem {
	const soon = 5 * time.Second
	var p *Problem
	var full *queue.FullError
	var uncertain *queue.UncertainError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &full):
		p = problem(http.StatusTooManyRequests, QueueFull, "too many jobs are waiting: %v", full)
		p.RetryAfter = max(full.RetryAfter, time.Second)
		return p
	case errors.Is(err, queue.ErrDraining):
		p = problem(http.StatusServiceUnavailable, ServiceUnavailable, "the server is shutting down")
		p.RetryAfter = soon
		return p
	case errors.Is(err, folders.ErrRemote):
		a.log.Error("the file store refuses", "error", err)
		p = problem(http.StatusServiceUnavailable, ServiceUnavailable, "files can be neither read nor kept at the moment")
		p.RetryAfter = soon
		return p
	case errors.As(err, &uncertain):
		a.log.Warn("the queue does not answer", "error", err)
		p = problem(http.StatusGatewayTimeout, ServiceUnavailable, "it is not known whether the change was made: look for it, or send it again with its Idempotency-Key")
		p.RetryAfter = soon
		return p
	case errors.Is(err, queue.ErrFull):
		a.log.Warn("the queue refuses", "error", err)
		p = problem(http.StatusInsufficientStorage, ServiceUnavailable, "the queue's store is full; nothing was changed")
		p.RetryAfter = soon
		return p
	case errors.Is(err, queue.ErrUnavailable):
		a.log.Warn("the queue refuses", "error", err)
		p = problem(http.StatusServiceUnavailable, ServiceUnavailable, "jobs cannot be stored at the moment")
		p.RetryAfter = soon
		return p
	}
	return nil
}
