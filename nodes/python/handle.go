package python

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"comfygo/engine"
	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/internal/pyhost"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// Handle represents a value that Python holds. When the last reference is gone, Python is notified.
type Handle struct {
	session *pyhost.Session
	id      int64
	// Type is the value's class in Python, Kind its type here ("tensor", "latent", …), or "object" if it exists there only.
	Type, Kind string
	bytes      int64
}

// kindObject is the kind of values that exist in Python only.
const kindObject = "object"

var _ nodes.Foreign = (*Handle)(nil)

type held struct {
	session *pyhost.Session
	id      int64
}

func newHandle(s *pyhost.Session, o *pyjson.Object) *Handle {
	h := &Handle{session: s, id: integer(o, "id"), Type: o.String("type"), Kind: o.String("kind"), bytes: integer(o, "bytes")}
	runtime.AddCleanup(h, func(v held) { v.session.Drop(v.id) }, held{s, h.id})
	return h
}

func integer(o *pyjson.Object, key string) int64 {
	v, _ := o.Get(key)
	n, _ := v.(int64)
	return n
}

// Live implements nodes.Foreign.
func (h *Handle) Live() bool { return h.session.Live() }

// MemoryBytes is the memory that the value takes in Python.
func (h *Handle) MemoryBytes() int64 { return h.bytes }

// String shows the value in messages about errors.
func (h *Handle) String() string { return fmt.Sprintf("<%s in Python>", h.Type) }

// Native implements nodes.Foreign: tensors become *tensor.Tensor, dictionaries with samples engine.Latent, lists of pairs of
// a tensor and a dictionary engine.Conditioning, dictionaries with a waveform *media.Audio,
// objects of ComfyUI's classes of meshes, voxels and splats pyjson.Instance.
func (h *Handle) Native(ctx context.Context) (any, error) {
	if h.Kind == kindObject {
		return nil, &only{fmt.Errorf("a value of type %s: %w", h.Type, nodes.ErrForeignOnly)}
	}
	answer, err := h.session.Call(ctx, "export", pyjson.NewObject("handle", h.id))
	runtime.KeepAlive(h)
	if err != nil {
		var f *pyhost.Failure
		if errors.As(err, &f) && f.Foreign {
			return nil, &only{fmt.Errorf("%s: %w", f.Message, nodes.ErrForeignOnly)}
		}
		return nil, fmt.Errorf("taking a value of type %s from Python: %w", h.Type, err)
	}
	v, _ := answer.Get("value")
	local, err := imported(h.session, v)
	if err != nil {
		return nil, fmt.Errorf("taking a value of type %s from Python: %w", h.Type, err)
	}
	return shaped(local)
}

// only is the error of a value that exists in Python only; clients see upstream's kind of error for a wrong type.
type only struct{ error }

func (o *only) Unwrap() error         { return o.error }
func (o *only) ExceptionType() string { return "TypeError" }

// imported reads an exported value; objects and lists keep their form.
func imported(s shared, v any) (any, error) {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			var err error
			if out[i], err = imported(s, e); err != nil {
				return nil, err
			}
		}
		return out, nil
	case *pyjson.Object:
		switch v.String(mark) {
		case "tensor":
			return readTensor(s, v)
		case "instance":
			attributes, err := imported(s, v.Object("attributes"))
			o, _ := attributes.(*pyjson.Object)
			return pyjson.Instance{Class: v.String("class"), Attributes: o}, err
		}
		out := pyjson.NewObject()
		for k, e := range v.All() {
			local, err := imported(s, e)
			if err != nil {
				return nil, err
			}
			out.Set(k, local)
		}
		return out, nil
	}
	return v, nil
}

