package ort

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"sync"

	"comfygo/engine/dtype"
)

// Binding is a session with inputs that stay where they are needed between runs: on CUDA an input travels to the GPU
// when it is set, not at each run, and has an address there that stays as long as its type and shape do. Outputs come back to the
// host. Its methods exclude each other.
type Binding struct {
	s    *Session
	mu   sync.Mutex
	ptr  *C.OrtIoBinding
	outs []string
	held map[string]*held
	// results are the buffers of outputs, on a GPU.
	results map[string]*Buffer
	// same counts the runs since an address changed, graph is the number under which runs are captured.
	same, graph int
}

// held is what keeps a bound input alive.
type held struct {
	value *C.OrtValue
	pin   runtime.Pinner
	// buffer, when set, is where the value lies. shape is the value's.
	buffer *Buffer
	shape  []int
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
	b := &Binding{s: s, outs: names, held: map[string]*held{}, results: map[string]*Buffer{}}
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
	if err := v.check(); err != nil {
		return err
	}
	// Whole numbers may be sizes, which the library reads on the host.
	if b.s.device.Kind == CUDA && v.DType.IsFloat() && b.s.r.buffers() {
		buffer, err := b.room(name, v.DType, v.Shape)
		if err == nil {
			err = buffer.write(v.Data)
		}
		return wrap(err, "input %s", name)
	}
	h := &held{shape: v.Shape}
	var err error
	if h.value, err = b.s.r.native(v, &h.pin); err == nil {
		err = b.s.r.check(C.cg_bind_input(b.s.r.api, b.ptr, b.s.names[name], h.value))
	}
	if err != nil {
		h.free(b.s.r)
		return fmt.Errorf("input %s: %w", name, err)
	}
	b.hold(name, h)
	return nil
}

// room returns the buffer of an input for values of a type and shape: the one that is there if it holds them.
func (b *Binding) room(name string, t dtype.DType, shape []int) (*Buffer, error) {
	if h := b.held[name]; h != nil && h.buffer.holds(t, shape) {
		return h.buffer, nil
	}
	buffer, err := b.s.r.newBuffer(b.s.device, t, shape)
	if err != nil {
		return nil, err
	}
	if err := b.s.r.check(C.cg_bind_input(b.s.r.api, b.ptr, b.s.names[name], buffer.value)); err != nil {
		buffer.free()
		return nil, err
	}
	b.hold(name, &held{buffer: buffer, shape: buffer.info.Shape})
	return buffer, nil
}

// hold keeps the value that an input is bound to, replacing the previous one.
func (b *Binding) hold(name string, h *held) {
	b.same, b.graph = 0, 0
	if old := b.held[name]; old != nil {
		old.free(b.s.r)
	}
	b.held[name] = h
}

func (h *held) free(r *Runtime) {
	if h.value != nil {
		C.cg_release_value(r.api, h.value)
	}
	h.buffer.free()
	h.pin.Unpin()
}

// Run computes the outputs from the bound inputs. Cancelling works as in Session.Run.
func (b *Binding) Run(ctx context.Context) (map[string]Value, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.s.use.RLock()
	defer b.s.use.RUnlock()
	out, err := b.run(ctx)
	return out, wrap(err, "running graph %s", b.s.name)
}

func (b *Binding) run(ctx context.Context) (map[string]Value, error) {
	if err := b.ready(); err != nil {
		return nil, err
	}
	r := b.s.r
	fixed := b.s.device.Kind == CUDA && b.inBuffers()
	known := b.resultsKnown()
	for _, n := range b.outs {
		var err error
		if known {
			err = b.prepareResult(n)
		} else { // anew each time: a bound output would keep the shape of the first run
			err = r.check(C.cg_bind_output(r.api, b.ptr, b.s.names[n], r.host))
		}
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", n, err)
		}
	}
	err := b.s.guarded(ctx, b.capture(fixed && known), func(o *C.OrtRunOptions) *C.OrtStatus { return C.cg_run_bound(r.api, b.s.ptr, o, b.ptr) })
	if err != nil {
		return nil, err
	}
	if !known {
		return b.fetched()
	}
	out := make(map[string]Value, len(b.outs))
	for _, n := range b.outs {
		if out[n], err = b.results[n].read(); err != nil {
			return nil, fmt.Errorf("output %s: %w", n, err)
		}
	}
	return out, nil
}

// ready fails for a binding that cannot run.
func (b *Binding) ready() error {
	if b.ptr == nil || b.s.closed {
		return ErrClosed
	}
	for _, in := range b.s.inputs {
		if b.held[in.Name] == nil {
			return fmt.Errorf("input %v is missing", in)
		}
	}
	return nil
}

