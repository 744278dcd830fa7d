package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comfygo/cli"
)

// start runs a command line and reports which handler was called with what.
func start(t *testing.T, words ...string) (code int, called string, cfg cli.Config, run cli.RunOptions, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	note := func(name string) func(context.Context, cli.Config) error {
		return func(_ context.Context, c cli.Config) error { called, cfg = name, c; return nil }
	}
	code = cli.Main(t.Context(), words, &out, &errs, cli.Handlers{
		Serve: note("serve"),
		Version: func(w io.Writer, asJSON bool) error {
			_, err := io.WriteString(w, map[bool]string{false: "plain", true: "json"}[asJSON])
			return err
		},
		Doctor: func(_ context.Context, c cli.Config, _ cli.RemoteOptions) error {
			called, cfg = "doctor", c
			return nil
		},
		Remote: func(_ context.Context, c cli.Config, o cli.RemoteOptions) error {
			called, cfg = strings.TrimSpace(o.Command+" "+strings.Join(o.Args, " ")+" "+o.Server), c
			return nil
		},
		Check: func(_ context.Context, c cli.Config, o cli.RemoteOptions) error {
			called, cfg = "check "+o.Args[0], c
			return nil
		},
		Frontend: func(_ context.Context, c cli.Config, o cli.FrontendOptions) error {
			called, cfg = strings.TrimSpace(fmt.Sprintln("frontend", o.Action, o.Dir, o.Media)), c
			return nil
		},
		Run: func(_ context.Context, c cli.Config, o cli.RunOptions) error {
			called, cfg, run = "run", c, o
			return nil
		},
	})
	return code, called, cfg, run, out.String(), errs.String()
}

