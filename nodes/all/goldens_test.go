package all_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClassesWithoutModelHaveGoldens counts the recorded results of each class that needs no model: calls and saved files that upstream's class
// gave, in the packages' testdata.
func TestClassesWithoutModelHaveGoldens(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../*/testdata/*.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]int{}
	for _, file := range files {
		for _, e := range recordings(t, file) {
			if e.Error == "" {
				results[e.class(file)]++
			}
		}
	}
	list, err := os.ReadFile("testdata/without_model.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Split(strings.TrimSpace(string(list)), "\n")
	if len(names) != 198 {
		t.Errorf("%d classes are listed", len(names))
	}
	for _, name := range names {
		if results[name] < 2 {
			t.Errorf("%s has %d recorded results, want 2 at least", name, results[name])
		}
	}
}

// recording is what the lists of recordings have in common.
type recording struct {
	Class, Error, Format, WebM string
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

func unzipped(t *testing.T, f io.Reader) io.Reader {
	t.Helper()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func recordings(t *testing.T, file string) []recording {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	var list []json.RawMessage
	if json.NewDecoder(unzipped(t, f)).Decode(&list) != nil {
		return nil // another kind of file
	}
	var out []recording
	for _, e := range list {
		var r struct{ Class, Error, Format, WebM any }
		if json.Unmarshal(e, &r) != nil {
			return nil
		}
		text := func(v any) string { s, _ := v.(string); return s }
		out = append(out, recording{text(r.Class), text(r.Error), text(r.Format), text(r.WebM)})
	}
	return out
}
