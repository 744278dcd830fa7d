package executor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"comfygo/executor"
	"comfygo/nodes"
)

// BenchmarkBranches compares a prompt whose branches may overlap (device 60 ms twice, images 20 ms three times, saving 40 ms twice) with the same
// prompt of nodes that declare nothing. The device is a wait, as it is for the CPU beside a GPU.
func BenchmarkBranches(b *testing.B) {
	prompt := func(i int) string {
		return "{" + strings.Join([]string{
			one("d1", "OnDevice", fmt.Sprint(i), "0", 60, ""), one("s1", "OnDisk", "#d1", "0", 40, ""), one("d2", "OnDevice", "#d1", "0", 60, ""),
			one("c1", "OnCPU", fmt.Sprint(i), "0", 20, ""), one("c2", "OnCPU", "#c1", "0", 20, ""), one("c3", "OnCPU", "#c2", "0", 20, ""),
			one("s2", "OnDisk", "#d2", "#c3", 40, ""),
		}, ",") + "}"
	}
	compare(b, func(ex *executor.Executor, round int) {
		if r := ex.Run(b.Context(), jobOf(b, ex, fmt.Sprint(round), prompt(round)), deaf); !r.Success {
			b.Fatal("failed")
		}
	})
}

// BenchmarkJobs compares eight jobs in a row (device 60 ms, saving 40 ms each) in which each has the next as Next with the same jobs of
// nodes that declare nothing.
func BenchmarkJobs(b *testing.B) {
	const count = 8
	compare(b, func(ex *executor.Executor, round int) {
		var jobs []executor.Job
		for i := range count {
			jobs = append(jobs, jobOf(b, ex, fmt.Sprint(round, "-", i), jobText(round*count+i, 60, 40)))
		}
		for i, job := range jobs {
			if i+1 < count {
				job.Next = func() (executor.Job, bool) { return jobs[i+1], true }
			}
			if r := ex.Run(b.Context(), job, deaf); !r.Success {
				b.Fatal("failed")
			}
		}
	})
}

// compare times both executors in turns and reports how long each takes and the ratio.
func compare(b *testing.B, work func(ex *executor.Executor, round int)) {
	took := map[string]time.Duration{}
	sets := map[string][]nodes.Node{"overlapped": declared, "in-turn": inTurn}
	executors := map[string]*executor.Executor{}
	for name, set := range sets {
		executors[name] = executor.New(executor.Config{Registry: registry(b, set...)})
	}
	round := 0
	for b.Loop() {
		for _, name := range []string{"overlapped", "in-turn"} {
			start := time.Now()
			work(executors[name], round)
			took[name] += time.Since(start)
		}
		round++
	}
	for name, d := range took {
		b.ReportMetric(float64(d.Microseconds())/1000/float64(round), name+"-ms")
	}
	b.ReportMetric(float64(took["in-turn"])/float64(took["overlapped"]), "ratio")
}
