package ort

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"sync"
)

// Binding is a session with inputs that stay where they are needed between runs: on CUDA an input travels to the card
// when it is set, not at each run. Outputs come back to the host. Its methods exclude each other.
type Binding struct {
	s    *Session
	mu   sync.Mutex
	ptr  *C.OrtIoBinding
	outs []string
	held map[string]*held
}

// held is what keeps a bound input alive.
type held struct {
	value *C.OrtValue
	pin   runtime.Pinner
}

// NewBinding makes a binding that computes the named outputs; all when none is named. Close it before the session.
func (s *Session) NewBinding(outputs ...string) (*Binding, error) {
	s.use.RLock()
	defer s.use.RUnlock()
	b, err := s.newBinding(outputs)
	return b, wrap(err, "binding graph %s", s.name)
}

func (s *Session) newBinding(outputs []string) (*Binding, error) {
	if s.closed {
		return nil, ErrClosed
	}
	names, err := s.outputNames(outputs)
	if err != nil {
		return nil, err
	}
	b := &Binding{s: s, outs: names, held: map[string]*held{}}
	if err := s.r.check(C.cg_binding(s.r.api, s.ptr, &b.ptr)); err != nil {
		return nil, err
	}
	return b, nil
}

// Set binds an input. The value's data is used until the input is set again or the binding is closed, and must not
// change meanwhile.
func (b *Binding) Set(name string, v Value) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.use.RLock()
	defer b.s.use.RUnlock()
	return wrap(b.set(name, v), "binding graph %s", b.s.name)
}

func (b *Binding) set(name string, v Value) error {
	if b.ptr == nil || b.s.closed {
		return ErrClosed
	}
	info, ok := find(b.s.inputs, name)
	if !ok {
		return fmt.Errorf("there is no input %q, only %s", name, list(b.s.inputs))
	}
	if err := info.accepts(v); err != nil {
		return err
	}
	h := &held{}
	var err error
	if h.value, err = b.s.r.native(v, &h.pin); err == nil {
		err = b.s.r.check(C.cg_bind_input(b.s.r.api, b.ptr, b.s.names[name], h.value))
	}
	if err != nil {
		h.free(b.s.r)
		return fmt.Errorf("input %s: %w", name, err)
	}
	if old := b.held[name]; old != nil {
		old.free(b.s.r)
	}
	b.held[name] = h
	return nil
}

func (h *held) free(r *Runtime) {
	if h.value != nil {
		C.cg_release_value(r.api, h.value)
	}
	h.pin.Unpin()
}

// Run computes the outputs from what is bound. Cancelling works as in Session.Run.
func (b *Binding) Run(ctx context.Context) (map[string]Value, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.use.RLock()
	defer b.s.use.RUnlock()
	out, err := b.run(ctx)
	return out, wrap(err, "running graph %s", b.s.name)
}

func (b *Binding) run(ctx context.Context) (map[string]Value, error) {
	if b.ptr == nil || b.s.closed {
		return nil, ErrClosed
	}
	for _, in := range b.s.inputs {
		if b.held[in.Name] == nil {
			return nil, fmt.Errorf("input %v is missing", in)
		}
	}
	r := b.s.r
	for _, n := range b.outs { // anew each time: a bound output would keep the shape of the first run
		if err := r.check(C.cg_bind_output(r.api, b.ptr, b.s.names[n], r.host)); err != nil {
			return nil, fmt.Errorf("output %s: %w", n, err)
		}
	}
	err := b.s.guarded(ctx, func(o *C.OrtRunOptions) *C.OrtStatus { return C.cg_run_bound(r.api, b.s.ptr, o, b.ptr) })
	if err != nil {
		return nil, err
	}
	values := make([]*C.OrtValue, len(b.outs))
	defer func() {
		for _, v := range values {
			if v != nil {
				C.cg_release_value(r.api, v)
			}
		}
	}()
	if err := r.check(C.cg_bound_outputs(r.api, b.ptr, &values[0], C.size_t(len(values)))); err != nil {
		return nil, err
	}
	return b.s.collect(b.outs, values, nil)
}

// Close frees the binding and lets go of the bound data. Closing twice does nothing.
func (b *Binding) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ptr == nil {
		return
	}
	C.cg_release_binding(b.s.r.api, b.ptr)
	b.ptr = nil
	for _, h := range b.held {
		h.free(b.s.r)
	}
}
