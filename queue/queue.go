// Package queue holds accepted prompts, runs them one after the other and remembers their outcomes.
//
// It keeps upstream's numbers, order and limits, and adds priorities, fair shares, limits and a numbered log of events. A Store keeps what
// must outlive the process; the kind of store is a detail of this package. The package must not depend on HTTP or sockets, nor know how a
// prompt is run: the caller of New passes the function that runs a job and the functions that are notified of changes.
package queue

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// HistoryLimit is the number of finished jobs that are remembered; the oldest are dropped first.
const HistoryLimit = 10000

// Causes with which a running job's context ends.
var (
	// ErrInterrupted means that a client interrupts the job.
	ErrInterrupted = errors.New("interrupted by a client")
	// ErrShutdown means that the queue stops.
	ErrShutdown = errors.New("the server is shutting down")
	// ErrTimeLimit means that the job ran longer than it may.
	ErrTimeLimit = errors.New("the time limit is over")
)

var (
	// ErrUnavailable means that the store cannot be written now: the disk is full, or the file is locked or read-only.
	ErrUnavailable = errors.New("the queue's store cannot be written")
	// ErrFull means that the store has no room. Errors that wrap it wrap ErrUnavailable, too.
	ErrFull = errors.New("the queue's store is full")
	// ErrUncertain means that something may or may not have been stored.
	ErrUncertain = errors.New("it is not known whether it was stored")
	// ErrDraining means that the queue takes no more jobs because the server is about to end.
	ErrDraining = errors.New("the server is shutting down and takes no more prompts")
	// ErrUnknownJob means that no waiting job has the id.
	ErrUnknownJob = errors.New("no waiting job has this id")
	// ErrTakenID means that a job with the id waits or runs, or has ended and is another owner's.
	ErrTakenID = errors.New("the id is taken")
)

// FullError is returned when the limit of waiting jobs is reached.
type FullError struct {
	Limit int
	// Client is the client whose limit is reached, "" for the limit of all; Owner likewise.
	Client, Owner string
	// RetryAfter estimates when there will be room.
	RetryAfter time.Duration
}

// Error names the limit that is reached.
func (e *FullError) Error() string {
	if e.Owner != "" {
		return fmt.Sprintf("%s has %d prompts in the queue, which is the most", e.Owner, e.Limit)
	}
	if e.Client != "" {
		return fmt.Sprintf("client %s has %d prompts waiting, which is the most", e.Client, e.Limit)
	}
	return fmt.Sprintf("%d prompts are waiting, which is the most", e.Limit)
}

// Flags are requests of clients that the worker fulfils between two jobs.
type Flags struct {
	UnloadModels, FreeMemory, ReloadPacks bool
}

// State is the state of a job.
type State string

// The states that Cancel returns.
const (
	StateNone    State = ""
	StateRunning State = "running"
	StatePending State = "pending"
)

// Stats are a queue's figures.
type Stats struct {
	Running, Pending, History int
	Paused, Draining, Durable bool
	// Ready reports that a waiting job could start now, which lasts no longer than the worker needs to take it.
	Ready bool
	// Ending is since when the running job has been asked to end; zero when it was not.
	Ending time.Time
	// Err is the reason why the store is currently not writable, or nil.
	Err error
}

// Events of the log.
const (
	EventQueued      = "queued"
	EventStarted     = "started"
	EventFinished    = "finished"
	EventRemoved     = "removed"  // deleted or cleared while it waited
	EventRequeued    = "requeued" // the server ended while it ran; it runs again
	EventMoved       = "moved"
	EventForgotten   = "forgotten" // deleted from history; without an id: all of it
	EventShared      = "shared"    // others may read it, or no longer
	EventPaused      = "paused"
	EventResumed     = "resumed"
	EventHookFailed  = "webhook_failed" // a message was given up
	EventHookArrived = "webhook_delivered"
)

