//go:build drygpu && linux

package drygpu_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/ort"
	"comfygo/engine/residency"
	"comfygo/internal/ortlib"
)

// gpu is a simulated GPU.
type gpu struct {
	// SM is its compute capability, MB its memory in MiB; zero for 9.0 and 139 GiB. Count is the number of such GPUs.
	SM, MB, Count int
	// NoCuDNN leaves cuDNN out.
	NoCuDNN bool
}

// scenario is a process's use of a GPU: the name of a function and its settings.
type scenario struct {
	Name       string
	Checkpoint string
	// LoRA, when set, is the path of one that acts.
	LoRA string
	// UNet and VAE are compute types.
	UNet, VAE dtype.DType
	// Size is the side of the image in pixels, Steps how often something is done, Device which GPU does it.
	Size, Steps, Device int
	// Graphs has steps captured.
	Graphs bool
	// Streaming and Reserve are the engine's; Pinned is the host's memory in MiB for pinned copies.
	Streaming residency.Streaming
	Reserve   int64
	Pinned    int64
	// Blind has the engine believe that there is memory without bound.
	Blind bool
}

// envScenario holds the scenario of a process that was started for it.
const envScenario = "DRYGPU_SCENARIO"

// stub is the folder with the library under NVIDIA's names; stub/bare has no cuDNN.
var stub string

func TestMain(m *testing.M) {
	if text := os.Getenv(envScenario); text != "" {
		if err := play(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code, err := withStub(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func withStub(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "drygpu")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	stub = dir
	library := filepath.Join(dir, "stub.so")
	if out, err := exec.Command("c++", "-O1", "-shared", "-fPIC", "-o", library, filepath.Join("stub", "stub.cpp")).CombinedOutput(); err != nil {
		return 1, fmt.Errorf("compiling the stub: %w: %s", err, out)
	}
	for _, folder := range []string{dir, filepath.Join(dir, "bare")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return 1, err
		}
		for _, name := range []string{"libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcurand.so.10", "libcuda.so.1", "libcudnn.so.9"} {
			if name == "libcudnn.so.9" && folder != dir {
				continue
			}
			if err := os.Symlink(library, filepath.Join(folder, name)); err != nil {
				return 1, err
			}
		}
	}
	return m.Run(), nil
}

// dry runs a scenario in a process of its own and returns what the GPU was asked, and what the process printed.
func dry(t *testing.T, g gpu, s scenario) (*record, string) {
	t.Helper()
	folder := stub
	if g.NoCuDNN {
		folder = filepath.Join(stub, "bare")
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	logged := filepath.Join(t.TempDir(), "log")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), envScenario+"="+string(text), "DRYGPU_LOG="+logged, "LD_LIBRARY_PATH="+folder)
	for name, value := range map[string]int{"DRYGPU_SM": g.SM, "DRYGPU_MB": g.MB, "DRYGPU_COUNT": g.Count} {
		if value > 0 {
			cmd.Env = append(cmd.Env, name+"="+strconv.Itoa(value))
		}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%+v on %+v: %v\n%s", s, g, err, out.String())
	}
	raw, err := os.ReadFile(logged)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(raw)), out.String()
}

// player is a process that plays a scenario.
type player struct {
	scenario
	rt *engine.Runtime
	// prefix is the prefix of the names of sections.
	prefix string
	file   *os.File
	// before, if set, is called before each step.
	before func()
}

// count is the number of GPUs.
func count() int {
	n, err := strconv.Atoi(os.Getenv("DRYGPU_COUNT"))
	if err != nil {
		return 1
	}
	return n
}

// memory is the free memory of a GPU as the engine is told: -1 leaves it to CUDA.
func (p *player) memory() int64 {
	if p.Blind {
		return 1 << 50
	}
	return -1
}

