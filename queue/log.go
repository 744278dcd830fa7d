package queue

import (
	"context"
	"time"
)

// Keep is the class of an entry of a Log: entries of different classes are kept for different times.
type Keep string

// The classes.
const (
	// KeepJob is kept until it is forgotten by its number.
	KeepJob Keep = "job"
	// KeepCommand is kept until the state has it.
	KeepCommand Keep = "cmd"
	// KeepEvents is kept for clients that come back, and until the state has it.
	KeepEvents Keep = "ev"
)

// Record is an entry as the log has it.
type Record struct {
	// Seq counts up from 1; numbers may be left out.
	Seq  int64
	Time time.Time
	Data []byte
	// ByWorker says that it was appended with what a worker's credentials allow.
	ByWorker bool
}

// Log is an ordered log that several processes append to and follow, and through which they send each other short messages that
// are not stored. Everything may be called from any goroutine.
type Log interface {
	// Append adds an entry. When it returns without an error the entry, or another one that was appended with its id in the last five minutes, is in
	// the log and cannot be lost. It retries until ctx ends. The error wraps ErrUnavailable, with ErrUncertain as well when the entry may have been
	// added or may still be added, and ErrFull when the log has no room.
	Append(ctx context.Context, k Keep, id string, data []byte) error
	// Follow calls f for all entries that are kept with numbers above after, in their order, and then for every new one, until ctx ends or
	// f returns an error. caughtUp is called once, when f has had all entries that were there at the beginning.
	Follow(ctx context.Context, after int64, f func(Record) error, caughtUp func()) error
	// Read returns one entry; ErrNotExist of package io/fs when it is gone.
	Read(ctx context.Context, seq int64) ([]byte, error)
	// Forget drops entries by their numbers.
	Forget(ctx context.Context, seqs []int64) error
	// Trim drops all entries of a class up to a number.
	Trim(ctx context.Context, k Keep, upTo int64) error
	// SaveState stores a state that has all entries up to seq; LoadState returns the one with the highest number, or 0.
	SaveState(ctx context.Context, seq int64, data []byte) error
	LoadState(ctx context.Context) (seq int64, data []byte, err error)
	// Floor returns a number up to which entries may have been dropped that no state but the last two has.
	Floor(ctx context.Context) (int64, error)
	// Count returns 0, 1, 2 and so on, each number once for all processes.
	Count(ctx context.Context) (int64, error)
	// Send sends a message that may get lost; Receive calls f for those to a name, or to all below it when that ends in ".>".
	Send(to string, data []byte) error
	Receive(to string, f func(data []byte)) (stop func(), err error)
	// MaxSize is the size of the largest entry or message in bytes.
	MaxSize() int
	// Err returns the reason why the log is currently unreachable, or nil.
	Err() error
	// Close frees the log's connections.
	Close() error
}