// Event is an entry of the log.
type Event struct {
	// Number counts up from 1; no number is ever used twice.
	Number int64
	Time   time.Time
	Type   string
	// JobID is the prompt's id, "" if the event is not about one; Owner is the owner of the job.
	JobID, Owner string
	// Data is a JSON object, or nil.
	Data []byte
}

// View is a queue as far as a caller may see and change it: all of it, or the jobs of one owner as if there were no
// others. All methods may be called from any goroutine. What changes something returns when the change cannot be lost any
// more, or with ErrUnavailable when it was not made.
type View interface {
	// Snapshot returns the running jobs and the waiting ones in the order in which they will run.
	Snapshot() (running, pending []*Job)
	// Remaining is the number of running and waiting jobs.
	Remaining() int
	// Clear drops all waiting jobs.
	Clear() error
	// Delete drops the first waiting job with the id and reports whether there was one.
	Delete(id string) (bool, error)
	// Cancel ends exactly one job with the id, the running one first, and returns its state before.
	Cancel(id string) (State, error)
	// Interrupt ends the running job, if any, and reports whether there was one.
	Interrupt() bool
	// InterruptIfRunning ends the running job if it has the id, and reports whether it had.
	InterruptIfRunning(id string) bool
	// MoveTo moves the waiting job with the id to the position in the whole queue, counted from 0, and returns ErrUnknownJob if there is no such
	// job. It takes the class of the job whose place it takes.
	MoveTo(id string, position int) error
	// MoveBefore puts a waiting job before another one.
	MoveBefore(id, other string) error
	// SetClass changes a waiting job's priority class.
	SetClass(id string, c Class) error
	// History returns up to limit finished jobs from offset on, oldest first; limit below 0 means all.
	History(offset, limit int) []*Row
	// HistoryLen is the number of finished jobs that are remembered.
	HistoryLen() int
	// Find returns the finished job with the id, or nil.
	Find(id string) *Row
	// ClearHistory forgets all finished jobs.
	ClearHistory() error
	// DeleteHistory forgets one finished job, if it is there.
	DeleteHistory(id string) error
	// Share lets others read a finished job, or no longer, and reports whether there was one.
	Share(id string, on bool) (bool, error)
	// Events returns up to limit events with numbers above after.
	Events(after int64, limit int) ([]Event, error)
}

// NextOf is the next number of a queue.
func NextOf(q Queue) (Number, error) {
	n, err := q.NextNumber()
	return Number{Value: float64(n)}, err
}

// Queue is the interface that the server needs of a queue. As a View it covers the whole queue.
type Queue interface {
	View
	// Of is the view of one owner.
	Of(owner string) View
	// In is the view of a scope.
	In(s Scope) View
	// NextNumber counts up from 0 and never gives a number twice. The error wraps ErrUnavailable.
	NextNumber() (int64, error)
	// Put accepts a job. When it returns without error the job will not be lost. Errors, after which it never runs: FullError, ErrTakenID,
	// ErrDraining, ErrUnavailable, RepeatedError. After an UncertainError it may run.
	Put(j *Job) error
	// Next returns the waiting job that would start now if none ran, or nil. It stays a waiting job, which can still be cancelled or overtaken:
	// work done for it in advance may be wasted. The job must not be changed.
	Next() *Job
	// Stats returns the queue's figures.
	Stats() Stats
	// Pause and Resume stop and start the taking of waiting jobs; the running one continues.
	Pause() error
	Resume() error
	// SetFlags asks the worker for something that it does as soon as no job runs.
	SetFlags(f Flags)
	// DropGrant drops the waiting jobs that were accepted under a grant, ends the running one if it was, and returns how
	// many that were.
	DropGrant(grant string) (int, error)
	// Work runs the jobs until ctx ends and the running one has come to its end.
	Work(ctx context.Context) error
	// Drain takes no more jobs and waits until the running one has ended and, where the store would lose them, the
	// waiting ones too. It returns the cause of ctx when that ends first.
	Drain(ctx context.Context) error
	// Close frees the queue's resources. Work must have returned.
	Close() error
}
