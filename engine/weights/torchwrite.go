package weights

import (
	"archive/zip"
	"encoding/binary"
	"io"
	"math"
	"strconv"

	"comfygo/engine/tensor"
	"comfygo/engine/weights/pickle"
)

// WriteTorch writes a value as torch.save does, for torch.load with weights_only: what pickle.Dump takes, and *tensor.Tensor for float32
// tensors, which share their storage where they are the same.
func WriteTorch(w io.Writer, value any) error {
	t := &torchWriter{keys: map[*tensor.Tensor]string{}}
	v, err := t.value(value)
	if err != nil {
		return err
	}
	data, err := pickle.Dump(v)
	if err != nil {
		return err
	}
	z := zip.NewWriter(w)
	for _, part := range []struct {
		name string
		data []byte
	}{{"data.pkl", data}, {".format_version", []byte("1")}, {"byteorder", []byte("little")}} {
		if err := writePart(z, part.name, part.data); err != nil {
			return err
		}
	}
	for i, tensor := range t.tensors {
		if err := writeStorage(z, "data/"+strconv.Itoa(i), tensor.Data); err != nil {
			return err
		}
	}
	if err := writePart(z, "version", []byte("3\n")); err != nil {
		return err
	}
	return z.Close()
}

// torchWriter numbers the storages of tensors.
type torchWriter struct {
	keys    map[*tensor.Tensor]string
	tensors []*tensor.Tensor
}

// value replaces tensors by the calls that make them.
func (t *torchWriter) value(v any) (any, error) {
	switch v := v.(type) {
	case *tensor.Tensor:
		return t.tensor(v), nil
	case []any:
		return t.items(v)
	case pickle.Tuple:
		items, err := t.items(v)
		return pickle.Tuple(items), err
	case *pickle.Dict:
		out := &pickle.Dict{}
		for i, key := range v.Keys {
			e, err := t.value(v.Values[i])
			if err != nil {
				return nil, err
			}
			out.Set(key, e)
		}
		return out, nil
	}
	return v, nil
}

func (t *torchWriter) items(list []any) ([]any, error) {
	out := make([]any, len(list))
	for i, e := range list {
		var err error
		if out[i], err = t.value(e); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t *torchWriter) tensor(v *tensor.Tensor) any {
	key, ok := t.keys[v]
	if !ok {
		key = strconv.Itoa(len(t.tensors))
		t.keys[v] = key
		t.tensors = append(t.tensors, v)
	}
	shape, stride := make(pickle.Tuple, len(v.Shape)), make(pickle.Tuple, len(v.Shape))
	step := 1
	for i := len(v.Shape) - 1; i >= 0; i-- {
		shape[i], stride[i] = int64(v.Shape[i]), int64(step)
		step *= max(v.Shape[i], 1)
	}
	storage := &pickle.Reference{ID: pickle.Tuple{"storage", &pickle.Global{Module: "torch", Name: "FloatStorage"}, key, "cpu", int64(len(v.Data))}}
	hooks := &pickle.Reduced{Function: &pickle.Global{Module: "collections", Name: "OrderedDict"}}
	return &pickle.Reduced{
		Function: &pickle.Global{Module: "torch._utils", Name: "_rebuild_tensor_v2"},
		Args:     pickle.Tuple{storage, int64(0), shape, stride, false, hooks},
	}
}

// part adds a member that is stored without compression, as torch wants it.
func part(z *zip.Writer, name string) (io.Writer, error) {
	return z.CreateHeader(&zip.FileHeader{Name: "archive/" + name, Method: zip.Store})
}

func writePart(z *zip.Writer, name string, data []byte) error {
	w, err := part(z, name)
	if err == nil {
		_, err = w.Write(data)
	}
	return err
}

func writeStorage(z *zip.Writer, name string, values []float32) error {
	w, err := part(z, name)
	if err != nil {
		return err
	}
	const chunk = 1 << 14
	buffer := make([]byte, 0, 4*chunk)
	for len(values) > 0 {
		n := min(len(values), chunk)
		buffer = buffer[:0]
		for _, v := range values[:n] {
			buffer = binary.LittleEndian.AppendUint32(buffer, math.Float32bits(v))
		}
		if _, err := w.Write(buffer); err != nil {
			return err
		}
		values = values[n:]
	}
	return nil
}
