package queue

import (
	"crypto/ecdh"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// state is a machine as it is kept, so that the entries that it came from need not be. Listings and tails stay in the log.
type state struct {
	Version  int
	Applied  int64
	Policy   Policy
	Place    int64
	Number   int64
	Paused   bool
	Lasting  time.Duration
	Shares   Shares
	Jobs     []stateJob
	History  []stateRow
	Members  []stateMember
	Events   []Event
	Receipts []Receipt
	// Level and Secret are those of the machine.
	Level  int    `json:",omitempty"`
	Secret []byte `json:",omitempty"`
	// Hooks are the messages to webhooks that have not arrived, HookNumber that of the last one.
	Hooks      []hook `json:",omitempty"`
	HookNumber int64  `json:",omitempty"`
	// Told are the entries with events that counted; nil in states of before.
	Told []int64
}

type stateJob struct {
	Seq        int64
	ID         string
	Owner      string `json:",omitempty"`
	Grant      string `json:",omitempty"`
	Number     Number
	Place      Place
	Client     string  `json:",omitempty"`
	Options    Options `json:",omitzero"`
	Attempts   int     `json:",omitempty"`
	Needs      int
	Queued     time.Time
	Held       time.Time `json:",omitzero"`
	Running    bool      `json:",omitempty"`
	Worker     string    `json:",omitempty"`
	Since      time.Time `json:",omitzero"`
	Asked      time.Time `json:",omitzero"`
	Doom       string    `json:",omitempty"`
	Part       int       `json:",omitempty"`
	OwnerLimit int       `json:",omitempty"`
	Origin     string    `json:",omitempty"`
}

type stateRow struct {
	ID, Owner        string
	Seq, Place, Tail int64
	Finished         time.Time
	Shared           bool `json:",omitempty"`
}

type stateMember struct {
	ID       string
	Ad       WorkerAd
	Joined   int64
	Draining bool
	Resident []string
	Done     int64
	Speaks   int `json:",omitempty"`
}

// savedMachine is a machine as it is kept.
type savedMachine struct {
	state
	Needs []Needs
}

// save writes the machine.
func (m *machine) save() ([]byte, error) { return m.snapshot().encode() }

func (s *savedMachine) encode() ([]byte, error) {
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("writing the queue's state: %w", err)
	}
	return data, nil
}

// snapshot copies what a state has: it may be written while the machine goes on.
func (m *machine) snapshot() *savedMachine {
	s := &savedMachine{state: state{
		Version: firstProtocol, Applied: m.applied, Policy: m.policy, Place: m.place, Number: m.number, Paused: m.paused, Lasting: m.lasting,
		Shares: *m.waiting.copyShares(), Receipts: m.receipts.list, Events: m.events[max(0, len(m.events)-machineEvents):], Level: m.level,
		Told: append([]int64{}, m.told...), Hooks: m.hooks.inOrder(), HookNumber: m.hooks.last,
	}}
	if m.secret != nil {
		s.Secret = m.secret.Bytes()
	}
	if m.level >= levelProtocol {
		s.Version = m.level
	}
	known := map[string]int{}
	add := func(j *Job, a *assignment) {
		key := j.needsKey + "\x02" + j.modelsKey
		at, ok := known[key]
		if !ok {
			at = len(s.Needs)
			known[key], s.Needs = at, append(s.Needs, j.needs)
		}
		out := stateJob{
			Seq: j.seq, ID: j.ID, Owner: j.Owner, Grant: j.Grant, Number: j.Number, Place: j.place, Client: j.client, Options: j.Options,
			Attempts: j.attempts, Needs: at, Queued: j.queued, Held: j.held, OwnerLimit: j.OwnerLimit,
			Origin: j.origin,
		}
		if a != nil {
			out.Running, out.Worker, out.Since, out.Asked, out.Doom, out.Part = true, a.worker, a.since, a.asked, a.doom, a.part
		}
		if j.seq >= 1<<keyShift {
			s.Version = max(s.Version, batchProtocol)
		}
		s.Jobs = append(s.Jobs, out)
	}
	for _, h := range m.waiting.lanes {
		for _, j := range *h {
			add(j, nil)
		}
	}
	for _, a := range m.running {
		add(a.job, a)
	}
	for _, r := range m.history.rows {
		if r != nil {
			s.History = append(s.History, stateRow{r.id, r.owner, r.seq, r.place, r.tail, r.finished, r.shared})
			if r.seq >= 1<<keyShift {
				s.Version = max(s.Version, batchProtocol)
			}
		}
	}
	for _, w := range m.members {
		s.Members = append(s.Members, stateMember{w.id, w.ad, w.joined, w.draining, w.resident, w.done, w.speaks})
	}
	return s
}

// restoring is a machine that was read, with the jobs whose listings have still to be read from the log.
type restoring struct {
	m    *machine
	open map[int64]*Job
	// rows are the entries of the history; garbage are entries that are not needed any more.
	rows    map[int64]bool
	garbage []int64
	// told are the entries with events that counted; nil: that is not known, and all may have.
	told map[int64]bool
}

