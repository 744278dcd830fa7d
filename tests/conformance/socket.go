package conformance

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"comfygo/internal/pyjson"
)

// listener is one client on the socket; it keeps every message.
type listener struct {
	conn   *websocket.Conn
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	messages []*pyjson.Object
	closed   bool
	changed  chan struct{}
}

// maxMessage bounds a message.
const maxMessage = 64 << 20

func (r *Run) dial(path string, headers *pyjson.Object) (*listener, int, error) {
	ctx, cancel := context.WithCancel(context.Background())
	header := http.Header{}
	for k, v := range headers.All() {
		header.Set(k, r.vars.text(pyjson.Str(v)))
	}
	dialCtx, stop := context.WithTimeout(ctx, callTimeout)
	defer stop()
	conn, res, err := websocket.Dial(dialCtx, "ws://"+r.host+path, &websocket.DialOptions{HTTPHeader: header, CompressionMode: websocket.CompressionDisabled})
	status := 0
	if res != nil {
		status = res.StatusCode
	}
	if err != nil {
		cancel()
		if status != 0 {
			return nil, status, nil
		}
		return nil, 0, fmt.Errorf("connecting: %w", err)
	}
	conn.SetReadLimit(maxMessage)
	l := &listener{conn: conn, cancel: cancel, changed: make(chan struct{})}
	l.done.Go(func() { l.read(ctx) })
	return l, status, nil
}

func (l *listener) read(ctx context.Context) {
	for {
		kind, data, err := l.conn.Read(ctx)
		l.mu.Lock()
		if err != nil {
			l.closed = true
		} else if kind == websocket.MessageBinary {
			l.messages = append(l.messages, pyjson.NewObject("binary", describeBinary(data)))
		} else if o, err := pyjson.UnmarshalObject(data); err == nil {
			l.messages = append(l.messages, o)
		} else {
			l.messages = append(l.messages, pyjson.NewObject("type", "no json", "data", string(data)))
		}
		close(l.changed)
		l.changed = make(chan struct{})
		l.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// until waits for a message from the given place on, and returns the place behind it.
func (l *listener) until(kind string, match *pyjson.Object, limit time.Duration, at int) (int, error) {
	end := time.After(limit)
	for {
		l.mu.Lock()
		for ; at < len(l.messages); at++ {
			if fitsMessage(l.messages[at], kind, match) {
				l.mu.Unlock()
				return at + 1, nil
			}
		}
		closed, changed := l.closed, l.changed
		l.mu.Unlock()
		if closed {
			return at, fmt.Errorf("the connection ended before %s %s came", kind, short(match))
		}
		select {
		case <-changed:
		case <-end:
			return at, fmt.Errorf("%s %s never came", kind, short(match))
		}
	}
}

func fitsMessage(m *pyjson.Object, kind string, match *pyjson.Object) bool {
	if m.Has("binary") {
		return kind == "binary"
	}
	if m.String("type") != kind {
		return false
	}
	data := m.Object("data")
	for k, v := range match.All() {
		if got, ok := data.Get(k); !ok || !sameOrEqual(v, got) {
			return false
		}
	}
	return true
}

func (l *listener) send(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	return l.conn.Write(ctx, websocket.MessageText, []byte(text))
}

// close ends the connection and returns what came over it.
func (l *listener) close() []*pyjson.Object {
	_ = l.conn.Close(websocket.StatusNormalClosure, "")
	l.cancel()
	l.done.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.messages
}

var binaryNames = map[uint32]string{1: "PREVIEW_IMAGE", 2: "UNENCODED_PREVIEW_IMAGE", 3: "TEXT", 4: "PREVIEW_IMAGE_WITH_METADATA"}

// describeBinary returns the recordings' description of a binary message.
func describeBinary(d []byte) *pyjson.Object {
	number := func(at int) uint32 {
		if len(d) < at+4 {
			return 0
		}
		return binary.BigEndian.Uint32(d[at:])
	}
	event, second := number(0), number(4)
	name, ok := binaryNames[event]
	if !ok {
		name = "?"
	}
	o := pyjson.NewObject("event", int64(event), "name", name)
	from := min(8, len(d))
	cut := min(from+int(second), len(d))
	switch event {
	case 1:
		o.Set("image_type", int64(second)).Set("image", describedImage(d[from:])).Set("image_bytes", int64(len(d)-from))
	case 3:
		o.Set("node_id_length", int64(second)).Set("node_id", string(d[from:cut])).Set("text", string(d[cut:]))
	case 4:
		metadata, err := pyjson.Unmarshal(d[from:cut])
		if err != nil {
			metadata = err.Error()
		}
		o.Set("metadata", metadata).Set("image", describedImage(d[cut:])).Set("image_bytes", int64(len(d)-cut))
	default:
		o.Set("length", int64(len(d)-4))
	}
	return o
}

func describedImage(d []byte) any {
	if o := describeImage(d); o != nil {
		return o
	}
	return nil
}
