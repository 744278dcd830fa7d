// Package filemap gives the bytes of a file as one slice: memory-mapped where the system can, read into
// memory elsewhere.
//
// It does not interpret the bytes. Reading a mapped slice after another process truncated the file raises a fault; Guard
// turns such a fault into an error.
package filemap

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

// ErrFault is wrapped by the error that Guard returns when mapped memory could not be read: the file was
// truncated after it had been opened, its device failed, or the mapping was closed.
var ErrFault = errors.New("mapped file became unreadable (was it truncated or replaced while in use?)")

// File is an open mapping. Its methods may be called from several goroutines.
type File struct {
	path   string
	id     string
	data   []byte
	mapped bool
	once   sync.Once
	err    error
	drop   runtime.Cleanup // unmaps a file that no one closed
	notes  sync.Map        // see Note
}

// Open maps the regular file at path for reading. The file handle is not kept. A File that becomes unreachable without
// having been closed is unmapped by the garbage collector.
func Open(path string) (*File, error) {
	h, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, bare(err))
	}
	defer func() { _ = h.Close() }()
	st, err := h.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, bare(err))
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("opening %s: not a regular file", path)
	}
	f := &File{path: path, id: fmt.Sprintf("%s|%d|%d", path, st.Size(), st.ModTime().UnixNano())}
	if st.Size() == 0 {
		return f, nil
	}
	if int64(int(st.Size())) != st.Size() {
		return nil, fmt.Errorf("opening %s: %d bytes do not fit this machine's address space", path, st.Size())
	}
	f.data, f.mapped, err = load(h, int(st.Size()))
	if err != nil {
		return nil, fmt.Errorf("mapping %s: %w", path, err)
	}
	if f.mapped {
		f.drop = runtime.AddCleanup(f, func(data []byte) { _ = unload(data) }, f.data)
	}
	return f, nil
}

// bare strips the path that os errors repeat.
func bare(err error) error {
	var pe *os.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Path returns the path given to Open.
func (f *File) Path() string { return f.path }

// ID identifies the content: path, size and modification time at the moment of opening.
func (f *File) ID() string { return f.id }

// Bytes returns the content. It must not be written to, nor used after Close or when f is no longer reachable.
func (f *File) Bytes() []byte { return f.data }

// Mapped reports whether Bytes is backed by the file rather than by private memory.
func (f *File) Mapped() bool { return f.mapped }

// Release tells the system that the whole pages inside b, a part of Bytes, will not be needed soon, so that
// they stop counting as resident. They are read again from the file when touched. On files that were not
// mapped it does nothing.
func (f *File) Release(b []byte) {
	if f == nil || !f.mapped || len(b) == 0 {
		return
	}
	release(f.data, b)
}

// Note keeps a fact about the content for as long as the mapping lives. Facts are compared like map keys.
func (f *File) Note(fact any) { f.notes.Store(fact, struct{}{}) }

// Has reports whether a fact was noted.
func (f *File) Has(fact any) bool {
	_, ok := f.notes.Load(fact)
	return ok
}

// Close unmaps the file. Later calls return the first result.
func (f *File) Close() error {
	f.once.Do(func() {
		if f.mapped {
			f.drop.Stop()
			if err := unload(f.data); err != nil {
				f.err = fmt.Errorf("unmapping %s: %w", f.path, err)
			}
		}
	})
	return f.err
}

// Guard calls fn and turns a memory fault raised by reading a mapping into an error that wraps ErrFault.
// It covers the calling goroutine only: goroutines that fn starts need a Guard of their own. Other panics pass.
func Guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		// Only faults at an address carry Addr; nil dereferences and index errors are bugs and pass on.
		if fault, ok := r.(interface {
			runtime.Error
			Addr() uintptr
		}); ok {
			err = fmt.Errorf("%w (fault at %#x)", ErrFault, fault.Addr())
			return
		}
		panic(r)
	}()
	return fn()
}
