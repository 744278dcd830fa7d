package queue

// Store keeps what a queue must not lose. Methods are called one at a time, in the order in which things happened, and
// before a client is told. The memory queue has none.
type Store interface {
	// Load returns what was there when the store was last used.
	Load() (Saved, error)
	// Queued keeps an accepted job.
	Queued(j *Job) error
	// Started notes that a job began to run.
	Started(j *Job) error
	// Removed drops waiting jobs.
	Removed(jobs []*Job) error
	// Finished moves a job from the queue to history and drops the row with the id evicted, if that is not "".
	Finished(j *Job, r *Row, evicted string) error
	// Forgotten drops the history rows with the ids; nil means all of them.
	Forgotten(ids []string) error
	// Close frees the store.
	Close() error
}

// Saved is what a store brings back after a restart.
type Saved struct {
	// Pending are the jobs to run, also those that were running when the server ended.
	Pending []*Job
	// History are the finished jobs, oldest first.
	History []*Row
	// NextNumber is the number after the last one given to a job.
	NextNumber int64
}

// noStore is the store of the memory queue.
type noStore struct{}

func (noStore) Load() (Saved, error)              { return Saved{}, nil }
func (noStore) Queued(*Job) error                 { return nil }
func (noStore) Started(*Job) error                { return nil }
func (noStore) Removed([]*Job) error              { return nil }
func (noStore) Finished(*Job, *Row, string) error { return nil }
func (noStore) Forgotten([]string) error          { return nil }
func (noStore) Close() error                      { return nil }

var _ Store = noStore{}