// readTensor reads a tensor from its shared file, which it removes.
func readTensor(s shared, form *pyjson.Object) (*tensor.Tensor, error) {
	f, err := s.Open(form.String("file"))
	if err != nil {
		return nil, fmt.Errorf("reading a tensor: %w", err)
	}
	defer func() {
		_ = f.Close()           // it was read only, and Windows removes no file that is open
		_ = os.Remove(f.Name()) // Python has given it away
	}()
	shape, err := shapeOf(form)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading a tensor: %w", err)
	}
	if want := int64(tensor.Count(shape)) * 4; info.Size() != want {
		return nil, fmt.Errorf("reading a tensor of shape %v: the file has %d bytes, not %d", shape, info.Size(), want)
	}
	t := tensor.New(shape...)
	t.Type = form.String("dtype")
	if _, err := readFull(f, bytesOf(t.Data)); err != nil {
		return nil, fmt.Errorf("reading a tensor: %w", err)
	}
	return t, nil
}

func shapeOf(form *pyjson.Object) ([]int, error) {
	v, _ := form.Get("shape")
	list, _ := v.([]any)
	shape, count := make([]int, len(list)), int64(1)
	for i, e := range list {
		n, ok := e.(int64)
		if !ok || n < 0 || n > 1<<40 || n > 0 && count > 1<<40/n {
			return nil, fmt.Errorf("reading a tensor: %v is no shape", list)
		}
		shape[i] = int(n)
		count *= n
	}
	return shape, nil
}

// bytesOf views floats as the bytes of shared files, which are those of the machine.
func bytesOf(data []float32) []byte {
	if len(data) == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), 4*len(data))
}

// shaped makes of an imported value what links of this program carry.
func shaped(v any) (any, error) {
	switch v := v.(type) {
	case *pyjson.Object:
		if samples, ok := tensorIn(v, "samples"); ok {
			return latentOf(v, samples)
		}
		if wave, ok := tensorIn(v, "waveform"); ok {
			return &media.Audio{Waveform: wave, SampleRate: int(integer(v, "sample_rate"))}, nil
		}
	case []any:
		if c, ok := conditioningOf(v); ok {
			return c, nil
		}
		return v, nil
	}
	return v, nil
}

func tensorIn(o *pyjson.Object, key string) (*tensor.Tensor, bool) {
	v, _ := o.Get(key)
	t, ok := v.(*tensor.Tensor)
	return t, ok
}

func latentOf(o *pyjson.Object, samples *tensor.Tensor) (any, error) {
	l := engine.Latent{Samples: samples, Type: o.String("type"), DownscaleRatio: int(integer(o, "downscale_ratio_spacial"))}
	l.TemporalRatio = int(integer(o, "downscale_ratio_temporal"))
	for key := range o.All() {
		switch key {
		case "samples", "type", "downscale_ratio_spacial", "downscale_ratio_temporal":
		case "noise_mask":
			l.NoiseMask, _ = tensorIn(o, key)
		case "batch_index":
			v, _ := o.Get(key)
			list, _ := v.([]any)
			for _, e := range list {
				n, ok := e.(int64)
				if !ok {
					return nil, fmt.Errorf("a latent's batch_index has %v", e)
				}
				l.BatchIndex = append(l.BatchIndex, int(n))
			}
		default:
			// A key that comfygo's latents do not have would be lost: the node that takes it runs in Python.
			return nil, &only{fmt.Errorf("a latent with %s: %w", key, nodes.ErrForeignOnly)}
		}
	}
	return l, nil
}

// conditioningOf reads a list of pairs of a tensor and a dictionary.
func conditioningOf(list []any) (engine.Conditioning, bool) {
	out := make(engine.Conditioning, 0, len(list))
	for _, e := range list {
		pair, ok := e.([]any)
		if !ok || len(pair) != 2 {
			return nil, false
		}
		tokens, ok := pair[0].(*tensor.Tensor)
		values, ok2 := pair[1].(*pyjson.Object)
		if !ok || !ok2 {
			return nil, false
		}
		c := engine.Cond{Tokens: tokens, Values: map[string]any{}}
		for k, v := range values.All() {
			if k == "pooled_output" {
				c.Pooled, _ = v.(*tensor.Tensor)
				continue
			}
			c.Values[k] = v
		}
		out = append(out, c)
	}
	return out, len(out) > 0
}
