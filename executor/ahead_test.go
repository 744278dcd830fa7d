package executor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"comfygo/executor"
	"comfygo/internal/pyjson"
)

// randomPrompt makes a prompt of nodes of all kinds, some of which fail.
func randomPrompt(rng *rand.Rand, trouble bool) string {
	var nodes []string
	n := 4 + rng.IntN(14)
	for i := range n {
		value := func() string {
			if i > 0 && rng.IntN(4) > 0 {
				return fmt.Sprint("#", rng.IntN(i))
			}
			return fmt.Sprint(rng.IntN(3))
		}
		class := []string{"OnDevice", "OnDevice", "OnCPU", "OnCPU", "OnCPU", "OnDisk", "Counted", "Unfolding"}[rng.IntN(8)]
		label := ""
		if trouble && rng.IntN(12) == 0 {
			label = []string{"fail", "panic", "block"}[rng.IntN(3)]
		}
		ms := float64(rng.IntN(30)) / 10
		switch class {
		case "Counted":
			nodes = append(nodes, strings.NewReplacer(`"ms":`, `"x":`).Replace(one(fmt.Sprint(i), class, value(), value(), ms, label)))
		default:
			nodes = append(nodes, one(fmt.Sprint(i), class, value(), value(), ms, label))
		}
	}
	for i := n - 3; i < n; i++ {
		nodes = append(nodes, one(fmt.Sprint("out", i), "OnDisk", fmt.Sprint("#", i), "0", 2, ""))
	}
	return "{" + strings.Join(nodes, ",") + "}"
}

// told returns the events and history of a run, without the times and the stacks.
func told(r executor.Result, events []executor.Event) []string {
	var out []string
	for _, e := range events {
		data := e.Data
		if data != nil {
			data = data.Clone()
			data.Delete("timestamp")
			data.Delete("traceback")
		}
		out = append(out, e.Type+" "+show(data))
	}
	return append(out, show(r.Outputs), show(r.Meta), fmt.Sprint(r.Success, r.Interrupted))
}

// TestWorkAheadIsInvisible runs random prompts, several on one executor so that caches matter, with and without work ahead, and with the next
// job known or not. Clients must not see a difference.
func TestWorkAheadIsInvisible(t *testing.T) {
	t.Parallel()
	for kind, cache := range caches {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(6) {
				rng := rand.New(rand.NewPCG(seed, 1))
				var prompts []string
				for range 4 {
					prompts = append(prompts, randomPrompt(rng, seed%3 == 0))
				}
				prompts = append(prompts, prompts[1], prompts[3], prompts[3])
				plain := executor.New(executor.Config{Registry: registry(t, append(inTurn, &counted{})...), Cache: cache})
				quick := executor.New(executor.Config{Registry: registry(t, append(declared, &counted{})...), Cache: cache})
				want, got := runAll(t, plain, prompts), runAll(t, quick, prompts)
				for i := range prompts {
					if at := firstDifference(want[i], got[i]); at >= 0 {
						t.Fatalf("seed %d, prompt %d, message %d:\n%s\nwant %.400s\nhave %.400s", seed, i, at, prompts[i], line(want[i], at), line(got[i], at))
					}
				}
			}
		})
	}
}

// firstDifference is the index of the first line that differs, -1 when none does.
func firstDifference(a, b []string) int {
	for i := range max(len(a), len(b)) {
		if line(a, i) != line(b, i) {
			return i
		}
	}
	return -1
}

func line(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return "nothing"
}

// runAll runs prompts one after the other; each has the next one as Next.
func runAll(t testing.TB, ex *executor.Executor, prompts []string) (out [][]string) {
	var jobs []executor.Job
	for i, p := range prompts {
		jobs = append(jobs, accept(t, ex, pyjson.NewObject("prompt", parse(t, p), "prompt_id", fmt.Sprint("job", i), "client_id", "me")))
	}
	for i, job := range jobs {
		if i+1 < len(jobs) {
			job.Next = func() (executor.Job, bool) { return jobs[i+1], true }
		}
		var events []executor.Event
		r := ex.Run(t.Context(), job, executor.SinkFunc(func(e executor.Event) { events = append(events, e) }))
		out = append(out, told(r, events))
	}
	ex.DropHeadStart()
	return out
}

func watch(t testing.TB, prompt string) *spanList {
	l := &spanList{}
	spans.Store(prompt, l)
	t.Cleanup(func() { spans.Delete(prompt) })
	return l
}

// A chain of work on images, and an image that is saved, beside two nodes on the device.
var branches = "{" + strings.Join([]string{
	one("d1", "OnDevice", "1", "0", 60, ""), one("s1", "OnDisk", "#d1", "0", 60, ""), one("d2", "OnDevice", "#d1", "5", 60, ""),
	one("c1", "OnCPU", "1", "0", 20, ""), one("c2", "OnCPU", "#c1", "0", 20, ""), one("s2", "OnDisk", "#d2", "#c2", 1, ""),
}, ",") + "}"

func TestBranchesOverlap(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t, declared...)})
	l := watch(t, t.Name())
	r, _, _ := runPrompt(t.Context(), t, ex, t.Name(), branches)
	if !r.Success {
		t.Fatal("failed")
	}
	const least = 10 * time.Millisecond
	device := append(l.of("d1"), l.of("d2")...)
	if d := beside(device, l.of("c1")) + beside(device, l.of("c2")); d < least {
		t.Errorf("work on images went on beside the device for %v", d)
	}
	if d := beside(l.of("d2"), l.of("s1")); d < least {
		t.Errorf("the device worked beside the saver for %v", d)
	}
	if d := beside(l.of("d1"), l.of("d2")); d > 0 {
		t.Errorf("two nodes had the device at a time, for %v", d)
	}
}

