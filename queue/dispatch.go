package queue

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"comfygo/internal/pyjson"
)

// Messages between servers and workers, which are not stored: what matters in them is sent again until it has had its effect.
const (
	messageRun  = "run"  // to a worker: run this job; the body is its listing and, as the tail, its secrets
	messageStop = "stop" // to a worker: end this job
	messageFree = "free" // to a worker: free memory or models
	messageGone = "gone" // to a worker: the fleet does not know it (any more)
	messageBeat = "beat" // of a worker or a server: it is there
	// messageWelcome tells a worker with a key the fleet's key, and that it has not joined.
	messageWelcome = "welcome"
)

// Where messages go: to a worker, from workers, from servers.
const (
	toWorker   = "to."
	fromWorker = "from."
	fromServer = "srv."
)

const (
	// beatEvery is how often workers and servers say that they are there.
	beatEvery = 500 * time.Millisecond
	// serverLease is how long a server may be silent before others do its part.
	serverLease = 4 * beatEvery
	// watchEvery is how often a server looks after the fleet.
	watchEvery = 250 * time.Millisecond
	// blackout is the length of a pause in this process after which it does not know who was silent meanwhile.
	blackout = 4 * watchEvery
	// The state is saved after so many entries, twice as many when it is large, or so long after a change.
	saveEntries = 5000
	saveEvery   = time.Minute
	// keptTellings is of how many entries with events clients that come back can hear.
	keptTellings = 4000
)

// beat is what was last heard of a worker.
type beat struct {
	at      time.Time
	seq     int64
	attempt int
	free    int64
}

// server is another server: when it was last heard of, and the version of the protocol that it understands.
type server struct {
	at     time.Time
	speaks int
}

// sending is something for a worker.
type sending struct {
	a       assignment
	attempt int   // of the job
	started bool  // it has just been assigned
	flags   Flags // for all workers
}

// send hands something to dispatch; what finds no room is sent at the worker's next beat. The queue is locked.
func (q *Distributed) send(s sending) {
	if s.started && !q.mine(s.a.job) {
		return
	}
	if s.a.job != nil {
		s.attempt = s.a.job.attempts
	}
	select {
	case q.sends <- s:
	default:
	}
}

// mine reports whether this server sends a job to its worker: the one that has accepted it, as long as that is there. The queue is locked.
func (q *Distributed) mine(j *Job) bool {
	if j.origin == q.id {
		return true
	}
	if s, known := q.servers[j.origin]; known && time.Since(s.at) < serverLease {
		return false
	}
	return q.leads()
}

// leads reports whether this server does what one of all has to do. Two that do it at the same time do no harm. The queue is locked.
func (q *Distributed) leads() bool {
	for id, s := range q.servers {
		if id < q.id && time.Since(s.at) < serverLease {
			return false
		}
	}
	return true
}

// dispatch sends jobs and wishes to workers.
func (q *Distributed) dispatch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-q.sends:
			switch {
			case s.flags != (Flags{}):
				q.sendFlags(s.flags)
			case s.started:
				q.sendJob(ctx, s.a, s.attempt)
			default:
				q.post(s.a.worker, entry{Type: messageStop, Seq: s.a.job.seq, Attempt: s.attempt})
			}
		}
	}
}

func (q *Distributed) sendFlags(f Flags) {
	q.mu.Lock()
	ids := make([]string, 0, len(q.m.members))
	for id := range q.m.members {
		ids = append(ids, id)
	}
	q.mu.Unlock()
	for _, id := range ids {
		q.post(id, entry{Type: messageFree, Flags: f})
	}
}

// post sends a message to a worker, encrypted when it has a key.
func (q *Distributed) post(worker string, e entry) {
	if worker == "" {
		return
	}
	data, err := e.encode()
	if err == nil && keyed(worker) && e.Type != messageWelcome {
		q.mu.Lock()
		c := q.m.channelTo(worker)
		q.mu.Unlock()
		switch {
		case c != nil:
			data = c.seal(data)
		case e.Type == messageGone: // not encrypted: the fleet has no key yet, and the worker joins without one
		default:
			return // it has joined a fleet with another key, and hears so from its next beat
		}
	}
	if err == nil {
		err = q.bus.Send(toWorker+worker, data)
	}
	if err != nil {
		q.log.Debug("sending to a worker", "worker", worker, "error", err) // it is sent again
	}
}

