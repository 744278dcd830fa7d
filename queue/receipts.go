package queue

import (
	"fmt"
	"time"
)

// Bounds of the receipts that are kept: how many, and how long.
const (
	ReceiptLimit    = 10000
	ReceiptLifetime = 24 * time.Hour
)

// Receipt says that a request was accepted under a key of its own: when it is sent again, it has the same answer and makes no second job.
// It is kept together with its job or not at all.
type Receipt struct {
	// Key names the request, Sum is a digest of it.
	Key string
	Sum []byte
	// Answer is the answer to the request.
	Answer []byte
	At     time.Time
	// JobID and Seq are the job's. They need not be filled in for Put.
	JobID string
	Seq   int64
	// Job is the job, with nothing but its id when it has come to its end before a restart.
	Job *Job `json:"-"`
}

// RepeatedError is returned when a request with the same key was accepted before, by whichever server. Nothing was queued.
type RepeatedError struct{ Receipt Receipt }

// Error names the job of the request before.
func (e *RepeatedError) Error() string {
	return fmt.Sprintf("a request with this key was accepted before, as job %s", e.Receipt.JobID)
}

// ReceiptsTrimmed drops receipts from before the time and all but the last Keep.
type ReceiptsTrimmed struct {
	Before time.Time
	Keep   int
}

func (ReceiptsTrimmed) change() {}

// present passes on the receipts of the last run; the queue is locked.
func (q *Local) present(receipts []Receipt) {
	if q.cfg.Receipts == nil || len(receipts) == 0 {
		return
	}
	open := map[int64]*Job{}
	for _, list := range [][]*Job{q.waiting.all(), q.left} {
		for _, j := range list {
			open[j.seq] = j
		}
	}
	for i := range receipts {
		r := &receipts[i]
		if r.Job = open[r.Seq]; r.Job == nil {
			r.Job = &Job{ID: r.JobID, seq: r.Seq}
		}
	}
	q.cfg.Receipts(receipts)
}

// receiptList has the receipts of a queue that several processes share, oldest first.
type receiptList struct {
	list  []Receipt
	byKey map[string]Receipt
}

func newReceiptList(list []Receipt) receiptList {
	l := receiptList{byKey: map[string]Receipt{}}
	for _, r := range list {
		l.add(r)
	}
	return l
}

// add adds a receipt and drops those that are too many or too old.
func (l *receiptList) add(r Receipt) {
	l.list = append(l.list, r)
	l.byKey[r.Key] = r
	for len(l.list) > ReceiptLimit || r.At.Sub(l.list[0].At) > ReceiptLifetime {
		if first := l.list[0]; l.byKey[first.Key].Seq == first.Seq {
			delete(l.byKey, first.Key)
		}
		l.list = l.list[1:]
	}
}

// date makes receipts no newer than now: those of a server whose clock is ahead would keep the others from being kept as long as they should.
func (l *receiptList) date(now time.Time) {
	for i := range l.list {
		r := &l.list[i]
		if !r.At.After(now) {
			continue
		}
		r.At = now
		if known := l.byKey[r.Key]; known.Seq == r.Seq {
			l.byKey[r.Key] = *r
		}
	}
}
