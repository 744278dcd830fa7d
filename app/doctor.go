package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v4/disk"

	"comfygo/cli"
	"comfygo/device"
	"comfygo/engine/ort"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/glsl"
	"comfygo/internal/ortlib"
)

// discard is a logger that drops every record.
var discard = slog.New(slog.DiscardHandler)

// Below these the doctor warns: a full-size SD 1.5 checkpoint with its working memory, and the
// images of an evening.
const (
	littleMemory = 5 * gib
	littleDisk   = 1 * gib
)

// verdict is the severity of a finding.
type verdict int

const (
	good    verdict = iota
	warning         // works, but not as it could
	broken          // prompts will fail
)

func (v verdict) String() string { return [...]string{"ok", "warn", "FAIL"}[v] }

// finding is one line of the doctor's report.
type finding struct {
	verdict verdict
	what    string
	text    string
	remedy  string // what to do about it; empty when there is nothing to do
}

// Doctor checks what prompts need, one line each, and fails when something that is needed is broken.
func (c Command) Doctor(ctx context.Context, cfg cli.Config, o cli.RemoteOptions) error {
	if o.Server != "" {
		return c.doctorOf(ctx, cfg, o)
	}
	findings := []finding{checkCPU(), checkMemory(device.ReadMemory())}
	findings = append(findings, checkRuntime(ctx, cfg)...)
	findings = append(findings, checkFFmpeg(ctx, &ffmpeg.Tool{Path: cfg.FFmpeg}), checkShaders(ctx))
	dirs, err := openFolders(cfg, discard)
	if err != nil {
		findings = append(findings, finding{broken, "folders", err.Error(), "correct the flag or the file that it names"})
	} else {
		findings = append(findings, checkPython(cfg, dirs))
		findings = append(findings, checkModels(ctx, dirs)...)
		findings = append(findings, checkWorkflows(ctx, cfg, dirs)...)
		for _, d := range []struct{ name, path string }{
			{"output", dirs.Output()}, {"input", dirs.Input()}, {"temp", dirs.Temp()}, {"user", dirs.User()},
		} {
			findings = append(findings, checkFolder(d.name, d.path))
		}
		findings = append(findings, checkDisk(dirs.Output()))
	}
	return c.report(findings, o.JSON)
}

// report prints the findings and returns an error when one of them is broken.
func report(out io.Writer, findings []finding) error {
	failed := 0
	for _, f := range findings {
		line := fmt.Sprintf("%-4s  %-9s  %s", f.verdict, f.what, f.text)
		if f.remedy != "" && f.verdict != good {
			line += " -> " + f.remedy
		}
		fmt.Fprintln(out, strings.ReplaceAll(line, "\n", " "))
		if f.verdict == broken {
			failed++
		}
	}
	if failed > 0 {
		return &cli.ExitError{Code: cli.CodeFailed, Err: fmt.Errorf("%d of %d checks failed", failed, len(findings))}
	}
	return nil
}

func checkCPU() finding {
	p := device.ReadCPU()
	text := fmt.Sprintf("%s, %d cores, %s", p.Model, p.Cores, strings.Join(p.Features, " "))
	if k := ort.Kernels(); k != "" {
		text += "; models use this program's kernels for " + k
	} else {
		text += "; models use ONNX Runtime's kernels (this program's need AVX-512, or AVX2 with FMA and F16C)"
	}
	return finding{good, "cpu", strings.TrimSpace(strings.TrimPrefix(text, ", ")), ""}
}

func checkMemory(m device.Memory) finding {
	text := fmt.Sprintf("%.1f GiB free of %.1f", float64(m.Free)/gib, float64(m.Total)/gib)
	switch {
	case m.Total == 0:
		return finding{warning, "memory", "the system does not tell how much there is", "runs too large for the machine are not refused"}
	case m.Free < littleMemory:
		return finding{warning, "memory", text, "close other programs, or start with --lowvram, which leaves weights in their files"}
	}
	return finding{good, "memory", text, ""}
}

// checkRuntime opens the ONNX Runtime library and tries the GPUs with it.
func checkRuntime(ctx context.Context, cfg cli.Config) []finding {
	gpus, none := device.GPUs()
	path, err := ortlib.Find(ortlib.Options{Path: cfg.ONNXRuntime, CUDA: !cfg.CPU && none == nil})
	if err != nil {
		return []finding{{broken, "library", err.Error(), "run `comfygo setup`, or name the library by --onnxruntime"}, checkGPUs(ctx, cfg, gpus, none, nil)}
	}
	lib, err := ort.Open(ort.Config{Library: path, Log: discard})
	if err != nil {
		return []finding{{broken, "library", err.Error(), "run `comfygo setup`, or name another library by --onnxruntime"}, checkGPUs(ctx, cfg, gpus, none, nil)}
	}
	defer func() { _ = lib.Close() }() // the process ends anyway
	findings := []finding{{good, "library", "ONNX Runtime " + lib.Version() + " at " + path, ""}}
	providers, err := lib.Providers()
	if err != nil {
		findings = append(findings, finding{broken, "providers", err.Error(), "run `comfygo setup` again"})
	} else {
		findings = append(findings, finding{good, "providers", strings.Join(providers, ", "), ""})
	}
	return append(findings, checkGPUs(ctx, cfg, gpus, none, lib))
}

