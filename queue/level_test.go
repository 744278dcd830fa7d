package queue

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"comfygo/internal/pyjson"
)

// leveled is a machine in which the rules of the newest version are in force, with a key.
func leveled(t *testing.T, at time.Time) *machine {
	t.Helper()
	m := newMachine()
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	m.apply(&entry{Type: entryLevel, Level: Protocol, Secret: key.Bytes()}, 1, at, nil)
	if m.level != Protocol || m.secret == nil {
		t.Fatalf("the level is %d", m.level)
	}
	return m
}

func putOf(id string, o Options, models ...string) *entry {
	return &entry{Type: entryPut, ID: id, Client: "c", Options: o, Needs: Needs{Models: models}, Body: []byte(`[0, "` + id + `", {}, {"client_id": "c"}, []]`)}
}

// reload is a machine that a server makes of the state of another one.
func reload(t *testing.T, m *machine) *machine {
	t.Helper()
	data, err := m.save()
	if err != nil {
		t.Fatal(err)
	}
	old, err := readMachine(data)
	if err != nil {
		t.Fatal(err)
	}
	return old.m
}

// TestLevel holds that the fleet's key does not change, that a state has it, and that programs of before read neither.
func TestLevel(t *testing.T) {
	t.Parallel()
	m := leveled(t, time.Unix(1, 0))
	before := m.secret
	other, _ := newKey()
	m.apply(&entry{Type: entryLevel, Level: Protocol, Secret: other.Bytes()}, 2, time.Unix(2, 0), nil)
	if !m.secret.Equal(before) {
		t.Error("the fleet's key has changed")
	}
	if again := reload(t, m); again.level != Protocol || !again.secret.Equal(before) {
		t.Errorf("a state has the level %d", again.level)
	}
	e := entry{Type: entryLevel, Level: Protocol, Secret: other.Bytes()}
	data, err := e.encode()
	if err != nil || !strings.Contains(string(data), `"v":4`) {
		t.Errorf("a level is written as %s, %v", data, err)
	}
	if state, err := m.save(); err != nil || !strings.Contains(string(state), `"Version":4`) {
		t.Errorf("a state begins with %.60s, %v", state, err)
	}
	bad := newMachine()
	if out := bad.apply(&entry{Type: entryLevel, Level: Protocol, Secret: []byte("short")}, 1, time.Unix(1, 0), nil); out.verdict.err == nil || bad.level != 0 {
		t.Errorf("a level without a key: %v, level %d", out.verdict.err, bad.level)
	}
}

