package hub_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/coder/websocket"

	"comfygo/internal/pyjson"
	"comfygo/server/hub"
)

type event struct {
	Type   string
	Data   map[string]any
	Number int64
}

// nextEvent reads one message; a binary one has the type "binary".
func nextEvent(t *testing.T, conn *websocket.Conn) event {
	t.Helper()
	kind, text := read(t, conn)
	if kind == websocket.MessageBinary {
		head := binary.BigEndian.Uint32([]byte(text))
		if head != 1<<31|hub.BinaryText || text[12:] != "abc" {
			t.Errorf("binary event %x %q", head, text)
		}
		return event{Type: "binary", Number: int64(binary.BigEndian.Uint64([]byte(text[4:])))}
	}
	var e event
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return e
}

func TestNumbersAndResuming(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{})
	conn := dial(t, addr, "a&events=numbered")
	greeting := nextEvent(t, conn)
	if greeting.Number == 0 || greeting.Data["sid"] != "a" {
		t.Fatalf("the greeting is %+v", greeting)
	}
	send := func(name string, to hub.Target) { h.Send(name, pyjson.NewObject("x", int64(1)), to) }
	send("one", hub.To("a"))
	send("other", hub.To("b"))
	send("two", hub.Everyone)
	h.SendBinary(hub.BinaryText, []byte("abc"), hub.To("a"))
	for i, want := range []event{{Type: "one", Number: 1}, {Type: "two", Number: 3}, {Type: "binary", Number: 4}} {
		if e := nextEvent(t, conn); e.Type != want.Type || e.Number != greeting.Number+want.Number {
			t.Errorf("event %d is %+v, want %+v above %d", i, e, want, greeting.Number)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	send("three", hub.To("a"))
	h.Send("progress", nil, hub.To("a")) // is worth nothing later
	again := dial(t, addr, fmt.Sprintf("a&events=numbered&since=%d", greeting.Number+3))
	for i, want := range []string{"status", "binary", "three"} {
		if e := nextEvent(t, again); e.Type != want {
			t.Errorf("event %d after coming back is %+v, want %s", i, e, want)
		}
	}
	send("four", hub.To("a"))
	if e := nextEvent(t, again); e.Type != "four" || e.Number != greeting.Number+7 {
		t.Errorf("the next event is %+v", e)
	}
	for name, since := range map[string]int64{"long ago": 5, "from another run": greeting.Number + 1000} {
		c := dial(t, addr, fmt.Sprintf("c&events=numbered&since=%d", since))
		nextEvent(t, c)
		if e := nextEvent(t, c); e.Type != "events_lost" || e.Data["since"] != float64(since) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	h, addr := start(t, hub.Config{})
	conn := dial(t, addr, "a&events=numbered")
	begin := nextEvent(t, conn).Number
	if err := conn.CloseNow(); err != nil {
		t.Fatal(err)
	}
	const sent, kept = 12000, 10000
	for range sent {
		h.Send("x", nil, hub.To("a"))
	}
	again := dial(t, addr, fmt.Sprintf("a&events=numbered&since=%d", begin))
	nextEvent(t, again)
	if e := nextEvent(t, again); e.Type != "events_lost" || int64(e.Data["first"].(float64)) != begin+sent-kept+1 {
		t.Errorf("have %+v, want events_lost", e)
	}
	for i := range int64(kept) {
		if e := nextEvent(t, again); e.Number != begin+sent-kept+1+i {
			t.Fatalf("event %d has the number %d above the first", i, e.Number-begin)
		}
	}
}
