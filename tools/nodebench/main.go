// Command nodebench measures the CPU seconds of node classes that need no model, and those of ComfyUI's classes called in one Python
// process on one thread, with the same inputs, and prints them with their ratios.
//
//	go run ./tools/nodebench -comfyui DIR -python DIR/venv/bin/python
//
// Every call is made -rounds times on one CPU; the least time counts. Results are not compared here: tests/nodecalls does that.
package main

import (
	"bytes"
	"context"
	_ "embed" // for the script
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"comfygo/engine/media"
	"comfygo/engine/tensor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/internal/video"
	"comfygo/nodes"
	_ "comfygo/nodes/all"
	"comfygo/tests/usage"
)

//go:embed upstream.py
var script []byte

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "nodebench:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	f := flag.NewFlagSet("nodebench", flag.ContinueOnError)
	comfyui := f.String("comfyui", "", "`folder` of ComfyUI; empty measures this program alone")
	python := f.String("python", "python3", "the Python that runs ComfyUI")
	only := f.String("only", "", "measure only classes whose name contains this")
	rounds := f.Int("rounds", 3, "calls of each class")
	if err := f.Parse(args); err != nil {
		return err
	}
	chosen := slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return !strings.Contains(c.Class, *only) })
	runtime.GOMAXPROCS(1)
	if err := prepare(chosen); err != nil {
		return err
	}
	ours := make([]float64, len(chosen))
	for i, c := range chosen {
		var err error
		if ours[i], err = measure(c, *rounds); err != nil {
			return fmt.Errorf("%s: %w", c.Class, err)
		}
	}
	theirs := make([]float64, len(chosen))
	if *comfyui != "" {
		var err error
		if theirs, err = upstream(*python, *comfyui, chosen, *rounds); err != nil {
			return err
		}
	}
	report(out, chosen, ours, theirs)
	return nil
}

// prepare makes the files of the calls.
func prepare(chosen []call) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, c := range chosen {
		for _, in := range c.Inputs {
			if m, ok := in.Value.(movie); ok {
				if err := m.write(ctx); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// measure returns the least CPU seconds of a call.
func measure(c call, rounds int) (float64, error) {
	class, ok := nodes.Default().Get(c.Class)
	if !ok {
		return 0, errors.New("there is no such class")
	}
	dir, err := os.MkdirTemp("", "nodebench")
	if err != nil {
		return 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fs, err := folders.New(folders.Config{Base: dir})
	if err != nil {
		return 0, err
	}
	values := pyjson.NewObject()
	for _, in := range c.Inputs {
		v := in.Value
		if m, ok := v.(made); ok {
			if v, err = m.make(dir); err != nil {
				return 0, err
			}
		}
		values.Set(in.Name, v)
	}
	least := math.Inf(1)
	for range rounds {
		n, err := class.Bind(values, nil)
		if err != nil {
			return 0, err
		}
		runtime.GC()
		ctx := nodes.NewContext(context.Background(), nodes.Call{ID: "1", Services: nodes.Services{Folders: fs}, Inputs: values})
		before := usage.CPU() + usage.Children()
		_, err = n.Run(ctx)
		spent := usage.CPU() + usage.Children() - before
		ctx.Release()
		if err != nil {
			return 0, err
		}
		least = min(least, spent.Seconds())
	}
	return least, nil
}

// made is a value of a call that both sides make for themselves from its fields.
type made interface {
	// make returns the value; files that it needs are written to dir.
	make(dir string) (any, error)
	// sizes describes it in the table.
	sizes() string
}

// sound is audio of two channels.
type sound struct {
	Samples int `json:"samples"`
	Rate    int `json:"rate"`
}

func (s sound) make(string) (any, error) {
	return &media.Audio{Waveform: random{[]int{1, 2, s.Samples}, s.Rate}.tensor(), SampleRate: s.Rate}, nil
}

func (s sound) sizes() string { return fmt.Sprintf("%d s at %d Hz", s.Samples/s.Rate, s.Rate) }

// movie is an H.264 file with AAC audio, made once for both sides.
type movie struct {
	Path    string `json:"path"`
	Seconds int    `json:"seconds"`
}

func (m movie) make(string) (any, error) { return &video.File{Path: m.Path}, nil }

func (m movie) sizes() string { return fmt.Sprintf("%d s of 640x360, 24 fps", m.Seconds) }

// write makes the file.
func (m movie) write(ctx context.Context) error {
	length := strconv.Itoa(m.Seconds)
	cmd := exec.CommandContext(ctx, "ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=size=640x360:rate=24:duration="+length, "-f", "lavfi", "-i", //nolint:gosec // fixed
		"sine=frequency=440:duration="+length, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-c:a", "aac", m.Path)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("making a video: %w: %s", err, said)
	}
	return nil
}

// random is a tensor of random values in 8-bit steps, which upstream.py makes alike.
type random struct {
	Shape []int `json:"shape"`
	Seed  int   `json:"seed"`
}

func (r random) make(string) (any, error) { return r.tensor(), nil }

func (r random) sizes() string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Shape), " ", "x"), "[]")
}

