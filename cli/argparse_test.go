package cli_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comfygo/cli"
)

type recordedFlag struct {
	Names   []string
	Type    string
	Nargs   any
	Const   any
	Default any
	Choices []string
	Metavar any
	Repeat  bool `json:"repeatable"`
	Group   any  `json:"exclusive_group"`
}

func recordedFlags(t *testing.T) []recordedFlag {
	t.Helper()
	var flags []recordedFlag
	readJSON(t, "testdata/flags.json", &flags)
	if len(flags) != 106 {
		t.Fatalf("%d flags in the record, want 106", len(flags))
	}
	return flags
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// TestUsageOfEveryFlag compares the table with the record through what the usage line shows: names,
// order, number of values, metavar and exclusive groups.
func TestUsageOfEveryFlag(t *testing.T) {
	t.Parallel()
	_, _, _, _, help, _ := start(t, "--help-all")
	usage := strings.Join(strings.Fields(strings.SplitN(help, "\n\n", 3)[1]), " ")
	at := 0
	var last any
	for _, f := range recordedFlags(t) {
		sig := signature(f)
		switch f.Group {
		case nil:
			sig = "[" + sig + "]"
		case last:
			sig = "| " + sig
		default:
			sig = "[" + sig
		}
		last = f.Group
		i := strings.Index(usage[at:], sig)
		if i < 0 {
			t.Errorf("usage lacks %q behind %q", sig, usage[max(0, at-30):at])
			continue
		}
		at += i
	}
}

func signature(f recordedFlag) string {
	name := f.Names[0]
	long := f.Names[len(f.Names)-1]
	meta := strings.ToUpper(strings.ReplaceAll(strings.TrimPrefix(long, "--"), "-", "_"))
	if m, ok := f.Metavar.(string); ok {
		meta = strings.NewReplacer("[none,auto,latent2rgb,taesd]", "{none,auto,latent2rgb,taesd}").Replace(m)
	} else if len(f.Choices) > 0 && f.Nargs == nil {
		meta = "{" + strings.Join(f.Choices, ",") + "}"
	}
	switch {
	case f.Type == "flag":
		return name
	case f.Nargs == "?":
		return name + " [" + meta + "]"
	case f.Nargs == "*":
		return name + " [" + meta + " ...]"
	case f.Nargs == "+":
		return name + " " + meta + " [" + meta + " ...]"
	}
	return name + " " + meta
}

// TestLikeArgparse gives every recorded argument list to the parser and compares exit code, message
// and values with what ComfyUI's own parser made of it.
func TestLikeArgparse(t *testing.T) {
	t.Parallel()
	var cases []struct {
		Args   []string
		Exit   int
		Error  string
		Values map[string]any
	}
	readJSON(t, "testdata/argparse.json", &cases)
	if len(cases) < 150 {
		t.Fatalf("%d cases in the record", len(cases))
	}
	for _, c := range cases {
		t.Run(strings.Join(c.Args, " "), func(t *testing.T) {
			t.Parallel()
			code, called, _, _, stdout, stderr := start(t, c.Args...)
			if code != c.Exit {
				t.Fatalf("exit code %d, want %d (%s)", code, c.Exit, stderr)
			}
			if c.Exit != 0 {
				got, hint, _ := strings.Cut(stderr, "\n")
				if wrong, ok := strings.CutPrefix(c.Error, "unrecognized arguments: "); ok && c.Args[0] == strings.Fields(wrong)[0] && wrong[0] != '-' {
					c.Error = "unknown command: '" + c.Args[0] + "'" // comfygo has commands
				}
				if got != "comfygo: error: "+c.Error || strings.Count(hint, "\n") != 1 {
					t.Errorf("message %q, want %q", got, c.Error)
				}
				if called != "" || stdout != "" {
					t.Errorf("called %q, stdout %q", called, stdout)
				}
				return
			}
			if called == "" {
				return // help and the list of features print and leave
			}
			if diff := cmp.Diff(flatten(c.Values), cli.ChangedValues(c.Args)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// flatten converts recorded values to our form: the lists of a repeatable list flag joined.
func flatten(values map[string]any) map[string]any {
	if lists, ok := values["extra_model_paths_config"].([]any); ok {
		var flat []any
		for _, l := range lists {
			flat = append(flat, l.([]any)...)
		}
		values["extra_model_paths_config"] = flat
	}
	return values
}
