package ort

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"comfygo/engine/dtype"
	"comfygo/internal/ortlib"
)

// lib is the one runtime that all tests share: a process can have no more.
var lib *Runtime

func TestMain(m *testing.M) {
	code, err := withRuntime(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withRuntime(m *testing.M) (int, error) {
	path, err := ortlib.Find(ortlib.Options{})
	if err != nil {
		return 1, err
	}
	if err := tryOpening(path); err != nil {
		return 1, err
	}
	if lib, err = Open(Config{Library: path}); err != nil {
		return 1, err
	}
	code := m.Run()
	return code, lib.Close()
}

// tryOpening tests what cannot be tested while the shared runtime is open: refusals leave nothing behind, and a closed
// runtime has closed its sessions and can be opened again.
func tryOpening(path string) error {
	for _, bad := range []string{"", "/no/such/library.so", os.Args[0]} {
		if r, err := Open(Config{Library: bad}); err == nil {
			return errors.Join(fmt.Errorf("opening %q did not fail", bad), r.Close())
		}
	}
	r, err := Open(Config{Library: path})
	if err != nil {
		return err
	}
	s, err := r.NewSession(context.Background(), SessionSpec{Name: "add", Model: addModel()})
	if err != nil {
		return err
	}
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		return err
	}
	if _, err := s.Run(context.Background(), nil, nil); !errors.Is(err, ErrClosed) {
		return fmt.Errorf("a session of a closed runtime says %w", err)
	}
	if _, err := r.NewSession(context.Background(), SessionSpec{Name: "add", Model: addModel()}); !errors.Is(err, ErrClosed) {
		return fmt.Errorf("a closed runtime says %w", err)
	}
	s.Close()
	return nil
}

// stored is a weight that a test model refers to as external data.
type stored struct {
	name     string
	dtype    dtype.DType
	dims     []int
	data     []byte
	location string
}

func (s stored) initializer() Initializer {
	return Initializer{Name: s.name, DType: s.dtype, Shape: s.dims, Data: s.data}
}

func (s stored) proto() []byte {
	var b []byte
	for _, d := range s.dims {
		b = number(b, 1, int64(d))
	}
	b = number(b, 2, int64(onnxTypes[s.dtype]))
	b = field(b, 8, []byte(s.name))
	for k, v := range map[string]string{"location": s.location, "offset": "0", "length": fmt.Sprint(len(s.data))} {
		b = field(b, 13, field(field(nil, 1, []byte(k)), 2, []byte(v)))
	}
	return number(b, 14, 1)
}

// graph is a test model: float32 inputs x and others, float32 outputs, nodes, external weights.
type graph struct {
	nodes   []wireNode
	inits   []stored
	inline  []wireTensor
	inputs  []wireTensor
	outputs []wireTensor
}

// model writes the graph. Dimensions of -1 are left open.
func (g graph) model() []byte {
	b := wireModel(g.nodes, g.inline, g.inputs, g.outputs)
	for _, s := range g.inits { // fields of a message that come twice are merged: the graph gets more initializers
		b = field(b, 7, field(nil, 5, s.proto()))
	}
	opset := number(field(nil, 1, []byte("comfygo")), 2, 1)
	return protowire.AppendBytes(protowire.AppendTag(b, 8, protowire.BytesType), opset)
}

func (g graph) spec(name string) SessionSpec {
	s := SessionSpec{Name: name, Model: g.model(), Threads: 2}
	for _, in := range g.inits {
		s.Initializers = append(s.Initializers, in.initializer())
	}
	return s
}

func tensorOf(name string, dims ...int64) wireTensor { return wireTensor{name: name, dims: dims} }

func nodeOf(op string, in, out []string) wireNode { return wireNode{op: op, in: in, out: out} }

func memoryLocation(t testing.TB) string {
	t.Helper()
	loc, err := lib.Location("")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func newSession(t testing.TB, spec SessionSpec) *Session {
	t.Helper()
	s, err := lib.NewSession(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}
