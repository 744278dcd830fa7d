// Command bench measures a running server from outside: its start time, its idle memory, the time
// that a model takes to its first step, the cost of a step and of decoding in seconds and in
// CPU seconds, and its peak memory.
//
// It starts the program itself and prints one table. CPU and memory figures come from Linux's
// /proc.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"comfygo/demo"
	"comfygo/internal/apiclient"
	"comfygo/internal/golden"
	"comfygo/internal/measure"
)

// options are the command line.
type options struct {
	server, checkpoint, recipe, workflow string
	width, height, steps, runs           int
	flags                                string
	limit                                time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.server, "server", "bin/comfygo", "the program to start")
	f.StringVar(&o.checkpoint, "checkpoint", "", "a checkpoint file of yours; the built-in model when empty")
	f.StringVar(&o.recipe, "recipe", "", "a synthetic checkpoint of tests/testdata/golden/models, such as sd15-full")
	f.StringVar(&o.workflow, "workflow", "", "an API workflow instead of the built-in one; its checkpoint is replaced")
	f.IntVar(&o.width, "width", 64, "pixels")
	f.IntVar(&o.height, "height", 64, "pixels")
	f.IntVar(&o.steps, "steps", 20, "steps of the sampler")
	f.IntVar(&o.runs, "runs", 2, "how often to run; the first loads the model")
	f.StringVar(&o.flags, "flags", "", "further flags of the server, separated by blanks")
	f.DurationVar(&o.limit, "timeout", 30*time.Minute, "give up after this time")
	return o, f.Parse(args)
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()
	base, err := os.MkdirTemp("", "comfygo-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(base)) }()
	name, err := o.place(ctx, base)
	if err != nil {
		return err
	}
	w, err := o.load(name)
	if err != nil {
		return err
	}
	flags := append([]string{"--port", "0", "--base-directory", base}, strings.Fields(o.flags)...)
	if name == demo.Checkpoint {
		flags = append(flags, "--demo-model")
	}
	b, err := begin(ctx, o.server, flags)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.Stop(30*time.Second)) }()
	for i := range o.runs {
		reseed(w, i)
		out, err := measure.Prompt(ctx, b.server, w)
		if err != nil {
			return fmt.Errorf("run %d: %w", i+1, err)
		}
		if out.First == (measure.Cost{}) {
			return fmt.Errorf("run %d: no step was seen", i+1)
		}
		b.runs = append(b.runs, out)
	}
	return b.print(out, fmt.Sprintf("%s, %dx%d, %d steps %s", name, o.width, o.height, o.steps, o.flags))
}

// place puts the checkpoint below the base folder and returns its name there.
func (o options) place(ctx context.Context, base string) (string, error) {
	file := o.checkpoint
	if o.recipe != "" {
		root, err := golden.Root()
		if err != nil {
			return "", err
		}
		if file, err = golden.Ensure(ctx, filepath.Join(root, "tests/testdata/golden/models", o.recipe+".json.gz")); err != nil {
			return "", err
		}
	}
	if file == "" {
		return demo.Checkpoint, nil
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(base, "models", "checkpoints")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	name := filepath.Base(file)
	return name, os.Symlink(file, filepath.Join(folder, name))
}

// begin starts the server and measures its start and its idle state.
func begin(ctx context.Context, binary string, flags []string) (*bench, error) {
	began := time.Now()
	server, err := apiclient.Start(ctx, nil, binary, flags...)
	if err != nil {
		return nil, err
	}
	b := &bench{server: server}
	client := &apiclient.Client{Base: server.URL}
	if err := client.Get(ctx, "/system_stats", nil); err != nil {
		return nil, errors.Join(err, server.Stop(10*time.Second))
	}
	b.start = time.Since(began)
	time.Sleep(time.Second) // what the start left to do
	idle, err := server.Usage()
	if err != nil {
		return nil, errors.Join(err, server.Stop(10*time.Second))
	}
	b.idle = idle
	return b, nil
}

// print writes the table.
func (b *bench) print(out io.Writer, title string) error {
	end, err := b.server.Usage()
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	const mib = 1 << 20
	fmt.Fprintf(t, "%s\n%s\n\n", title, measure.CPU())
	fmt.Fprintf(t, "start to first answer\t%.2f s\t%.2f CPU s\n", b.start.Seconds(), b.idle.CPU.Seconds())
	fmt.Fprintf(t, "idle memory\t%d MiB\t\n", b.idle.RSS/mib)
	for i, r := range b.runs {
		fmt.Fprintf(t, "\nrun %d\t\t\n", i+1)
		for _, n := range r.Nodes {
			fmt.Fprintf(t, "  %s\t%.3f s\t%.2f CPU s\n", n.ID+" "+n.Class, n.Wall.Seconds(), n.CPU.Seconds())
		}
		fmt.Fprintf(t, "  to the first step\t%.3f s\t%.2f CPU s\n", r.First.Wall.Seconds(), r.First.CPU.Seconds())
		fmt.Fprintf(t, "  a further step\t%.3f s\t%.2f CPU s\n", r.Step.Wall.Seconds(), r.Step.CPU.Seconds())
		fmt.Fprintf(t, "  altogether\t%.3f s\t%.2f CPU s\n", r.All.Wall.Seconds(), r.All.CPU.Seconds())
		fmt.Fprintf(t, "  memory afterwards\t%d MiB\t\n", r.RSS/mib)
	}
	fmt.Fprintf(t, "\npeak memory\t%d MiB\t\n", end.PeakRSS/mib)
	return t.Flush()
}
