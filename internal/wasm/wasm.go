// Package wasm runs libraries compiled to WebAssembly: each call in a memory of its own, bounded and ending with its context.
//
// It must not know what a library does.
package wasm

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// Library is a library compiled to WebAssembly, which is compiled to machine code when the first call needs it.
type Library struct {
	// Packed is the library, packed by gzip.
	Packed *[]byte

	once   sync.Once
	err    error
	engine wazero.Runtime
	module wazero.CompiledModule
}

// compile makes machine code of the library. Calls of it end with their context.
func (l *Library) compile() error {
	l.once.Do(func() {
		ctx := context.Background()
		r, err := gzip.NewReader(bytes.NewReader(*l.Packed))
		if err != nil {
			l.err = err
			return
		}
		code, err := io.ReadAll(r)
		if err != nil {
			l.err = err
			return
		}
		l.engine = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(true))
		if _, l.err = wasi_snapshot_preview1.Instantiate(ctx, l.engine); l.err != nil {
			return
		}
		l.module, l.err = l.engine.CompileModule(ctx, code)
	})
	return l.err
}

// Instance is a library at work, with a memory of its own. It is used by one goroutine at a time.
type Instance struct {
	ctx    context.Context
	module api.Module
	memory *linear
}

// ErrMemory is returned when the library wants more memory than its limit.
var ErrMemory = errors.New("more memory is needed than is allowed")

// Start makes an instance with memory that grows up to limit bytes.
func (l *Library) Start(ctx context.Context, limit uint64) (*Instance, error) {
	if err := l.compile(); err != nil {
		return nil, fmt.Errorf("compiling the library: %w", err)
	}
	i := &Instance{ctx: ctx, memory: &linear{limit: limit}}
	with := experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return i.memory }))
	var err error
	i.module, err = l.engine.InstantiateModule(with, l.module, wazero.NewModuleConfig().WithName("").WithStdout(io.Discard).WithStderr(io.Discard))
	if err != nil {
		return nil, fmt.Errorf("starting the library: %w", i.reason(err))
	}
	return i, nil
}

// Close gives the instance's memory back.
func (i *Instance) Close() { i.module.Close(context.WithoutCancel(i.ctx)) } //nolint:errcheck // nothing is left to do

// reason replaces the runtime's error if the context has ended, or the memory is exhausted.
func (i *Instance) reason(err error) error {
	switch {
	case i.ctx.Err() != nil:
		return context.Cause(i.ctx)
	case i.memory.refused:
		return ErrMemory
	}
	return err
}

// Call calls a function of the library that returns one value.
func (i *Instance) Call(name string, args ...uint64) (uint32, error) {
	out, err := i.module.ExportedFunction(name).Call(i.ctx, args...)
	if err != nil {
		return 0, i.reason(err)
	}
	return uint32(out[0]), nil //nolint:gosec // addresses and counts have 32 bits there
}

// Alloc reserves bytes in the instance's memory.
func (i *Instance) Alloc(size int) (uint32, error) {
	at, err := i.Call("malloc", uint64(size)) //nolint:gosec // not negative
	if err == nil && at == 0 {
		err = ErrMemory
	}
	return at, err
}

// Put copies data into the instance's memory.
func (i *Instance) Put(data []byte) (uint32, error) {
	at, err := i.Alloc(len(data))
	if err != nil {
		return 0, err
	}
	if !i.module.Memory().Write(at, data) {
		return 0, ErrMemory
	}
	return at, nil
}

// Word reads a number of 32 bits.
func (i *Instance) Word(at uint32) int {
	v, _ := i.module.Memory().ReadUint32Le(at)
	return int(v)
}

// Read returns size bytes of the instance's memory from at on; they change with the next call.
func (i *Instance) Read(at uint32, size int) ([]byte, error) {
	data, ok := i.module.Memory().Read(at, uint32(size)) //nolint:gosec // the memory has 32-bit addresses
	if !ok {
		return nil, ErrMemory
	}
	return data, nil
}

// WriteString replaces bytes of the instance's memory.
func (i *Instance) WriteString(at uint32, s string) { i.module.Memory().WriteString(at, s) }

// linear is the memory of an instance.
type linear struct {
	limit   uint64
	refused bool
	backing []byte // what is reserved of the address space
}

// Reallocate implements experimental.LinearMemory.
func (m *linear) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.refused = true
		return nil
	}
	if uint64(len(m.backing)) < size && !m.reserve(size) {
		m.refused = true
		return nil
	}
	return m.backing[:size:size]
}
