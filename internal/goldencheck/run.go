// Package goldencheck runs a folder of goldens through the engine: noise, schedules, samplers, tokens, text encodings,
// single calls of diffusion models, modules and VAEs that ComfyUI computed, in the layout that internal/golden reads.
//
// A file is recognised by its content, not by its name, so that folders with other cases, sizes and families run as
// well. Goldens that the engine cannot run are reported with the reason. The package knows no model family: it asks
// the engine.
package goldencheck

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"comfygo/engine"
	"comfygo/internal/golden"
)

// State is the outcome of a golden.
type State int

// The states.
const (
	Passed State = iota
	Failed
	Unavailable
)

// String returns the word that reports use.
func (s State) String() string {
	return [...]string{"passed", "failed", "not available"}[s]
}

// Result is the outcome of one golden, which is one case of a file.
type Result struct {
	// Golden names the file without extension and the case: "forward/sdxl f0".
	Golden string
	State  State
	// Detail holds the figures of a golden that passed, and the reason of one that did not.
	Detail string
}

// Options select what to run.
type Options struct {
	// Golden is the folder of goldens, Models the folder of manifests; Golden/models when empty.
	Golden, Models string
	// Only, when set, is a pattern of path.Match for the names of files or of their folder: "forward/sd*", "text".
	Only string
	// Runtime runs the networks; without one, goldens that need a network are not available.
	Runtime *engine.Runtime
	// Report, when set, is called with each result in turn.
	Report func(Result)
}

// Tally counts results.
type Tally struct{ Passed, Failed, Unavailable int }

// String returns the summary line.
func (t Tally) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d not available", t.Passed, t.Failed, t.Unavailable)
}

// Run checks every golden below o.Golden. It fails when the folder cannot be read or ctx ends; goldens that fail are
// counted.
func Run(ctx context.Context, o Options) (Tally, error) {
	if _, err := path.Match(o.Only, ""); err != nil {
		return Tally{}, fmt.Errorf("reading the pattern %q: %w", o.Only, err)
	}
	if o.Models == "" {
		o.Models = filepath.Join(o.Golden, "models")
	}
	files, err := find(o)
	if err != nil {
		return Tally{}, fmt.Errorf("looking for goldens: %w", err)
	}
	if len(files) == 0 {
		return Tally{}, fmt.Errorf("no goldens in %s that %q matches", o.Golden, o.Only)
	}
	r := &run{Options: o}
	if r.manifests, err = findManifests(o.Models); err != nil {
		return Tally{}, err
	}
	if r.measured, err = readMeasured(o.Golden); err != nil {
		return Tally{}, err
	}
	r.set = recipeSet(o.Golden)
	for _, f := range files {
		if err := context.Cause(ctx); err != nil {
			return r.tally, err
		}
		r.file(ctx, f)
	}
	return r.tally, context.Cause(ctx)
}

// run is one run of Run.
type run struct {
	Options
	tally     Tally
	manifests []manifest
	measured  measured
	set       string // the word that the names of the folder's recipes share
}

// file is one golden file.
type file struct {
	name string // path below the folder without extension: "forward/sdxl"
	path string // without extension
	head head
}

// find lists the JSON files below the folder, but for those that hold no goldens: manifests and files at the top.
func find(o Options) ([]*file, error) {
	var files []*file
	err := filepath.WalkDir(o.Golden, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(o.Golden, p)
		if err != nil {
			return err
		}
		name, isJSON := strings.CutSuffix(strings.TrimSuffix(filepath.ToSlash(rel), ".gz"), ".json")
		switch {
		case d.IsDir():
			if same(p, o.Models) {
				return fs.SkipDir
			}
		case isJSON && strings.Contains(name, "/") && selected(o.Only, name):
			files = append(files, &file{name: name, path: filepath.Join(o.Golden, filepath.FromSlash(name))})
		}
		return nil
	})
	return files, err
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// selected reports whether the pattern matches a file's name or one of the folders above it.
func selected(pattern, name string) bool {
	for ; pattern != "" && name != "."; name = path.Dir(name) {
		if ok, _ := path.Match(pattern, name); ok {
			return true
		}
	}
	return pattern == ""
}

// file recognises a file and runs its cases.
func (r *run) file(ctx context.Context, f *file) {
	if err := golden.ReadJSON(f.path+".json", &f.head); err != nil {
		r.note(f, "", "", err)
		return
	}
	if f.head.has("salt", "tensors", "folder") {
		return // a manifest outside of the folder of manifests
	}
	for _, k := range kinds {
		if !k.holds(f.head) {
			continue
		}
		if err := k.run(ctx, r, f); err != nil {
			r.note(f, "", "", err)
		}
		return
	}
	r.note(f, "", "", unavailable("files of this format are not run by this command"))
}

