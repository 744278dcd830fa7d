package assets_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"comfygo/assets"
	"comfygo/internal/pyjson"
)

func TestScan(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{Hash: true}, map[string]string{
		"input/abc.txt": "abc", "input/pasted/p.txt": "p", "input/sub/.hidden.txt": "h", "input/.git/x.txt": "x", "input/empty.txt": "",
		"input/a.png": img(t, 5, 4), "output/o.txt": "abc", "temp/t.txt": "gone when the server starts",
		"models/checkpoints/deep/m.safetensors": safetensors(`{"__metadata__":{"ss_base_model_version":"sd1","trained_words":"a, b","ssmd_cover_images":"x"}}`),
		"models/checkpoints/readme.md":          "no model", "custom_nodes/pack/n.txt": "n", "secret.txt": "s",
	})
	for _, link := range []string{"input/out.txt", "output/out.txt"} {
		_ = os.MkdirAll(r.path("output"), 0o755)
		if err := os.Symlink(r.path("secret.txt"), r.path(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(r.path("input"), r.path("input/loop")); err != nil {
		t.Fatal(err)
	}
	r.scan()

	const abc = "blake3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85" // the algorithm's own test vector
	want := []struct{ name, loader, tags, mime, hash, system string }{
		{"a.png", "a.png", "input", "image/png", "", `"kind": "image", "width": 5, "height": 4`},
		{"abc.txt", "abc.txt", "input", "text/plain", abc, `"content_length": 3, "format": "txt"`},
		{"m.safetensors", "deep/m.safetensors", "model_type:checkpoints models", "application/safetensors", "", `"base_model": "sd1", "trained_words": ["a", "b"], "has_preview_images": true`},
		{"o.txt", "o.txt", "output", "text/plain", abc, `"filename": "o.txt"`},
		{"p.txt", "pasted/p.txt", "input pasted", "text/plain", "", `"filename": "pasted/p.txt"`},
	}
	if got := names(r.list(assets.Filter{})); got != "a.png abc.txt m.safetensors o.txt p.txt" {
		t.Fatalf("the catalogue has %s", got)
	}
	for _, w := range want {
		it := r.one(w.name)
		meta, err := pyjson.Marshal(it.System)
		if err != nil {
			t.Fatal(err)
		}
		if it.Loader != w.loader || strings.Join(it.Tags, " ") != w.tags || it.Asset.MIME != w.mime || !strings.Contains(string(meta), w.system) {
			t.Errorf("%s is %+v with %s", w.name, it, meta)
		}
		if w.hash != "" && it.Asset.Hash != w.hash || !strings.HasPrefix(it.Asset.Hash, "blake3:") {
			t.Errorf("%s has the hash %q", w.name, it.Asset.Hash)
		}
	}
	if a, b := r.one("abc.txt"), r.one("o.txt"); a.Asset.ID != b.Asset.ID {
		t.Error("the same content twice is two assets")
	}
}

func TestRescan(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{Hash: true}, map[string]string{"input/a.txt": "a", "input/b.txt": "b", "input/twin.txt": "b"})
	r.scan()
	id := r.one("a.txt").ID
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(r.path(from), r.path(to)); err != nil {
			t.Fatal(err)
		}
	}
	move("input/a.txt", "a.txt")
	move("input/twin.txt", "twin.txt")
	r.scan()
	if got := names(r.list(assets.Filter{})); got != "b.txt" {
		t.Errorf("after two files went: %s", got)
	}
	missing, _, err := r.Tags(t.Context(), assets.TagQuery{Prefix: "missing", Limit: 10, Unused: true})
	if err != nil || len(missing) != 1 || missing[0].Count != 1 {
		t.Errorf("the tag missing: %v, %v", missing, err)
	}
	move("a.txt", "input/a.txt")
	r.scan()
	if it := r.one("a.txt"); it.ID != id || strings.Join(it.Tags, " ") != "input" {
		t.Errorf("a file that came back is %+v", it)
	}
	if st := r.Status(); st.State != assets.Idle || st.Progress.Total != 2 || st.Progress.Skipped != 2 || st.Progress.Created != 0 {
		t.Errorf("status %+v of %+v", st.Progress, st)
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{}, map[string]string{"input/a.txt": "a", "elsewhere/b.txt": "b"})
	r.scan()
	if _, err := r.Register(t.Context(), r.path("elsewhere/b.txt"), assets.Entry{Tags: []string{"mine"}}); err != nil {
		t.Fatal(err)
	}
	if n, err := r.Prune(t.Context()); n != 1 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	if got := names(r.list(assets.Filter{})); got != "a.txt" {
		t.Errorf("left is %s", got)
	}
}

// TestPause holds a scan, lets it go on, and cancels another one while it is held.
func TestPause(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{Hash: true}, map[string]string{"input/a.txt": "a"})
	held := false
	r.Notify(func(event string, _ *pyjson.Object) {
		if event == "assets.seed.started" && !held { // from the scan's own goroutine: it is held at its next look
			held = true
			r.Pause()
		}
		r.mu.Lock()
		r.events = append(r.events, strings.TrimPrefix(event, "assets.seed."))
		r.mu.Unlock()
		select {
		case r.heard <- struct{}{}:
		default:
		}
	})
	if !r.Scan(assets.Everything()) {
		t.Fatal("the scan did not start")
	}
	r.await("paused")
	if st := r.Status(); st.State != assets.Paused || st.Progress == nil {
		t.Errorf("status %+v", st)
	}
	if r.Scan(assets.Everything()) {
		t.Error("a second scan started beside the first")
	}
	if _, err := r.Prune(t.Context()); !errors.Is(err, assets.ErrScanning) {
		t.Errorf("pruning beside a scan: %v", err)
	}
	r.LookInto(assets.Output) // waits for the scan
	r.Resume()
	want := []string{"started", "paused", "fast_complete", "started", "enrich_complete", "completed", "started", "enrich_complete", "completed"}
	var events []string
	for deadline := time.Now().Add(20 * time.Second); len(events) < len(want) && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		events = slices.DeleteFunc(r.told(), func(e string) bool { return e == "resumed" }) // told beside the scan, by who resumes it
	}
	if !slices.Equal(events, want) || len(r.told()) != len(want)+1 {
		t.Fatalf("events %v, want %v and one resumed", r.told(), want)
	}
	r.wait()
	if r.one("a.txt").Asset.Hash != "" {
		t.Error("a scan that was asked for hashes")
	}

	held = false
	r.mu.Lock()
	r.events = nil
	r.mu.Unlock()
	if !r.Scan(assets.Everything()) {
		t.Fatal("the scan did not start")
	}
	r.await("paused")
	if !r.Cancel() {
		t.Error("there was nothing to cancel")
	}
	r.await("cancelled")
	r.wait()
	if r.Cancel() {
		t.Error("there was something to cancel afterwards")
	}
}

// TestCloseWhileHeld closes a library whose scan is held; goleak watches.
func TestCloseWhileHeld(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{Hash: true}, map[string]string{"input/a.txt": "a"})
	if !r.ScanAll() {
		t.Fatal("the scan did not start")
	}
	r.Pause()
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if r.ScanAll() {
		t.Error("a closed library scans")
	}
	if _, err := r.Get(context.Background(), "x", ""); err == nil {
		t.Error("a closed library answers")
	}
}
