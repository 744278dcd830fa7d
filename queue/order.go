package queue

import (
	"container/heap"
	"maps"
	"slices"
)

// Shares say how much each client has had lately, in jobs divided by its weight.
type Shares struct {
	// Clock is the share of the client that was served last; a new client starts there.
	Clock   float64            `json:"clock"`
	Clients map[string]float64 `json:"clients,omitempty"`
}

// queueOrder holds the waiting jobs and says which is next. Without fairness that is the first by Job.before. With it, the
// highest class there is comes first, and in it the client with the smallest share: a weighted round-robin, in which a
// client that had nothing waiting has saved nothing up.
type queueOrder struct {
	fair    bool
	weights map[string]float64
	shares  Shares
	lanes   map[lane]*jobHeap
	size    int
	clients map[string]int // waiting jobs of each
	byID    map[string][]*Job
}

type lane struct {
	class  Class
	client string // "" unless fair
	needs  string // what a worker must have; "" where one worker runs everything
	models string // the models that a worker should have loaded; "" where one worker runs everything
}

func newQueueOrder(fair bool, weights map[string]float64) *queueOrder {
	return &queueOrder{
		fair: fair, weights: weights, shares: Shares{Clients: map[string]float64{}}, lanes: map[lane]*jobHeap{},
		clients: map[string]int{}, byID: map[string][]*Job{},
	}
}

func (l *queueOrder) laneOf(j *Job) lane {
	if l.fair {
		return lane{j.place.Class, j.turn(), j.needsKey, j.modelsKey}
	}
	return lane{class: j.place.Class, needs: j.needsKey, models: j.modelsKey}
}

func (l *queueOrder) add(j *Job) {
	at := l.laneOf(j)
	h := l.lanes[at]
	if h == nil {
		h = &jobHeap{}
		l.lanes[at] = h
	}
	if l.fair && l.clients[j.turn()] == 0 {
		l.shares.Clients[j.turn()] = max(l.shares.Clients[j.turn()], l.shares.Clock)
	}
	heap.Push(h, j)
	l.size++
	l.clients[j.turn()]++
	l.byID[j.ID] = append(l.byID[j.ID], j)
}

// remove takes a waiting job out.
func (l *queueOrder) remove(j *Job) {
	heap.Remove(l.lanes[l.laneOf(j)], j.heapIndex)
	l.gone(j)
}

// gone forgets a job that is in no heap any more.
func (l *queueOrder) gone(j *Job) {
	if at := l.laneOf(j); l.lanes[at].Len() == 0 {
		delete(l.lanes, at)
	}
	l.size--
	if l.clients[j.turn()]--; l.clients[j.turn()] == 0 {
		delete(l.clients, j.turn())
	}
	same := slices.DeleteFunc(l.byID[j.ID], func(o *Job) bool { return o == j })
	if len(same) == 0 {
		delete(l.byID, j.ID)
	} else {
		l.byID[j.ID] = same
	}
}

// find returns the first waiting job with the id.
func (l *queueOrder) find(id string) *Job {
	if same := l.byID[id]; len(same) > 0 {
		return slices.MinFunc(same, order)
	}
	return nil
}

func (l *queueOrder) clear() {
	clear(l.lanes)
	clear(l.clients)
	clear(l.byID)
	l.size = 0
}

// next picks the lane whose turn it is among those that may accepts; nil accepts all.
func next(lanes map[lane]*jobHeap, shares *Shares, may func(lane) bool) (best lane, ok bool) {
	var first *Job
	for at, h := range lanes {
		j := (*h)[0]
		if may != nil && !may(at) {
			continue
		}
		if first == nil || turnBefore(at, j, best, first, shares) {
			best, first = at, j
		}
	}
	return best, first != nil
}

func turnBefore(a lane, ja *Job, b lane, jb *Job, shares *Shares) bool {
	if a.class != b.class {
		return a.class > b.class
	}
	if x, y := shares.Clients[a.client], shares.Clients[b.client]; x != y {
		return x < y
	}
	return ja.before(jb)
}

// peek returns the job that pop would take out, or nil.
func (l *queueOrder) peek() *Job {
	if l.size == 0 {
		return nil
	}
	at, _ := next(l.lanes, &l.shares, nil)
	return (*l.lanes[at])[0]
}

// pop takes the next job out.
func (l *queueOrder) pop() *Job { return l.popFrom(nil) }

// popFrom takes the next job out of the lanes that may accepts, or returns nil if they are empty.
func (l *queueOrder) popFrom(may func(lane) bool) *Job {
	at, ok := next(l.lanes, &l.shares, may)
	if !ok {
		return nil
	}
	j := heap.Pop(l.lanes[at]).(*Job)
	l.gone(j)
	l.serve(&l.shares, at)
	if l.fair {
		maps.DeleteFunc(l.shares.Clients, func(client string, share float64) bool {
			return l.clients[client] == 0 && share <= l.shares.Clock
		})
	}
	return j
}

func (l *queueOrder) serve(s *Shares, at lane) {
	if !l.fair {
		return
	}
	weight := l.weights[at.client]
	if weight <= 0 {
		weight = 1
	}
	s.Clock = max(s.Clock, s.Clients[at.client])
	s.Clients[at.client] += 1 / weight
}

// all returns the waiting jobs in the order in which they will run if nothing else comes.
func (l *queueOrder) all() []*Job {
	out := make([]*Job, 0, l.size)
	if !l.fair {
		for _, h := range l.lanes {
			out = append(out, *h...)
		}
		slices.SortFunc(out, order)
		return out
	}
	lanes := make(map[lane]*jobHeap, len(l.lanes))
	for at, h := range l.lanes {
		sorted := slices.Clone(*h)
		slices.SortFunc(sorted, order)
		lanes[at] = &sorted
	}
	shares := l.copyShares()
	for len(lanes) > 0 {
		at, _ := next(lanes, shares, nil)
		h := lanes[at]
		out = append(out, (*h)[0])
		if *h = (*h)[1:]; len(*h) == 0 {
			delete(lanes, at)
		}
		l.serve(shares, at)
	}
	return out
}

// copyShares returns a copy for callers that keep the shares.
func (l *queueOrder) copyShares() *Shares {
	return &Shares{Clock: l.shares.Clock, Clients: maps.Clone(l.shares.Clients)}
}

// jobHeap is a heap of jobs, the next one to run at the front.
type jobHeap []*Job

func (h jobHeap) Len() int           { return len(h) }
func (h jobHeap) Less(i, j int) bool { return h[i].before(h[j]) }

// Swap is for container/heap. Jobs know where they stand, so that removing one needs no search.
func (h jobHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].heapIndex, h[j].heapIndex = i, j
}

// Push is for container/heap.
func (h *jobHeap) Push(x any) {
	j := x.(*Job)
	j.heapIndex = len(*h)
	*h = append(*h, j)
}

// Pop is for container/heap.
func (h *jobHeap) Pop() any {
	last := len(*h) - 1
	j := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return j
}
