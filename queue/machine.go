package queue

import (
	"cmp"
	"crypto/ecdh"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"comfygo/internal/pyjson"
)

const (
	// maxAttempts is how often a job may be running when its worker dies; then it is marked failed.
	maxAttempts = 3
	// routePatience is how long a job waits for a worker that can run it, while there are only others.
	routePatience = 20 * time.Second
	// machineEvents is how many events the machine remembers at least.
	machineEvents = 10000
	// takenFor is how long the id of a job is taken after its end.
	takenFor = 5 * time.Minute
	// knownNeeds bounds the kinds of jobs of which a worker's ability is remembered.
	knownNeeds = 4096
)

// machine is the state of a queue that several processes share: what the entries of the log come to, applied in their order. It is
// deterministic: processes that have applied the same entries have the same state. So it knows no clock but the entries' times and does
// nothing by itself; what has to be done outside is in effects.
type machine struct {
	policy  Policy
	waiting *queueOrder
	running map[int64]*assignment
	members map[string]*member
	// idle are the members that take a job now; holders are those that have each model loaded.
	idle    map[*member]struct{}
	holders map[string]map[*member]struct{}
	history *history
	place   int64
	paused  bool
	events  []Event
	number  int64 // of the last event
	applied int64 // the last entry
	lasting time.Duration

	receipts receiptList
	// level is the version whose rules are in force, 0 for those that every version had; secret is the fleet's key from level 3 on.
	level  int
	secret *ecdh.PrivateKey
	hooks  hookList
	// known are needs that jobs share.
	known map[string]Needs
	// told are the last entries with events that counted.
	told []int64
	// shared counts, for each entry with several jobs, those that still need it.
	shared map[int64]int
	now    time.Time // of the entry being applied
	out    effects
}

// assignment is a job that a worker runs.
type assignment struct {
	job    *Job
	worker string
	since  time.Time
	asked  time.Time // when it was asked to end; zero: not yet
	seen   time.Time // when this process heard of it, by its own clock
	// doom is why the job is to be marked failed, "" while it is not. No worker has it then.
	doom string
	// part is the last entry with what this run has told.
	part int
}

// member is a worker that takes jobs.
type member struct {
	id       string
	ad       WorkerAd
	joined   int64 // the entry
	job      *assignment
	draining bool
	resident []string // models that it has loaded
	done     int64    // how many jobs it has ended
	speaks   int      // the newest version that it understands
	can      map[string]bool
	channel  *channel // nil until it is needed, and for workers without a key
}

// effects are what an entry has changed, for those who act on it.
type effects struct {
	// verdict is for who has appended the entry.
	verdict verdict
	changed bool
	started []*assignment
	asked   []*assignment // to end
	told    []telling
	ended   []ending
	flags   Flags
	// garbage are entries of the log that are not needed any more.
	garbage []int64
	// fleet: workers have come, gone or changed.
	fleet bool
	// hooks: there are new messages to webhooks.
	hooks bool
	// refused is why the entry counts for nothing.
	refused error
}

type verdict struct {
	err   error
	state State
	ok    bool
	n     int
}

// telling is what a running job tells, by the number of the entry.
type telling struct {
	job   *Job
	entry int64
	data  []byte
}

// ending is a job that has gone to history.
type ending struct {
	job    *Job
	entry  int64
	status Status
	tail   []byte
}

func newMachine() *machine {
	return &machine{
		waiting: newQueueOrder(false, nil), running: map[int64]*assignment{}, members: map[string]*member{}, history: newHistory(HistoryLimit),
		shared: map[int64]int{}, idle: map[*member]struct{}{}, holders: map[string]map[*member]struct{}{}, known: map[string]Needs{}, receipts: newReceiptList(nil),
	}
}

