package executor_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/executor"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// note reads a file of the input folder, writes it to the output folder and counts its runs in a state.
type note struct {
	File string `in:"file" default:""`
}

func (*note) Spec() nodes.Spec {
	s := output(named("Note", "STRING"))
	s.Validates = []string{"file"}
	return s
}

func (n *note) ValidateInputs(ctx *nodes.Context) error {
	if !ctx.Folders.Exists(n.File) {
		return nodes.Invalid("no file %s", n.File)
	}
	return nil
}

func (n *note) Run(ctx *nodes.Context) (nodes.Result, error) {
	runs := ctx.State(func() any { return new(int) }).(*int)
	*runs++
	path, err := ctx.Folders.Resolve(n.File)
	if err != nil {
		return nodes.Result{}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nodes.Result{}, err
	}
	to, err := ctx.Folders.SavePath("note", ctx.Folders.Output(), 0, 0)
	if err != nil {
		return nodes.Result{}, err
	}
	if err := os.WriteFile(filepath.Join(to.Dir, to.Name(0, ".txt")), text, 0o600); err != nil {
		return nodes.Result{}, err
	}
	return nodes.Out(string(text)).AddUI("text", []any{fmt.Sprintf("%s %d", text, *runs)}), nil
}

// TestOwnersShareNoResults runs one prompt for two owners: each sees its own file, its own state, its own output, and not
// the kept result of the other one.
func TestOwnersShareNoResults(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	all, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	registry := nodes.NewRegistry()
	if err := registry.Add(&note{}); err != nil {
		t.Fatal(err)
	}
	ex := executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: all}, Cache: executor.CacheConfig{Kind: executor.CacheLRU, Size: 10}})
	const text = `{"1": {"class_type": "Note", "inputs": {"file": "same.txt"}}}`
	for _, owner := range []string{"ann", "bob"} {
		dir := all.For(owner).Input()
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "same.txt"), []byte("of "+owner), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []struct{ owner, want string }{{"ann", "of ann 1"}, {"bob", "of bob 1"}, {"ann", "of ann 1"}} {
		view := all.For(c.owner)
		prompt := parse(t, text)
		v, err := ex.Validate(executor.InFolders(t.Context(), view), "p", prompt, nil)
		if err != nil || !v.OK {
			t.Fatalf("%d: validating: %v, %v", i, v, err)
		}
		r := ex.Run(context.Background(), executor.Job{ID: "p", Prompt: prompt, ExtraData: pyjson.NewObject(), Outputs: v.Outputs, Folders: view},
			executor.SinkFunc(func(executor.Event) {}))
		shown, _ := r.Outputs.Object("1").Get("text")
		if got := fmt.Sprint(shown); got != "["+c.want+"]" {
			t.Errorf("%d: %s got %s, want %s", i, c.owner, got, c.want)
		}
		if data, err := os.ReadFile(filepath.Join(base, "output", "@"+c.owner, "note_00001_.txt")); err != nil || string(data) != "of "+c.owner {
			t.Errorf("%d: the output of %s: %q, %v", i, c.owner, data, err)
		}
	}
	if v, err := ex.Validate(t.Context(), "p", parse(t, text), nil); err != nil || v.OK {
		t.Errorf("the common folders have no such file, but validation said %+v, %v", v, err)
	}
}

// TestStatesLastAsLongAsCaches runs a node twice with other inputs: its state survives until the second run unless caching is off.
func TestStatesLastAsLongAsCaches(t *testing.T) {
	t.Parallel()
	for kind, want := range map[executor.CacheKind]string{executor.CacheClassic: "b 2", executor.CacheNone: "b 1"} {
		all, err := folders.New(folders.Config{Base: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		registry := nodes.NewRegistry()
		if err := registry.Add(&note{}); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{all.Input(), all.Output()} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		ex := executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: all}, Cache: executor.CacheConfig{Kind: kind}})
		var shown any
		for _, name := range []string{"a", "b"} {
			if err := os.WriteFile(filepath.Join(all.Input(), name), []byte(name), 0o600); err != nil {
				t.Fatal(err)
			}
			prompt := fmt.Sprintf(`{"1": {"class_type": "Note", "inputs": {"file": %q}}}`, name)
			r, _, _ := runPrompt(t.Context(), t, ex, name, prompt)
			shown, _ = r.Outputs.Object("1").Get("text")
		}
		if got := fmt.Sprint(shown); got != "["+want+"]" {
			t.Errorf("%v: have %s, want %s", kind, got, want)
		}
	}
}

// TestErrorsWithoutPlaces: what clients see of an error has the names of folders, not where they lie.
func TestErrorsWithoutPlaces(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	all, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	registry := nodes.NewRegistry()
	if err := registry.Add(&note{}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(all.Input(), "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	ex := executor.New(executor.Config{Registry: registry, Services: nodes.Services{Folders: all}})
	_, events, _ := runPrompt(t.Context(), t, ex, "p", `{"1": {"class_type": "Note", "inputs": {"file": "folder"}}}`)
	e := find(events, "execution_error")
	if e == nil {
		t.Fatal("reading a folder as a file is no error")
	}
	if text := show(e); strings.Contains(text, base) || !strings.Contains(filepath.ToSlash(e.String("exception_message")), "input/folder") {
		t.Errorf("the client sees %s", text)
	}
}
