package queue

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// unroutable returns a waiting job that no worker could run for too long, nil when it is none.
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
	classes, labels := map[string]int{}, map[string]int{}
	for _, w := range m.members {
		c, l := w.ad.missing(j.needs)
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
	noClass, noLabel := all(classes), all(labels)
	switch {
	case len(noClass) > 0:
		return fmt.Errorf("no worker has the node class %s", strings.Join(noClass, ", "))
	case len(noLabel) > 0:
		return fmt.Errorf("no worker has the label %s", strings.Join(noLabel, ", "))
	}
	names := slices.Concat(slices.Collect(maps.Keys(classes)), slices.Collect(maps.Keys(labels)))
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
		c, l := w.ad.missing(n)
		yes = len(c)+len(l) == 0
		if len(w.can) >= knownNeeds {
			clear(w.can)
		}
		w.can[key] = yes
	}
	return yes
}

// assign gives waiting jobs to idle workers: always the first job that some idle worker can run, to the one that has most of its models
// loaded, and among equals to the one that has done least.
func (m *machine) assign() {
	if m.paused || m.waiting.size == 0 {
		return
	}
	var idle []*member
	for _, w := range m.members {
		if w.job == nil && !w.draining {
			idle = append(idle, w)
		}
	}
	for len(idle) > 0 {
		j := m.waiting.popFrom(func(at lane) bool {
			head := (*m.waiting.lanes[at])[0]
			return slices.ContainsFunc(idle, func(w *member) bool { return w.canRunLane(at.needs, head.needs) })
		})
		if j == nil {
			return
		}
		able := slices.DeleteFunc(slices.Clone(idle), func(w *member) bool { return !w.canRun(j) })
		best := slices.MinFunc(able, func(a, b *member) int {
			if x, y := a.has(j.needs.Models), b.has(j.needs.Models); x != y {
				return y - x
			}
			if a.done != b.done {
				return int(a.done - b.done)
			}
			return strings.Compare(a.id, b.id)
		})
		idle = slices.DeleteFunc(idle, func(w *member) bool { return w == best })
		j.attempts++
		a := &assignment{job: j, worker: best.id, since: m.now}
		best.job, m.running[j.seq] = a, a
		m.event(EventStarted, j, "worker", best.ad.Name)
		m.out.started = append(m.out.started, a)
		m.out.changed = true
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