// readMachine reads what save has written.
func readMachine(data []byte) (*restoring, error) {
	var s savedMachine
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("reading the queue's state: %w", err)
	}
	if s.Version > Protocol {
		return nil, fmt.Errorf("reading the queue's state: %w (it has version %d, this one %d)", errNewer, s.Version, Protocol)
	}
	m := newMachine()
	m.setPolicy(s.Policy)
	m.place, m.number, m.paused, m.lasting, m.applied = s.Place, s.Number, s.Paused, s.Lasting, s.Applied
	m.events, m.receipts, m.level, m.told = s.Events, newReceiptList(s.Receipts), s.Level, s.Told
	m.hooks.last = s.HookNumber
	for _, h := range s.Hooks {
		m.hooks.add(&h)
	}
	if len(s.Secret) > 0 {
		var err error
		if m.secret, err = ecdh.X25519().NewPrivateKey(s.Secret); err != nil {
			return nil, fmt.Errorf("reading the queue's state: the fleet's key: %w", err)
		}
	}
	for _, w := range s.Members {
		m.shareLists(&w.Ad)
		known := &member{id: w.ID, ad: w.Ad, joined: w.Joined, draining: w.Draining, done: w.Done, speaks: w.Speaks, can: map[string]bool{}}
		m.members[w.ID] = known
		m.setResident(known, w.Resident)
		m.update(known)
	}
	rows := map[int64]bool{}
	for _, r := range s.History {
		rows[r.Seq], rows[r.Tail] = true, true
		m.history.add(&record{id: r.ID, owner: r.Owner, seq: r.Seq, place: r.Place, tail: r.Tail, finished: r.Finished, shared: r.Shared})
	}
	open := map[int64]*Job{}
	for i := range s.Jobs {
		k := &s.Jobs[i]
		if k.Needs < 0 || k.Needs >= len(s.Needs) {
			return nil, fmt.Errorf("reading the queue's state: job %s has no needs", k.ID)
		}
		j := &Job{
			Number: k.Number, ID: k.ID, Options: k.Options, Owner: k.Owner, Grant: k.Grant, OwnerLimit: k.OwnerLimit,
			seq: k.Seq, client: k.Client, attempts: k.Attempts, place: k.Place, queued: k.Queued, held: k.Held, origin: k.Origin,
		}
		m.setNeeds(j, s.Needs[k.Needs])
		open[j.seq] = j
		if !k.Running {
			m.waiting.add(j)
			continue
		}
		a := &assignment{job: j, worker: k.Worker, since: k.Since, asked: k.Asked, doom: k.Doom, part: k.Part}
		m.running[j.seq] = a
		if w := m.members[k.Worker]; w != nil {
			w.job = a
			m.update(w)
		}
	}
	if s.Shares.Clients != nil {
		m.waiting.shares = s.Shares // last: adding jobs moves the shares of clients who had nothing waiting
	}
	r := &restoring{m: m, open: open, rows: rows}
	if s.Told != nil {
		r.told = make(map[int64]bool, len(s.Told))
		for _, seq := range s.Told {
			r.told[seq] = true
		}
	}
	return r, nil
}

// see takes an entry that is older than the state: the listings of jobs that are still open, and what running jobs have told.
func (r *restoring) see(list []*entry, seq int64) []telling {
	needed := 0
	for i, e := range list {
		if e.Type != entryPut {
			continue
		}
		key := keyOf(seq, i)
		j := r.open[key]
		if j != nil {
			if err := j.readListing(e.Body); err == nil {
				j.text = slices.Clone(e.Body)
			}
		}
		if j != nil || r.rows[key] {
			needed++
		}
	}
	switch e := list[0]; e.Type {
	case entryPut:
		if needed == 0 {
			r.garbage = append(r.garbage, seq)
		} else if len(list) > 1 {
			r.m.shared[seq] = needed
		}
	case entryVoid:
		r.garbage = append(r.garbage, seq)
	case entryEvents:
		if r.told != nil && !r.told[seq] {
			r.garbage = append(r.garbage, seq)
			return nil
		}
		return []telling{{&Job{ID: e.ID, Owner: e.Owner, seq: e.Seq}, seq, e.Body}}
	case entryEnd:
		if !r.rows[seq] {
			r.garbage = append(r.garbage, seq)
			return nil
		}
		if cut := len(e.Body) - e.Tail; cut > 0 && cut <= len(e.Body) {
			return []telling{{&Job{ID: e.ID, Owner: e.Owner, seq: e.Seq}, seq, e.Body[:cut]}}
		}
	}
	return nil
}

// unread returns the open jobs whose listings are missing from the log.
func (r *restoring) unread() (list []*Job) {
	for _, j := range r.open {
		if j.text == nil {
			list = append(list, j)
		}
	}
	return list
}
