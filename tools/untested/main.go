// Command untested lists the tests that cannot run on this machine, and what to install for them. `make test` ends with it:
// a skipped test is silent in go test's summary. With -fetch, as `make test` begins, it downloads ComfyUI's front end for
// the tests if there is a browser to open it in.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"comfygo/engine/ort"
	"comfygo/frontend"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/glsl"
	"comfygo/tests/browser/chromium"
)

// patience is how long the fetch may take: without a network the tests go on without it.
const patience = 3 * time.Minute

func main() {
	fetch := flag.Bool("fetch", false, "bring ComfyUI's front end for the tests")
	flag.Parse()
	find := func() frontend.Found { return chromium.Frontend(".") }
	if !*fetch {
		report(os.Stdout, chromium.Find, find)
		reportFFmpeg(os.Stdout, func() ([]string, error) {
			_, lacks, err := (*ffmpeg.Tool)(nil).Version(context.Background())
			return lacks, err
		})
		reportShaders(os.Stdout, func() error {
			_, err := glsl.Check(context.Background())
			return err
		})
		reportCPU(os.Stdout, ort.Kernels())
		reportSDKs(os.Stdout, filepath.Join("bin", "sdks"))
		reportDeployment(os.Stdout, exec.LookPath)
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	bring(ctx, chromium.Find, find)
}

// reportDeployment names the programs with which the examples of deploy/ are tried and that are missing.
func reportDeployment(out io.Writer, look func(string) (string, error)) {
	for _, p := range []struct{ program, what string }{
		{"nginx", "the nginx example in front of the server"}, {"caddy", "the Caddy example in front of the server"}, {"systemd-analyze", "the systemd unit by systemd itself"},
	} {
		if _, err := look(p.program); err != nil {
			fmt.Fprintf(out, "\n*** NOT TESTED: %s: %s is not installed.\n", p.what, p.program)
		}
	}
}

// bring fetches the front end if it is missing and useful. A failure is only reported: report explains its effect.
func bring(ctx context.Context, browser func() (string, error), pages func() frontend.Found) {
	found := pages()
	if _, err := browser(); err != nil || found.Root != "" && len(found.Templates) > 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := frontend.Install(ctx, frontend.Options{
		Dir: filepath.FromSlash(chromium.FrontendDir),
		Log: func(line string) { fmt.Fprintln(os.Stderr, line) },
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// report prints a paragraph for each thing that is missing, nothing when all is there.
func report(out io.Writer, browser func() (string, error), pages func() frontend.Found) {
	if _, err := browser(); err != nil {
		fmt.Fprintf(out, "\n*** NOT TESTED: the pages in a browser (our own, ComfyUI's frontend, the conversion of workflows against it).\n*** %v\n", err)
		return
	}
	switch found := pages(); {
	case found.Root == "":
		fmt.Fprintln(out, "\n*** NOT TESTED: ComfyUI's own frontend against the server: it is not installed. `bin/comfygo frontend install` fetches it (42 MB).")
	case len(found.Templates) == 0:
		fmt.Fprintln(out, "\n*** NOT TESTED: the conversion of the workflow templates: they are not installed. `bin/comfygo frontend install` fetches them.")
	}
}

// reportFFmpeg says that media files are not tested where the programs are missing, or which encoders they lack.
func reportFFmpeg(out io.Writer, lacking func() (encoders []string, err error)) {
	switch lacks, err := lacking(); {
	case err != nil:
		fmt.Fprintf(out, "\n*** NOT TESTED: video files, and audio files other than WAV and FLAC.\n*** %v\n", err)
	case len(lacks) > 0:
		fmt.Fprintf(out, "\n*** Tests of saving audio and video fail: ffmpeg was built without %s. Install one with these encoders.\n", strings.Join(lacks, ", "))
	}
}

// reportShaders says that shaders are not tested where no driver runs them.
func reportShaders(out io.Writer, check func() error) {
	if err := check(); err != nil {
		fmt.Fprintf(out, "\n*** NOT TESTED: the class GLSLShader.\n*** %v\n", err)
	}
}

// reportCPU says which kernels of the engine's own operators this CPU cannot run; kernels is what ort.Kernels returns.
func reportCPU(out io.Writer, kernels string) {
	switch kernels {
	case "":
		fmt.Fprintln(out, "\n*** NOT TESTED: our own operators for Linear, Conv3x3 and GroupNorm (engine/ort): this CPU has neither AVX-512 nor AVX2 with FMA.")
	case "AVX2":
		fmt.Fprintln(out, "\n*** NOT TESTED: the kernels for AVX-512 of our own operators (engine/ort): this CPU has AVX2, whose kernels are tested.")
	}
}

// reportSDKs says which of the clients that `make sdks` installs into dir are missing.
func reportSDKs(out io.Writer, dir string) {
	for name, at := range map[string]string{
		"@comfyorg/sdk": filepath.Join(dir, "node", "node_modules", "@comfyorg", "sdk", "package.json"),
		"comfy-sdk":     filepath.Join(dir, "python", "pyvenv.cfg"),
	} {
		if _, err := os.Stat(at); err != nil {
			fmt.Fprintf(out, "\n*** NOT TESTED: the client %s against the API v2: it is not installed. `make sdks` fetches it.\n", name)
		}
	}
}
