package hub_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"comfygo/internal/pyjson"
	"comfygo/server/hub"
)

// restart ends a hub and serves another one with the same journal; a hub that is killed writes nothing at its end.
func restart(t *testing.T, h *hub.Hub, path string, killed bool) (*hub.Hub, string) {
	t.Helper()
	kept, err := os.ReadFile(path)
	if err != nil && killed {
		t.Fatal(err)
	}
	h.Close()
	if killed {
		if err := os.WriteFile(path, kept, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return start(t, hub.Config{Journal: path})
}

func TestEventsOutliveTheProgram(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.log")
	h, addr := start(t, hub.Config{Journal: path})
	conn := dial(t, addr, "a&events=numbered")
	seen := nextEvent(t, conn).Number
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatal(err)
	}
	h.Send("one", pyjson.NewObject("x", "ä"), hub.To("a"))
	h.Send("other", pyjson.NewObject(), hub.To("b"))
	h.Send("anothers", pyjson.NewObject(), hub.To("a").Of("somebody"))
	h.SendBinary(hub.BinaryText, []byte("abc"), hub.Everyone)

	h, addr = restart(t, h, path, false)
	h.Send("two", pyjson.NewObject(), hub.To("a"))
	conn = dial(t, addr, "a&events=numbered&since="+strconv.FormatInt(seen, 10))
	types, last := []string{}, seen
	for range 4 {
		e := nextEvent(t, conn)
		if types = append(types, e.Type); e.Type != "status" {
			if e.Number <= last {
				t.Errorf("%s has the number %d after %d", e.Type, e.Number, last)
			}
			last = e.Number
		}
	}
	if got := strings.Join(types, " "); got != "status one binary two" {
		t.Errorf("after the restart: %s", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}

	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), `"two"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the event is not in the file: %v", err)
		}
	}
	if err := conn.CloseNow(); err != nil {
		t.Fatal(err)
	}
	h, addr = restart(t, h, path, true)
	conn = dial(t, addr, "a&events=numbered&since="+strconv.FormatInt(last, 10))
	if first, second := nextEvent(t, conn), nextEvent(t, conn); first.Type != "status" || second.Type != "events_lost" {
		t.Errorf("after a kill: %s, %s", first.Type, second.Type)
	}
	h.Send("three", pyjson.NewObject(), hub.To("a"))
	if e := nextEvent(t, conn); e.Type != "three" || e.Number <= last {
		t.Errorf("after a kill: %+v, and %d before", e, last)
	}
}

// TestBrokenJournal gives a hub files that are cut off or changed: it takes what is whole, and works.
func TestBrokenJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.log")
	h, _ := start(t, hub.Config{Journal: path})
	for range 3 {
		h.Send("kept", pyjson.NewObject(), hub.Everyone)
	}
	h.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for cut := range whole {
		for _, data := range [][]byte{whole[:cut], append(append([]byte{}, whole[:cut]...), append([]byte{whole[cut] ^ 0x55}, whole[cut+1:]...)...)} {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			again := hub.New(hub.Config{Journal: path})
			again.Send("more", pyjson.NewObject(), hub.Everyone)
			again.Close()
		}
	}
}

// TestJournalIsBounded writes far more than the files may hold.
func TestJournalIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := hub.New(hub.Config{Journal: filepath.Join(dir, "events.log")})
	text := pyjson.NewObject("text", strings.Repeat("x", 1<<20))
	for range 40 {
		h.Send("large", text, hub.Everyone)
	}
	h.Close()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > 2 {
		t.Fatalf("%v, %v", files, err)
	}
	var sum int64
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		sum += info.Size()
	}
	if sum > 2*hub.JournalSize {
		t.Errorf("the files hold %d bytes", sum)
	}
}
