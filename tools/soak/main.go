// Command soak starts the program and feeds it with tiny prompts for a while. It prints how many a second were accepted
// and completed, how long POST /prompt took, also with many prompts waiting, and how memory and goroutines changed; it fails if
// they grow.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"comfygo/internal/apiclient"
	"comfygo/tools/load"
)

type options struct {
	server, store, flags              string
	prompts, clients, warmup, waiting int
	distinct                          int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	var o options
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.StringVar(&o.server, "server", "bin/comfygo", "the program to start")
	f.StringVar(&o.store, "queue", "sqlite", "the server's --queue")
	f.StringVar(&o.flags, "flags", "", "further flags of the server, separated by blanks")
	f.IntVar(&o.prompts, "prompts", 20000, "how many prompts to send")
	f.IntVar(&o.warmup, "warmup", 2000, "after how many prompts memory has to be flat")
	f.IntVar(&o.clients, "clients", 8, "how many clients send at a time")
	f.IntVar(&o.distinct, "distinct", 100, "how many different prompts there are")
	f.IntVar(&o.waiting, "waiting", 5000, "with how many waiting prompts POST /prompt is measured")
	if err := f.Parse(args); err != nil {
		return err
	}
	base, err := os.MkdirTemp("", "comfygo-soak-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(base)) }()
	flags := append([]string{"--port", "0", "--base-directory", base, "--queue", o.store}, strings.Fields(o.flags)...)
	p, err := apiclient.Start(ctx, nil, o.server, flags...)
	if err != nil {
		return err
	}
	const patience = 30 * time.Second
	defer func() { err = errors.Join(err, p.Stop(patience)) }()
	if err := o.soak(ctx, p, out); err != nil {
		return err
	}
	return o.crowd(ctx, p, out)
}

// sample is the server's memory at a time.
type sample struct {
	sent, goroutines int
	rss              int64
}

func (o options) sample(ctx context.Context, p *apiclient.Process, sent int) (sample, error) {
	h, err := load.GetHealth(ctx, p.URL)
	if err != nil {
		return sample{}, err
	}
	u, err := p.Usage()
	return sample{sent: sent, goroutines: h.Process.Goroutines, rss: u.RSS}, err
}

// soak sends all prompts in ten rounds and checks the server between them.
func (o options) soak(ctx context.Context, p *apiclient.Process, out io.Writer) error {
	const rounds = 10
	var samples []sample
	var took load.Times
	start := time.Now()
	step := max(1, (o.prompts-o.warmup)/(rounds-1))
	fmt.Fprintf(out, "%s queue\n  prompts  resident  goroutines\n", o.store)
	for sent, n := 0, o.warmup; sent < o.prompts; n = step {
		n = min(n, o.prompts-sent)
		t, err := load.Feed{URL: p.URL, Prompts: n, Clients: o.clients, Distinct: o.distinct, Waiting: 500}.Send(ctx)
		if err != nil {
			return fmt.Errorf("sending prompts: %w", err)
		}
		if err := load.Drained(ctx, p.URL); err != nil {
			return fmt.Errorf("waiting for the prompts: %w", err)
		}
		took, sent = append(took, t...), sent+n
		s, err := o.sample(ctx, p, sent)
		if err != nil {
			return fmt.Errorf("looking at the server: %w", err)
		}
		fmt.Fprintf(out, "  %7d  %5.1f MB  %d\n", s.sent, float64(s.rss)/1e6, s.goroutines)
		samples = append(samples, s)
	}
	fmt.Fprintf(out, "%d prompts in %.1f s: %.0f a second end to end; POST p50 %v, p99 %v\n", len(took), time.Since(start).Seconds(),
		float64(len(took))/time.Since(start).Seconds(), took.At(0.5), took.At(0.99))
	return flat(samples)
}

// flat complains when memory or goroutines grow from the first sample on.
func flat(samples []sample) error {
	const spare, part = 24 << 20, 1.25 // the collector's leeway
	first, last := samples[0], samples[len(samples)-1]
	if float64(last.rss) > part*float64(first.rss)+spare {
		return fmt.Errorf("resident memory grew from %d to %d bytes between %d and %d prompts", first.rss, last.rss, first.sent, last.sent)
	}
	const few = 5
	if last.goroutines > first.goroutines+few {
		return fmt.Errorf("goroutines grew from %d to %d", first.goroutines, last.goroutines)
	}
	return nil
}

// crowd fills the paused queue, measures posts on top of that, and lets everything run.
func (o options) crowd(ctx context.Context, p *apiclient.Process, out io.Writer) error {
	if o.waiting <= 0 {
		return nil
	}
	if err := load.Post(ctx, p.URL+"/api/v1/queue/pause"); err != nil {
		return fmt.Errorf("pausing: %w", err)
	}
	feed := load.Feed{URL: p.URL, Prompts: o.waiting, Clients: o.clients, Distinct: o.distinct}
	start := time.Now()
	if _, err := feed.Send(ctx); err != nil {
		return fmt.Errorf("filling the queue: %w", err)
	}
	filled := time.Since(start)
	const measured = 2000
	feed.Prompts, feed.Clients = measured, 2
	took, err := feed.Send(ctx)
	if err != nil {
		return fmt.Errorf("posting into the full queue: %w", err)
	}
	start = time.Now()
	if err := load.Post(ctx, p.URL+"/api/v1/queue/resume"); err != nil {
		return fmt.Errorf("resuming: %w", err)
	}
	if err := load.Drained(ctx, p.URL); err != nil {
		return fmt.Errorf("waiting for the prompts: %w", err)
	}
	drained := time.Since(start)
	fmt.Fprintf(out, "%d waiting: accepted %.0f a second; POST on top p50 %v, p99 %v, most %v; drained %.0f a second\n", o.waiting,
		float64(o.waiting)/filled.Seconds(), took.At(0.5), took.At(0.99), took.At(1), float64(o.waiting+measured)/drained.Seconds())
	return nil
}
