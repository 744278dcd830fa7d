package hub

import "comfygo/internal/pyjson"

// The numbers of binary events.
const (
	BinaryPreview         = 1 // image type (1 JPEG, 2 PNG), image
	BinaryText            = 3 // length of the node id, node id, text
	BinaryPreviewMetadata = 4 // length of the metadata, metadata as JSON, image
)

// frame is one message as it goes over the wire; clients share its bytes.
type frame struct {
	data      []byte
	binary    bool
	droppable bool // a newer one of its kind makes it worthless
	kind      string
	number    int64
}

func jsonFrame(event string, data any) frame {
	text, err := pyjson.Marshal(pyjson.NewObject("type", event, "data", data))
	if err != nil {
		// Events are made of plain values; should one not be, its client still learns that it happened.
		text, _ = pyjson.Marshal(pyjson.NewObject("type", event, "data", pyjson.NewObject("error", err.Error())))
	}
	return frame{data: text, droppable: passing(event), kind: event}
}

// passing reports whether a newer event of the kind makes one worthless.
func passing(event string) bool { return event == "progress" || event == "progress_state" }
