package worker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"comfygo/executor"
	"comfygo/internal/pyjson"
)

// Kinds of messages besides events of the executor.
const (
	kindPack       = "pack"        // a JSON message of a node pack
	kindPackBinary = "pack_binary" // a binary one
)

// head is the first part of a message from a worker to the servers; behind it lie the event's data as JSON and the preview or another blob.
type head struct {
	Kind      string              `json:"kind,omitempty"`
	Type      string              `json:"type,omitempty"`
	Client    string              `json:"client,omitempty"`
	Broadcast bool                `json:"all,omitempty"`
	Node      *executor.NodeState `json:"node,omitempty"`
	// Data is the number of bytes of JSON that follow.
	Data int `json:"data,omitempty"`
	// PNG: the preview is a PNG, else a JPEG. Again: it is the preview of the event before, and not here. The last Animation bytes of the
	// blob are its animation.
	PNG       bool `json:"png,omitempty"`
	Animation int  `json:"animation,omitempty"`
	Again     int  `json:"again,omitempty"`
	Image     int  `json:"image,omitempty"`
	Number    int  `json:"number,omitempty"`
}

// message is a worker's report about a job.
type message struct {
	head  head
	event executor.Event
	blob  []byte
}

func (m message) pack() bool { return m.head.Kind != "" }

// writer writes the events of one job.
type writer struct {
	tell func(data []byte, droppable bool)
	log  *slog.Logger
	// last is the preview that was sent last, count how many were.
	last  *executor.Preview
	count int
}

// send writes an event.
func (w *writer) send(e executor.Event) {
	h := head{Type: e.Type, Client: e.Client, Broadcast: e.Broadcast}
	if e.Node.ID != "" {
		h.Node = &e.Node
	}
	var image []byte
	if e.Preview != nil {
		h.PNG = e.Preview.TypeNumber() == 2
		if e.Preview == w.last {
			h.Again = w.count
		} else {
			var err error
			if image, err = e.Preview.Bytes(); err != nil {
				w.log.Warn("sending a preview", "error", err)
				return
			}
			w.count++
			w.last, h.Image = e.Preview, w.count
			if a := e.Preview.Animation(); a != nil {
				h.Animation, image = len(a), slices.Concat(image, a)
			}
		}
	}
	w.pack(e, h, image)
}

// pack writes a message.
func (w *writer) pack(e executor.Event, h head, blob []byte) {
	h.Type, h.Client = e.Type, e.Client
	var data []byte
	if e.Data != nil {
		var err error
		if data, err = pyjson.Marshal(e.Data); err != nil {
			w.log.Warn("sending an event", "type", e.Type, "error", err)
			return
		}
	}
	h.Data = len(data)
	text, err := json.Marshal(h)
	if err != nil {
		w.log.Warn("sending an event", "type", e.Type, "error", err)
		return
	}
	b := binary.AppendUvarint(make([]byte, 0, len(text)+len(data)+len(blob)+4), uint64(len(text)))
	b = append(append(append(b, text...), data...), blob...)
	w.tell(b, e.Type == "progress" || e.Type == "progress_state" || e.Preview != nil)
}

var errCut = errors.New("reading a message of a worker: it is cut off")

// decodeMessage reads a message. shown is the job's last preview, which a message may mean.
func decodeMessage(b []byte, shown *executor.Preview) (message, error) {
	n, width := binary.Uvarint(b)
	if width <= 0 || n > uint64(len(b)-width) {
		return message{}, errCut
	}
	var m message
	end := width + int(n) //nolint:gosec // not above len(b)
	if err := json.Unmarshal(b[width:end], &m.head); err != nil {
		return message{}, fmt.Errorf("reading a message of a worker: %w", err)
	}
	h := &m.head
	if h.Data < 0 || h.Data > len(b)-end {
		return message{}, errCut
	}
	m.event = executor.Event{Type: h.Type, Client: h.Client, Broadcast: h.Broadcast}
	if h.Node != nil {
		m.event.Node = *h.Node
	}
	if h.Data > 0 {
		data, err := pyjson.UnmarshalObject(b[end : end+h.Data])
		if err != nil {
			return message{}, fmt.Errorf("reading a message of a worker: %w", err)
		}
		m.event.Data = data
	}
	m.blob = b[end+h.Data:]
	switch {
	case h.Image > 0:
		still := len(m.blob) - h.Animation
		if h.Animation < 0 || still < 0 {
			return message{}, errCut
		}
		blob := slices.Clone(m.blob)
		var animation []byte
		if h.Animation > 0 {
			animation = blob[still:]
		}
		m.event.Preview = executor.EncodedPreview(blob[:still], h.PNG, animation)
	case h.Again > 0:
		m.event.Preview = shown
	}
	return m, nil
}