// apply applies an entry, whose key is seq: its number in the log, and its position among others that have the same. own is the job of a put
// entry when this process has appended it; nil makes a new one of the entry's body.
func (m *machine) apply(e *entry, seq int64, at time.Time, own *Job) effects {
	m.out, m.now = effects{}, at
	m.applied, _ = seqOf(seq)
	scope := Scope{One: e.One, Owner: e.Owner}
	if e.Until > 0 && at.UnixMilli() > e.Until {
		m.out.verdict.err = &unavailable{errLate}
		if e.Type == entryPut || e.Type == entryEnd {
			m.out.garbage = append(m.out.garbage, seq)
		}
		m.tidy()
		return m.out
	}
	if !m.authentic(e) {
		m.out.refused = fmt.Errorf("%w: %s of worker %s", errForged, e.Type, e.Worker)
		m.out.garbage = append(m.out.garbage, seq)
		m.tidy()
		return m.out
	}
	switch e.Type {
	case entryVoid:
		m.out.garbage = append(m.out.garbage, seq)
	case entryLevel:
		m.raise(e)
	case entryAssign: // jobs are assigned after each entry
	case entryClaim:
		m.claim(e)
	case entrySettled:
		m.settle(e)
	case entryPut:
		m.put(e, seq, own)
	case entryDelete:
		m.remove(e, scope)
	case entryCancel:
		m.cancel(e, scope)
	case entryInterrupt:
		m.interrupt(e.ID, scope)
	case entryMove, entryClass:
		m.move(e, scope)
	case entryPause:
		m.pause(e.On)
	case entryFree:
		m.out.flags = e.Flags
	case entryForget:
		m.forget(e, scope)
	case entryShare:
		m.share(e, scope)
	case entryPolicy:
		m.setPolicy(*e.Policy)
	case entryJoin:
		m.join(e, seq)
	case entryLeave, entryLost:
		m.leave(e.Worker, e.Type == entryLost, e.Cause)
	case entryDrain:
		if w := m.members[e.Worker]; w != nil {
			w.draining, m.out.verdict.ok, m.out.fleet = e.On, true, true
			m.update(w)
		}
	case entryEvents:
		m.tell(e, seq)
	case entryEnd:
		m.end(e, seq)
	}
	m.assign()
	m.tidy()
	return m.out
}

// join takes a worker in, or anew when it has other classes than when it joined.
func (m *machine) join(e *entry, seq int64) {
	m.out.fleet = true
	m.shareLists(e.Member)
	if w := m.members[e.Worker]; w != nil {
		w.ad, w.can = *e.Member, map[string]bool{}
		return
	}
	w := &member{id: e.Worker, ad: *e.Member, joined: seq, speaks: e.Speaks, can: map[string]bool{}}
	m.members[e.Worker] = w
	m.setResident(w, e.Resident)
	m.update(w)
}

func (m *machine) setPolicy(p Policy) {
	if p.HistoryLimit <= 0 {
		p.HistoryLimit = HistoryLimit
	}
	p.EventLimit = 0
	if p.Fair != m.policy.Fair || !maps.Equal(p.Weights, m.policy.Weights) {
		l := newQueueOrder(p.Fair, p.Weights)
		for _, j := range m.waiting.all() {
			l.add(j)
		}
		m.waiting = l
	}
	m.policy, m.history.limit = p, p.HistoryLimit
}

func (m *machine) event(typ string, j *Job, pairs ...any) {
	m.number++
	e := Event{Number: m.number, Time: m.now, Type: typ}
	if j != nil {
		e.JobID, e.Owner = j.ID, j.Owner
	}
	if len(pairs) > 0 {
		e.Data, _ = pyjson.Marshal(pyjson.NewObject(pairs...)) // plain values are always written
	}
	m.events = append(m.events, e)
	if len(m.events) > 2*machineEvents {
		m.events = append([]Event(nil), m.events[len(m.events)-machineEvents:]...)
	}
}

// put accepts or refuses a job.
func (m *machine) put(e *entry, seq int64, own *Job) {
	j := own
	if j == nil {
		j = &Job{Number: e.Number, ID: e.ID, Options: e.Options, Owner: e.Owner, Grant: e.Grant, OwnerLimit: e.OwnerLimit, client: e.Client}
		if err := j.readListing(e.Body); err != nil {
			m.out.verdict.err, m.out.garbage = err, append(m.out.garbage, seq)
			return
		}
		j.text = slices.Clone(e.Body)
	}
	m.setNeeds(j, e.Needs)
	j.seq, j.queued, j.origin = seq, m.now, e.Origin
	j.place = Place{Seq: seq, Class: e.Options.Priority, Rank: e.Number.Value}
	if err := m.repeated(e); err != nil {
		m.out.verdict.err, m.out.garbage = err, append(m.out.garbage, seq)
		return
	}
	if err := m.admit(j); err != nil {
		m.out.verdict.err, m.out.garbage = err, append(m.out.garbage, seq)
		return
	}
	if e.Receipt != nil {
		r := *e.Receipt
		r.JobID, r.Seq = j.ID, seq
		if m.level >= clockProtocol {
			r.At = m.now // a server whose clock is a day ahead would drop the receipts of all others
		}
		m.receipts.add(r)
	}
	m.waiting.add(j)
	m.event(EventQueued, j, "number", j.Number.JSON())
	m.out.changed, m.out.verdict.ok = true, true
}

