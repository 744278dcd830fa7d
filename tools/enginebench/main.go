// Command enginebench measures the engine on one checkpoint, stage by stage: loading, text encoding, U-Net steps and
// VAE decoding, in CPU seconds (which other work on the machine does not change much) and in wall time, with
// the memory that stays and the highest there was. docs/performance.md sets the figures beside ComfyUI's.
//
//	go run ./tools/enginebench -ckpt model.safetensors [-size 256] [-steps 4] [-threads 1] [-prepared | -lean] [-bf16 | -int8]
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"comfygo/engine"
	"comfygo/engine/dtype"
	"comfygo/engine/ort"
	"comfygo/engine/sampling"
	"comfygo/engine/tensor"
	"comfygo/internal/ortlib"
)

type options struct {
	ckpt                                         string
	size, steps, threads                         int
	lean, prepared, cuda, tf32, once, bf16, int8 bool
}

func main() {
	var o options
	flag.StringVar(&o.ckpt, "ckpt", "", "checkpoint file")
	flag.IntVar(&o.size, "size", 256, "width and height of the image")
	flag.IntVar(&o.steps, "steps", 4, "U-Net steps, each with a batch of two")
	flag.IntVar(&o.threads, "threads", 1, "threads of one operator")
	flag.BoolVar(&o.lean, "lean", false, "keep weights mapped from the file")
	flag.BoolVar(&o.prepared, "prepared", false, "lay the U-Net's weights out in memory")
	flag.BoolVar(&o.cuda, "cuda", false, "run on the first CUDA GPU")
	flag.BoolVar(&o.tf32, "tf32", false, "allow TF32 on CUDA")
	flag.BoolVar(&o.bf16, "bf16", false, "multiply in bfloat16, on CPUs with AMX or AVX512-BF16")
	flag.BoolVar(&o.int8, "int8", false, "multiply the U-Net's linear layers in 8-bit integers")
	flag.BoolVar(&o.once, "once", false, "decode once only")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this file")
	flag.Parse()
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "enginebench:", err)
			os.Exit(1)
		}
		defer pprof.StopCPUProfile()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "enginebench:", err)
		os.Exit(1)
	}
}

// clock measures one stage after the other.
type clock struct {
	wall time.Time
	cpu  time.Duration
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func start() clock { return clock{time.Now(), cpuTime()} }

// stop prints a stage's figures.
func (c clock) stop(stage string) {
	cpu, wall := cpuTime()-c.cpu, time.Since(c.wall)
	fmt.Printf("%-28s %8.2f cpu-s %8.2f s   anon %6s MiB  file %6s MiB  peak %6s MiB\n", stage, cpu.Seconds(), wall.Seconds(), status("RssAnon"), status("RssFile"), status("VmHWM"))
}

// status reads a figure of this process in MiB, or "-" if the system does not report it.
func status(key string) string {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "-"
	}
	for _, line := range strings.Split(string(raw), "\n") {
		var kb int
		if n, _ := fmt.Sscanf(line, key+": %d kB", &kb); n == 1 {
			return fmt.Sprint(kb / 1024)
		}
	}
	return "-"
}

func run(ctx context.Context, o options) error {
	compute := dtype.Invalid
	if o.bf16 {
		compute = dtype.BF16
	}
	cfg := engine.Config{
		UNet: compute, VAE: compute, Text: compute,
		Library: func() (string, error) { return ortlib.Find(ortlib.Options{}) },
		Threads: o.threads, Int8: o.int8, Lean: o.lean, Prepared: o.prepared, TF32: o.tf32, Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	if o.cuda {
		cfg.Device.Kind = ort.CUDA
		cfg.Library = func() (string, error) { return ortlib.Find(ortlib.Options{CUDA: true}) }
	}
	rt := engine.New(cfg)
	defer rt.Close()
	t := start()
	model, clip, vae, err := rt.LoadCheckpoint(o.ckpt)
	if err != nil {
		return err
	}
	if err := rt.Open(); err != nil {
		return err
	}
	t.stop("open file and library")
	var context [2]*tensor.Tensor
	for pass, what := range []string{"text, first (loads)", "text, both prompts"} {
		t = start()
		for i, prompt := range []string{"a lighthouse at dusk", "blurry"} {
			if pass == 0 && i == 1 {
				continue
			}
			c, err := clip.Encode(ctx, prompt)
			if err != nil {
				return err
			}
			context[i] = c[0].Tokens
		}
		t.stop(what)
	}
	if err := steps(ctx, o, model, context); err != nil {
		return err
	}
	return decode(ctx, o, vae)
}

func steps(ctx context.Context, o options, model *engine.Model, prompts [2]*tensor.Tensor) error {
	x := tensor.New(2, 4, o.size/8, o.size/8)
	for i := range x.Data {
		x.Data[i] = float32(i%17)/8 - 1
	}
	both := tensor.New(2, prompts[0].Dim(1), prompts[0].Dim(2))
	copy(both.Index(0).Data, prompts[0].Data)
	copy(both.Index(1).Data, prompts[1].Data)
	for i := range o.steps + 1 {
		t := start()
		if _, err := model.Predict(ctx, x, []float32{500, 500}, sampling.Text(both)); err != nil {
			return err
		}
		if i == 0 {
			t.stop("u-net, first step (loads)")
		} else {
			t.stop(fmt.Sprintf("u-net, step %d", i+1))
		}
	}
	return nil
}

func decode(ctx context.Context, o options, vae *engine.VAE) error {
	z := tensor.New(1, 4, o.size/8, o.size/8)
	for i := range z.Data {
		z.Data[i] = float32(i%13)/2 - 3
	}
	for _, what := range []string{"decode, first (loads)", "decode"} {
		t := start()
		if _, err := vae.Decode(ctx, z); err != nil {
			return err
		}
		t.stop(what)
		if o.once {
			break
		}
	}
	return nil
}
