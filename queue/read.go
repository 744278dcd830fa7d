package queue

// Snapshot implements View.
func (v view) Snapshot() (run, pending []*Job) {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running != nil {
		run = []*Job{q.running.job}
	}
	return v.own(append(run, q.left...)), v.own(q.waiting.all())
}

// Remaining implements View.
func (v view) Remaining() int {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if !v.scope.One {
		return q.remaining()
	}
	return q.waiting.clients[v.scope.Owner] + q.runningOf(v.scope.Owner)
}

// Stats implements Queue.
func (q *Local) Stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := Stats{
		Pending: q.waiting.size, History: q.history.len(), Paused: q.paused, Draining: q.draining, Durable: q.store.Durable(),
		Err: q.store.Err(),
	}
	s.Running = q.remaining() - s.Pending
	s.Ready = q.running == nil && q.mayStart()
	if q.running != nil {
		s.Ending = q.running.asked
	}
	if q.loadErr != nil {
		s.Err = q.loadErr
	}
	return s
}

// History implements View.
func (v view) History(offset, limit int) []*Row {
	q := v.q
	q.mu.Lock()
	recs := q.history.slice(v.scope, offset, limit)
	q.mu.Unlock()
	return rowsOf(recs, q.texts)
}

// HistoryLen implements View.
func (v view) HistoryLen() int {
	q := v.q
	q.mu.Lock()
	defer q.mu.Unlock()
	if v.scope.One {
		return len(q.history.slice(v.scope, 0, -1))
	}
	return q.history.len()
}

// Find implements View.
func (v view) Find(id string) *Row {
	q := v.q
	q.mu.Lock()
	rec := q.history.find(id)
	q.mu.Unlock()
	if rec == nil || !v.scope.sees(rec) {
		return nil
	}
	return rowsOf([]*record{rec}, q.texts)[0]
}

func (q *Local) texts(recs []*record) [][]byte {
	seqs := make([]int64, len(recs))
	for i, r := range recs {
		seqs[i] = r.seq
	}
	texts, err := q.store.Rows(seqs)
	if err != nil {
		q.cfg.Logger.Error("reading the history", "error", err)
		return make([][]byte, len(seqs))
	}
	return texts
}

// Events implements View.
func (v view) Events(after int64, limit int) ([]Event, error) {
	return v.q.store.Events(v.scope, after, limit)
}