// repeated returns a RepeatedError when the key of a request is known.
func (m *machine) repeated(e *entry) error {
	if e.Receipt == nil || m.level < levelProtocol {
		return nil
	}
	r, known := m.receipts.byKey[e.Receipt.Key]
	if !known || m.now.Sub(r.At) > ReceiptLifetime {
		return nil
	}
	r.Job = m.open(r)
	return &RepeatedError{r}
}

// open returns the job of a receipt: with nothing but its id when it is no longer in the queue.
func (m *machine) open(r Receipt) *Job {
	if a := m.running[r.Seq]; a != nil {
		return a.job
	}
	for _, j := range m.waiting.byID[r.JobID] {
		if j.seq == r.Seq {
			return j
		}
	}
	return &Job{ID: r.JobID, seq: r.Seq}
}

// admit says whether a job may wait.
func (m *machine) admit(j *Job) error {
	p := &m.policy
	switch {
	case p.Limit > 0 && m.waiting.size >= p.Limit:
		return &FullError{Limit: p.Limit, RetryAfter: m.roomIn()}
	case p.ClientLimit > 0 && m.waiting.clients[j.turn()] >= p.ClientLimit:
		return &FullError{Limit: p.ClientLimit, Client: j.turn(), RetryAfter: m.roomIn()}
	case j.Owner != "" && j.OwnerLimit > 0 && m.waiting.clients[j.Owner]+m.runningOf(j.Owner) >= j.OwnerLimit:
		return &FullError{Limit: j.OwnerLimit, Owner: j.Owner, RetryAfter: m.roomIn()}
	case m.taken(j):
		return fmt.Errorf("queueing %s: %w", j.ID, ErrTakenID)
	}
	return nil
}

func (m *machine) taken(j *Job) bool {
	for _, a := range m.running {
		if a.job.ID == j.ID {
			return true
		}
	}
	// The client of a job that has just ended may not have heard that it was accepted, and send it again.
	if rec := m.history.find(j.ID); rec != nil && (rec.owner != j.Owner || m.now.Sub(rec.finished) < takenFor) {
		return true
	}
	return len(m.waiting.byID[j.ID]) > 0
}

func (m *machine) runningOf(owner string) (n int) {
	for _, a := range m.running {
		if a.job.Owner == owner {
			n++
		}
	}
	return n
}

func (m *machine) roomIn() time.Duration {
	seconds := math.Ceil(m.lasting.Seconds() / float64(max(1, len(m.members))))
	return time.Duration(min(60, max(1, seconds))) * time.Second
}

// waitingJob finds the first waiting job of a scope with the id.
func (m *machine) waitingJob(id string, s Scope) *Job {
	if j := m.waiting.find(id); j != nil && s.Has(j.Owner) {
		return j
	}
	return nil
}

// drop takes a waiting job out for good.
func (m *machine) drop(j *Job) {
	m.waiting.remove(j)
	m.event(EventRemoved, j)
	m.hook(j, EventRemoved, "removed", nil)
	m.out.changed = true
	m.out.garbage = append(m.out.garbage, j.seq)
	m.out.verdict.n++
}

func (m *machine) remove(e *entry, s Scope) {
	switch {
	case e.Grant != "":
		for _, j := range m.waiting.all() {
			if j.Grant == e.Grant {
				m.drop(j)
			}
		}
		for _, a := range m.inOrder() {
			if a.job.Grant == e.Grant {
				m.ask(a)
				m.out.verdict.n++
			}
		}
	case e.All:
		for _, j := range m.waiting.all() {
			if s.Has(j.Owner) {
				m.drop(j)
			}
		}
		m.out.changed = true
	default:
		if j := m.waitingJob(e.ID, s); j != nil {
			m.drop(j)
			m.out.verdict.ok = true
		}
	}
}

