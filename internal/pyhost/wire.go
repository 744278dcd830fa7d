package pyhost

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"comfygo/internal/pyjson"
)

// Protocol is the version of the messages; both sides must have the same.
const Protocol = 1

// longest bounds one message in bytes. Tensors go through shared files.
const longest = 1 << 28

// wire sends and receives whole messages: four bytes of length, big-endian, then JSON.
type wire struct {
	mu   sync.Mutex
	conn net.Conn
}

// sendTimeout is how long the process may leave a message unread; one that reads nothing hangs as a whole.
const sendTimeout = 30 * time.Second

func (w *wire) send(m *pyjson.Object) error {
	data, err := pyjson.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing a message to the Python host: %w", err)
	}
	if len(data) > longest {
		return fmt.Errorf("writing a message to the Python host: %d bytes are over the limit of %d", len(data), longest)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.conn.SetWriteDeadline(time.Now().Add(sendTimeout)); err != nil {
		return fmt.Errorf("writing a message to the Python host: %w", err)
	}
	if _, err := w.conn.Write(binary.BigEndian.AppendUint32(nil, uint32(len(data)))); err != nil {
		return fmt.Errorf("writing a message to the Python host: %w", err)
	}
	if _, err := w.conn.Write(data); err != nil {
		return fmt.Errorf("writing a message to the Python host: %w", err)
	}
	return nil
}

// receive returns the next message. Memory grows with what has come, not with the length that the message claims.
func receive(r io.Reader) (*pyjson.Object, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > longest {
		return nil, fmt.Errorf("reading a message of the Python host: %d bytes are over the limit of %d", n, longest)
	}
	data, err := io.ReadAll(io.LimitReader(r, int64(n)))
	if err != nil {
		return nil, err
	}
	if len(data) < int(n) {
		return nil, io.ErrUnexpectedEOF
	}
	m, err := pyjson.UnmarshalObject(data)
	if err != nil {
		return nil, fmt.Errorf("reading a message of the Python host: %w", err)
	}
	return m, nil
}

// ErrGone is the cause of every call that the process did not answer because it has ended.
var ErrGone = errors.New("the Python process has ended")