// sendJob sends a job to its worker, unless another attempt has begun meanwhile.
func (q *Distributed) sendJob(ctx context.Context, a assignment, attempt int) {
	j := a.job
	if q.cfg.Fleet.Allowed != nil && !q.cfg.Fleet.Allowed(ctx, j) {
		q.refuse(a.worker, j, attempt, cutOff(j, q.cfg.Now()), Interrupted)
		return
	}
	q.mu.Lock()
	if now := q.m.running[j.seq]; now == nil || now.worker != a.worker || now.job.attempts != attempt {
		q.mu.Unlock()
		return
	}
	e := entry{
		Type: messageRun, Seq: j.seq, Attempt: attempt, ID: j.ID, Number: j.Number, Owner: j.Owner, Client: j.client, Worker: a.worker, On: q.cfg.Owned,
		Options: Options{TimeLimit: timeLimit(q.m.policy.TimeLimit, j)}, Body: j.text,
	}
	own := q.secrets[j.seq]
	q.mu.Unlock()
	if own != nil {
		e.Trace = own.Trace
		if own.Secrets != nil {
			secrets, err := pyjson.Marshal(own.Secrets)
			if err == nil {
				e.Tail = len(secrets)
				e.Body = append(append(make([]byte, 0, len(j.text)+len(secrets)), j.text...), secrets...)
			}
		}
	}
	q.post(a.worker, e)
}

// refuse marks a job ended that no worker shall run. worker is the one that it was assigned to, "" for none.
func (q *Distributed) refuse(worker string, j *Job, attempt int, out Outcome, status Status) {
	tail, err := out.tail(j)
	if err != nil {
		q.log.Error("finishing a job", "prompt_id", j.ID, "error", err)
		return
	}
	e := entry{
		Type: entryEnd, Seq: j.seq, Attempt: attempt, Worker: worker, ID: j.ID, Owner: j.Owner, Status: status, Tail: len(tail), Body: tail,
	}
	select {
	case q.rejects <- e:
	default: // it is found again
	}
}

// reject appends the ends of jobs that no worker runs.
func (q *Distributed) reject(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-q.rejects:
			if _, err := q.do(ctx, e, nil); err != nil && ctx.Err() == nil {
				q.log.Error("finishing a job that cannot run", "prompt_id", e.ID, "error", err)
			}
		}
	}
}

// hear listens to workers and other servers.
func (q *Distributed) hear(context.Context) (stop func(), err error) {
	stopWorkers, err := q.bus.Receive(fromWorker+">", q.heard)
	if err != nil {
		return nil, err
	}
	stopServers, err := q.bus.Receive(fromServer+">", func(data []byte) {
		if e, err := decodeEntry(data); err == nil && e.Worker != q.id {
			q.mu.Lock()
			q.servers[e.Worker] = server{time.Now(), e.Speaks}
			q.findOldest()
			q.mu.Unlock()
		}
	})
	if err != nil {
		stopWorkers()
		return nil, err
	}
	return func() { stopWorkers(); stopServers() }, nil
}

