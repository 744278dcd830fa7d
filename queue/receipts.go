package queue

import "time"

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