// TestChannel holds that only the two sides read and write what they send each other.
func TestChannel(t *testing.T) {
	t.Parallel()
	fleet, _ := newKey()
	worker, _ := newKey()
	another, _ := newKey()
	id := workerID(worker.PublicKey())
	of := func(id string) *channel {
		c, err := channelTo(id, fleet)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	mine, err := newChannel(id, fleet.PublicKey(), worker, fleet.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := newChannel(workerID(another.PublicKey()), fleet.PublicKey(), another, fleet.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	forged := *theirs
	forged.id = id
	for name, c := range map[string]struct {
		by   *channel
		as   string
		want bool
	}{
		"the worker": {mine, id, true}, "another one": {theirs, id, false}, "another one under the name": {&forged, id, false}, "unsigned": {nil, id, false},
		"the worker as another one": {mine, theirs.id, false},
	} {
		data, err := c.by.sign(entry{Type: entryEnd, Worker: c.as, Body: []byte("body")})
		if err != nil {
			t.Fatal(err)
		}
		e, err := decodeEntry(data)
		if err != nil || string(e.Body) != "body" {
			t.Fatalf("%s: %v, the body is %q", name, err, e.Body)
		}
		if got := of(id).verify(e); got != c.want {
			t.Errorf("%s: verified %v, want %v", name, got, c.want)
		}
		if c.by == mine && c.want {
			data[len(data)-macSize-1] ^= 1
			if e, err := decodeEntry(data); err != nil || of(id).verify(e) {
				t.Error("a changed body is verified")
			}
			if _, err := decodeEntry(data[:len(data)-40]); err == nil {
				t.Error("an entry whose MAC is cut off is read")
			}
		}
	}
	sealed := of(id).seal([]byte("run this"))
	if plain, err := mine.open(sealed); err != nil || string(plain) != "run this" || strings.Contains(string(sealed), "run this") {
		t.Errorf("the worker reads %q, %v", plain, err)
	}
	for _, c := range []*channel{theirs, &forged} {
		if plain, err := c.open(sealed); err == nil {
			t.Errorf("another worker reads %q", plain)
		}
	}
	for _, id := range []string{"", "x", "20e4ee0c-3b87-45ed-96ba-795d9c1d24cb", keyedPrefix + strings.Repeat("!", 43)} {
		if c, err := channelTo(id, fleet); err == nil {
			t.Errorf("%q has the channel %v", id, c)
		}
	}
}

// TestOnlyEventsThatCountedAreRepeated holds that a server that starts from a state tells clients nothing that a worker without the job has appended.
func TestOnlyEventsThatCountedAreRepeated(t *testing.T) {
	t.Parallel()
	m := newMachine()
	at := time.Unix(1, 0)
	m.apply(&entry{Type: entryJoin, Worker: "a", Member: &WorkerAd{Name: "a"}}, 1, at, nil)
	m.apply(putOf("job", Options{}), 2, at, nil)
	right := &entry{Type: entryEvents, Worker: "a", ID: "job", Seq: 2, Attempt: 1, Part: 1, Body: []byte("right")}
	wrong := &entry{Type: entryEvents, Worker: "b", ID: "job", Seq: 2, Attempt: 1, Part: 1, Body: []byte("wrong")}
	out := m.apply(wrong, 3, at, nil)
	if len(out.told) != 0 || !slices.Equal(out.garbage, []int64{3}) {
		t.Errorf("another worker's events: %d told, garbage %v", len(out.told), out.garbage)
	}
	m.apply(right, 4, at, nil)
	data, err := m.save()
	if err != nil {
		t.Fatal(err)
	}
	old, err := readMachine(data)
	if err != nil {
		t.Fatal(err)
	}
	if list := old.see([]*entry{wrong}, 3); len(list) != 0 {
		t.Errorf("repeated: %s", list[0].data)
	}
	if list := old.see([]*entry{right}, 4); len(list) != 1 {
		t.Errorf("%d of the events that counted are repeated", len(list))
	}
}

// TestKeysOfRequests holds that a key makes one job, at whichever server, for as long as it is remembered.
func TestKeysOfRequests(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	m := leveled(t, at)
	put := func(seq int64, id string, at time.Time) error {
		e := putOf(id, Options{})
		e.Receipt = &Receipt{Key: "k", Sum: []byte{1}, Answer: []byte(`{"prompt_id": "` + id + `"}`), At: at}
		return m.apply(e, seq, at, nil).verdict.err
	}
	if err := put(2, "a", at); err != nil {
		t.Fatal(err)
	}
	m = reload(t, m)
	var repeated *RepeatedError
	if err := put(3, "b", at.Add(time.Hour)); !errors.As(err, &repeated) || repeated.Receipt.JobID != "a" || repeated.Receipt.Job.Seq() != 2 || m.waiting.size != 1 {
		t.Errorf("the key again: %v", err)
	}
	if err := put(4, "c", at.Add(ReceiptLifetime+time.Second)); err != nil {
		t.Errorf("the key a day later: %v", err)
	}
	if err := put(5, "d", at.Add(ReceiptLifetime+2*time.Second)); !errors.As(err, &repeated) || repeated.Receipt.JobID != "c" || len(m.receipts.list) != 1 {
		t.Errorf("the newer key again: %v, %d receipts", err, len(m.receipts.list))
	}
	old := newMachine() // programs of before accept the second one: with them so do all
	for i, id := range []string{"a", "b"} {
		e := putOf(id, Options{})
		e.Receipt = &Receipt{Key: "k"}
		if err := old.apply(e, int64(i+1), at, nil).verdict.err; err != nil {
			t.Errorf("below the level: %v", err)
		}
	}
}

// TestMessagesToWebhooks follows the outbox that servers share: what is in it, who sends it, and what becomes of it.
func TestMessagesToWebhooks(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	m := leveled(t, at)
	seq := int64(1)
	do := func(e *entry) effects {
		seq++
		return m.apply(e, seq, at, nil)
	}
	all := Options{Webhook: &Webhook{URL: "https://a.example", Secret: "s", Events: []string{EventStarted, EventFinished, EventRemoved}}}
	do(putOf("a", all))
	do(putOf("b", Options{}))
	do(putOf("c", Options{Webhook: &Webhook{URL: "https://c.example"}}))
	do(&entry{Type: entryDelete, ID: "c"})
	do(&entry{Type: entryJoin, Worker: "w", Member: &WorkerAd{}})
	tail, err := Outcome{
		Outputs: pyjson.NewObject("9", "out"), Messages: []Message{{"execution_error", pyjson.NewObject("exception_type", "E")}},
	}.tail(&Job{ID: "a"})
	if err != nil {
		t.Fatal(err)
	}
	do(&entry{Type: entryEnd, Worker: "w", Seq: 2, Attempt: 1, Status: Failed, Tail: len(tail), Body: tail})
	var got []string
	m = reload(t, m)
	for _, h := range m.hooks.inOrder() {
		got = append(got, fmt.Sprint(h.URL, " ", string(h.Body)))
	}
	stamp := `", "timestamp": "` + at.UTC().Format(time.RFC3339Nano) + `", "data": {"prompt_id": "`
	want := []string{
		`https://c.example {"type": "job.removed` + stamp + `c", "number": 0, "status": "removed", "client_id": "c"}}`,
		`https://a.example {"type": "job.started` + stamp + `a", "number": 0, "status": "started", "client_id": "c"}}`,
		`https://a.example {"type": "job.finished` + stamp + `a", "number": 0, "status": "error", "client_id": "c", "outputs": {"9": "out"}, "error": {"exception_type": "E"}}}`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the outbox has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	due := func() (n int) { return len(m.hooks.due(at, 10, nil)) }
	claim := func(number int64, attempt int) bool {
		return do(&entry{Type: entryClaim, Seq: number, Attempt: attempt}).verdict.ok
	}
	if due() != 3 || !claim(1, 0) || due() != 2 || claim(1, 0) || claim(2, 1) || claim(7, 0) {
		t.Errorf("after one claim %d are due", due())
	}
	at = at.Add(hookLease + time.Second) // the server that had it died
	if due() != 3 || !claim(1, 0) {
		t.Error("a message whose server died is not sent again")
	}
	do(&entry{Type: entrySettled, Seq: 1, On: true})
	do(&entry{Type: entrySettled, Seq: 1, Due: at.UnixMilli()}) // the dead one comes back
	do(&entry{Type: entrySettled, Seq: 2, Due: at.Add(time.Minute).UnixMilli(), Cause: "ill"})
	if due() != 1 || len(m.hooks.byNumber) != 2 || m.hooks.byNumber[2].Attempts != 1 {
		t.Errorf("%d are due of %d", due(), len(m.hooks.byNumber))
	}
	at = at.Add(2 * time.Minute)
	if !claim(2, 1) {
		t.Error("a postponed message is not sent again")
	}
	do(&entry{Type: entrySettled, Seq: 2, Attempt: 1, Cause: "still ill"})
	if last := m.events[len(m.events)-1]; last.Type != EventHookFailed || last.JobID != "a" || !strings.Contains(string(last.Data), "still ill") {
		t.Errorf("the last event is %+v", last)
	}
}

// TestTooManyMessagesToWebhooks holds that beyond the limit the message that was added first is given up, and that an event says so.
func TestTooManyMessagesToWebhooks(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	m := leveled(t, at)
	for n := range int64(hookLimit) {
		m.hooks.add(&hook{Delivery: Delivery{Number: n + 1, JobID: fmt.Sprint("job ", n+1)}})
	}
	m.hooks.last = hookLimit
	m.apply(putOf("a", Options{Webhook: &Webhook{URL: "https://a.example"}}), 2, at, nil)
	m.apply(&entry{Type: entryDelete, ID: "a"}, 3, at, nil)
	if len(m.hooks.byNumber) != hookLimit || m.hooks.oldest().Number != 2 || m.hooks.byNumber[hookLimit+1] == nil {
		t.Errorf("%d messages from %d on", len(m.hooks.byNumber), m.hooks.oldest().Number)
	}
	failed := slices.ContainsFunc(m.events, func(e Event) bool { return e.Type == EventHookFailed && e.JobID == "job 1" })
	if !failed {
		t.Error("no event says that a message was given up")
	}
}

// TestBytesToWebhooks holds that messages beyond the limit in bytes are given up from the oldest on, also after the state was read again, that the
// newest one stays, and that all stay while servers of before version 4 may run.
func TestBytesToWebhooks(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	for level, want := range map[int][]int64{levelProtocol: {1, 2, 3, 4}, clockProtocol: {3, 4}} {
		m := leveled(t, at)
		m.level = level
		for n, size := range map[int64]int{1: 10, 2: hookBytes, 3: 20} {
			m.hooks.add(&hook{Delivery: Delivery{Number: n, JobID: fmt.Sprint("job ", n), Body: make([]byte, size)}})
		}
		m.hooks.last = 3
		m = reload(t, m)
		m.apply(putOf("a", Options{Webhook: &Webhook{URL: "https://a.example"}}), 2, at, nil)
		m.apply(&entry{Type: entryDelete, ID: "a"}, 3, at, nil)
		var got []int64
		for _, h := range m.hooks.inOrder() {
			got = append(got, h.Number)
		}
		if !slices.Equal(got, want) {
			t.Errorf("level %d: the outbox has %v, want %v", level, got, want)
		}
	}
	m := leveled(t, at)
	m.hooks.add(&hook{Delivery: Delivery{Number: 1, Body: make([]byte, hookBytes+1)}})
	if m.tooManyHooks() {
		t.Error("a message alone is given up for its size")
	}
	m.dropHook(m.hooks.oldest(), EventHookArrived)
	if m.hooks.bytes != 0 {
		t.Errorf("an empty outbox has %d bytes", m.hooks.bytes)
	}
}

// TestReceiptsByTheLogsClock holds that a server whose clock is days ahead does not make the receipts of others old, nor its own last longer.
func TestReceiptsByTheLogsClock(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_000_000, 0)
	put := func(m *machine, seq int64, key string, ahead time.Duration) error {
		e := putOf(fmt.Sprint(key, seq), Options{})
		e.Receipt = &Receipt{Key: key, Sum: []byte("sum"), At: at.Add(ahead)}
		return m.apply(e, seq, at, nil).verdict.err
	}
	m := leveled(t, at)
	for i, ahead := range []time.Duration{0, 48 * time.Hour} {
		if err := put(m, int64(i+2), fmt.Sprint("key ", i), ahead); err != nil {
			t.Fatal(err)
		}
	}
	m = reload(t, m)
	at = at.Add(ReceiptLifetime - time.Second)
	for i := range 2 {
		var repeated *RepeatedError
		if err := put(m, int64(i+4), fmt.Sprint("key ", i), 0); !errors.As(err, &repeated) || repeated.Receipt.Seq != int64(i+2) {
			t.Errorf("key %d again: %v", i, err)
		}
	}
	at = at.Add(2 * time.Second)
	for i := range 2 {
		if err := put(m, int64(i+6), fmt.Sprint("key ", i), 0); err != nil {
			t.Errorf("key %d after its time: %v", i, err)
		}
	}
	before := leveled(t, at)
	before.level = levelProtocol
	if err := put(before, 2, "ahead", 48*time.Hour); err != nil {
		t.Fatal(err)
	}
	before.apply(&entry{Type: entryLevel, Level: clockProtocol}, 3, at, nil)
	if got := before.receipts.byKey["ahead"].At; !got.Equal(at) || !before.receipts.list[0].At.Equal(at) {
		t.Errorf("a receipt of before is dated %v, and it is %v", got, at)
	}
}

// TestWaitingForModels holds that a job waits for the busy worker that has its models, for as long as the policy says, and keeps no other job back.
func TestWaitingForModels(t *testing.T) {
	t.Parallel()
	at := time.Unix(1000, 0)
	m := leveled(t, at)
	seq := int64(1)
	do := func(e *entry) {
		seq++
		m.apply(e, seq, at, nil)
	}
	do(&entry{Type: entryPolicy, Policy: &Policy{ModelWait: 2 * time.Second}})
	do(&entry{Type: entryJoin, Worker: "a", Member: &WorkerAd{}, Resident: []string{"m"}})
	do(putOf("first", Options{}, "m"))
	do(&entry{Type: entryJoin, Worker: "b", Member: &WorkerAd{}})
	running := func() (list []string) {
		for _, a := range m.inOrder() {
			list = append(list, a.job.ID+" "+a.worker)
		}
		slices.Sort(list)
		return list
	}
	do(putOf("held", Options{}, "m"))
	if got, want := running(), []string{"first a"}; !slices.Equal(got, want) {
		t.Errorf("running: %v, want %v", got, want)
	}
	do(putOf("other", Options{}, "n"))
	if got, want := running(), []string{"first a", "other b"}; !slices.Equal(got, want) {
		t.Errorf("running: %v, want %v", got, want)
	}
	do(&entry{Type: entryEnd, Worker: "b", Seq: seq, Attempt: 1, Status: Succeeded, Resident: []string{"n"}})
	m = reload(t, m)
	if m.overdue(at.Add(time.Second)) || !m.overdue(at.Add(2*time.Second)) {
		t.Error("the wait does not end after its time")
	}
	at = at.Add(2 * time.Second)
	do(&entry{Type: entryAssign})
	if got, want := running(), []string{"first a", "held b"}; !slices.Equal(got, want) {
		t.Errorf("after the wait: running %v, want %v", got, want)
	}
	if m.overdue(at.Add(time.Hour)) {
		t.Error("it is still waiting")
	}
	do(putOf("again", Options{}, "m"))
	do(&entry{Type: entryEnd, Worker: "a", Seq: 4, Attempt: 1, Status: Succeeded, Resident: []string{"m"}})
	if got, want := running(), []string{"again a", "held b"}; !slices.Equal(got, want) {
		t.Errorf("the worker with the model is free: running %v, want %v", got, want)
	}
}

// TestFamilies holds that a job runs where the families of its models are, and that the error names the one that no worker has.
func TestFamilies(t *testing.T) {
	t.Parallel()
	m := leveled(t, time.Unix(1, 0))
	do := func(seq int64, e *entry) { m.apply(e, seq, time.Unix(1, 0), nil) }
	do(2, &entry{Type: entryJoin, Worker: "a", Member: &WorkerAd{Families: []string{"flux", "sdxl"}}})
	do(3, &entry{Type: entryJoin, Worker: "b", Member: &WorkerAd{Families: []string{"sdxl", "wan"}}})
	for seq, family := range map[int64]string{4: "wan", 5: "cosmos"} {
		e := putOf(family, Options{})
		e.Needs.Families = []string{family}
		do(seq, e)
	}
	if list := m.inOrder(); len(list) != 1 || list[0].job.ID != "wan" || list[0].worker != "b" {
		t.Errorf("%d jobs run", len(list))
	}
	j := m.waiting.find("cosmos")
	if j == nil || !m.blocked(j) || m.whyBlocked(j).Error() != "no worker has the model family cosmos" {
		t.Errorf("the job that cannot run: %v", j)
	}
}
