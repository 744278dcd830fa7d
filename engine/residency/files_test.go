package residency_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/engine/residency"
	"comfygo/engine/weights"
)

// TestLinkedFilesKeepTheirName holds that errors about a file behind a link show the name that the user gave, at opening and afterwards.
func TestLinkedFilesKeepTheirName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const header = `{"w":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`
	for name, content := range map[string]string{
		"broken": "hello, these are no weights",
		"whole":  string([]byte{byte(len(header)), 0, 0, 0, 0, 0, 0, 0}) + header,
	} {
		target := filepath.Join(dir, "blob-"+name)
		if err := os.WriteFile(target, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		link := filepath.Join(dir, name+".safetensors")
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		nothing := errors.New("holds nothing of use")
		files := residency.NewFiles(func(src weights.Source) (struct{}, error) {
			return struct{}{}, errors.Join(errors.New(src.Path()), nothing)
		})
		_, err := files.Get(link)
		if err == nil || !strings.Contains(err.Error(), link) || strings.Contains(err.Error(), "blob-") {
			t.Errorf("%s: %v does not show %s alone", name, err, link)
		}
		if name == "whole" && !errors.Is(err, nothing) {
			t.Errorf("%s: %v is another error", name, err)
		}
	}
}
