package glsl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// ErrUnavailable means that this machine has no way to run shaders.
var ErrUnavailable = errors.New("shaders cannot be run")

// workerVariable marks a process as a worker.
const workerVariable = "COMFYGO_GLSL_WORKER"

// Renderer runs one job's shader over frames.
type Renderer struct {
	job      Job
	ctx      context.Context
	cancel   context.CancelCauseFunc
	cmd      *exec.Cmd
	in       io.WriteCloser
	out      *bufio.Reader
	messages *tail
	// Name is the driver that renders.
	Name string
}

// Start compiles a job's shader. The error of a shader that does not compile contains the driver's messages with the lines;
// it wraps ErrUnavailable if there is no driver.
func Start(ctx context.Context, job Job) (*Renderer, error) {
	if len(job.Source) > MaxSource || strings.IndexByte(job.Source, 0) >= 0 {
		return nil, fmt.Errorf("the source has %d bytes, at most %d fit, and no zero byte", len(job.Source), MaxSource)
	}
	if job.Width < 1 || job.Height < 1 || job.Width > maxSide || job.Height > maxSide || job.Images < 1 || job.Images > MaxImages {
		return nil, fmt.Errorf("%d images for a result of %dx%d; want 1 to %d, and at most %d pixels a side", job.Images, job.Width, job.Height, MaxImages, maxSide)
	}
	for _, c := range job.Curves {
		if len(c) < 1 || len(c) > maxCurve {
			return nil, fmt.Errorf("a curve of %d samples, want 1 to %d", len(c), maxCurve)
		}
	}
	if job.Limit <= 0 {
		job.Limit = DefaultLimit
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("%w: finding this program: %w", ErrUnavailable, err)
	}
	run, cancel := context.WithCancelCause(ctx)
	r := &Renderer{job: job, ctx: run, cancel: cancel, cmd: exec.CommandContext(run, self), messages: &tail{}}
	r.cmd.Env, r.cmd.Stderr = environment(), r.messages
	r.cmd.WaitDelay = time.Second
	if r.in, err = r.cmd.StdinPipe(); err == nil {
		var out io.Reader
		if out, err = r.cmd.StdoutPipe(); err == nil {
			r.out = bufio.NewReaderSize(out, 4*chunk)
			err = r.cmd.Start()
		}
	}
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("%w: starting the renderer: %w", ErrUnavailable, err)
	}
	if err := r.step("compiling the shader", func() error { return writeMessage(r.in, job) }); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Frame runs the shader over images and fills the results: Outputs slices of Width*Height*4 values.
func (r *Renderer) Frame(images []Image, results [][]float32) error {
	if len(images) != r.job.Images || len(results) != r.job.Outputs() {
		return fmt.Errorf("%d images and %d results for a shader of %d and %d", len(images), len(results), r.job.Images, r.job.Outputs())
	}
	for _, i := range images {
		if err := i.check(); err != nil {
			return err
		}
	}
	return r.step("running the shader", func() error {
		for _, i := range images {
			if err := writeImage(r.in, i); err != nil {
				return err
			}
		}
		return nil
	}, results...)
}

// step sends something, waits for the reply and reads the results behind it, within the time limit.
func (r *Renderer) step(what string, send func() error, results ...[]float32) error {
	timer := time.AfterFunc(r.job.Limit, func() {
		r.cancel(fmt.Errorf("%s took more than %v, which is the limit for a frame: make it do less, such as fewer steps of a loop or passes", what, r.job.Limit))
	})
	defer timer.Stop()
	var said reply
	err := send()
	if errors.Is(err, errUnsent) {
		return fmt.Errorf("%s: %w", what, err) // the renderer waits for it, and says nothing
	}
	if readErr := readMessage(r.out, &said); readErr == nil && said.Error != "" {
		err = errors.New(said.Error)
		if strings.HasPrefix(said.Error, unavailable) {
			err = fmt.Errorf("%w: %s", ErrUnavailable, strings.TrimPrefix(said.Error, unavailable))
		}
		return err
	} else if err == nil {
		err = readErr
	}
	r.Name = said.Renderer
	for _, to := range results {
		if err == nil {
			err = readFloats(r.out, to)
		}
	}
	if cause := context.Cause(r.ctx); cause != nil {
		return cause
	}
	if err != nil {
		return fmt.Errorf("%s: the renderer ended: %s", what, r.messages.String())
	}
	return nil
}

// unavailable is the prefix of the worker's replies if there is no driver.
const unavailable = "unavailable: "

// Close ends the renderer and waits for its process.
func (r *Renderer) Close() error {
	err := r.in.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	r.cancel(nil) // kills it where it does not see its input's end
	_ = r.cmd.Wait()
	return err
}

// Check returns the name of the driver that shaders run on.
func Check(ctx context.Context) (string, error) {
	const source = "#version 300 es\nprecision highp float;\nout vec4 fragColor0;\nvoid main() { fragColor0 = vec4(1.0); }\n"
	r, err := Start(ctx, Job{Source: source, Width: 1, Height: 1, Images: 1, Limit: time.Minute})
	if err != nil {
		return "", err
	}
	return r.Name, r.Close()
}

// environment returns the worker's variables: those by which the loader and drivers are found, and none that make drivers
// write files.
func environment() []string {
	env := []string{workerVariable + "=1", "MESA_SHADER_CACHE_DISABLE=true", "MESA_GLSL_CACHE_DISABLE=true", "__GL_SHADER_DISK_CACHE=0", "LC_ALL=C"}
	for _, v := range os.Environ() {
		name, _, _ := strings.Cut(v, "=")
		for _, prefix := range []string{"LD_LIBRARY_PATH", "LIBGL_", "EGL_", "__EGL_", "GALLIUM_", "LP_", "VK_", "XDG_DATA_DIRS", "GOCOVERDIR"} {
			if strings.HasPrefix(name, prefix) {
				env = append(env, v)
			}
		}
	}
	return env
}

// tail keeps the beginning of the data that is written to it.
type tail struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	const most = 2000
	t.text.Write(b[:min(len(b), max(most-t.text.Len(), 0))])
	return len(b), nil
}

// String returns the written text, on one line.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.Join(strings.Fields(t.text.String()), " ")
	if text == "" {
		return "it said nothing; the driver may have crashed on the shader"
	}
	return text
}
