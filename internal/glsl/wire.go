package glsl

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
)

// reply is the worker's answer to a job and to each frame.
type reply struct {
	Error    string `json:",omitempty"`
	Renderer string `json:",omitempty"`
}

// Numbers are values of a job, stored by their bits: JSON has no infinities and no NaN, which shaders may get.
type Numbers []float32

// MarshalJSON implements json.Marshaler.
func (n Numbers) MarshalJSON() ([]byte, error) {
	bits := make([]uint32, len(n))
	for i, v := range n {
		bits[i] = math.Float32bits(v)
	}
	return json.Marshal(bits)
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Numbers) UnmarshalJSON(data []byte) error {
	var bits []uint32
	if err := json.Unmarshal(data, &bits); err != nil {
		return err
	}
	*n = make(Numbers, len(bits))
	for i, b := range bits {
		(*n)[i] = math.Float32frombits(b)
	}
	return nil
}

// errUnsent is an error of a message that was not written at all.
var errUnsent = errors.New("the message was not sent")

// maxMessage bounds a message: a job's source, tables and numbers.
const maxMessage = 4 << 20

// writeMessage writes a value as JSON behind its length.
func writeMessage(w io.Writer, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnsent, err)
	}
	if len(data) > maxMessage {
		return fmt.Errorf("%w: it has %d bytes, at most %d fit", errUnsent, len(data), maxMessage)
	}
	_, err = w.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}

func readMessage(r io.Reader, v any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.LittleEndian.Uint32(size[:])
	if n > maxMessage {
		return errors.New("a message is too long")
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return err
	}
	return json.Unmarshal(data, v)
}

// chunk is the number of values that are converted at once.
const chunk = 1 << 14

func writeFloats(w io.Writer, values []float32) error {
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

func readFloats(r io.Reader, to []float32) error {
	buffer := make([]byte, 4*chunk)
	for len(to) > 0 {
		n := min(len(to), chunk)
		if _, err := io.ReadFull(r, buffer[:4*n]); err != nil {
			return err
		}
		for i := range n {
			to[i] = math.Float32frombits(binary.LittleEndian.Uint32(buffer[4*i:]))
		}
		to = to[n:]
	}
	return nil
}

func writeImage(w io.Writer, i Image) error {
	head := binary.LittleEndian.AppendUint32(nil, uint32(i.Width))
	head = binary.LittleEndian.AppendUint32(head, uint32(i.Height))
	head = binary.LittleEndian.AppendUint32(head, uint32(i.Channels))
	if _, err := w.Write(head); err != nil {
		return err
	}
	return writeFloats(w, i.Data)
}

func readImage(r io.Reader) (i Image, err error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return i, err
	}
	i = Image{int(binary.LittleEndian.Uint32(head[:])), int(binary.LittleEndian.Uint32(head[4:])), int(binary.LittleEndian.Uint32(head[8:])), nil}
	if err := i.check(); err != nil {
		return i, err
	}
	i.Data = make([]float32, i.Width*i.Height*i.Channels)
	return i, readFloats(r, i.Data)
}

func (i Image) check() error {
	if i.Width < 1 || i.Height < 1 || i.Width > maxSide || i.Height > maxSide || i.Channels != 3 && i.Channels != 4 {
		return fmt.Errorf("an image of %dx%d with %d channels; want 3 or 4 channels and at most %d pixels a side", i.Width, i.Height, i.Channels, maxSide)
	}
	return nil
}
