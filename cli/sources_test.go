package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comfygo/cli"
)

// parseIn reads a command line with an environment and the text of a config file, "" for none.
func parseIn(t *testing.T, words, environ []string, file string) (cli.Config, string) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "comfygo.yaml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
		environ = append(environ, "COMFYGO_CONFIG="+path)
	}
	var got cli.Config
	var out, errs bytes.Buffer
	cli.MainIn(t.Context(), environ, words, &out, &errs, cli.Handlers{
		Serve: func(_ context.Context, c cli.Config) error { got = c; return nil },
	})
	return got, errs.String()
}

func TestSources(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, words string
		environ     []string
		file        string
		as          string // the command line that means the same
	}{
		{name: "environment", environ: []string{"COMFYGO_PORT=8190", "COMFYGO_LISTEN=0.0.0.0", "COMFYGO_AUTH=1", "PATH=/bin"}, as: "--port 8190 --listen 0.0.0.0 --auth"},
		{name: "empty variables", environ: []string{"COMFYGO_PORT=", "COMFYGO_CPU="}, as: ""},
		{name: "command line before environment", words: "--port 1", environ: []string{"COMFYGO_PORT=2"}, as: "--port 1"},
		{name: "environment before file", environ: []string{"COMFYGO_PORT=2"}, file: "port: 3\nthreads: 4", as: "--port 2 --threads 4"},
		{name: "lists", environ: []string{"COMFYGO_ALLOWED_HOSTS=a.example,b.example", "COMFYGO_CACHE_RAM=1,2.5"}, as: "--allowed-hosts a.example --allowed-hosts b.example --cache-ram 1 2.5"},
		{name: "a list is replaced, not extended", words: "--allowed-hosts c", environ: []string{"COMFYGO_ALLOWED_HOSTS=a,b"}, as: "--allowed-hosts c"},
		{name: "file", file: "port: 0\nmax_upload_size: 0.5\nqueue-fair: true\nauth: false\nallowed-hosts: [a, b]\nverbose: [DEBUG, INFO a.log]\nconfig-less: null\n", as: "?there is no such flag"},
		{
			name: "kinds of values", file: "port: 0\nmax_upload_size: 0.5\nqueue-fair: true\nauth: false\nallowed-hosts: [a, b]\nverbose: [DEBUG, INFO a.log]\nthreads: null\nlisten: true\n",
			as: "--port 0 --max-upload-size 0.5 --queue-fair --allowed-hosts a --allowed-hosts b --verbose DEBUG --verbose INFO a.log --listen",
		},
		{name: "environment switches a flag of the file off", environ: []string{"COMFYGO_AUTH=false"}, file: "auth: true", as: ""},
		{name: "exclusive flags", words: "--highvram", environ: []string{"COMFYGO_LOWVRAM=1"}, file: "novram: true", as: "--highvram"},
		{name: "exclusive flags of one source", environ: []string{"COMFYGO_LOWVRAM=1", "COMFYGO_NOVRAM=1"}, as: "?environment variable COMFYGO_NOVRAM: not allowed with environment variable COMFYGO_LOWVRAM"},
		{name: "secret of a file", file: "api-key: [one, two]", as: "--api-key one --api-key two"},
		{name: "bad number", environ: []string{"COMFYGO_PORT=x"}, as: "?environment variable COMFYGO_PORT: invalid int value: 'x'"},
		{name: "bad switch", environ: []string{"COMFYGO_CPU=maybe"}, as: "?environment variable COMFYGO_CPU: a switch is true or false, not 'maybe'"},
		{name: "bad choice", file: "queue: disk", as: "?queue: invalid choice: 'disk' (choose from 'memory', 'sqlite')"},
		{name: "mistyped key", file: "prot: 1", as: "?did you mean --port?"},
		{name: "no mapping", file: "- a\n- b", as: "?it is not a YAML mapping"},
		{name: "nested", file: "port: {a: 1}", as: "?a flag takes a text, a number, a boolean or a list of these"},
		{name: "too many values", file: "port: [1, 2]", as: "?it takes one value, not 2"},
		{name: "not in a file", file: "help: true", as: "?it can be given on the command line only"},
		{name: "missing file", words: "--config /does/not/exist.yaml", as: "?reading the config file: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, said := parseIn(t, strings.Fields(tt.words), tt.environ, tt.file)
			if wrong, ok := strings.CutPrefix(tt.as, "?"); ok {
				if !strings.Contains(said, wrong) || strings.Count(said, "\n") != 2 {
					t.Errorf("stderr %q, want %q", said, wrong)
				}
				return
			}
			want, err := cli.Parse(strings.Fields(tt.as)...)
			if err != nil || said != "" {
				t.Fatal(err, said)
			}
			got.Args, want.Args = nil, nil
			got.ConfigFile, got.FromEnvironment = "", nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSourcesAreNamed(t *testing.T) {
	t.Parallel()
	got, said := parseIn(t, nil, []string{"COMFYGO_PROT=1", "COMFYGO_PORT=2", "COMFYGO_TEST_CACHE=/x", "COMFYGO_SERVER=http://x"}, "threads: 1")
	if said != "" || !strings.HasSuffix(got.ConfigFile, "comfygo.yaml") {
		t.Errorf("file %q, %s", got.ConfigFile, said)
	}
	if diff := cmp.Diff([]string{"COMFYGO_PORT"}, got.FromEnvironment); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"COMFYGO_PROT"}, got.UnknownVariables); diff != "" {
		t.Error(diff)
	}
}
