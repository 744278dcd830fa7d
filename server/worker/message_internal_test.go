package worker

import (
	"log/slog"
	"testing"

	"comfygo/executor"
)

// TestPreviewsAcrossProcesses: a server shows what a worker made, the image to old clients and its animation to those that are told the format.
func TestPreviewsAcrossProcesses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		animation string
		png       bool
		mime      string
	}{{"", false, "image/jpeg"}, {"", true, "image/png"}, {"moving", false, "image/webp"}, {"moving", true, "image/webp"}} {
		var sent []byte
		w := writer{tell: func(data []byte, _ bool) { sent = data }, log: slog.New(slog.DiscardHandler)}
		var animation []byte
		if c.animation != "" {
			animation = []byte(c.animation)
		}
		w.send(executor.Event{Type: executor.EventPreview, Preview: executor.EncodedPreview([]byte("still"), c.png, animation)})
		m, err := decodeMessage(sent, nil)
		if err != nil {
			t.Fatal(err)
		}
		still, err := m.event.Preview.Bytes()
		if err != nil || string(still) != "still" || (m.event.Preview.TypeNumber() == 2) != c.png {
			t.Errorf("%+v: the image is %q, %v", c, still, err)
		}
		mime, shown, err := m.event.Preview.Described()
		if want := c.animation; err != nil || mime != c.mime || string(shown) != want && (want != "" || string(shown) != "still") {
			t.Errorf("%+v: shown is %s %q, %v", c, mime, shown, err)
		}
		if _, err := decodeMessage(sent[:len(sent)-1-len(c.animation)-len("still")], nil); c.animation != "" && err == nil {
			t.Errorf("%+v: a message without its image was read", c)
		}
	}
}