// account prints the engine's ledger of the GPU, for section name.
func (p *player) account(name string) error {
	for _, a := range p.rt.Stats().Devices {
		if a.Device.Kind != ort.CUDA {
			continue
		}
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		fmt.Printf("account %s %s\n", name, text)
	}
	return nil
}

// accounts reads what account printed.
func accounts(t *testing.T, out string) map[string]residency.Account {
	t.Helper()
	found := map[string]residency.Account{}
	for line := range strings.Lines(out) {
		words := strings.SplitN(line, " ", 3)
		if words[0] != "account" || len(words) < 3 {
			continue
		}
		var a residency.Account
		if err := json.Unmarshal([]byte(words[2]), &a); err != nil {
			t.Fatal(err)
		}
		found[words[1]] = a
	}
	return found
}

// mark begins a section of the record.
func (p *player) mark(name string) error {
	_, err := fmt.Fprintf(p.file, "0 mark %s\n", name)
	return err
}

// play plays the scenario of this process.
func play(text string) error {
	p := &player{}
	if err := json.Unmarshal([]byte(text), &p.scenario); err != nil {
		return err
	}
	var err error
	if p.file, err = os.OpenFile(os.Getenv("DRYGPU_LOG"), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o644); err != nil {
		return err
	}
	defer p.file.Close()
	p.rt = engine.New(engine.Config{
		Library: func() (string, error) { return ortlib.Find(ortlib.Options{CUDA: true}) },
		Device:  ort.Device{Kind: ort.CUDA, Index: p.Device}, GPUs: count(), UNet: p.UNet, VAE: p.VAE, Graphs: p.Graphs,
		Streaming: p.Streaming, DeviceReserve: p.Reserve, Pinned: p.Pinned << 20, DeviceMemory: func(int) int64 { return p.memory() },
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	defer p.rt.Close()
	f := scenes[p.Name]
	if f == nil {
		return fmt.Errorf("there is no scenario %q", p.Name)
	}
	return f(context.Background(), p)
}

// section holds the calls to a GPU between two marks.
type section struct {
	// launches counts kernels, products, calls of cuDNN and memsets; graphs counts launches of captured graphs.
	launches, graphs int
	// copies lists copies such as "host gpu 128", mallocs and frees count calls, peak is the most device memory in
	// bytes.
	copies         []string
	mallocs, frees int
	peak, end      int64
	oom, waits     int
	kernels        map[string]int
}

// record holds the calls to GPUs in a process, by section.
type record struct {
	names    []string
	sections map[string]*section
	// gpus counts calls by GPU, memory is the most that was taken of each in bytes.
	gpus map[string]int
	// launched are the GPUs of launches, in order.
	launched []string
	memory   map[string]int64
}

func parse(t *testing.T, text string) *record {
	t.Helper()
	r := &record{sections: map[string]*section{}, gpus: map[string]int{}, memory: map[string]int64{}}
	var s *section
	begin := func(name string) {
		was := int64(0)
		if s != nil {
			was = s.end
		}
		s = &section{kernels: map[string]int{}, peak: was, end: was}
		r.names = append(r.names, name)
		r.sections[name] = s
	}
	begin("start")
	number := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatalf("the record has %q for a number", text)
		}
		return n
	}
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		r.gpus[words[0]]++
		switch words[1] {
		case "mark":
			begin(words[2])
		case "kernel", "gemm", "call", "cudnn", "memset":
			s.launches++
			r.launched = append(r.launched, words[0])
			s.kernels[strings.Join(words[1:min(len(words), 3)], " ")]++
		case "copy":
			s.copies = append(s.copies, strings.Join(words[2:], " "))
		case "malloc", "free":
			s.end = number(words[3])
			s.peak = max(s.peak, s.end)
			r.memory[words[0]] = max(r.memory[words[0]], s.end)
			if words[1] == "malloc" {
				s.mallocs++
			} else {
				s.frees++
			}
		case "oom":
			s.oom++
		case "wait":
			s.waits++
		case "graph":
			s.graphs++
		}
	}
	return r
}