// inBuffers reports that all inputs are in buffers.
func (b *Binding) inBuffers() bool {
	for _, h := range b.held {
		if h.buffer == nil {
			return false
		}
	}
	return true
}

// capture returns the number under which the next run is captured or replayed. It takes three runs to capture one, which has to pay.
func (b *Binding) capture(fixed bool) int {
	const before = 3 // runs with the same addresses
	if !b.s.graphs || !fixed {
		return notCaptured
	}
	if b.same++; b.same <= before {
		return notCaptured
	}
	if b.graph == 0 {
		b.graph = int(b.s.graph.Add(1))
	}
	return b.graph
}

// resultsKnown reports that the outputs of the next run can be written to buffers. It lets go of the buffers otherwise.
func (b *Binding) resultsKnown() bool {
	known := b.s.device.Kind == CUDA && b.s.r.buffers()
	for _, n := range b.outs {
		if known {
			_, known = b.resultShape(n)
		}
	}
	if !known && len(b.results) > 0 {
		for _, buffer := range b.results {
			buffer.free()
		}
		clear(b.results)
		b.same, b.graph = 0, 0
	}
	return known
}

// prepareResult binds an output to a buffer of the shape that it will have, the one that is there if it fits.
func (b *Binding) prepareResult(name string) error {
	info, _ := find(b.s.outputs, name)
	shape, _ := b.resultShape(name)
	if b.results[name].holds(info.DType, shape) {
		return nil
	}
	buffer, err := b.s.r.newBuffer(b.s.device, info.DType, shape)
	if err != nil {
		return err
	}
	if err := b.bindResult(name, buffer); err != nil {
		buffer.free()
		return err
	}
	b.results[name].free()
	b.results[name] = buffer
	b.same, b.graph = 0, 0
	return nil
}

func (b *Binding) bindResult(name string, to *Buffer) error {
	return b.s.r.check(C.cg_bind_output_value(b.s.r.api, b.ptr, b.s.names[name], to.value))
}

// resultShape returns the shape that an output will have on a GPU, false where that is not known.
func (b *Binding) resultShape(name string) ([]int, bool) {
	if b.s.device.Kind != CUDA || b.s.shape == nil {
		return nil, false
	}
	shapes := make(map[string][]int, len(b.held))
	for n, h := range b.held {
		shapes[n] = h.shape
	}
	return b.s.shape(name, shapes)
}

// fetched takes the outputs that the library allocated.
func (b *Binding) fetched() (map[string]Value, error) {
	r := b.s.r
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

// RunInto computes the outputs, which become inputs of another binding on the same GPU under their names: they stay there. It is false
// where their shapes are not known before, or another device computes.
func (b *Binding) RunInto(ctx context.Context, to *Binding) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	to.mu.Lock()
	defer to.mu.Unlock()
	b.s.use.RLock()
	defer b.s.use.RUnlock()
	to.s.use.RLock()
	defer to.s.use.RUnlock()
	done, err := b.runInto(ctx, to)
	return done, wrap(err, "running graph %s", b.s.name)
}

func (b *Binding) runInto(ctx context.Context, to *Binding) (bool, error) {
	if err := b.ready(); err != nil {
		return false, err
	}
	if to.ptr == nil || to.s.closed {
		return false, ErrClosed
	}
	if to.s.device != b.s.device || !b.s.r.buffers() {
		return false, nil
	}
	for _, n := range b.outs {
		info, _ := find(b.s.outputs, n)
		shape, known := b.resultShape(n)
		if !known {
			return false, nil
		}
		buffer, err := to.room(n, info.DType, shape)
		if err == nil {
			err = b.bindResult(n, buffer)
		}
		if err != nil {
			return false, fmt.Errorf("output %s: %w", n, err)
		}
	}
	err := b.s.guarded(ctx, notCaptured, func(o *C.OrtRunOptions) *C.OrtStatus { return C.cg_run_bound(b.s.r.api, b.s.ptr, o, b.ptr) })
	return err == nil, err
}

// Bytes is the memory of a GPU that the binding's inputs and outputs take.
func (b *Binding) Bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := int64(0)
	for _, h := range b.held {
		if h.buffer != nil {
			n += int64(h.buffer.size)
		}
	}
	for _, buffer := range b.results {
		n += int64(buffer.size)
	}
	return n
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
	for _, buffer := range b.results {
		buffer.free()
	}
	clear(b.results)
}