// heard takes the beat of a worker and tells it again what it seems not to know.
func (q *Distributed) heard(data []byte) {
	e, err := decodeEntry(data)
	if err != nil || e.Type != messageBeat {
		return
	}
	q.mu.Lock()
	select {
	case <-q.ready:
	default:
		q.mu.Unlock()
		return
	}
	w := q.m.members[e.Worker]
	if w == nil {
		answer := q.answer(e)
		q.mu.Unlock()
		if answer != nil {
			q.post(e.Worker, *answer)
		}
		return
	}
	defer q.mu.Unlock()
	if c := q.m.channelTo(e.Worker); keyed(e.Worker) && (c == nil || !c.verify(e)) {
		return // another one has sent it
	}
	if !keyed(e.Worker) && e.Speaks >= levelProtocol && q.m.level >= levelProtocol && w.job == nil && q.leads() {
		welcome := q.welcome(e)
		q.helpers.Go(func() { q.post(e.Worker, welcome) }) // it has joined before the rules were in force
	}
	q.beats[e.Worker] = beat{at: time.Now(), seq: e.Seq, attempt: e.Attempt, free: e.Free}
	a := w.job
	if a == nil || !q.mine(a.job) {
		return
	}
	switch has := e.Seq == a.job.seq && e.Attempt == a.job.attempts; {
	case !has && time.Since(a.seen) > beatEvery:
		q.send(sending{a: *a, started: true})
	case has && !a.asked.IsZero():
		q.send(sending{a: *a})
	}
}

// answer is what a process hears that says that it is a worker and has not joined; nil: nothing. The queue is locked.
func (q *Distributed) answer(e *entry) *entry {
	switch {
	case !e.Joined || !q.leads():
	case e.Speaks < levelProtocol:
		return &entry{Type: messageGone}
	case q.m.level >= levelProtocol:
		w := q.welcome(e)
		return &w
	case q.oldest < levelProtocol:
		return &entry{Type: messageGone} // the rules wait, and the worker joins without a key
	}
	return nil
}

// welcome answers a worker's beat; the queue is locked. The fleet's key does not change.
func (q *Distributed) welcome(e *entry) entry {
	return entry{Type: messageWelcome, Request: e.Request, Key: q.m.secret.PublicKey().Bytes()}
}

// watch looks after workers that are silent, jobs that cannot run, and the state.
func (q *Distributed) watch(ctx context.Context) {
	last, beaten, savedAt := time.Now(), time.Time{}, time.Now()
	for pause(ctx, watchEvery) {
		now := time.Now()
		away := now.Sub(last) > blackout || q.bus.Err() != nil
		last = now
		if now.Sub(beaten) >= beatEvery {
			beaten = now
			q.beat()
		}
		select {
		case <-q.ready:
		default:
			continue
		}
		q.raise(ctx)
		q.wakeMail()
		q.nudge(ctx)
		q.lookAfter(ctx, away)
		if q.due(now.Sub(savedAt)) {
			savedAt = now
			select {
			case q.saving <- struct{}{}:
			default: // it is being saved
			}
		}
	}
}

// saveStates saves the state when watch says so: the beats do not wait for it.
func (q *Distributed) saveStates(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-q.saving:
			q.save(ctx)
		}
	}
}

func (q *Distributed) beat() {
	e := entry{Type: messageBeat, Worker: q.id, Speaks: Protocol}
	data, err := e.encode()
	if err == nil {
		err = q.bus.Send(fromServer+q.id, data)
	}
	if err != nil {
		q.log.Debug("telling other servers that this one is there", "error", err)
	}
}

// nudge lets a job start that has waited long enough for a worker with its models.
func (q *Distributed) nudge(ctx context.Context) {
	q.mu.Lock()
	needed := q.leads() && q.m.overdue(q.m.now.Add(time.Since(q.heardAt)))
	q.mu.Unlock()
	if !needed {
		return
	}
	q.helpers.Go(func() {
		if _, err := q.do(ctx, entry{Type: entryAssign}, nil); err != nil && ctx.Err() == nil {
			q.log.Error("assigning a job", "error", err)
		}
	})
}