// tensor has steps that grow along the rows with noise on top, so that neighbours are alike as in photographs.
func (r random) tensor() *tensor.Tensor {
	t := tensor.New(r.Shape...)
	for i := range t.Data {
		x := uint32(i)*0x9E3779B1 + uint32(r.Seed)*0x85EBCA77 //nolint:gosec // the lower bits
		x ^= x >> 15
		x *= 0x2C1B3C6D
		x ^= x >> 12
		t.Data[i] = float32((uint32(i/300)+x>>27)%256) / 255 //nolint:gosec // not negative
	}
	return t
}

// upstream has ComfyUI's times of the calls.
func upstream(python, comfyui string, chosen []call, rounds int) ([]float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	type argument struct {
		Name   string  `json:"name"`
		Value  any     `json:"value"`
		Random *random `json:"random"`
		Sound  *sound  `json:"sound"`
		Movie  *movie  `json:"movie"`
	}
	type one struct {
		Class  string     `json:"class"`
		Inputs []argument `json:"inputs"`
	}
	var list []one
	for _, c := range chosen {
		o := one{Class: c.Class}
		for _, in := range c.Inputs {
			a := argument{Name: in.Name, Value: in.Value}
			switch v := in.Value.(type) {
			case random:
				a.Value, a.Random = nil, &v
			case sound:
				a.Value, a.Sound = nil, &v
			case movie:
				a.Value, a.Movie = nil, &v
			}
			o.Inputs = append(o.Inputs, a)
		}
		list = append(list, o)
	}
	data, err := json.Marshal(map[string]any{"calls": list, "rounds": rounds})
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, "-c", string(script), comfyui)
	cmd.Env = append(os.Environ(), "OMP_NUM_THREADS=1", "MKL_NUM_THREADS=1")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(data), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running ComfyUI's classes: %w", err)
	}
	var times []float64
	lines := bytes.Split(bytes.TrimSpace(answer), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &times); err != nil || len(times) != len(chosen) {
		return nil, fmt.Errorf("reading ComfyUI's times: %q", lines[len(lines)-1])
	}
	return times, nil
}

// report prints a table in Markdown.
func report(out io.Writer, chosen []call, ours, theirs []float64) {
	fmt.Fprintln(out, "| class | inputs | CPU ms | ComfyUI, CPU ms | ratio |\n|---|---|---|---|---|")
	var ratios []float64
	for i, c := range chosen {
		ratio := ours[i] / theirs[i]
		ratios = append(ratios, ratio)
		fmt.Fprintf(out, "| `%s` | %s | %.1f | %.1f | %.2f |\n", c.Class, c.describe(), 1e3*ours[i], 1e3*theirs[i], ratio)
	}
	slices.Sort(ratios)
	if n := len(ratios); n > 0 {
		fmt.Fprintf(out, "\nMedian ratio %.2f, greatest %.2f.\n", (ratios[(n-1)/2]+ratios[n/2])/2, ratios[n-1])
	}
}
