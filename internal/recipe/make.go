package recipe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"comfygo/engine/safetensors"
	"comfygo/engine/tensor"
)

// chunk is the number of elements that one worker makes at a time.
const chunk = 1 << 18

// job is one chunk on its way from a worker to the file.
type job struct {
	t        *Tensor
	from, n  int
	finished chan []byte
}

// Make writes the checkpoint of m below dir, at m.File(), and returns its path. It uses all CPUs and a few
// megabytes of memory. The file appears under its name only after its SHA-256 was found right.
func (m *Manifest) Make(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, filepath.FromSlash(m.File()))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("making checkpoint %s: %w", m.Name, err)
	}
	w, err := safetensors.Create(path, m.Metadata, m.specs())
	if err != nil {
		return "", fmt.Errorf("making checkpoint %s: %w", m.Name, err)
	}
	defer w.Abort() // without effect after Commit
	sum, err := m.stream(ctx, w)
	if err != nil {
		return "", fmt.Errorf("making checkpoint %s: %w", m.Name, err)
	}
	if m.SHA256 != "" && sum != m.SHA256 {
		return "", fmt.Errorf("making checkpoint %s: sha256 is %s, the manifest says %s", m.Name, sum, m.SHA256)
	}
	if err := w.Commit(); err != nil {
		return "", fmt.Errorf("making checkpoint %s: %w", m.Name, err)
	}
	return path, nil
}

// Sum returns the SHA-256 of the checkpoint in hexadecimal without writing it anywhere.
func (m *Manifest) Sum(ctx context.Context) (string, error) { return m.stream(ctx, io.Discard) }

// skipper is a file that leaves bytes unwritten, which then read as zeros and take no space on most disks.
type skipper interface{ Skip(n int64) error }

// zeros is hashed in place of tensors that are not written.
var zeros [1 << 16]byte

// skip leaves n zero bytes out of w, if it can, and adds them to the hash.
func skip(w, hash io.Writer, n int64) error {
	if s, ok := w.(skipper); ok {
		if err := s.Skip(n); err != nil {
			return err
		}
		w = io.Discard
	}
	for n > 0 {
		part := zeros[:min(n, int64(len(zeros)))]
		_, _ = hash.Write(part) // a hash never fails
		if _, err := w.Write(part); err != nil {
			return err
		}
		n -= int64(len(part))
	}
	return nil
}

// stream sends the tensor data to w and returns the SHA-256 of header and data. Tensors of zeros are holes in the file.
func (m *Manifest) stream(ctx context.Context, w io.Writer) (string, error) {
	head, _, err := safetensors.EncodeHeader(m.Metadata, m.specs())
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	hash.Write(head)
	ctx, cancel := context.WithCancel(ctx)
	workers := runtime.GOMAXPROCS(0)
	unfilled := make(chan job)
	order := make(chan job, 2*workers) // bounds how far the workers run ahead of the file
	var wg sync.WaitGroup
	wg.Go(func() { m.plan(ctx, unfilled, order) })
	for range workers {
		wg.Go(func() {
			for j := range unfilled {
				b := make([]byte, j.n*j.t.DType.Size())
				j.t.fill(b, m.Salt, j.from)
				j.finished <- b
			}
		})
	}
	defer wg.Wait()
	defer cancel()
	for j := range order {
		if j.t.hole() {
			if err := skip(w, hash, int64(j.n*j.t.DType.Size())); err != nil {
				return "", err
			}
			continue
		}
		b := <-j.finished
		hash.Write(b)
		if _, err := w.Write(b); err != nil {
			return "", err
		}
	}
	if err := ctx.Err(); err != nil {
		return "", context.Cause(ctx)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// plan cuts the tensors into jobs; each is given to the workers first and then queued for writing, so that whatever
// stands in order will be finished.
func (m *Manifest) plan(ctx context.Context, unfilled, order chan<- job) {
	defer close(unfilled)
	defer close(order)
	for i := range m.Tensors {
		t := &m.Tensors[i]
		n, size, workers := tensor.Count(t.Shape), chunk, unfilled
		if t.hole() { // a nil channel is never ready: no worker makes it
			size, workers = max(n, 1), nil
		}
		for from := 0; from < n; from += size {
			j := job{t, from, min(size, n-from), make(chan []byte, 1)}
			if workers != nil {
				select {
				case workers <- j:
				case <-ctx.Done():
					return
				}
			}
			select {
			case order <- j:
			case <-ctx.Done():
				return
			}
		}
	}
}