// head is a golden's JSON, taken apart far enough to recognise it.
type head struct {
	top   map[string]json.RawMessage
	first map[string]json.RawMessage // the first case
}

// UnmarshalJSON decodes objects; other values have no keys.
func (h *head) UnmarshalJSON(b []byte) error {
	*h = head{}
	if json.Unmarshal(b, &h.top) != nil {
		return nil // a list: no golden
	}
	var cases []json.RawMessage
	if json.Unmarshal(h.top["cases"], &cases) == nil && len(cases) > 0 {
		_ = json.Unmarshal(cases[0], &h.first) // a case that is not an object has no keys
	}
	return nil
}

// has reports whether the top of the file has all the keys.
func (h head) has(keys ...string) bool { return hasAll(h.top, keys) }

// each reports whether cases have all the keys, judged by the first one.
func (h head) each(keys ...string) bool { return hasAll(h.first, keys) }

func hasAll(m map[string]json.RawMessage, keys []string) bool {
	return !slices.ContainsFunc(keys, func(k string) bool { _, ok := m[k]; return !ok })
}

// kind is a format of goldens. The run function records a result for each case; the error it returns is recorded for
// the whole file.
type kind struct {
	name  string
	holds func(head) bool
	run   func(ctx context.Context, r *run, f *file) error
}

// kinds are the formats, the more particular ones first.
var kinds = []kind{
	{"tokens", func(h head) bool { return h.has("sets") }, checkTokens},
	{"noise", func(h head) bool { return h.each("seed", "shape", "batch_inds") }, checkNoise},
	{"Brownian noise", func(h head) bool { return h.each("seed", "shape", "queries") }, checkBrownian},
	{"samplers", func(h head) bool { return h.has("models") && h.each("sampler", "cpos", "cneg") }, checkSamplers},
	{"schedules", func(h head) bool { return h.has("model_sampling", "index") }, checkSchedules},
	{"schedule nodes", func(h head) bool { return h.has("index") && h.each("class", "args") }, checkScheduleNodes},
	{"calls of diffusion models", func(h head) bool { return h.has("model_file") && h.each("calls", "sigmas", "cond") }, checkForward},
	{"modules", func(h head) bool { return h.has("cls", "config", "model") && h.each("args", "outs") }, checkModules},
	{"image encodings", func(h head) bool { return h.each("image", "crop") }, checkVision},
	{"VAE", func(h head) bool { return h.each("op") && (h.each("latent") || h.each("image")) }, checkVAE},
	{"text encodings", func(h head) bool { return h.each("prompt", "tensors") }, checkText},
	{"node calls", func(h head) bool { return h.each("class", "args") }, elsewhere("calls of nodes are run by the tests of their packages")},
	{"workflows", isWorkflows, elsewhere("whole workflows are run against a server")},
	{"quantized blocks", func(h head) bool { return h.has("gguf", "types") }, elsewhere("quantized blocks are run by the tests of engine/weights")},
}

// elsewhere is the run function of a format that other tools run.
func elsewhere(reason string) func(context.Context, *run, *file) error {
	return func(context.Context, *run, *file) error { return unavailable("%s, not by this command", reason) }
}

// isWorkflows recognises recorded runs of whole workflows: their cases are an object by name.
func isWorkflows(h head) bool {
	raw := h.top["cases"]
	return len(raw) > 0 && raw[0] == '{'
}

// note records one case of a file; "" means the file itself.
func (r *run) note(f *file, id, detail string, err error) {
	res := Result{Golden: f.name, Detail: detail}
	if id != "" {
		res.Golden += " " + id
	}
	var missing *unavailableError
	switch {
	case err == nil:
		r.tally.Passed++
	case errors.As(err, &missing):
		r.tally.Unavailable++
		res.State, res.Detail = Unavailable, err.Error()
	default:
		r.tally.Failed++
		res.State, res.Detail = Failed, err.Error()
	}
	if r.Report != nil {
		r.Report(res)
	}
}

// unavailableError names the part that the engine lacks for a golden.
type unavailableError struct{ reason string }

func (e *unavailableError) Error() string { return e.reason }

func unavailable(format string, args ...any) error {
	return &unavailableError{fmt.Sprintf(format, args...)}
}
