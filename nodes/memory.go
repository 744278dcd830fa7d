package nodes

import (
	"context"
	"fmt"

	"comfygo/internal/pyjson"
	"comfygo/internal/pystr"
)

// Memory is the process's budget of memory, which --max-memory bounds.
type Memory interface {
	// Reserve sets bytes aside until release is called. It may wait for others to release theirs, and fails when that would
	// not do. what describes them for the error's message.
	Reserve(ctx context.Context, what string, bytes int64) (release func(), err error)
}

// holding is the part of a Memory that knows what the caller holds already: bytes that do not become free while it waits.
type holding interface {
	ReserveMore(ctx context.Context, what string, bytes, held int64) (release func(), err error)
}

// Reserve reserves memory that this call is about to allocate, and fails if there is not enough. It is released at the end of the call: by
// then the memory is allocated and counts as such. what describes it, such as "a text of 3 bytes".
func (c *Context) Reserve(what string, bytes int64) error {
	if c.Memory == nil {
		return nil
	}
	reserve := c.Memory.Reserve
	if m, ok := c.Memory.(holding); ok {
		reserve = func(ctx context.Context, what string, bytes int64) (func(), error) {
			return m.ReserveMore(ctx, what, bytes, c.run.held)
		}
	}
	release, err := reserve(c, what, bytes)
	if err != nil {
		return err
	}
	c.run.reserved = append(c.run.reserved, release)
	c.run.held += max(bytes, 0)
	return nil
}

// ReserveNext is Reserve for the next stage of a call's work: what the call reserved before is allocated by then and counts as such, or is needed no
// more, so that it is released first.
func (c *Context) ReserveNext(what string, bytes int64) error {
	c.Release()
	return c.Reserve(what, bytes)
}

// Release releases the memory that the call reserved. The executor calls it when the call has ended.
func (c *Context) Release() {
	for _, release := range c.run.reserved {
		release()
	}
	c.run.reserved, c.run.held = nil, 0
}

// Sizes of values in memory, in bytes, beside their content: a member of a list, and of an object with its key's header.
const (
	elementSize = 16
	memberSize  = 64
)

// TextBytes estimates the memory of texts, numbers, lists and JSON values; 0 for other values.
func TextBytes(v any) int64 {
	switch v := v.(type) {
	case string:
		return int64(len(v))
	case []byte:
		return int64(len(v))
	case []string:
		n := int64(0)
		for _, s := range v {
			n += elementSize + int64(len(s))
		}
		return n
	case List:
		return TextBytes([]any(v))
	case []any:
		n := int64(0)
		for _, e := range v {
			n += elementSize + TextBytes(e)
		}
		return n
	case *pyjson.Object:
		n := int64(0)
		if v != nil {
			for key, e := range v.All() {
				n += memberSize + int64(len(key)) + TextBytes(e)
			}
		}
		return n
	}
	return 0
}

// ReserveText is Reserve for a text of length bytes with room for temporary copies; it refuses texts that are too long for any job.
func (c *Context) ReserveText(length, copies int) error {
	if err := pystr.CheckSize(length); err != nil {
		return err
	}
	return c.Reserve(fmt.Sprintf("a text of %d bytes", length), int64(length)*int64(copies))
}
