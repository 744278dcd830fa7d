package natslog_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"comfygo/queue"
	"comfygo/queue/natslog"
)

// stallingProxy passes connections on to NATS, and at a chosen piece of data stops doing so.
type stallingProxy struct {
	listener net.Listener
	to       string

	mu sync.Mutex
	// up and down count the pieces to NATS and from it that still pass; below 0: all do.
	up, down int
	// cut: the client's side of a connection closes when a piece is held back, which NATS gets later nevertheless.
	cut     bool
	stalled chan struct{} // closed when a piece was held back
	release chan struct{} // closed when all goes on
}

func newProxy(t *testing.T, url string) *stallingProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &stallingProxy{listener: l, to: strings.TrimPrefix(url, "nats://"), up: -1, down: -1, stalled: make(chan struct{}), release: make(chan struct{})}
	t.Cleanup(func() { _ = l.Close(); p.goOn() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c)
		}
	}()
	return p
}

func (p *stallingProxy) url() string { return "nats://" + p.listener.Addr().String() }

func (p *stallingProxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		_ = client.Close()
		return
	}
	go p.pass(server, client, client, &p.up)
	p.pass(client, server, client, &p.down)
}

// pass copies one direction piece by piece.
func (p *stallingProxy) pass(to, from, client net.Conn, left *int) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		p.mu.Lock()
		hold, cut, release := *left == 0, p.cut, p.release
		if *left > 0 {
			*left--
		}
		if hold {
			select {
			case <-p.stalled:
			default:
				close(p.stalled)
			}
		}
		p.mu.Unlock()
		if hold {
			if cut {
				p.mu.Lock()
				*left = -1 // the client's next connection works
				p.mu.Unlock()
				_ = client.Close()
			}
			<-release
		}
		if _, err := to.Write(buffer[:n]); err != nil && !cut {
			return
		}
	}
}

// arm stalls the n-th piece from now on in one direction or, with cut, breaks the connection there.
func (p *stallingProxy) arm(up bool, n int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stalled, p.release, p.cut = make(chan struct{}), make(chan struct{}), cut
	if up {
		p.up = n
	} else {
		p.down = n
	}
}

func (p *stallingProxy) goOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down = -1, -1
	select {
	case <-p.release:
	default:
		close(p.release)
	}
}

// TestPutHasADefiniteAnswer stalls the connection of a server at each piece of data that an accepted job sends and receives, for less and for more
// time than a change may take, and cuts it while NATS still gets what was sent. A job that was refused never runs, one that was accepted ends
// once; only while NATS cannot be asked the answer says that it is not known.
func TestPutHasADefiniteAnswer(t *testing.T) {
	t.Parallel()
	const patience, uncertain = 300 * time.Millisecond, time.Second
	for _, up := range []bool{true, false} {
		for _, stall := range []struct {
			name     string
			cut      bool
			length   time.Duration
			definite bool
		}{
			{"briefly", false, patience / 3, true},
			{"until it is settled", false, patience + 100*time.Millisecond, true},
			{"for longer", false, patience + uncertain + 300*time.Millisecond, false},
			{"cut", true, patience + 100*time.Millisecond, true},
		} {
			t.Run(fmt.Sprint("up ", up, " ", stall.name), func(t *testing.T) {
				t.Parallel()
				settle := uncertain
				if stall.definite {
					settle = 4 * time.Second // on a loaded machine; less than a question takes that waits for an answer which the cut has lost
				}
				r := newRig(t)
				p := newProxy(t, r.url)
				direct := r.server()
				r.worker(queue.WorkerAd{Name: "w"})
				real := r.url
				r.url = p.url()
				a := r.server(func(c *queue.DistributedConfig) { c.Patience, c.Settle = patience, settle })
				r.url = real
				eventually(t, "a first job is accepted", func() bool {
					n, err := queue.NextOf(a)
					return err == nil && a.Put(testJob(n)) == nil
				})
				fate := map[string]error{}
				var jobs []*queue.Job
				for n := range 4 {
					p.arm(up, n, stall.cut)
					for range 2 {
						j := testJob(queue.Number{})
						jobs = append(jobs, j)
						put := make(chan error, 1)
						go func() { put <- a.Put(j) }()
						select {
						case fate[j.ID] = <-put:
							continue
						case <-p.stalled:
						}
						select {
						case fate[j.ID] = <-put: // the piece was not its
						case <-time.After(stall.length):
							p.goOn()
							fate[j.ID] = <-put
						}
					}
					p.goOn()
					eventually(t, "the server is connected", func() bool { return a.Stats().Err == nil })
				}
				last := testJob(queue.Number{Value: 1})
				eventually(t, "a last job is accepted", func() bool { last.ID += "x"; return a.Put(last) == nil })
				eventually(t, "the last job ends", func() bool { return direct.Find(last.ID) != nil })
				for i, j := range jobs {
					var uncertain *queue.UncertainError
					err := fate[j.ID]
					_, waiting := direct.Snapshot()
					direct.mu.Lock()
					ends := direct.ends[j.ID]
					direct.mu.Unlock()
					switch {
					case err == nil && (ends != 1 || r.count(j.ID) != 1):
						t.Errorf("job %d was accepted, has %d ends and ran %d times", i, ends, r.count(j.ID))
					case errors.As(err, &uncertain):
						if stall.definite {
							t.Errorf("job %d: %v", i, err)
						}
					case err != nil && (!errors.Is(err, queue.ErrUnavailable) || r.count(j.ID)+ends+len(waiting) != 0):
						t.Errorf("job %d was refused (%v), has %d ends and ran %d times", i, err, ends, r.count(j.ID))
					}
				}
			})
		}
	}
}

