package queue

import (
	"time"
)

// Store keeps what a queue must not lose. Everything may be called from any goroutine; batches are kept in the order in
// which Submit was called.
type Store interface {
	// Load returns what was there when the store was last used. It is called before anything else, again after an
	// ErrUnavailable, and not again once it succeeded.
	Load() (Saved, error)
	// Submit hands over a batch and returns at once. The returned function, which must be called, waits until the batch cannot be lost any more:
	// it is kept as a whole, or, with an error that wraps ErrUnavailable, not at all.
	Submit(b Batch) (wait func() error)
	// Rows returns the texts of finished jobs by their keys; one that is gone is nil.
	Rows(seqs []int64) ([][]byte, error)
	// Events returns up to limit events of a scope with numbers above after.
	Events(s Scope, after int64, limit int) ([]Event, error)
	// Due returns up to limit messages to send by now, and the time when the first of the others is due (zero if all are due).
	Due(now time.Time, limit int) (due []Delivery, next time.Time, err error)
	// Err returns the reason why the last batch could not be stored, or nil.
	Err() error
	// Probe tries to write and updates Err.
	Probe()
	// Durable reports whether jobs outlive the process.
	Durable() bool
	// Close frees the store.
	Close() error
}

// Saved is what a store restores after a restart.
type Saved struct {
	Pending []SavedJob
	// History are the finished jobs in the order of their places.
	History []SavedRow
	// NextNumber is the number after the last one given to a job, NextSeq and NextPlace likewise.
	NextNumber, NextSeq, NextPlace int64
	Paused                         bool
	// Shares are the clients' shares as they were when the last job started.
	Shares Shares
	// Receipts are in the order in which they were given.
	Receipts []Receipt
}

// SavedJob is a job that has not come to its end.
type SavedJob struct {
	ID       string
	Owner    string
	Grant    string
	Number   Number
	Place    Place
	Client   string
	Options  Options
	Attempts int
	// Running: the process ended while the job ran.
	Running bool
	// Listing is Job.Text.
	Listing []byte
}

// SavedRow is a finished job without its text.
type SavedRow struct {
	Seq, Place int64
	ID, Owner  string
	Finished   time.Time
	Shared     bool
}

// Batch is kept as a whole or not at all.
type Batch struct {
	Changes []Change
	Events  []Event
}

// Change is one of the types below.
type Change interface{ change() }

type (
	// Queued is a new job.
	Queued struct {
		Job        *Job
		Place      Place
		NextNumber int64
	}
	// Started records that a job began to run for the given time.
	Started struct {
		Seq      int64
		Attempts int
		Shares   *Shares // nil: unchanged
	}
	// Returned puts a running job back among the waiting ones.
	Returned struct {
		Seq      int64
		Attempts int
	}
	// Finished moves a job to history, to the place; a row there goes, as does the one with the key Evicted if above 0.
	Finished struct {
		Job      *Job
		Place    int64
		Status   Status
		At       time.Time
		Tail     []byte
		Replaced int64
		Evicted  int64
	}
	// Removed drops waiting jobs.
	Removed struct{ Seqs []int64 }
	// Moved changes where jobs stand.
	Moved struct{ Places []Place }
	// Forgotten drops rows of history; All drops every one.
	Forgotten struct {
		Seqs []int64
		All  bool
	}
	// Shared records whether others may read a finished job.
	Shared struct {
		Seq int64
		On  bool
	}
	// PauseSet records whether the queue is paused.
	PauseSet struct{ On bool }
	// HookAdded is a message to send.
	HookAdded struct{ Delivery Delivery }
	// HookDone drops a message.
	HookDone struct{ Number int64 }
	// HookPostponed records another attempt.
	HookPostponed struct {
		Number   int64
		Attempts int
		Due      time.Time
	}
	// EventsTrimmed drops events from before the time and all but the last Keep.
	EventsTrimmed struct {
		Before time.Time
		Keep   int
	}
)

func (Queued) change()        {}
func (Started) change()       {}
func (Returned) change()      {}
func (Finished) change()      {}
func (Removed) change()       {}
func (Moved) change()         {}
func (Forgotten) change()     {}
func (Shared) change()        {}
func (PauseSet) change()      {}
func (HookAdded) change()     {}
func (HookDone) change()      {}
func (HookPostponed) change() {}
func (EventsTrimmed) change() {}

// Delivery is a message to a webhook that has not arrived yet.
type Delivery struct {
	// Number is the store's key; ID is the id by which the receiver recognises the message.
	Number   int64
	ID       string
	JobID    string
	URL      string
	Secret   string
	Body     []byte
	Attempts int
	Due      time.Time
}
