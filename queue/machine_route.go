package queue

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// unroutable returns a waiting job that no worker could run for too long, nil if each can still be run.
func (m *machine) unroutable(seq int64) *Job {
	for _, h := range m.waiting.lanes {
		for _, j := range *h {
			if j.seq == seq && m.blocked(j) {
				return j
			}
		}
	}
	return nil
}

// blocked reports whether a job waits although there are workers, none of which can run it.
func (m *machine) blocked(j *Job) bool {
	if len(m.members) == 0 {
		return false
	}
	for _, w := range m.members {
		if w.canRun(j) {
			return false
		}
	}
	return true
}

// blockedJobs returns the waiting jobs that no worker can run though there are workers, by their needs.
func (m *machine) blockedJobs() map[string][]*Job {
	list := map[string][]*Job{}
	for _, h := range m.waiting.lanes {
		if len(*h) > 0 && m.blocked((*h)[0]) {
			key := (*h)[0].needsKey
			list[key] = append(list[key], *h...)
		}
	}
	return list
}

// whyBlocked says what no worker has.
func (m *machine) whyBlocked(j *Job) error {
	classes, labels, families := map[string]int{}, map[string]int{}, map[string]int{}
	for _, w := range m.members {
		c, l, f := w.ad.missing(j.needs)
		for _, name := range f {
			families[name]++
		}
		for _, name := range c {
			classes[name]++
		}
		for _, name := range l {
			labels[name]++
		}
	}
	all := func(counts map[string]int) (names []string) {
		for name, n := range counts {
			if n == len(m.members) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	noClass, noLabel, noFamily := all(classes), all(labels), all(families)
	switch {
	case len(noClass) > 0:
		return fmt.Errorf("no worker has the node class %s", strings.Join(noClass, ", "))
	case len(noFamily) > 0:
		return fmt.Errorf("no worker has the model family %s", strings.Join(noFamily, ", "))
	case len(noLabel) > 0:
		return fmt.Errorf("no worker has the label %s", strings.Join(noLabel, ", "))
	}
	names := slices.Concat(slices.Collect(maps.Keys(classes)), slices.Collect(maps.Keys(labels)), slices.Collect(maps.Keys(families)))
	slices.Sort(names)
	if len(names) == 0 {
		return errors.New("no worker can run the prompt")
	}
	return fmt.Errorf("no single worker has all of %s", strings.Join(names, ", "))
}

// canRun reports whether a worker has what a job needs.
func (w *member) canRun(j *Job) bool { return w.canRunLane(j.needsKey, j.needs) }

func (w *member) canRunLane(key string, n Needs) bool {
	if key == "" {
		return true
	}
	yes, known := w.can[key]
	if !known {
		c, l, f := w.ad.missing(n)
		yes = len(c)+len(l)+len(f) == 0
		if len(w.can) >= knownNeeds {
			clear(w.can)
		}
		w.can[key] = yes
	}
	return yes
}

// assign gives waiting jobs to idle workers: always the first job that some idle worker can run, to the one that has most of its models
// loaded, and among equals to the one that has done least. A job whose models a busy worker has waits for that one for a while.
func (m *machine) assign() {
	if m.paused || m.waiting.size == 0 {
		return
	}
	for len(m.idle) > 0 {
		j := m.waiting.popFrom(func(at lane) bool {
			head := (*m.waiting.lanes[at])[0]
			for w := range m.idle {
				if w.canRunLane(at.needs, head.needs) {
					return !m.hold(head)
				}
			}
			return false
		})
		if j == nil {
			return
		}
		best := m.bestFor(j)
		j.attempts++
		a := &assignment{job: j, worker: best.id, since: m.now}
		best.job, m.running[j.seq] = a, a
		delete(m.idle, best)
		m.event(EventStarted, j, "worker", best.ad.Name)
		m.hook(j, EventStarted, "started", nil)
		m.out.started = append(m.out.started, a)
		m.out.changed = true
	}
}

// bestFor is the idle worker for a job, which at least one of them can run.
func (m *machine) bestFor(j *Job) (best *member) {
	most := -1
	for w := range m.idle {
		if !w.canRun(j) {
			continue
		}
		n := w.has(j.needs.Models)
		if best == nil || n > most || n == most && (w.done < best.done || w.done == best.done && w.id < best.id) {
			best, most = w, n
		}
	}
	return best
}

// hold reports whether a job waits for a busy worker that has all its models loaded. It waits no longer than the policy says.
func (m *machine) hold(j *Job) bool {
	if m.level < levelProtocol || m.policy.ModelWait <= 0 || len(j.needs.Models) == 0 || m.heldLong(j, m.now) {
		return false
	}
	busy := false
	for w := range m.holders[j.needs.Models[0]] {
		if w.draining || !w.canRun(j) || w.has(j.needs.Models) < len(j.needs.Models) {
			continue
		}
		if w.job == nil {
			return false
		}
		busy = true
	}
	if busy && j.held.IsZero() {
		j.held = m.now
	}
	return busy
}

func (m *machine) heldLong(j *Job, now time.Time) bool {
	return !j.held.IsZero() && now.Sub(j.held) >= m.policy.ModelWait
}

// overdue reports whether a job has waited long enough for a worker that has its models while another one is idle: an entry is needed for it to start.
func (m *machine) overdue(now time.Time) bool {
	if m.paused || len(m.idle) == 0 || m.level < levelProtocol || m.policy.ModelWait <= 0 {
		return false
	}
	for _, h := range m.waiting.lanes {
		if len(*h) > 0 && m.heldLong((*h)[0], now) && !m.heldLong((*h)[0], m.now) {
			return true
		}
	}
	return false
}

// update notes whether a worker is idle.
func (m *machine) update(w *member) {
	if m.members[w.id] == w && w.job == nil && !w.draining {
		m.idle[w] = struct{}{}
		return
	}
	delete(m.idle, w)
}

// shareLists lets a worker have the lists of another one that are equal: most workers of a fleet have the same hundreds of classes.
func (m *machine) shareLists(ad *WorkerAd) {
	for _, w := range m.members {
		if slices.Equal(w.ad.Classes, ad.Classes) {
			ad.Classes = w.ad.Classes
			if slices.Equal(w.ad.Families, ad.Families) {
				ad.Families = w.ad.Families
			}
			return
		}
	}
}

// setResident notes the models that a worker has loaded.
func (m *machine) setResident(w *member, models []string) {
	for _, name := range w.resident {
		if delete(m.holders[name], w); len(m.holders[name]) == 0 {
			delete(m.holders, name)
		}
	}
	w.resident = models
	for _, name := range models {
		if m.holders[name] == nil {
			m.holders[name] = map[*member]struct{}{}
		}
		m.holders[name][w] = struct{}{}
	}
}

// has is how many of the models a worker has loaded.
func (w *member) has(models []string) (n int) {
	for _, name := range models {
		if slices.Contains(w.resident, name) {
			n++
		}
	}
	return n
}