// lookAfter finds workers that have died and jobs that cannot run. After a pause of its own process it takes no worker for dead.
func (q *Distributed) lookAfter(ctx context.Context, away bool) {
	q.mu.Lock()
	now := time.Now()
	var lost []string
	for id := range q.m.members {
		b, known := q.beats[id]
		switch {
		case away || !known:
			b.at = now
			q.beats[id] = b
		case now.Sub(b.at) > q.cfg.Lease:
			lost = append(lost, id)
			b.at = now // it is not told again at once
			q.beats[id] = b
		}
	}
	for id := range q.beats {
		if q.m.members[id] == nil {
			delete(q.beats, id)
		}
	}
	for id, s := range q.servers {
		if now.Sub(s.at) > time.Minute {
			delete(q.servers, id)
		}
	}
	q.findOldest()
	type end struct {
		j       *Job
		attempt int
		out     Outcome
	}
	var ends []end
	leads, stuck := q.leads(), q.stuck(now, away)
	if leads {
		for _, a := range q.m.running {
			if a.doom != "" {
				ends = append(ends, end{a.job, a.job.attempts, failed(a.job, "WorkerDied", a.doom+"\n", q.cfg.Now())})
			}
		}
		for _, j := range stuck {
			ends = append(ends, end{j, j.attempts, failed(j, "NoWorker", q.m.whyBlocked(j).Error()+"\n", q.cfg.Now())})
		}
	}
	q.mu.Unlock()
	for _, id := range lost {
		cause := fmt.Sprintf("nothing was heard of it for %s", q.cfg.Lease)
		q.log.Warn("a worker is lost", "worker", id, "cause", cause)
		q.helpers.Go(func() {
			if _, err := q.do(ctx, entry{Type: entryLost, Worker: id, Cause: cause}, nil); err != nil && ctx.Err() == nil {
				q.log.Error("telling that a worker is lost", "error", err)
			}
		})
	}
	for _, e := range ends {
		q.refuse("", e.j, e.attempt, e.out, Failed)
	}
}

// stuck returns the jobs that have been waiting for too long while no worker could run them. What they waited for before, as while the worker
// that can run them had other jobs, does not count: it may be starting again. The queue is locked.
func (q *Distributed) stuck(now time.Time, away bool) (list []*Job) {
	if away {
		clear(q.blocked)
	}
	// When jobs came is told by the log's clock. It is at least what it was at the last entry.
	logNow := q.m.now.Add(now.Sub(q.heardAt))
	blocked := q.m.blockedJobs()
	maps.DeleteFunc(q.blocked, func(needs string, _ time.Time) bool { return blocked[needs] == nil })
	for needs, jobs := range blocked {
		since, known := q.blocked[needs]
		if !known {
			q.blocked[needs] = now
			continue
		}
		if now.Sub(since) < q.cfg.RoutePatience {
			continue
		}
		for _, j := range jobs {
			if j.queued.Before(logNow.Add(-q.cfg.RoutePatience)) {
				list = append(list, j)
			}
		}
	}
	return list
}

// due reports whether the state is to be saved.
func (q *Distributed) due(since time.Duration) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.m.applied - q.saved
	// A state with many rows costs as much as reading so many entries: a start reads at most about twice what it has to.
	enough := min(max(saveEntries, int64(q.m.history.len()+q.m.waiting.size)), 2*saveEntries)
	return n > 0 && (n >= enough || since >= q.cfg.SaveEvery) && q.leads()
}

// save keeps the state and drops the entries that the state before it makes needless. Those that only the new one has stay: a server
// that has just read the state before is still to read them, and without them it would come to another state than all others.
func (q *Distributed) save(ctx context.Context) {
	q.mu.Lock()
	state := q.m.snapshot()
	seq, before := q.m.applied, int64(0)
	q.saved = seq
	// What a state has stays for a while, and what the newest has as long as there is no newer one.
	at := 0
	for at+1 < len(q.states) && time.Since(q.states[at+1].at) >= q.cfg.Overlap {
		at++
	}
	if len(q.states) > 0 && time.Since(q.states[at].at) >= q.cfg.Overlap {
		before = q.states[at].seq
		q.states = slices.Clone(q.states[at:])
	}
	old := int64(0)
	if n := len(q.m.told) - keptTellings; n > 0 {
		old = q.m.told[n-1]
		q.m.told = append([]int64(nil), q.m.told[n:]...)
	}
	if age := q.m.policy.HistoryAge; age > 0 {
		oldest := q.m.now.Add(time.Since(q.heardAt) - age)
		if len(q.m.history.before(oldest)) > 0 {
			q.helpers.Go(func() {
				if _, err := q.do(ctx, entry{Type: entryForget, Before: &oldest}, nil); err != nil && ctx.Err() == nil {
					q.log.Error("forgetting old jobs", "error", err)
				}
			})
		}
	}
	q.mu.Unlock()
	data, err := state.encode() // it may be large: the queue is not locked meanwhile
	if err == nil {
		err = q.bus.SaveState(ctx, seq, data)
	}
	if err == nil {
		q.mu.Lock()
		q.states = append(q.states, savedState{seq, time.Now()})
		q.mu.Unlock()
		if before > 0 {
			q.sweep(before)
			err = q.bus.Trim(ctx, KeepCommand, before)
		}
	}
	if err == nil && min(old, before) > 0 { // the clients of a server that is behind are still to hear of the others
		err = q.bus.Trim(ctx, KeepEvents, min(old, before))
	}
	if err != nil && ctx.Err() == nil {
		q.log.Error("keeping the queue's state", "error", err)
	}
}

