package weights

import (
	"context"
	"fmt"
	"io"

	"comfygo/engine/dtype"
	"comfygo/engine/safetensors"
)

// Saved is a tensor of a file to be written.
type Saved struct {
	Name  string
	Entry Entry
	// DType is the type that the elements are rounded to; Invalid keeps that of the entry.
	DType dtype.DType
}

// Save writes a file of safetensors to w, a piece at a time. Stored tensors whose type is kept are written as their bytes;
// others are computed and rounded to the nearest value.
func Save(ctx context.Context, w io.Writer, metadata map[string]string, tensors []Saved) error {
	specs := make([]safetensors.Spec, len(tensors))
	for i, t := range tensors {
		specs[i] = safetensors.Spec{Name: t.Name, DType: t.dtype(), Shape: t.Entry.Shape}
	}
	head, _, err := safetensors.EncodeHeader(metadata, specs)
	if err != nil {
		return fmt.Errorf("writing tensors: %w", err)
	}
	if _, err := w.Write(head); err != nil {
		return fmt.Errorf("writing tensors: %w", err)
	}
	for _, t := range tensors {
		if err := t.write(ctx, w); err != nil {
			return fmt.Errorf("writing tensor %q of %s: %w", t.Entry.Name, t.Entry.File, err)
		}
		t.Entry.Release()
	}
	return nil
}

func (t Saved) dtype() dtype.DType {
	if t.DType != dtype.Invalid {
		return t.DType
	}
	return t.Entry.DType
}

func (t Saved) write(ctx context.Context, w io.Writer) error {
	const piece = 1 << 20 // elements, or bytes of those that are copied
	e, d := t.Entry, t.dtype()
	if !e.Computed() && e.Scheme == nil && d == e.DType {
		if err := e.check(); err != nil {
			return err
		}
		for from := 0; from < len(e.Data); from += piece {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			to := min(from+piece, len(e.Data))
			if err := e.Probe(from, to); err != nil { // w reads the mapped file
				return err
			}
			if _, err := w.Write(e.Data[from:to]); err != nil {
				return err
			}
		}
		return nil
	}
	n := e.Count()
	values, data := make([]float32, min(n, piece)), make([]byte, min(n, piece)*d.Size())
	for from := 0; from < n; from += piece {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		v := values[:min(piece, n-from)]
		if err := Range(v, e, from); err != nil {
			return err
		}
		b := data[:len(v)*d.Size()]
		if err := FromFloat32(b, v, d); err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}
