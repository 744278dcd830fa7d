package nodecalls

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Recorded holds the entries of the lists of recordings for a class.
type Recorded struct {
	// Calls is the number of calls that upstream's class made, Errors of those that raised an exception.
	Calls, Errors int
	// Differs are the reasons why calls give something else here.
	Differs []string
}

// Count reads all lists of recordings below the folder of the node packages, by the names of the classes.
func Count(packages string) (map[string]*Recorded, error) {
	files, err := filepath.Glob(filepath.Join(packages, "*", "testdata", "*.json.gz"))
	if err != nil {
		return nil, fmt.Errorf("listing recordings: %w", err)
	}
	out := map[string]*Recorded{}
	for _, file := range files {
		list, err := recordings(file)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			class := e.class(filepath.ToSlash(file))
			r := out[class]
			if r == nil {
				r = &Recorded{}
				out[class] = r
			}
			r.Calls++
			if e.Error != "" {
				r.Errors++
			}
			if e.Differs != "" && !slices.Contains(r.Differs, e.Differs) {
				r.Differs = append(r.Differs, e.Differs)
			}
		}
	}
	return out, nil
}

// recording is the common part of the lists of recordings.
type recording struct {
	Class, Error, Differs, WebM string
}

// class is the class of an entry. Lists of saved audio and video files name what differs within one class.
func (r recording) class(file string) string {
	switch {
	case r.Class != "":
		return r.Class
	case strings.Contains(file, "/audio/"):
		return "SaveAudioAdvanced"
	case r.WebM != "":
		return "SaveWEBM"
	}
	return "SaveVideo"
}

// recordings reads a list; a file of another kind has none.
func recordings(file string) ([]recording, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading recordings: %w", err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("reading recordings of %s: %w", file, err)
	}
	var list []json.RawMessage
	if json.NewDecoder(z).Decode(&list) != nil {
		return nil, nil
	}
	out := make([]recording, 0, len(list))
	for _, e := range list {
		var r struct{ Class, Error, Differs, WebM any }
		if json.Unmarshal(e, &r) != nil {
			return nil, nil
		}
		text := func(v any) string { s, _ := v.(string); return s }
		out = append(out, recording{text(r.Class), text(r.Error), text(r.Differs), text(r.WebM)})
	}
	return out, nil
}

// Page is docs/node-calls.md: the recorded calls of classes.
func Page(recorded map[string]*Recorded, classes []string) string {
	var b strings.Builder
	calls := 0
	for _, name := range classes {
		if r := recorded[name]; r != nil {
			calls += r.Calls
		}
	}
	fmt.Fprintf(&b, `# Recorded calls of node classes

Written by `+"`go run ./tools/nodedocs`"+`. %d calls of the %d classes that need no model were made in ComfyUI 0.33.0 with random and chosen inputs, errors included. The tests of the packages make
them again (`+"`make golden`"+` those that run ffmpeg, `+"`make test`"+` some of them) and compare values, texts, types of exceptions, files and what the client is told; the `+"`cases*.py`"+` and `+"`saved.py`"+` beside the recordings state
tolerances with their reasons. LotusConditioning has no inputs. A call that is listed to differ fails the test when it does not differ any more. Differences of classes on the whole are
in [conformance.md](conformance.md#nodes).

| class | calls | of them errors | differences in these calls |
|---|---|---|---|
`, calls, len(classes))
	for _, name := range classes {
		r := recorded[name]
		if r == nil {
			r = &Recorded{}
		}
		fmt.Fprintf(&b, "| `%s` | %d | %d | %s |\n", name, r.Calls, r.Errors, strings.Join(r.Differs, "; "))
	}
	return b.String()
}
