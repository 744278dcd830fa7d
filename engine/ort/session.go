package ort

// #include "memo.h"
// #include "shim.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"
)

// Session is a graph made ready on a device. Run may be called from several goroutines at once.
type Session struct {
	r       *Runtime
	name    string
	opts    *options
	ptr     *C.OrtSession
	inputs  []Info
	outputs []Info
	names   map[string]*C.char // of inputs and outputs, in C's memory
	shrink  string             // arenas to trim after a run; "" for none
	device  Device
	shape   func(output string, inputs map[string][]int) ([]int, bool) // see SessionSpec.Shape
	graphs  bool                                                       // runs of bindings may be captured
	graph   atomic.Int32                                               // the number of the graph that was captured last
	release func()
	thread  *thread // on which it runs, on CUDA

	use    sync.RWMutex // held for reading by runs, for writing by Close
	closed bool
}

// NewSession makes a graph ready to run. The end of ctx abandons the work as soon as the library notices, and then the
// error wraps ctx's cause. On CUDA the error wraps ErrNoCUDA when there is no usable GPU.
func (r *Runtime) NewSession(ctx context.Context, spec SessionSpec) (*Session, error) {
	err := r.enter()
	var s *Session
	if err == nil {
		s, err = r.newSession(ctx, &spec)
		r.leave()
	}
	if err != nil {
		if spec.Release != nil {
			spec.Release()
		}
		return nil, fmt.Errorf("making a session of graph %s on %v: %w", spec.Name, spec.Device, err)
	}
	return s, nil
}

func (r *Runtime) newSession(ctx context.Context, spec *SessionSpec) (*Session, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if len(spec.Model) == 0 {
		return nil, errors.New("the model is empty")
	}
	if spec.Device.Kind == CUDA {
		if err := r.checkCUDA(ctx, spec.Device.Index); err != nil {
			return nil, err
		}
	}
	opts, err := r.newOptions(spec)
	s := &Session{r: r, name: spec.Name, opts: opts, names: map[string]*C.char{}, device: spec.Device, shape: spec.Shape}
	s.graphs = spec.Graphs && spec.Device.Kind == CUDA
	if spec.Shrink {
		s.shrink = arenas(spec)
	}
	if err == nil {
		if err = s.create(ctx, spec); err != nil && ctx.Err() == nil {
			dump(r.cfg.Dump, r.cfg.Log, spec)
		}
	}
	if err == nil {
		err = s.describe()
	}
	if err != nil {
		s.free()
		return nil, err
	}
	s.release = spec.Release
	if spec.Device.Kind == CUDA {
		s.thread = newThread()
	}
	shares := slices.ContainsFunc(spec.Initializers, func(in Initializer) bool { return in.On != nil })
	if spec.Device.Kind == CUDA && !shares { // the GPU has its own copy of everything
		s.opts.drop(r)
		s.letGo()
	}
	r.mu.Lock() // so that closing the runtime closes it
	defer r.mu.Unlock()
	r.sessions[s] = struct{}{}
	return s, nil
}

// create builds the native session, watching ctx.
func (s *Session) create(ctx context.Context, spec *SessionSpec) error {
	done := watch(ctx, func() {
		_ = s.r.check(C.cg_cancel_load(s.r.api, s.opts.ptr)) // the flag is all there is to set; nothing can be done about a refusal
	})
	err := s.r.check(C.cg_session(s.r.api, s.r.env, unsafe.Pointer(unsafe.SliceData(spec.Model)), C.size_t(len(spec.Model)), s.opts.ptr, &s.ptr))
	done()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// watch calls f once when ctx ends. The returned function ends the watch and waits for f if it has begun.
func watch(ctx context.Context, f func()) (done func()) {
	ran := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ran)
		f()
	})
	return func() {
		if !stop() {
			<-ran
		}
	}
}

// describe reads the names, types and shapes of inputs and outputs.
func (s *Session) describe() error {
	for side, list := range []*[]Info{&s.inputs, &s.outputs} {
		var n C.size_t
		if err := s.r.check(C.cg_count(s.r.api, s.ptr, C.int(side), &n)); err != nil {
			return err
		}
		for i := range n {
			var (
				name [512]C.char
				kind C.int
				dims [maxRank]C.int64_t
				rank C.size_t
			)
			if err := s.r.check(C.cg_name(s.r.api, s.ptr, C.int(side), i, &name[0], C.size_t(len(name)))); err != nil {
				return err
			}
			if err := s.r.check(C.cg_info(s.r.api, s.ptr, C.int(side), i, &kind, &dims[0], maxRank, &rank)); err != nil {
				return err
			}
			info := Info{Name: C.GoString(&name[0]), DType: fromONNX(int(kind)), Shape: shapeOf(dims[:rank])}
			*list = append(*list, info)
			if s.names[info.Name] == nil {
				s.names[info.Name] = C.CString(info.Name)
			}
		}
	}
	return nil
}

// Name returns the graph's name.
func (s *Session) Name() string { return s.name }

// Inputs describes what Run has to be given.
func (s *Session) Inputs() []Info { return append([]Info(nil), s.inputs...) }

// Outputs describes what Run can give.
func (s *Session) Outputs() []Info { return append([]Info(nil), s.outputs...) }

// Kept is the number of bytes that the session's operators keep from run to run: see the attribute remember of Linear.
func (s *Session) Kept() int64 {
	s.use.RLock()
	defer s.use.RUnlock()
	if s.closed || s.opts.memo == nil {
		return 0
	}
	return int64(C.cg_memo_bytes(s.opts.memo))
}

// Captured is the number of graphs that the session has captured. They are freed with it.
func (s *Session) Captured() int { return int(s.graph.Load()) }

// Close waits for runs to end and frees the session. Closing twice does nothing.
func (s *Session) Close() {
	s.use.Lock()
	defer s.use.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.r.mu.Lock()
	delete(s.r.sessions, s)
	s.r.mu.Unlock()
	s.free()
	s.letGo()
}

// letGo notifies the owner of the weights, once, that they are no longer used.
func (s *Session) letGo() {
	if s.release != nil {
		s.release()
		s.release = nil
	}
}

// free gives back native memory: the session first, as it uses the rest.
func (s *Session) free() {
	s.thread.end()
	s.thread = nil
	if s.ptr != nil {
		C.cg_release_session(s.r.api, s.ptr)
		s.ptr = nil
	}
	s.opts.free(s.r)
	for _, n := range s.names {
		C.free(unsafe.Pointer(n))
	}
}