// inOrder are the running jobs, that which began first at the front.
func (m *machine) inOrder() []*assignment {
	list := make([]*assignment, 0, len(m.running))
	for _, a := range m.running {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *assignment) int {
		if c := a.since.Compare(b.since); c != 0 {
			return c
		}
		return cmp.Compare(a.job.seq, b.job.seq)
	})
	return list
}

// ask asks a running job to end.
func (m *machine) ask(a *assignment) {
	if a.asked.IsZero() {
		a.asked = m.now
	}
	m.out.asked = append(m.out.asked, a)
	m.out.verdict.ok = true
}

func (m *machine) cancel(e *entry, s Scope) {
	for _, a := range m.inOrder() {
		if a.job.ID == e.ID && s.Has(a.job.Owner) {
			m.ask(a)
			m.out.verdict.state = StateRunning
			return
		}
	}
	if j := m.waitingJob(e.ID, s); j != nil {
		m.drop(j)
		m.out.verdict.state, m.out.verdict.ok = StatePending, true
	}
}

func (m *machine) interrupt(id string, s Scope) {
	for _, a := range m.inOrder() {
		if s.Has(a.job.Owner) && (id == "" || a.job.ID == id) {
			m.ask(a)
		}
	}
}

// move changes where a waiting job stands, or its class.
func (m *machine) move(e *entry, s Scope) {
	j := m.waitingJob(e.ID, s)
	if j == nil {
		m.out.verdict.err = ErrUnknownJob
		return
	}
	places := map[*Job]Place{j: {Seq: j.seq, Class: e.Class, Rank: j.Number.Value}}
	if e.Type == entryMove {
		all := m.waiting.all()
		others := slices.DeleteFunc(slices.Clone(all), func(o *Job) bool { return o == j })
		at := min(max(0, e.Position), len(others))
		if e.Other != "" {
			at = slices.IndexFunc(others, func(o *Job) bool { return o.ID == e.Other && s.Has(o.Owner) })
		}
		if at < 0 {
			m.out.verdict.err = ErrUnknownJob
			return
		}
		wanted := slices.Insert(others, at, j)
		if slices.Equal(wanted, all) {
			return
		}
		places = neighbours(j, wanted)
	}
	for o := range places {
		m.waiting.remove(o)
	}
	for o, p := range places {
		o.place = p
		m.waiting.add(o)
	}
	m.event(EventMoved, j, "priority", places[j].Class.String())
}

func (m *machine) pause(on bool) {
	if m.paused == on {
		return
	}
	m.paused = on
	typ := EventResumed
	if on {
		typ = EventPaused
	}
	m.event(typ, nil)
}

// forgotten drops a row of history.
func (m *machine) forgotten(r *record) {
	if m.history.find(r.id) == r {
		m.history.remove(r.id)
	}
	m.out.garbage = append(m.out.garbage, r.seq, r.tail)
}

func (m *machine) forget(e *entry, s Scope) {
	switch {
	case e.Before != nil:
		for _, r := range m.history.before(*e.Before) {
			m.forgotten(r)
		}
	case e.All:
		for _, r := range m.history.slice(s, 0, -1) {
			m.forgotten(r)
		}
		m.event(EventForgotten, &Job{Owner: s.Owner})
	default:
		if r := m.history.find(e.ID); r != nil && s.Has(r.owner) {
			m.forgotten(r)
			m.event(EventForgotten, &Job{ID: r.id, Owner: r.owner})
		}
	}
}

func (m *machine) share(e *entry, s Scope) {
	r := m.history.find(e.ID)
	if r == nil || !s.Has(r.owner) {
		return
	}
	m.out.verdict.ok = true
	if r.shared != e.On {
		r.shared = e.On
		m.event(EventShared, &Job{ID: r.id, Owner: r.owner}, "shared", e.On)
	}
}

