package heif

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

// library is a decoder compiled to WebAssembly, which is compiled to machine code when the first file needs it.
type library struct {
	packed *[]byte // gzip
	once   sync.Once
	err    error
	engine wazero.Runtime
	module wazero.CompiledModule
}

// compile makes machine code of the library. Calls of it end with their context.
func (l *library) compile() error {
	l.once.Do(func() {
		ctx := context.Background()
		r, err := gzip.NewReader(bytes.NewReader(*l.packed))
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

// instance is a library at work, with a memory of its own.
type instance struct {
	ctx    context.Context
	module api.Module
	memory *linear
}

var errMemory = errors.New("the file needs more memory than an image of the size that it announces")

// start makes an instance whose memory grows up to limit bytes.
func (l *library) start(ctx context.Context, limit uint64) (*instance, error) {
	if err := l.compile(); err != nil {
		return nil, fmt.Errorf("compiling the decoder: %w", err)
	}
	i := &instance{ctx: ctx, memory: &linear{limit: limit}}
	with := experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(func(_, _ uint64) experimental.LinearMemory { return i.memory }))
	var err error
	i.module, err = l.engine.InstantiateModule(with, l.module, wazero.NewModuleConfig().WithName("").WithStdout(io.Discard).WithStderr(io.Discard))
	if err != nil {
		return nil, fmt.Errorf("starting the decoder: %w", i.reason(err))
	}
	return i, nil
}

// close gives the instance's memory back.
func (i *instance) close() { i.module.Close(context.WithoutCancel(i.ctx)) } //nolint:errcheck // nothing is left to do

// reason replaces what the runtime says when the context has ended, or the memory.
func (i *instance) reason(err error) error {
	switch {
	case i.ctx.Err() != nil:
		return context.Cause(i.ctx)
	case i.memory.refused:
		return errMemory
	}
	return err
}

// call calls a function of the library that returns one value.
func (i *instance) call(name string, args ...uint64) (uint32, error) {
	out, err := i.module.ExportedFunction(name).Call(i.ctx, args...)
	if err != nil {
		return 0, i.reason(err)
	}
	return uint32(out[0]), nil //nolint:gosec // addresses and counts have 32 bits there
}

// alloc reserves bytes in the instance's memory.
func (i *instance) alloc(size int) (uint32, error) {
	at, err := i.call("malloc", uint64(size)) //nolint:gosec // not negative
	if err == nil && at == 0 {
		err = errMemory
	}
	return at, err
}

// put copies data into the instance's memory.
func (i *instance) put(data []byte) (uint32, error) {
	at, err := i.alloc(len(data))
	if err != nil {
		return 0, err
	}
	if !i.module.Memory().Write(at, data) {
		return 0, errMemory
	}
	return at, nil
}

// word reads a number of 32 bits.
func (i *instance) word(at uint32) int {
	v, _ := i.module.Memory().ReadUint32Le(at)
	return int(v)
}

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