// checkFFmpeg looks for the programs that media nodes run.
func checkFFmpeg(ctx context.Context, tool *ffmpeg.Tool) finding {
	version, lacks, err := tool.Version(ctx)
	switch {
	case err != nil:
		return finding{warning, "ffmpeg", err.Error(), "video nodes, and audio nodes with files other than WAV and FLAC, do not work until FFmpeg is installed or named by --ffmpeg"}
	case len(lacks) > 0:
		return finding{warning, "ffmpeg", version, "it lacks the encoders " + strings.Join(lacks, ", ") + ": saving in these formats fails; install a complete build"}
	}
	return finding{good, "ffmpeg", version, ""}
}

// checkShaders reports which implementation runs the shaders of GLSLShader.
func checkShaders(ctx context.Context) finding {
	name, err := glsl.Check(ctx)
	if err != nil {
		return finding{warning, "shaders", err.Error(), "the node GLSLShader does not work without EGL and OpenGL ES 3"}
	}
	return finding{good, "shaders", name, ""}
}

// checkGPUs reports whether models can run on a GPU; lib is nil without a library.
func checkGPUs(ctx context.Context, cfg cli.Config, gpus []device.GPU, none error, lib *ort.Runtime) finding {
	switch {
	case cfg.CPU:
		return finding{good, "gpu", "not asked for (--cpu)", ""}
	case none != nil && (cfg.CUDADevice != "" || cfg.DefaultDevice != nil):
		return finding{broken, "gpu", none.Error(), "install NVIDIA's driver, or leave out --cuda-device and --default-device"}
	case none != nil:
		return finding{good, "gpu", "none, models run on the CPU (" + none.Error() + ")", ""}
	case lib == nil:
		return finding{warning, "gpu", describeGPUs(gpus), "fetch the library with `comfygo setup --cuda`"}
	}
	for _, c := range gpus {
		if err := lib.CheckCUDA(ctx, c.Index); err != nil {
			return finding{warning, "gpu", describeGPUs(gpus) + ": " + err.Error(), "models run on the CPU; fetch the library with `comfygo setup --cuda` and install CUDA 13 and cuDNN 9"}
		}
	}
	return finding{good, "gpu", describeGPUs(gpus), ""}
}

func describeGPUs(gpus []device.GPU) string {
	names := make([]string, len(gpus))
	for i, c := range gpus {
		names[i] = fmt.Sprintf("cuda:%d %s, %.1f GiB free of %.1f, driver %s", c.Index, c.Name, float64(c.Free)/gib, float64(c.Total)/gib, c.Driver)
	}
	return strings.Join(names, "; ")
}

// checkFolder checks whether files can be written to a folder. A missing folder is made on demand,
// so its nearest parent counts.
func checkFolder(name, path string) finding {
	at := path
	for {
		info, err := os.Stat(at)
		if err == nil && !info.IsDir() {
			return finding{broken, name, at + " is not a folder", "move the file away or choose another folder"}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return finding{broken, name, err.Error(), "give this user access to it"}
		}
		at = filepath.Dir(at)
	}
	probe, err := os.CreateTemp(at, ".comfygo-doctor-*")
	if err != nil {
		return finding{broken, name, "cannot write to " + at + ": " + err.Error(), "give this user access to it, or choose another folder by --" + name + "-directory"}
	}
	err = errors.Join(probe.Close(), os.Remove(probe.Name()))
	switch {
	case err != nil:
		return finding{warning, name, err.Error(), "remove " + probe.Name()}
	case at != path:
		return finding{good, name, path + " (will be made)", ""}
	}
	return finding{good, name, path, ""}
}

func checkDisk(path string) finding {
	for !exists(path) && path != filepath.Dir(path) {
		path = filepath.Dir(path)
	}
	u, err := disk.Usage(path)
	if err != nil {
		return finding{warning, "disk", "the free space of " + path + " is unknown on " + runtime.GOOS + ": " + err.Error(), "see that there is room for images"}
	}
	text := fmt.Sprintf("%.1f GiB free at %s", float64(u.Free)/gib, path)
	if u.Free < littleDisk {
		return finding{warning, "disk", text, "make room, or choose another place by --output-directory"}
	}
	return finding{good, "disk", text, ""}
}
