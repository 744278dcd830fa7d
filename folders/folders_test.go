package folders_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"comfygo/folders"

	"github.com/google/go-cmp/cmp"
)

// newFolders returns a table in a fresh base folder with the given files in it.
func newFolders(t testing.TB, files ...string) *folders.Folders {
	t.Helper()
	f, err := folders.New(folders.Config{Base: t.TempDir(), Now: func() time.Time {
		return time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		write(t, filepath.Join(f.Base(), name))
	}
	return f
}

func write(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The order is that of GET /models of the real server (models.list of the recorded exchanges).
func TestKindsAreUpstreams(t *testing.T) {
	t.Parallel()
	want := []string{
		"checkpoints", "configs", "loras", "vae", "text_encoders", "diffusion_models", "clip_vision", "style_models", "embeddings",
		"diffusers", "vae_approx", "controlnet", "gligen", "upscale_models", "latent_upscale_models", "custom_nodes", "datasets",
		"hypernetworks", "photomaker", "classifiers", "model_patches", "audio_encoders", "background_removal", "frame_interpolation",
		"geometry_estimation", "optical_flow", "detection",
	}
	f := newFolders(t)
	if diff := cmp.Diff(want, f.Kinds()); diff != "" {
		t.Error(diff)
	}
	if f.Has("unet") || !f.Has("diffusion_models") {
		t.Error("legacy names must not be kinds")
	}
	var rel []string
	for _, r := range f.Roots("clip") {
		p, err := filepath.Rel(f.Base(), r)
		if err != nil {
			t.Fatal(err)
		}
		rel = append(rel, p)
	}
	if diff := cmp.Diff([]string{"models/text_encoders", "models/clip", "output/clip"}, rel); diff != "" {
		t.Error(diff)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	f := newFolders(t,
		"models/checkpoints/tiny.safetensors", "models/checkpoints/.hidden.safetensors", "models/checkpoints/UPPER.SAFETENSORS",
		"models/checkpoints/sub/inner.safetensors", "models/checkpoints/notes.txt", "models/checkpoints/.git/x.safetensors",
		"output/checkpoints/free.sft", "output/checkpoints/tiny.safetensors",
		"models/classifiers/plain", "models/classifiers/a.bin", "models/diffusers/a.safetensors", "custom_nodes/pack/a.py",
		"elsewhere/linked.pt",
	)
	if err := os.Symlink(filepath.Join(f.Base(), "elsewhere"), filepath.Join(f.Base(), "models/loras")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..", filepath.Join(f.Base(), "models/checkpoints/sub/up")); err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string][]string{
		"checkpoints":  {".hidden.safetensors", "UPPER.SAFETENSORS", "free.sft", "sub/inner.safetensors", "tiny.safetensors"},
		"classifiers":  {"plain"},
		"diffusers":    nil,
		"custom_nodes": {"pack/a.py"},
		"loras":        {"linked.pt"},
		"nosuch":       nil,
	} {
		if diff := cmp.Diff(want, f.List(kind)); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
	}
}

func TestListSeesChanges(t *testing.T) {
	t.Parallel()
	f := newFolders(t)
	steps := []string{"a.pt", "b.pt", "deep/er/c.pt", "deep/d.pt"}
	var want []string
	for _, s := range steps {
		write(t, filepath.Join(f.Models(), "vae", s))
		want = append(want, s)
		slices.Sort(want)
		if diff := cmp.Diff(want, f.List("vae")); diff != "" {
			t.Errorf("after %s: %s", s, diff)
		}
	}
	time.Sleep(80 * time.Millisecond) // past the time in which a listing is not trusted
	first := f.List("vae")
	first[0] = "scribbled"
	if diff := cmp.Diff(want, f.List("vae")); diff != "" {
		t.Errorf("a caller's change reached the memory: %s", diff)
	}
	if err := os.Remove(filepath.Join(f.Models(), "vae/deep/d.pt")); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(f.List("vae"), "deep/d.pt") {
		t.Error("a removed file is still listed")
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	f := newFolders(t, "models/unet/a.pt", "models/diffusion_models/a.pt", "models/diffusion_models/sub/b.pt", "models/secret.pt")
	in := func(p string) string { return filepath.Join(f.Base(), p) }
	for name, want := range map[string]string{
		"a.pt": in("models/unet/a.pt"), "sub/b.pt": in("models/diffusion_models/sub/b.pt"), "/a.pt": in("models/unet/a.pt"),
		"../a.pt": in("models/unet/a.pt"), "../secret.pt": "", "sub": "", "": "", "x\x00": "", "missing.pt": "",
	} {
		got, ok := f.Find("unet", name)
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	if _, ok := f.Find("nosuch", "a.pt"); ok {
		t.Error("found a file of an unknown kind")
	}
}

func TestAddFile(t *testing.T) {
	t.Parallel()
	f := newFolders(t, "somewhere/model.bin")
	path := filepath.Join(f.Base(), "somewhere/model.bin")
	f.AddFile("checkpoints", "demo.safetensors", path)
	if diff := cmp.Diff([]string{"demo.safetensors"}, f.List("checkpoints")); diff != "" {
		t.Error(diff)
	}
	if got, ok := f.Find("checkpoints", "demo.safetensors"); !ok || got != path {
		t.Errorf("got %q %v", got, ok)
	}
	own := filepath.Join(f.Models(), "checkpoints/demo.safetensors")
	write(t, own)
	if got, _ := f.Find("checkpoints", "demo.safetensors"); got != own {
		t.Errorf("the user's own file must win, got %q", got)
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	base, other := t.TempDir(), t.TempDir()
	f, err := folders.New(folders.Config{Base: base, Models: other, Temp: other, Output: filepath.Join(other, "out")})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{f.Models(), f.Temp(), f.Output(), f.Input(), f.User(), f.Roots("datasets")[0], f.Roots("vae")[1]}
	want := []string{
		other, filepath.Join(other, "temp"), filepath.Join(other, "out"), filepath.Join(base, "input"),
		filepath.Join(base, "user"), filepath.Join(base, "datasets"), filepath.Join(other, "out/vae"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := folders.New(folders.Config{}); err == nil {
		t.Error("a table without a base folder was made")
	}
}

func TestPrepareEmptiesTemp(t *testing.T) {
	t.Parallel()
	f := newFolders(t, "temp/old.png", "input/keep.png")
	if err := f.Prepare(); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(f.Temp()); err != nil || len(left) != 0 {
		t.Errorf("temp holds %v, %v", left, err)
	}
	if !f.Exists("keep.png") {
		t.Error("an input file is gone")
	}
	if err := f.RemoveTemp(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.Temp()); !os.IsNotExist(err) {
		t.Errorf("temp is still there: %v", err)
	}
}

// TestLeaveTemp gives up the lock of the temp folder and leaves its files there.
func TestLeaveTemp(t *testing.T) {
	t.Parallel()
	f := newFolders(t)
	if err := f.Prepare(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(f.Temp(), "preview.png")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if used, err := f.InUse(); err != nil || !used {
		t.Errorf("the folders of a running server are in use: %v, %v", used, err)
	}
	if err := f.LeaveTemp(); err != nil {
		t.Fatal(err)
	}
	if used, err := f.InUse(); err != nil || used {
		t.Errorf("the folders that were left are in use: %v, %v", used, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("a file in temp is gone: %v", err)
	}
}

func TestUserDir(t *testing.T) {
	t.Parallel()
	f := newFolders(t)
	for name, ok := range map[string]bool{"default": true, "a b": true, "": false, "__system": false, "..": false, ".": false, "../x": false} {
		if _, got := f.UserDir(name); got != ok {
			t.Errorf("%q: got %v", name, got)
		}
	}
}