// sweep lets the log drop what entries up to a number have made needless.
func (q *Distributed) sweep(upTo int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	var seqs []int64
	for ; n < len(q.litter) && q.litter[n].at <= upTo; n++ {
		seqs = append(seqs, q.litter[n].seqs...)
	}
	if n == 0 {
		return
	}
	select {
	case q.garbage <- seqs:
		q.litter = append([]litter(nil), q.litter[n:]...)
	default: // the next time
	}
}

// clean drops entries that are not needed any more.
func (q *Distributed) clean(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case seqs := <-q.garbage:
			q.mu.Lock()
			lead := q.leads()
			q.mu.Unlock()
			if !lead {
				continue
			}
			if err := q.bus.Forget(ctx, seqs); err != nil && ctx.Err() == nil {
				q.log.Debug("dropping entries of the queue's log", "error", err) // the next start finds them
			}
		}
	}
}

// WorkerView is a worker as /api/workers shows it.
type WorkerView struct {
	ID       string
	Ad       WorkerAd
	Draining bool
	// JobID and Owner are of the job that it runs, "" for none; Since is when that began.
	JobID, Owner string
	Since        time.Time
	Resident     []string
	Done         int64
	// Protocol is the newest version that it understands, and Keyed that it proves who it is: workers of before version 3 do not.
	Protocol int
	Keyed    bool
	// Heard is when it was last heard of, zero when this server has not heard of it yet.
	Heard time.Time
}

// Workers returns the fleet, ordered by name.
func (q *Distributed) Workers() []WorkerView {
	q.settled()
	q.mu.Lock()
	defer q.mu.Unlock()
	list := make([]WorkerView, 0, len(q.m.members))
	for id, w := range q.m.members {
		v := WorkerView{ID: id, Ad: w.ad, Draining: w.draining, Resident: w.resident, Done: w.done, Protocol: max(firstProtocol, w.speaks), Keyed: keyed(id)}
		if b, ok := q.beats[id]; ok {
			v.Heard = b.at
			if b.free > 0 {
				v.Ad.VRAMFree = b.free
			}
		}
		if w.job != nil {
			v.JobID, v.Owner, v.Since = w.job.job.ID, w.job.job.Owner, w.job.since
		}
		list = append(list, v)
	}
	slices.SortFunc(list, compareWorkers)
	return list
}

// DrainWorker lets a worker take no more jobs, or take some again, and reports whether there is one with the id.
func (q *Distributed) DrainWorker(id string, on bool) (bool, error) {
	v, err := q.do(context.Background(), entry{Type: entryDrain, Worker: id, On: on}, nil)
	return v.ok, err
}

// frameRecord puts a record behind others, with its length before it.
func frameRecord(b, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(data))), data...) //nolint:gosec // bounded by the log
}

func compareWorkers(a, b WorkerView) int {
	if c := strings.Compare(a.Ad.Name, b.Ad.Name); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

// recordSize is how many bytes the first record of b takes with its length.
func recordSize(b []byte) int {
	if len(b) < 4 {
		return len(b)
	}
	return min(len(b), 4+int(binary.BigEndian.Uint32(b)))
}