// TestSameIDIsOneJob sends the same job to two servers at the same time, again while it waits, runs and when it has ended.
func TestSameIDIsOneJob(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b := r.server(), r.server()
	first := testJob(queue.Number{}, "wait", int64(200))
	send := func(f *front) error {
		again := testJob(queue.Number{}, "wait", int64(200))
		again.ID = first.ID
		return f.Put(again)
	}
	var all sync.WaitGroup
	results := make(chan error, 16)
	for i := range 16 {
		all.Go(func() { results <- send([]*front{a, b}[i%2]) })
	}
	all.Wait()
	accepted := 0
	for range 16 {
		switch err := <-results; {
		case err == nil:
			accepted++
		case !errors.Is(err, queue.ErrTakenID):
			t.Error(err)
		}
	}
	if accepted != 1 {
		t.Errorf("%d of the same job were accepted, want 1", accepted)
	}
	r.worker(queue.WorkerAd{Name: "w"})
	for range 2 {
		eventually(t, "the job runs or has ended", func() bool { running, _ := a.Snapshot(); return len(running) == 1 || a.Find(first.ID) != nil })
		if err := send(b); !errors.Is(err, queue.ErrTakenID) {
			t.Errorf("the same job again: %v", err)
		}
		eventually(t, "the job has ended", func() bool { return a.Find(first.ID) != nil && b.Find(first.ID) != nil })
	}
	if n := r.count(first.ID); n != 1 {
		t.Errorf("the job ran %d times", n)
	}
}

// TestFullStore fills NATS: submissions are refused with an error that says so, nothing that was accepted is lost, and with more room all goes on.
func TestFullStore(t *testing.T) {
	t.Parallel()
	r := &rig{t: t, cfg: natslog.ServerConfig{Host: "127.0.0.1", Port: -1, Store: t.TempDir(), MaxStore: 1 << 20}, runs: map[string]int{}}
	r.start()
	t.Cleanup(func() { r.nats.Close() })
	a := r.server()
	if err := a.Pause(); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("x", 64<<10)
	var accepted []*queue.Job
	var refused *queue.Job
	for {
		j := testJob(queue.Number{}, "text", text)
		err := a.Put(j)
		if err == nil {
			accepted = append(accepted, j)
			continue
		}
		if refused = j; !errors.Is(err, queue.ErrFull) || !errors.Is(err, queue.ErrUnavailable) || !strings.Contains(err.Error(), "--store-max") {
			t.Fatalf("after %d jobs: %v", len(accepted), err)
		}
		break
	}
	a.stop()
	r.nats.Close()
	r.cfg.MaxStore = 0
	r.start()
	b := r.server()
	r.worker(queue.WorkerAd{Name: "w"})
	if err := b.Resume(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all jobs have ended", func() bool { return b.HistoryLen() == len(accepted) && b.Remaining() == 0 })
	b.check(t, accepted...)
	if len(accepted) < 8 || r.count(refused.ID) != 0 {
		t.Errorf("%d jobs were accepted, the refused one ran %d times", len(accepted), r.count(refused.ID))
	}
}

// TestSlowServer stops what NATS sends to a server while jobs run, and lets it come: it has missed nothing.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server()
	p := newProxy(t, r.url)
	real := r.url
	r.url = p.url()
	slow := r.server()
	r.url = real
	r.worker(queue.WorkerAd{Name: "w"})
	eventually(t, "both servers know the worker", func() bool { return len(a.Workers()) == 1 && len(slow.Workers()) == 1 })
	p.arm(false, 0, false)
	var jobs []*queue.Job
	for range 200 {
		jobs = append(jobs, r.put(a))
	}
	eventually(t, "all jobs have ended", func() bool { return a.HistoryLen() == len(jobs) })
	p.goOn()
	eventually(t, "the slow server has them all", func() bool { return slow.HistoryLen() == len(jobs) })
	slow.check(t, jobs...)
	a.check(t, jobs...)
}

// TestServerBehind holds that a server which comes back when the log no longer has what it has not read ends, and says why.
func TestServerBehind(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.server(func(c *queue.DistributedConfig) { c.SaveEvery, c.Overlap = 50*time.Millisecond, 50*time.Millisecond })
	p := newProxy(t, r.url)
	log, err := natslog.Open(t.Context(), natslog.Config{URLs: []string{p.url()}, Credentials: r.nats.Files[natslog.RoleServer], Role: natslog.RoleServer, Logger: testLog()})
	if err != nil {
		t.Fatal(err)
	}
	slow, err := queue.NewDistributed(queue.DistributedConfig{Log: log, Config: queue.Config{Logger: testLog()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- slow.Work(ctx) }()
	if err := a.Pause(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has read the log", func() bool {
		events, err := slow.Events(0, 1)
		return err == nil && len(events) == 1
	})
	p.arm(false, 0, false)
	p.mu.Lock()
	p.up = 0 // or the others would take it for the one that trims the log
	p.mu.Unlock()
	worker := r.open(natslog.RoleServer)
	defer func() { _ = worker.Close() }()
	before, err := worker.Floor(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log is trimmed", func() bool {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if err := errors.Join(a.Pause(), a.Resume()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		floor, err := worker.Floor(t.Context())
		return err == nil && floor > before+1200 // more than what is on its way to the slow server
	})
	p.goOn()
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "trimmed before this server had read it") {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it goes on")
	}
	cancel()
	if err := slow.Close(); err != nil {
		t.Error(err)
	}
}
