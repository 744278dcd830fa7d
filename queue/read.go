package queue

// Snapshot implements Queue.
func (q *Local) Snapshot() (run, pending []*Job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.running != nil {
		run = []*Job{q.running.job}
	}
	return append(run, q.left...), q.waiting.all()
}

// Remaining implements Queue.
func (q *Local) Remaining() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.remaining()
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
	if q.loadErr != nil {
		s.Err = q.loadErr
	}
	return s
}

// History implements Queue.
func (q *Local) History(offset, limit int) []*Row {
	q.mu.Lock()
	recs := q.history.slice(offset, limit)
	q.mu.Unlock()
	return rowsOf(recs, q.texts)
}

// HistoryLen implements Queue.
func (q *Local) HistoryLen() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.history.len()
}

// Find implements Queue.
func (q *Local) Find(id string) *Row {
	q.mu.Lock()
	rec := q.history.find(id)
	q.mu.Unlock()
	if rec == nil {
		return nil
	}
	return rowsOf([]*record{rec}, q.texts)[0]
}

func (q *Local) texts(seqs []int64) [][]byte {
	texts, err := q.store.Rows(seqs)
	if err != nil {
		q.cfg.Logger.Error("reading the history", "error", err)
		return make([][]byte, len(seqs))
	}
	return texts
}

// Events implements Queue.
func (q *Local) Events(after int64, limit int) ([]Event, error) {
	return q.store.Events(after, limit)
}
