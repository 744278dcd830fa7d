package v2

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"comfygo/executor"
)

const (
	// rememberedLogs is of how many jobs the events are kept.
	rememberedLogs = 300
	// newsPause is the minimum interval between reports of progress and previews.
	newsPause = 400 * time.Millisecond
	// maxFrames bounds the outputs that one job's log reports; all of them are in the job itself.
	maxFrames = 4096
)

// frame is one event of a job. Exactly one of its contents is set.
type frame struct {
	number   int64
	status   Status
	progress *progressView
	preview  *previewFrame
	output   *shown
}

type previewFrame struct {
	node  string
	image *executor.Preview
}

// jobLog is the history of one job. All changes of its status and outputs are kept, of progress and previews only the newest:
// each of those includes everything of the ones before it. So a client that reconnects gets all that is still relevant.
type jobLog struct {
	frames   []frame // of status and outputs
	progress *frame
	preview  *frame
	last     int64
	wake     chan struct{} // closed at the next event
	outputs  []shown
	started  time.Time
	share    float64
	told     time.Time // when progress was told
	shownAt  time.Time // when a preview was told
	over     bool
}

// jobLogs are the logs of the last jobs.
type jobLogs struct {
	mu sync.Mutex
	// run distinguishes events of this process from those of an earlier one.
	run   string
	byID  map[string]*jobLog
	order []string
}

func newJobLogs() jobLogs {
	return jobLogs{run: strings.ReplaceAll(uuid.NewString()[:13], "-", ""), byID: map[string]*jobLog{}}
}

// of returns a job's log, which it makes at the first use; the logs are locked.
func (l *jobLogs) of(id string) *jobLog {
	if j := l.byID[id]; j != nil {
		return j
	}
	j := &jobLog{wake: make(chan struct{})}
	l.byID[id] = j
	l.order = append(l.order, id)
	if len(l.order) > rememberedLogs {
		l.drop()
	}
	return j
}

// drop removes the oldest log of a job that is over, or the oldest one if there is no such job.
func (l *jobLogs) drop() {
	oldest := max(0, slices.IndexFunc(l.order, func(id string) bool { return l.byID[id].over }))
	id := l.order[oldest]
	close(l.byID[id].wake)
	delete(l.byID, id)
	l.order = slices.Delete(l.order, oldest, oldest+1)
}

// add appends an event; the logs are locked.
func (j *jobLog) add(f frame) {
	j.last++
	f.number = j.last
	switch {
	case f.progress != nil:
		j.progress = &f
	case f.preview != nil:
		j.preview = &f
	case len(j.frames) < maxFrames || f.output == nil:
		j.frames = append(j.frames, f)
	}
	close(j.wake)
	j.wake = make(chan struct{})
}

func (l *jobLogs) status(id string, s Status) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j := l.of(id); !j.over {
		if j.over = s.terminal(); j.over {
			j.preview = nil // an image that is not needed any more
		}
		j.add(frame{status: s})
	}
}

func (l *jobLogs) begin(id string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.of(id)
	j.started, j.over, j.share, j.outputs = at, false, 0, nil
	j.add(frame{status: Running})
}

func (l *jobLogs) startedAt(id string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j := l.byID[id]; j != nil {
		return j.started
	}
	return time.Time{}
}

// due reports whether progress may be told again.
func (l *jobLogs) due(id string, at time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return at.Sub(l.of(id).told) >= newsPause
}

func (l *jobLogs) tellProgress(id string, p Progress, at time.Time) {
	share := l.share(id, p.Share)
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.of(id)
	j.told = at
	j.add(frame{progress: p.view(share, false)})
}

// share returns the progress of a job, which never decreases.
func (l *jobLogs) share(id string, now float64) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.byID[id]
	if j == nil {
		return min(max(now, 0), 1)
	}
	j.share = min(max(now, j.share), 1)
	return j.share
}

func (l *jobLogs) tellPreview(id, node string, p *executor.Preview, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.of(id)
	if at.Sub(j.shownAt) < newsPause {
		return
	}
	j.shownAt = at
	j.add(frame{preview: &previewFrame{node, p}})
}

func (l *jobLogs) tellOutputs(id string, list []shown) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.of(id)
	for _, s := range list {
		j.add(frame{output: &s})
		j.outputs = append(j.outputs, s)
	}
}

// outputs are the outputs of a running job so far.
func (l *jobLogs) outputs(id string) []shown {
	l.mu.Lock()
	defer l.mu.Unlock()
	if j := l.byID[id]; j != nil {
		return j.outputs[:len(j.outputs):len(j.outputs)]
	}
	return nil
}

// after returns the events behind a number, in order, the number of the last one, and the channel that is closed at the next.
func (l *jobLogs) after(id string, number int64) (list []frame, last int64, wake <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.of(id)
	for _, f := range j.frames {
		if f.number > number {
			list = append(list, f)
		}
	}
	for _, f := range []*frame{j.progress, j.preview} {
		if f != nil && f.number > number {
			list = insert(list, *f)
		}
	}
	return list, j.last, j.wake
}

func insert(list []frame, f frame) []frame {
	i := len(list)
	for i > 0 && list[i-1].number > f.number {
		i--
	}
	return append(list[:i], append([]frame{f}, list[i:]...)...)
}

// now returns the state of a job's log: the number of its last event, and the newest preview.
func (l *jobLogs) now(id string) (last int64, preview *previewFrame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.of(id)
	if j.preview != nil {
		preview = j.preview.preview
	}
	return j.last, preview
}

// cursor is the id of an event, as clients send it back.
func (l *jobLogs) cursor(number int64) string { return fmt.Sprintf("%s-%d", l.run, number) }

// resume reads a cursor, or returns false if its log no longer exists.
func (l *jobLogs) resume(id, cursor string) (int64, bool) {
	run, text, _ := strings.Cut(cursor, "-")
	number, err := strconv.ParseInt(text, 10, 64)
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.byID[id]
	if err != nil || run != l.run || j == nil || number < 0 || number > j.last {
		return 0, false
	}
	return number, true
}

// over reports whether a job's log has its end.
func (l *jobLogs) over(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	j := l.byID[id]
	return j != nil && j.over
}
