package queue

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// readRecorded reads the entries of a log that a program recorded.
func readRecorded(t *testing.T, name string) (list []Record) {
	t.Helper()
	f, err := os.Open("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var row struct {
			Subject, Data string
			Time          time.Time
		}
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			t.Fatal(err)
		}
		data, err := base64.StdEncoding.DecodeString(row.Data)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, Record{Seq: int64(len(list) + 1), Time: row.Time, Data: data, ByWorker: strings.HasPrefix(row.Subject, "comfygo.log.w.")})
	}
	return list
}

// decodeRecord reads the entries of a record.
func decodeRecord(r Record) ([]*entry, error) {
	e, err := decodeEntry(r.Data)
	if err != nil {
		return nil, err
	}
	return e.allowed(r.ByWorker)
}

// machineOf applies recorded entries as a server does.
func machineOf(t *testing.T, m *machine, list []Record) *machine {
	t.Helper()
	for _, r := range list {
		entries, err := decodeRecord(r)
		if err != nil {
			t.Fatalf("entry %d: %v", r.Seq, err)
		}
		if len(entries) > 1 {
			m.shared[r.Seq] = len(entries)
		}
		for i, e := range entries {
			if out := m.apply(e, keyOf(r.Seq, i), r.Time, nil); out.verdict.err != nil {
				t.Fatalf("entry %d: %v", r.Seq, out.verdict.err)
			}
		}
	}
	return m
}

// TestRecordedProtocols replays what servers and workers of each version of the protocol have written: three jobs that succeed and one that is
// cancelled while it runs, and five that wait while the queue is paused, of which one was moved to the front, one got a higher priority and one was
// deleted; one worker has left and one drains. A server that starts from a state in between comes to the same.
func TestRecordedProtocols(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"protocol1.jsonl", "protocol2.jsonl", "protocol3.jsonl", "protocol4.jsonl"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list := readRecorded(t, name)
			m := machineOf(t, newMachine(), list)
			check := func(m *machine) {
				var waiting []float64
				var owners []string
				for _, j := range m.waiting.all() {
					waiting, owners = append(waiting, j.Number.Value), append(owners, j.Owner)
				}
				if want := []float64{6, 8, 4, 7}; !slices.Equal(waiting, want) || !slices.Equal(owners, []string{"ann", "ann", "ann", "bob"}) {
					t.Errorf("the waiting jobs are %v of %v, want %v", waiting, owners, want)
				}
				rows := m.history.slice(Scope{}, 0, -1)
				if len(rows) != 4 || !rows[3].shared || rows[0].shared || !m.paused || len(m.running) != 0 {
					t.Errorf("%d rows of history, paused %v, %d running", len(rows), m.paused, len(m.running))
				}
				if len(m.members) != 1 {
					t.Errorf("%d workers", len(m.members))
				}
				for _, w := range m.members {
					if w.ad.Name != "w2" || !w.draining || !slices.Equal(w.ad.Labels, []string{"big"}) {
						t.Errorf("the worker is %+v", w)
					}
				}
			}
			check(m)
			for _, cut := range []int{len(list) / 3, len(list) - 2} {
				saved, err := machineOf(t, newMachine(), list[:cut]).save()
				if err != nil {
					t.Fatal(err)
				}
				old, err := readMachine(saved)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range list[:cut] {
					entries, err := decodeRecord(r)
					if err != nil {
						t.Fatal(err)
					}
					old.see(entries, r.Seq)
				}
				if left := old.unread(); len(left) > 0 {
					t.Errorf("%d jobs have no text", len(left))
				}
				again := machineOf(t, old.m, list[cut:])
				check(again)
				if again.number != m.number || len(again.shared) != len(m.shared) {
					t.Errorf("from a state: %d events and %d shared entries, want %d and %d", again.number, len(again.shared), m.number, len(m.shared))
				}
			}
		})
	}
}

// TestNewerProtocol holds that what a newer program has written is refused with an error that says what to do.
func TestNewerProtocol(t *testing.T) {
	t.Parallel()
	newer := func(head string) []byte { return frameRecord(nil, []byte(head)) }
	for _, head := range []string{`{"v": 5, "type": "put"}`, `{"v": 5, "type": "something"}`} {
		_, err := decodeRecord(Record{Data: newer(head)})
		if !errors.Is(err, errNewer) || !strings.Contains(err.Error(), "upgrade this one") || !strings.Contains(err.Error(), "version 5, this one 4") {
			t.Errorf("%s: %v", head, err)
		}
	}
	if _, err := readMachine([]byte(`{"Version": 5}`)); !errors.Is(err, errNewer) {
		t.Errorf("a newer state: %v", err)
	}
}

// TestBatches holds that an entry with several jobs is garbage when all of them are, and that what it must not have is refused.
func TestBatches(t *testing.T) {
	t.Parallel()
	put := func(id string, until int64) []byte {
		e := entry{Type: entryPut, ID: id, Until: until, Body: []byte(`[0, "` + id + `", {}, {}, []]`)}
		data, err := e.encode()
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	now := time.UnixMilli(1000)
	data, err := encodeBatch("", nil, [][]byte{put("a", 0), put("b", 2000), put("a", 0), put("late", 999)})
	if err != nil {
		t.Fatal(err)
	}
	list, err := decodeRecord(Record{Data: data})
	if err != nil || len(list) != 4 {
		t.Fatalf("%d entries, %v", len(list), err)
	}
	m := newMachine()
	m.shared[7] = len(list)
	var wrong, garbage int
	for i, e := range list {
		out := m.apply(e, keyOf(7, i), now, nil)
		if garbage += len(out.garbage); out.verdict.err != nil {
			wrong++
		}
	}
	if wrong != 2 || garbage != 0 || m.waiting.size != 2 || m.applied != 7 {
		t.Errorf("%d refused, %d garbage, %d wait, applied %d", wrong, garbage, m.waiting.size, m.applied)
	}
	remove := func(id string) []int64 {
		return slices.Clone(m.apply(&entry{Type: entryDelete, ID: id}, 8, now, nil).garbage)
	}
	if got := remove("a"); len(got) != 0 {
		t.Errorf("with one of two jobs deleted: garbage %v", got)
	}
	if got := remove("b"); !slices.Equal(got, []int64{7}) {
		t.Errorf("with both deleted: garbage %v", got)
	}
	pause := entry{Type: entryPause, On: true}
	other, _ := pause.encode()
	bad, _ := encodeBatch("", nil, [][]byte{other})
	for name, r := range map[string]Record{
		"another type": {Data: bad}, "of a worker": {Data: data, ByWorker: true}, "cut off": {Data: data[:len(data)-3]},
	} {
		if _, err := decodeRecord(r); err == nil {
			t.Errorf("a batch %s is read", name)
		}
	}
}