func TestCommands(t *testing.T) {
	t.Parallel()
	tests := []struct {
		words  string
		code   int
		called string
		run    cli.RunOptions
		says   string // in stderr
	}{
		{words: "", called: "serve"},
		{words: "--cpu", called: "serve"},
		{words: "doctor", called: "doctor"},
		{words: "doctor --base-directory /x", called: "doctor"},
		{words: "doctor word", code: 2, says: "comfygo: error: unrecognized arguments: word"},
		{words: "run", code: 2, says: "the following arguments are required: WORKFLOW.json"},
		{words: "run a.json", called: "run", run: cli.RunOptions{Workflow: "a.json"}},
		{words: "run -", called: "run", run: cli.RunOptions{Workflow: "-"}},
		{words: "run a.json b.json", code: 2, says: "unrecognized arguments: b.json"},
		{
			words: "run a.json --cpu --input 3.seed=5 --input=3.text=a,b --output out", called: "run",
			run: cli.RunOptions{Workflow: "a.json", Inputs: []string{"3.seed=5", "3.text=a,b"}, Output: "out"},
		},
		{words: "run --inp 3.seed=5 a.json", called: "run", run: cli.RunOptions{Workflow: "a.json", Inputs: []string{"3.seed=5"}}},
		{words: "run a.json --port x", code: 2, says: "argument --port: invalid int value: 'x'"},
		{words: "--cpu run a.json", code: 2, says: "unrecognized arguments: run a.json\na command stands first: comfygo run"},
		{words: "queue", called: "queue  http://127.0.0.1:8188"},
		{words: "queue pause --server http://other:1", called: "queue pause http://other:1"},
		{words: "queue a b", code: 2, says: "unrecognized arguments: b"},
		{words: "cancel", code: 2, says: "the following arguments are required: ID, or --all"},
		{words: "cancel x --all", code: 2, says: "not allowed with argument ID"},
		{words: "cancel x y", called: "cancel x y http://127.0.0.1:8188"},
		{words: "history --limit 0", code: 2, says: "argument --limit: must be at least 1"},
		{words: "models loras --json", called: "models loras http://127.0.0.1:8188"},
		{words: "check w.json --server http://x:1", called: "check w.json"},
		{words: "check", code: 2, says: "the following arguments are required: WORKFLOW.json or MODEL"},
		{words: "frontend install", called: "frontend install  false"},
		{words: "frontend install --media --dir x", called: "frontend install x true"},
		{words: "frontend", code: 2, says: "the following arguments are required: install"},
		{words: "completion tcsh", code: 2, says: "invalid choice: \"tcsh\" (choose from bash, zsh, fish)"},
		{words: "serve --cpu", called: "serve"},
		{words: "--prot 1", code: 2, says: "unrecognized arguments: --prot 1\ndid you mean --port?"},
		{words: "sevre", code: 2, says: "unknown command: 'sevre'\ndid you mean serve?"},
		{words: "zzz", code: 2, says: "unknown command: 'zzz'\nsee comfygo --help"},
		{words: "run a.json --outptu x", code: 2, says: "did you mean --output? (comfygo run --help"},
		{words: "help nothing", code: 2, says: "unknown command: 'nothing'"},
		{words: "help run more", code: 2, says: "unrecognized arguments: more"},
		{words: "version more", code: 2, says: "unrecognized arguments: more"},
	}
	for _, tt := range tests {
		t.Run(tt.words, func(t *testing.T) {
			t.Parallel()
			code, called, _, run, stdout, stderr := start(t, strings.Fields(tt.words)...)
			if code != tt.code || called != tt.called {
				t.Fatalf("code %d, called %q; want %d, %q (%s)", code, called, tt.code, tt.called, stderr)
			}
			if diff := cmp.Diff(tt.run, run); diff != "" {
				t.Errorf("run options: %s", diff)
			}
			if !strings.Contains(stderr, tt.says) || code == 2 && (strings.Count(stderr, "\n") != 2 || !strings.HasPrefix(stderr, "comfygo: error: ")) {
				t.Errorf("stderr %q", stderr)
			}
			if stdout != "" {
				t.Errorf("stdout %q", stdout)
			}
		})
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	broken := errors.New("opening it: broken")
	tests := []struct {
		name string
		err  error
		code int
		says string
	}{
		{name: "ok"},
		{name: "failed", err: broken, code: 1, says: "comfygo: opening it: broken\n"},
		{name: "own code", err: &cli.ExitError{Code: 130, Err: broken}, code: 130, says: "comfygo: opening it: broken\n"},
		{name: "silent", err: &cli.ExitError{Code: 3}, code: 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			code := cli.Main(t.Context(), nil, &out, &errs, cli.Handlers{
				Serve: func(context.Context, cli.Config) error { return tt.err },
			})
			if code != tt.code || errs.String() != tt.says || out.Len() != 0 {
				t.Errorf("code %d, stderr %q, stdout %q", code, errs.String(), out.String())
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	one := 1
	half := 0.5
	tests := []struct {
		words string
		want  func(*cli.Config)
	}{
		{words: "", want: func(*cli.Config) {}},
		{words: "--listen --port 0 --tls-keyfile k --tls-certfile c", want: func(c *cli.Config) {
			c.Listen, c.Port, c.TLSKeyFile, c.TLSCertFile = "0.0.0.0,::", 0, "k", "c"
		}},
		{words: "--lowvram --force-fp16 --reserve-vram 0.5 --default-device 1", want: func(c *cli.Config) {
			c.VRAM, c.ForceFP16, c.UNetType, c.ReserveVRAM, c.DefaultDevice = cli.VRAMLow, true, "fp16", &half, &one
		}},
		{words: "--force-fp16 --fp32-unet", want: func(c *cli.Config) { c.ForceFP16, c.UNetType = true, "fp32" }},
		{words: "--fp8_e5m2-text-enc --bf16-vae --cpu-vae", want: func(c *cli.Config) {
			c.TextType, c.VAEType, c.VAEOnCPU = "fp8_e5m2", "bf16", true
			c.Ignored = []string{"--fp8_e5m2-text-enc"}
		}},
		{words: "--high-ram", want: func(c *cli.Config) { c.HighRAM, c.Cache = true, cli.CacheClassic }},
		{words: "--cache-lru 7", want: func(c *cli.Config) { c.CacheLRU, c.Cache = 7, cli.CacheLRU }},
		{words: "--cache-lru 0", want: func(*cli.Config) {}},
		{words: "--cache-none", want: func(c *cli.Config) { c.Cache = cli.CacheNone }},
		{words: "--cache-ram 1 2.5", want: func(c *cli.Config) { c.CacheRAM = []float64{1, 2.5} }},
		{words: "--disable-xformers --directml", want: func(c *cli.Config) {
			n := -1
			c.DirectML, c.Ignored = &n, []string{"--disable-xformers", "--directml"}
		}},
		{words: "--fast", want: func(c *cli.Config) {
			c.Fast = []string{"fp16_accumulation", "fp8_matrix_mult", "cublas_ops", "autotune"}
			c.Ignored = []string{"--fast"}
		}},
		{words: "--verbose --verbose INFO a.log", want: func(c *cli.Config) {
			c.Verbose = []cli.LogTarget{{Level: "DEBUG"}, {Level: "INFO", File: "a.log"}}
		}},
		{words: "--demo-model --onnxruntime lib.so --threads 2 --model-memory 4.5 --max-memory 8 --queue memory", want: func(c *cli.Config) {
			c.DemoModel, c.ONNXRuntime, c.Threads, c.ModelMemory, c.MaxMemory = true, "lib.so", 2, 4.5, 8
			c.Queue = "memory"
		}},
		{words: "--queue-file q.db --queue-sync full --queue-on-restart interrupt --queue-limit 5 --queue-client-limit 2", want: func(c *cli.Config) {
			c.QueueFile, c.QueueSync, c.QueueOnRestart, c.QueueLimit, c.QueueClientLimit = "q.db", "full", "interrupt", 5, 2
		}},
		{words: "--queue-fair --queue-weight a=2 --queue-weight b=0.5 --queue-keep 7 --queue-keep-days 1.5", want: func(c *cli.Config) {
			c.QueueFair, c.QueueWeights, c.QueueKeep, c.QueueKeepDays = true, []string{"a=2", "b=0.5"}, 7, 1.5
		}},
		{words: "--queue nats://a:1,tls://secret@b:2 --role worker --queue-credentials w.nk --queue-ca ca.pem --queue-replicas 3 --worker-label big", want: func(c *cli.Config) {
			c.Queue, c.Role, c.QueueCredentials, c.QueueCA, c.QueueReplicas = "nats://a:1,tls://secret@b:2", "worker", "w.nk", "ca.pem", 3
			c.WorkerLabels, c.Args[1] = []string{"big"}, "nats://a:1,tls://***@b:2"
		}},
		{words: "--workers auto --queue-model-wait 0", want: func(c *cli.Config) { c.Workers, c.QueueModelWait = "auto", 0 }},
		{words: "--workers auto --worker-lease 2.5", want: func(c *cli.Config) { c.Workers, c.WorkerLease = "auto", 2.5 }},
		{words: "--job-time-limit 60 --drain-timeout 0 --webhook-allow 10.0.0.0/8 --webhook-allow hooks.internal", want: func(c *cli.Config) {
			c.JobTimeLimit, c.DrainTimeout, c.WebhookAllow = 60, 0, []string{"10.0.0.0/8", "hooks.internal"}
		}},
		{words: "--python-class ImageBlend --python-class=ImageInvert", want: func(c *cli.Config) { c.PythonClasses = []string{"ImageBlend", "ImageInvert"} }},
		{words: "--python /opt/python3 --comfyui /opt/ComfyUI --no-python-core", want: func(c *cli.Config) {
			c.Python, c.ComfyUI, c.NoCore = "/opt/python3", "/opt/ComfyUI", true
		}},
		{words: "--api-key abc --api-key=def --api-key-file f", want: func(c *cli.Config) {
			c.APIKeys, c.APIKeyFile = []string{"abc", "def"}, "f"
			c.Args = []string{"--api-key", "***", "--api-key=***", "--api-key-file", "f"}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.words, func(t *testing.T) {
			t.Parallel()
			want := cli.Config{
				Listen: "127.0.0.1", Port: 8188, MaxUploadSize: 100, PrintServer: true, HashFunction: "sha256", ManagerUI: true,
				FrontEndVersion: "comfyanonymous/ComfyUI@latest", ComfyAPIBase: "https://api.comfy.org",
				VRAM: cli.VRAMNormal, SmartMemory: true, Mmap: true, Cache: cli.CacheRAMPressure,
				PreviewMethod: "none", PreviewSize: 512, Args: strings.Fields(tt.words),
				LogFormat: "text",
				Role:      "all", WorkerLease: 10, QueueModelWait: 2, QueueReplicas: 1, Files: "directory",
				Queue: "sqlite", QueueSync: "normal", QueueOnRestart: "retry", QueueKeep: 10000, DrainTimeout: 25, StuckAfter: 3600,
				AuthTokenLife: 15, AuthTokenAlgorithm: "EdDSA", AuthAuditDays: 90, OIDCRoleClaim: "roles",
			}
			tt.want(&want)
			got, err := cli.Parse(strings.Fields(tt.words)...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHelpListsEveryFlag(t *testing.T) {
	t.Parallel()
	code, called, _, _, stdout, stderr := start(t, "--help-all")
	if code != 0 || called != "" || stderr != "" {
		t.Fatalf("code %d, called %q, stderr %q", code, called, stderr)
	}
	for _, f := range recordedFlags(t) {
		for _, name := range f.Names {
			if !strings.Contains(stdout, "\n  "+name) && !strings.Contains(stdout, ", "+name) {
				t.Errorf("%s is missing in the help", name)
			}
		}
	}
	for _, line := range strings.Split(stdout, "\n") {
		if len(line) > 80 && strings.Count(strings.TrimSpace(line), " ") > 0 && !strings.HasPrefix(line, " ") {
			t.Errorf("line of %d characters: %q", len(line), line)
		}
	}
	_, _, _, _, stdout, _ = start(t, "run", "--help")
	if !strings.Contains(stdout, "usage: comfygo run") || !strings.Contains(stdout, "--input NODE.FIELD=VALUE") {
		t.Errorf("help of run: %s", stdout)
	}
}

// TestShortHelp shows the commands and the common flags on two screens at most, and says where the rest is.
func TestShortHelp(t *testing.T) {
	t.Parallel()
	_, _, _, _, want, _ := start(t, "--help")
	for _, words := range []string{"help", "-h", "--port 1 --help"} {
		code, called, _, _, stdout, stderr := start(t, strings.Fields(words)...)
		if code != 0 || called != "" || stdout != want || stderr != "" {
			t.Errorf("%s: code %d, called %q, stderr %q, stdout %q", words, code, called, stderr, stdout)
		}
	}
	if lines := strings.Count(want, "\n"); lines > 110 {
		t.Errorf("%d lines", lines)
	}
	for _, text := range []string{"comfygo: a ComfyUI server in Go", "--port PORT", "COMFYGO_PORT=", "--config", "--help-all", "\n  doctor"} {
		if !strings.Contains(want, text) {
			t.Errorf("the help lacks %q", text)
		}
	}
	_, _, _, _, run, _ := start(t, "run", "--help")
	if _, _, _, _, stdout, _ := start(t, "help", "run"); stdout != run || run == "" {
		t.Errorf("help run: %s", stdout)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for words, want := range map[string]string{"version": "plain", "--version": "plain", "--cpu --version --nonsense": "plain", "version --json": "json"} {
		code, called, _, _, stdout, stderr := start(t, strings.Fields(words)...)
		if code != 0 || called != "" || stdout != want || stderr != "" {
			t.Errorf("%s: code %d, called %q, stdout %q, stderr %q", words, code, called, stdout, stderr)
		}
	}
}

func TestListFeatureFlags(t *testing.T) {
	t.Parallel()
	code, called, _, _, stdout, stderr := start(t, "--list-feature-flags")
	if code != 0 || called != "" || stderr != "" {
		t.Fatalf("code %d, called %q, stderr %q", code, called, stderr)
	}
	var known map[string]struct {
		Type        string
		Default     *bool
		Description string
	}
	if err := json.Unmarshal([]byte(stdout), &known); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"show_signin_button", "enable_telemetry"} {
		f := known[name]
		if f.Type != "bool" || f.Default == nil || *f.Default || f.Description == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
