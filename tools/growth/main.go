// Command growth measures how time and memory of a server grow with the pixels and the number of images, with steps, chunks of a prompt, LoRA
// files, ControlNets, waiting jobs, sockets and model files. It prints tables and writes them as JSON with SVG plots.
//
//	go run ./tools/growth -models MODELS -out docs/growth [-only pixels,loras] [-rounds 3]
//
// MODELS has a checkpoint of Stable Diffusion 1.5 in checkpoints/, a LoRA for it in loras/ and a ControlNet in controlnet/: those of the
// goldens by default. Each figure comes from a server of its own on one CPU: CPU seconds from /proc/PID/stat and peak memory from VmHWM, so it
// needs Linux.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"comfygo/internal/chart"
	"comfygo/internal/measure"
)

// options are the command line.
type options struct {
	server, models, out, only    string
	checkpoint, lora, controlnet string
	rounds, cpu                  int
	timeout                      time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("growth", flag.ContinueOnError)
	f.StringVar(&o.server, "server", "bin/comfygo", "the program to start")
	f.StringVar(&o.models, "models", "", "models `folder`")
	f.StringVar(&o.out, "out", "", "`folder` for growth.json and the plots; empty writes none")
	f.StringVar(&o.only, "only", "", "what to vary, separated by commas; all when empty")
	f.StringVar(&o.checkpoint, "checkpoint", "sd15-small.safetensors", "Stable Diffusion 1.5 checkpoint")
	f.StringVar(&o.lora, "lora", "lora-kohya.safetensors", "LoRA for the checkpoint")
	f.StringVar(&o.controlnet, "controlnet", "controlnet-sd15.safetensors", "ControlNet for the checkpoint")
	f.IntVar(&o.rounds, "rounds", 3, "rounds to take medians of")
	f.IntVar(&o.cpu, "cpu", runtime.NumCPU()-1, "number of the CPU that the servers run on; -1 leaves them free")
	f.DurationVar(&o.timeout, "timeout", 2*time.Hour, "give up after this time")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	switch {
	case f.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	case o.rounds < 1:
		return o, errors.New("a median takes a round at least: -rounds 1")
	case o.models == "":
		return o, errors.New("name the models folder with -models")
	}
	return o, nil
}

// axis is a quantity that costs depend on.
type axis struct {
	name, title string
	// figures are what is measured, with units; the last is memory.
	figures []string
	values  []int
	measure func(ctx context.Context, o options, n int) ([]float64, error)
}

// Point are the figures of one value.
type Point struct {
	At      int       `json:"at"`
	Figures []float64 `json:"figures"`
}

// Growth are the figures of an axis.
type Growth struct {
	Name    string   `json:"name"`
	Title   string   `json:"title"`
	Figures []string `json:"figures"`
	Points  []Point  `json:"points"`
}

func run(ctx context.Context, args []string, out, log io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	chosen, err := choose(o.only)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	fmt.Fprintf(out, "%s\n%s, medians of %d\n", measure.CPU(), time.Now().UTC().Format("2006-01-02 15:04 MST"), o.rounds)
	var all []Growth
	for _, a := range chosen {
		g := Growth{Name: a.name, Title: a.title, Figures: a.figures}
		for _, n := range a.values {
			fmt.Fprintf(log, "%s: %d\n", a.name, n)
			p, err := o.median(ctx, a, n)
			if err != nil {
				return fmt.Errorf("%s: %d: %w", a.name, n, err)
			}
			g.Points = append(g.Points, p)
		}
		fmt.Fprint(out, g.table())
		all = append(all, g)
	}
	if o.out == "" {
		return nil
	}
	return write(o.out, all)
}

// choose returns the axes that only names.
func choose(only string) ([]axis, error) {
	if only == "" {
		return axes, nil
	}
	var chosen []axis
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(axes, func(a axis) bool { return a.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("nothing named %q is varied", name)
		}
		chosen = append(chosen, axes[i])
	}
	return chosen, nil
}

// median measures one value in rounds.
func (o options) median(ctx context.Context, a axis, n int) (Point, error) {
	rounds := make([][]float64, len(a.figures))
	for range o.rounds {
		figures, err := a.measure(ctx, o, n)
		if err != nil {
			return Point{}, err
		}
		for i, f := range figures {
			rounds[i] = append(rounds[i], f)
		}
	}
	p := Point{At: n}
	for _, r := range rounds {
		slices.Sort(r)
		p.Figures = append(p.Figures, r[len(r)/2])
	}
	return p, nil
}

// table is a table in Markdown. "Each more" is the rise since the value before by the number of units between: it stays the same where costs are
// proportional, or a constant and a proportional part.
func (g Growth) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n| %s |", g.Title)
	for _, f := range g.Figures {
		fmt.Fprintf(&b, " %s | each more |", f)
	}
	b.WriteString("\n|" + strings.Repeat("---|", 1+2*len(g.Figures)) + "\n")
	for i, p := range g.Points {
		fmt.Fprintf(&b, "| %d |", p.At)
		for k, f := range p.Figures {
			more := ""
			if i > 0 {
				before := g.Points[i-1]
				more = fmt.Sprintf("%.3g", (f-before.Figures[k])/float64(p.At-before.At))
			}
			fmt.Fprintf(&b, " %s | %s |", figure(f), more)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// figure prints three digits and no exponent.
func figure(f float64) string {
	if f >= 100 {
		return fmt.Sprintf("%.0f", f)
	}
	return fmt.Sprintf("%.3g", f)
}

// write writes all figures and a plot of each axis. Axes of an earlier run that were not measured again stay.
func write(dir string, all []Growth) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	var before []Growth
	old, err := os.ReadFile(filepath.Join(dir, "growth.json"))
	if err == nil {
		err = json.Unmarshal(old, &before)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("reading the figures of an earlier run: %w", err)
	}
	for _, g := range before {
		if !slices.ContainsFunc(all, func(n Growth) bool { return n.Name == g.Name }) {
			all = append(all, g)
		}
	}
	data, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "growth.json"), append(data, '\n'), 0o600); err != nil {
		return err
	}
	for _, g := range all {
		c := chart.Chart{Title: "Cost by " + g.Title, X: g.Title}
		for k, name := range g.Figures {
			s := chart.Series{Name: name}
			for _, p := range g.Points {
				s.Add(float64(p.At), p.Figures[k])
			}
			c.Lines = append(c.Lines, s)
		}
		if err := os.WriteFile(filepath.Join(dir, g.Name+".svg"), c.SVG(), 0o600); err != nil {
			return err
		}
	}
	return nil
}
