// Command fleetcost measures what waiting jobs and workers cost a server of a fleet (docs/scale-out.md): NATS, the server and the workers are processes
// of their own, and the workers only wait. It writes the figures as JSON and as SVG plots.
//
//	go run ./tools/fleetcost -out docs/scale-out
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"comfygo/internal/chart"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fleetcost:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "nats":
			return serveNATS(ctx, args[1])
		case "server":
			return serve(ctx, args[1], args[2])
		}
	}
	f := flag.NewFlagSet("fleetcost", flag.ContinueOnError)
	out := f.String("out", ".", "folder for cost.json and the plots")
	jobs := f.String("jobs", "1000,10000,30000,100000", "numbers of waiting jobs")
	workers := f.String("workers", "10,100,300,1000", "numbers of workers")
	length := f.Duration("length", 20*time.Second, "how long the server is watched with each number of workers")
	busy := f.Duration("job", 10*time.Second, "how long a job of these workers takes; it tells its progress each second")
	if err := f.Parse(args); err != nil {
		return err
	}
	r := report{JobSeconds: busy.Seconds()}
	counts, err := numbers(*jobs)
	if err == nil && len(counts) > 0 {
		r.Jobs, err = costOfJobs(ctx, counts)
	}
	if err != nil {
		return err
	}
	if counts, err = numbers(*workers); err != nil {
		return err
	}
	for _, n := range counts {
		p, err := costOfWorkers(ctx, n, *length, *busy)
		if err != nil {
			return fmt.Errorf("%d workers: %w", n, err)
		}
		r.Workers = append(r.Workers, p)
	}
	return r.write(*out)
}

func numbers(text string) (list []int, err error) {
	for word := range strings.SplitSeq(text, ",") {
		if word == "" {
			continue
		}
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is no number above 0", word)
		}
		list = append(list, n)
	}
	return list, nil
}

// report are all figures.
type report struct {
	Jobs       []jobCost    `json:"jobs"`
	Workers    []workerCost `json:"workers"`
	JobSeconds float64      `json:"job_seconds"`
}

// jobCost is what a number of waiting jobs costs.
type jobCost struct {
	Jobs int `json:"jobs"`
	// Heap and RSS are the server's, Store what NATS has on disk, in bytes.
	Heap  int64 `json:"heap"`
	RSS   int64 `json:"rss"`
	Store int64 `json:"store"`
	// Accept is the server's CPU time for accepting each of the jobs since the number before, in seconds.
	Accept float64 `json:"accept_cpu_seconds_per_job"`
	// Snapshot is the time of one listing of the queue, Start the time in which another server reads the log and answers, Clear that of dropping all
	// jobs, in seconds.
	Snapshot float64 `json:"snapshot_seconds"`
	Start    float64 `json:"start_seconds"`
	Clear    float64 `json:"clear_seconds"`
}

// workerCost is what a number of workers costs.
type workerCost struct {
	Workers int   `json:"workers"`
	Heap    int64 `json:"heap"`
	RSS     int64 `json:"rss"`
	// Idle and Busy are the parts of one CPU that the server takes while they wait and while all run jobs; NATSIdle and NATSBusy are those of NATS.
	Idle     float64 `json:"idle_cpus"`
	Busy     float64 `json:"busy_cpus"`
	NATSIdle float64 `json:"nats_idle_cpus"`
	NATSBusy float64 `json:"nats_busy_cpus"`
	// Ended is how many jobs ended while the server was watched.
	Ended int `json:"ended"`
}

func (r report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "cost.json"), append(data, '\n'), 0o600); err != nil {
		return err
	}
	charts := map[string]chart.Chart{}
	jobs := chart.Chart{Title: "A server's memory and start by waiting jobs", X: "waiting jobs"}
	heap, start := chart.Series{Name: "heap, MB"}, chart.Series{Name: "start, s"}
	for _, p := range r.Jobs {
		heap.Add(float64(p.Jobs), float64(p.Heap)/1e6)
		start.Add(float64(p.Jobs), p.Start)
	}
	if jobs.Lines = []chart.Series{heap, start}; len(r.Jobs) > 0 {
		charts["jobs.svg"] = jobs
	}
	workers := chart.Chart{Title: "CPUs by workers", X: "workers"}
	idle, busy, nats := chart.Series{Name: "server, workers idle"}, chart.Series{Name: "server, workers busy"}, chart.Series{Name: "NATS, workers busy"}
	for _, p := range r.Workers {
		idle.Add(float64(p.Workers), p.Idle)
		busy.Add(float64(p.Workers), p.Busy)
		nats.Add(float64(p.Workers), p.NATSBusy)
	}
	if workers.Lines = []chart.Series{idle, busy, nats}; len(r.Workers) > 0 {
		charts["workers.svg"] = workers
	}
	for name, c := range charts {
		if err := os.WriteFile(filepath.Join(dir, name), c.SVG(), 0o600); err != nil {
			return err
		}
	}
	return nil
}
