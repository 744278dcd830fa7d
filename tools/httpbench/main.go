// Command httpbench measures the cost of requests to a running server: CPU time of the server's process, all threads, for each request
// over real connections on the loopback; its response time after the start, and its idle memory; and how long 1,000 WebSocket clients wait
// for a broadcast.
//
// It starts the program itself and prints one table with ComfyUI 0.33.0's figures and the limits beside it. It exits with 1 if a limit is
// exceeded. CPU time changes little when others use the machine; the waiting of the WebSocket clients does, so the load is printed too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"
)

// options are the command line.
type options struct {
	server, padded             string
	requests, prompts, clients int
	connections, models, many  int
	broadcasts                 int
	only                       string
	limit                      time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "httpbench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("httpbench", flag.ContinueOnError)
	f.StringVar(&o.server, "server", "bin/comfygo", "the program to start")
	f.StringVar(&o.padded, "padded", "bin/comfygo-bench", "the program whose /object_info is as long as ComfyUI's")
	f.IntVar(&o.requests, "requests", 4000, "requests of each kind")
	f.IntVar(&o.prompts, "prompts", 1000, "prompts of each kind")
	f.IntVar(&o.connections, "connections", 4, "connections at the same time, of the six that a browser opens; each sends a request when it has the answer to the one before")
	f.IntVar(&o.models, "models", 1000, "model files at the start")
	f.IntVar(&o.many, "many", 10000, "model files of the server that has many")
	f.IntVar(&o.clients, "clients", 1000, "WebSocket clients")
	f.IntVar(&o.broadcasts, "broadcasts", 100, "broadcasts to them")
	f.StringVar(&o.only, "only", "", "one part: start, requests, prompts, files or sockets")
	f.DurationVar(&o.limit, "timeout", 10*time.Minute, "give up after this time")
	return o, f.Parse(args)
}

// parts are the measurements, in the order in which they are printed.
var parts = []struct {
	name    string
	measure func(context.Context, options, *report) error
}{
	{"start", measureStart},
	{"requests", measureRequests},
	{"prompts", measurePrompts},
	{"files", measureFiles},
	{"sockets", measureSockets},
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	r := &report{out: out}
	found := false
	for _, p := range parts {
		if o.only != "" && o.only != p.name {
			continue
		}
		found = true
		if err := p.measure(ctx, o, r); err != nil {
			return fmt.Errorf("measuring %s: %w", p.name, err)
		}
	}
	if !found {
		return fmt.Errorf("there is no part %q", o.only)
	}
	return errors.Join(r.print(), r.verdict())
}
