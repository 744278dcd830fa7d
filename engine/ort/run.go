package ort

// #include "shim.h"
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// Run computes the named outputs (all of them when none is named) from the inputs. Inputs are used where they lie and
// must not change meanwhile; outputs are fresh memory. When ctx ends, before or in the middle, the run stops at
// the next node and the error wraps ctx's cause.
func (s *Session) Run(ctx context.Context, inputs map[string]Value, outputs []string) (map[string]Value, error) {
	s.use.RLock()
	defer s.use.RUnlock()
	out, err := s.run(ctx, inputs, outputs)
	return out, wrap(err, "running graph %s", s.name)
}

func (s *Session) run(ctx context.Context, inputs map[string]Value, outputs []string) (map[string]Value, error) {
	if s.closed {
		return nil, ErrClosed
	}
	call := &call{r: s.r}
	defer call.free()
	if err := call.take(s, inputs); err != nil {
		return nil, err
	}
	names, err := s.outputNames(outputs)
	if err != nil {
		return nil, err
	}
	call.out = make([]*C.OrtValue, len(names))
	outNames := make([]*C.char, len(names))
	for i, n := range names {
		outNames[i] = s.names[n]
	}
	placed, err := call.place(s, inputs, names)
	if err != nil {
		return nil, err
	}
	err = s.guarded(ctx, notCaptured, func(o *C.OrtRunOptions) *C.OrtStatus {
		return C.cg_run(s.r.api, s.ptr, o, unsafe.SliceData(call.names), unsafe.SliceData(call.in), C.size_t(len(call.in)),
			unsafe.SliceData(outNames), C.size_t(len(names)), unsafe.SliceData(call.out))
	})
	if err != nil {
		return nil, err
	}
	return s.collect(names, call.out, placed)
}

// place gives outputs whose shape is known memory to be written to. What the library allocates for an output in its arena would stay
// there until the session's next run: it is in use when the arena shrinks.
func (c *call) place(s *Session, inputs map[string]Value, names []string) (map[string]Value, error) {
	if s.shape == nil || s.device.Kind != CPU {
		return nil, nil
	}
	shapes := make(map[string][]int, len(inputs))
	for n, v := range inputs {
		shapes[n] = v.Shape
	}
	placed := make(map[string]Value, len(names))
	for i, n := range names {
		shape, known := s.shape(n, shapes)
		info, _ := find(s.outputs, n)
		size, ok := sizeOf(info.DType, shape)
		if !known || !ok {
			continue
		}
		v := Value{DType: info.DType, Shape: shape, Data: words(size)}
		var err error
		if c.out[i], err = c.r.native(v, &c.pin); err != nil {
			return nil, fmt.Errorf("output %s: %w", n, err)
		}
		placed[n] = v
	}
	return placed, nil
}

// collect copies outputs into Go's memory, except those that were placed there.
func (s *Session) collect(names []string, values []*C.OrtValue, placed map[string]Value) (map[string]Value, error) {
	result := make(map[string]Value, len(names))
	for i, n := range names {
		if v, ok := placed[n]; ok {
			result[n] = v
			continue
		}
		v, err := s.r.toGo(values[i])
		if err != nil {
			return nil, fmt.Errorf("output %s: %w", n, err)
		}
		result[n] = v
	}
	return result, nil
}

// call holds the native values of one run.
type call struct {
	r     *Runtime
	pin   runtime.Pinner
	names []*C.char
	in    []*C.OrtValue
	out   []*C.OrtValue
}

func (c *call) free() {
	for _, list := range [][]*C.OrtValue{c.in, c.out} {
		for _, v := range list {
			if v != nil {
				C.cg_release_value(c.r.api, v)
			}
		}
	}
	c.pin.Unpin()
}

// take wraps the inputs, in the session's order, after checking that they are the ones that the graph wants.
func (c *call) take(s *Session, inputs map[string]Value) error {
	for _, info := range s.inputs {
		v, ok := inputs[info.Name]
		if !ok {
			return fmt.Errorf("input %v is missing", info)
		}
		if err := info.accepts(v); err != nil {
			return err
		}
		value, err := c.r.native(v, &c.pin)
		if err != nil {
			return fmt.Errorf("input %s: %w", info.Name, err)
		}
		c.in = append(c.in, value)
		c.names = append(c.names, s.names[info.Name])
	}
	if len(inputs) > len(s.inputs) {
		for n := range inputs {
			if _, ok := find(s.inputs, n); !ok {
				return fmt.Errorf("there is no input %q, only %s", n, list(s.inputs))
			}
		}
	}
	return nil
}

// accepts reports whether a value fits the declared type and shape.
func (i Info) accepts(v Value) error {
	fits := i.DType == v.DType && len(i.Shape) == len(v.Shape)
	for k := 0; fits && k < len(i.Shape); k++ {
		fits = i.Shape[k] < 0 || i.Shape[k] == v.Shape[k]
	}
	if !fits {
		return fmt.Errorf("input %v was given %v%v", i, v.DType, v.Shape)
	}
	return nil
}

// outputNames checks the wanted outputs; none means all.
func (s *Session) outputNames(wanted []string) ([]string, error) {
	var names []string
	if len(wanted) == 0 {
		for _, o := range s.outputs {
			names = append(names, o.Name)
		}
		return names, nil
	}
	for _, n := range wanted {
		if _, ok := find(s.outputs, n); !ok {
			return nil, fmt.Errorf("there is no output %q, only %s", n, list(s.outputs))
		}
	}
	return wanted, nil
}

func find(infos []Info, name string) (Info, bool) {
	for _, i := range infos {
		if i.Name == name {
			return i, true
		}
	}
	return Info{}, false
}

func list(infos []Info) string {
	var all []string
	for _, i := range infos {
		all = append(all, i.String())
	}
	return strings.Join(all, ", ")
}

// notCaptured is the number of a graph for runs that are none.
const notCaptured = -1

// guarded calls f with run options that the end of ctx terminates. graph is the number under which the run's work is captured, and
// replayed later.
func (s *Session) guarded(ctx context.Context, graph int, f func(*C.OrtRunOptions) *C.OrtStatus) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	opts, err := ort.NewRunOptions()
	if err != nil {
		return err
	}
	defer func() { _ = opts.Destroy() }()
	p, err := handle(opts)
	if err != nil {
		return err
	}
	ptr := (*C.OrtRunOptions)(p)
	if s.shrink != "" {
		if err := s.r.configure(ptr, keyShrink, s.shrink); err != nil {
			return err
		}
	}
	if s.graphs {
		if err := s.r.configure(ptr, keyGraph, strconv.Itoa(graph)); err != nil {
			return err
		}
	}
	done := watch(ctx, func() { _ = opts.Terminate() }) // fails only on destroyed options
	s.thread.do(func() { err = s.r.check(f(ptr)) })
	done()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// arenas names the arenas of a session's own that shrink after a run, as the library wants it: on the CPU none, as the allocator that
// such sessions share holds no free memory.
func arenas(spec *SessionSpec) string {
	switch {
	case spec.Device.Kind != CUDA:
		return ""
	case spec.Pooled:
		return "gpu:" + strconv.Itoa(spec.Device.Index)
	}
	return "cpu:0;gpu:" + strconv.Itoa(spec.Device.Index)
}

// configure sets an option of a run.
func (r *Runtime) configure(o *C.OrtRunOptions, name, setting string) error {
	key, value := C.CString(name), C.CString(setting)
	defer C.free(unsafe.Pointer(key))
	defer C.free(unsafe.Pointer(value))
	return r.check(C.cg_run_config(r.api, o, key, value))
}