// leave takes a worker out. Its job runs again, unless too many workers have died of it.
func (m *machine) leave(id string, lost bool, cause string) {
	w := m.members[id]
	if w == nil {
		return
	}
	delete(m.members, id)
	m.setResident(w, nil)
	m.update(w)
	m.out.fleet = true
	if w.job == nil {
		return
	}
	a := w.job
	a.worker = ""
	if !lost {
		a.job.attempts--
	}
	switch {
	case lost && a.job.attempts >= maxAttempts:
		a.doom = fmt.Sprintf("the worker died while it ran the prompt, %d times; the last one was %s: %s", a.job.attempts, w.ad.Name, cause)
	case lost && !a.asked.IsZero():
		a.doom = "the worker died while it ended the prompt"
	case lost && m.policy.OnRestart == RestartInterrupt:
		a.doom = "the worker died while it ran the prompt: " + cause
	default:
		delete(m.running, a.job.seq)
		m.waiting.add(a.job)
		m.event(EventRequeued, a.job)
		m.out.changed = true
	}
}

// tell passes on what a running job tells. Only the worker that has the job is heard.
func (m *machine) tell(e *entry, seq int64) {
	if a := m.running[e.Seq]; a != nil && a.worker == e.Worker && a.job.attempts == e.Attempt && (e.Part == 0 || e.Part > a.part) {
		a.part = e.Part
		m.out.told = append(m.out.told, telling{a.job, seq, e.Body})
		m.told = append(m.told, seq)
		if len(m.told) > 4*keptTellings { // servers that save no state do not trim it
			m.told = append([]int64(nil), m.told[len(m.told)-2*keptTellings:]...)
		}
		return
	}
	m.out.garbage = append(m.out.garbage, seq)
}

// end moves a job to history: a running one when its worker says so, one that cannot run when a server does. Everything else comes late
// and counts for nothing.
func (m *machine) end(e *entry, seq int64) {
	a := m.running[e.Seq]
	var j *Job
	switch {
	case a != nil && a.job.attempts == e.Attempt && a.worker == e.Worker && (a.worker != "" || a.doom != ""):
		j = a.job
		delete(m.running, j.seq)
		took := m.now.Sub(a.since)
		const share = 8
		m.lasting += (took - m.lasting) / share
	case a == nil && e.Worker == "":
		j = m.unroutable(e.Seq)
	}
	if w := m.members[e.Worker]; w != nil && w.job == a && a != nil && j != nil {
		w.job = nil
		w.done++
		if e.Origin == "" { // the worker itself has written it
			m.setResident(w, e.Resident)
		}
		m.update(w)
		m.out.fleet = true
	}
	if j == nil {
		m.out.garbage = append(m.out.garbage, seq)
		return
	}
	if a == nil {
		m.waiting.remove(j)
	}
	cut := len(e.Body) - e.Tail
	if cut > 0 {
		m.out.told = append(m.out.told, telling{j, seq, e.Body[:cut]})
	}
	m.finished(j, seq, e.Status, e.Body[max(cut, 0):])
}

func (m *machine) finished(j *Job, seq int64, status Status, tail []byte) {
	rec := &record{id: j.ID, owner: j.Owner, seq: j.seq, place: m.place, finished: m.now, tail: seq}
	m.place++
	replaced, evicted := m.history.displaced(j.ID)
	if replaced != nil {
		rec.place = replaced.place
		m.out.garbage = append(m.out.garbage, replaced.seq, replaced.tail)
	}
	if evicted != nil {
		m.forgotten(evicted)
	}
	m.history.add(rec)
	m.event(EventFinished, j, "status", string(status))
	m.hook(j, EventFinished, string(status), tail)
	m.out.ended = append(m.out.ended, ending{j, seq, status, tail})
	m.out.changed = true
}

// tidy makes numbers of entries of the keys in the garbage: an entry is garbage when all its jobs are.
func (m *machine) tidy() {
	list := m.out.garbage[:0]
	for _, key := range m.out.garbage {
		seq, _ := seqOf(key)
		if n, shared := m.shared[seq]; shared && n > 1 {
			m.shared[seq] = n - 1
			continue
		}
		delete(m.shared, seq)
		if seq > 0 {
			list = append(list, seq)
		}
	}
	m.out.garbage = list
}