func TestUndeclaredNodesAreAlone(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t, inTurn...)})
	l := watch(t, t.Name())
	runPrompt(t.Context(), t, ex, t.Name(), branches)
	for i, a := range l.list {
		if d := beside(l.list[i+1:], []span{a}); d > 0 {
			t.Errorf("node %s had company for %v", a.node, d)
		}
	}
}

// jobText is a job of a node on the device and one that saves.
func jobText(i int, device, disk float64) string {
	return "{" + one("1", "OnDevice", fmt.Sprint(i), "0", device, "") + "," + one("2", "OnDisk", "#1", "0", disk, "") + "}"
}

func jobOf(t testing.TB, ex *executor.Executor, id, text string) executor.Job {
	return accept(t, ex, pyjson.NewObject("prompt", parse(t, text), "prompt_id", id, "client_id", "me"))
}

var deaf = executor.SinkFunc(func(executor.Event) {})

func TestNextJobBeginsWhileImagesAreSaved(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t, declared...)})
	first, second := jobOf(t, ex, t.Name()+"1", jobText(1, 1, 80)), jobOf(t, ex, t.Name()+"2", jobText(2, 120, 1))
	l1, l2 := watch(t, first.ID), watch(t, second.ID)
	first.Next = func() (executor.Job, bool) { return second, true }
	ex.Run(t.Context(), first, deaf)
	if len(l2.of("1")) != 0 {
		t.Fatal("the next job's node has ended already")
	}
	ex.Run(t.Context(), second, deaf)
	if n := len(l2.of("1")); n != 1 {
		t.Errorf("the node on the device ran %d times", n)
	}
	if d := beside(l1.of("2"), l2.of("1")); d < 30*time.Millisecond {
		t.Errorf("saving and the next job's work went on together for %v", d)
	}
}

// What was begun of a job that does not come is thrown away, and quickly.
func TestHeadStartIsDropped(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(*testing.T, *executor.Executor){
		"nothing follows": func(_ *testing.T, ex *executor.Executor) { ex.DropHeadStart() },
		"memory is freed": func(_ *testing.T, ex *executor.Executor) { ex.ClearCache() },
		"another job comes": func(t *testing.T, ex *executor.Executor) {
			if r := ex.Run(t.Context(), jobOf(t, ex, "other", jobText(9, 1, 1)), deaf); !r.Success {
				t.Error("failed")
			}
		},
		"the job is interrupted": func(t *testing.T, ex *executor.Executor) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(20*time.Millisecond, func() { cancel(executor.ErrInterrupted) })
			if r := ex.Run(ctx, jobOf(t, ex, "stopped", jobText(8, 100000, 1)), deaf); !r.Interrupted {
				t.Error("not interrupted")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ex := executor.New(executor.Config{Registry: registry(t, declared...)})
			next := jobOf(t, ex, t.Name(), jobText(2, 100000, 1))
			l := watch(t, next.ID)
			first := jobOf(t, ex, "first", jobText(1, 1, 40))
			first.Next = func() (executor.Job, bool) { return next, true }
			ex.Run(t.Context(), first, deaf)
			start := time.Now()
			then(t, ex)
			if took := time.Since(start); took > 250*time.Millisecond {
				t.Errorf("that took %v", took)
			}
			if len(l.of("1")) != 1 {
				t.Error("the next job's node did not begin, or has not ended")
			}
		})
	}
}

// The interrupt of a job ends what was begun of it.
func TestInterruptReachesTheHeadStart(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t, declared...)})
	first, next := jobOf(t, ex, "first", jobText(1, 1, 40)), jobOf(t, ex, "next", jobText(2, 100000, 1))
	first.Next = func() (executor.Job, bool) { return next, true }
	ex.Run(t.Context(), first, deaf)
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(20*time.Millisecond, func() { cancel(executor.ErrInterrupted) })
	start := time.Now()
	r := ex.Run(ctx, next, deaf)
	if took := time.Since(start); !r.Interrupted || took > 250*time.Millisecond {
		t.Errorf("after %v: %+v", took, r)
	}
}

// The first error in the visible order is reported, and the work ahead of it ends.
func TestErrorsComeInOrder(t *testing.T) {
	t.Parallel()
	ex := executor.New(executor.Config{Registry: registry(t, declared...)})
	prompt := "{" + one("1", "OnDevice", "1", "0", 40, "fail") + "," + one("2", "OnCPU", "1", "0", 1, "fail") + "," + one("3", "OnCPU", "1", "0", 100000, "") +
		"," + one("4", "OnCPU", "#2", "#3", 0, "") + "," + one("5", "OnDisk", "#1", "#4", 0, "") + "}"
	start := time.Now()
	r, events, _ := runPrompt(t.Context(), t, ex, t.Name(), prompt)
	if e := find(events, "execution_error"); r.Success || e == nil || e.String("node_id") != "1" || !strings.Contains(e.String("exception_message"), "node 1 fails") {
		t.Errorf("have %s", show(find(events, "execution_error")))
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("the nodes that worked ahead went on for %v", took)
	}
}
