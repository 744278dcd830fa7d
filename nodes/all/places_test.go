package all_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"comfygo/folders"
	"comfygo/internal/ffmpeg"
	"comfygo/internal/glsl"
	"comfygo/internal/pyjson"
	"comfygo/nodes"
)

// absolute is a path from the root of the disk within a text.
var absolute = regexp.MustCompile(`(?:^|[\s"'(=:])(?:/[\w.@-]+){2,}`)

// TestErrorsNameNoPlaces gives each input of each class names of files that cannot be read, and an output folder in which nothing can be saved. No
// error that clients see has a path on the server's disk.
func TestErrorsNameNoPlaces(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for _, file := range []string{"input/broken.bin", "input/folder/a", "output", "models/vae/broken.safetensors"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(base, file)), 0o755), os.WriteFile(filepath.Join(base, file), []byte("no file of any kind\n"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range f.Kinds() {
		f.AddRoot(kind, filepath.Join(base, "models", "vae"), false)
	}
	without := map[string]bool{}
	if (*ffmpeg.Tool)(nil).Available() != nil {
		for _, name := range outside {
			without[name] = true
		}
	}
	if _, err := glsl.Check(t.Context()); errors.Is(err, glsl.ErrUnavailable) {
		without["GLSLShader"] = true
	}
	named := 0 // errors that had a place
	recorded := recordedInputs(t)
	try := func(class *nodes.Class, values *pyjson.Object, what string) {
		err := runBad(f, class, values)
		if p := (*paniced)(nil); err == nil || errors.As(err, &p) { // without an engine some classes have nothing to work with
			return
		}
		text := f.Shown(err.Error())
		if text != err.Error() {
			named++
		}
		if strings.Contains(text, base) || absolute.MatchString(text) {
			t.Errorf("%s, %s: %s", class.Name, what, text)
		}
	}
	nodes.Default().Walk(func(class *nodes.Class) bool {
		if without[class.Name] {
			return true
		}
		try(class, usual(t, class, recorded[class.Name]), "no output folder")
		for _, in := range class.Inputs() {
			if in.Type != "STRING" && in.Type != "COMBO" && len(in.Choices(nodes.Env{Folders: f})) == 0 {
				continue
			}
			for _, name := range []string{"missing.png", "folder", "broken.bin", "broken.safetensors", filepath.Join(base, "input", "broken.bin"), "../../x"} {
				values := usual(t, class, recorded[class.Name])
				var v any = name
				if class.InputIsList {
					v = []any{v}
				}
				values.Set(in.Name, v)
				try(class, values, in.Name+" = "+filepath.Base(name))
			}
		}
		return true
	})
	if named < 10 {
		t.Errorf("only %d errors had a path to leave out: are the files still read?", named)
	}
}
