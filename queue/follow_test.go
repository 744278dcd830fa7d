package queue_test

import (
	"path/filepath"
	"slices"
	"testing"

	"comfygo/queue"
)

// TestOneFollowsTheOther checks the log of jobs that follow each other at once, and of one that is overtaken, cancelled or stopped at the
// moment in which it would have followed.
func TestOneFollowsTheOther(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		between func(r *rig) // while the end of a is told
		want    []string     // of the log, behind the three queued ones
	}{
		"nothing": {func(*rig) {}, []string{"started a", "finished a", "started b", "finished b", "started c", "finished c"}},
		"overtaken": {
			func(r *rig) { r.must(r.SetClass("c", queue.High)) },
			[]string{"started a", "finished a", "started b", "moved c", "requeued b", "started c", "finished c", "started b", "finished b"},
		},
		"deleted": {
			func(r *rig) {
				_, err := r.Delete("b")
				r.must(err)
			},
			[]string{"started a", "finished a", "started b", "removed b", "started c", "finished c"},
		},
		"paused": {
			func(r *rig) { r.must(r.Pause()) },
			[]string{"started a", "finished a", "started b", "paused", "requeued b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r *rig
			path := filepath.Join(t.TempDir(), "q.db")
			first := true
			r = open(t, path, func(cfg *queue.Config) {
				told := cfg.Finished
				cfg.Finished = func(j *queue.Job, s queue.Status) {
					if told(j, s); first {
						first = false
						c.between(r)
					}
				}
			})
			r.put(1, "a")
			r.put(2, "b")
			r.put(3, "c")
			stop := r.work()
			go func() {
				for range r.started {
					r.release <- queue.Outcome{Success: true}
				}
			}()
			want := append([]string{"queued a", "queued b", "queued c"}, c.want...)
			eventually(t, "the log", func() bool { return len(r.eventTypes()) >= len(want) })
			stop()
			if got := r.eventTypes(); !slices.Equal(got, want) {
				t.Errorf("the log is %v\nwant %v", got, want)
			}
			r.close()
			close(r.started)
			again := open(t, path, nil)
			if n := len(again.pending()); (name == "paused") != (n == 2) {
				t.Errorf("after a restart %d jobs wait", n)
			}
			again.close()
		})
	}
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Error(err)
	}
}
