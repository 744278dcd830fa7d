package assets_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"comfygo/assets"
	"comfygo/folders"
	"comfygo/internal/pyjson"
	"comfygo/sqlite"
)

func TestDatabase(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "a b%20c?#&")
	f, err := folders.New(folders.Config{Base: base})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "user", "comfyui.db")
	lib, err := assets.Open(assets.Config{Folders: f})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
	second, err := assets.Open(assets.Config{Folders: f, URL: "sqlite:///" + file}) // as another server on the folder opens it
	if err != nil {
		t.Fatalf("a second library on the file: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
	if err := lib.Close(); err != nil {
		t.Fatal(err)
	}
	if lib, err = assets.Open(assets.Config{Folders: f, URL: "sqlite:///" + file}); err != nil {
		t.Fatalf("opening it again: %v", err)
	}
	if err := lib.Close(); err != nil {
		t.Fatal(err)
	}

	other := filepath.Join(t.TempDir(), "other.db")
	db := sqlite.Open(other, sqlite.Options{})
	if _, err := db.Exec(`CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0002_merge')`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	garbage := filepath.Join(t.TempDir(), "garbage.db")
	if err := os.WriteFile(garbage, []byte(strings.Repeat("garbage ", 1000)), 0o644); err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"sqlite:///" + other: "another version", "sqlite:///" + garbage: "not a database", "postgres://x": "want sqlite:///PATH",
		"sqlite:///": "want sqlite:///PATH", "sqlite://" + "/a\x00b": "want sqlite:///PATH",
	} {
		if _, err := assets.Open(assets.Config{Folders: f, URL: url}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("opening %q: %v, want %q", url, err, want)
		}
	}
	for _, url := range []string{"sqlite://", "sqlite:///:memory:"} {
		lib, err := assets.Open(assets.Config{Folders: f, URL: url})
		if err != nil {
			t.Fatalf("opening %q: %v", url, err)
		}
		if err := lib.Close(); err != nil {
			t.Error(err)
		}
	}
}

func kindOf(err error) assets.Kind {
	var p *assets.Problem
	if !errors.As(err, &p) {
		return -1
	}
	return p.Kind
}

func TestAdd(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{}, nil)
	for _, c := range []struct {
		client, name, tags, mime string
		file                     string // path of the content, % for its digits
		kind                     assets.Kind
	}{
		{client: "x.png", name: "X", tags: "input,mine", file: "input/%.png", mime: "image/png"},
		{client: "../../up.txt", tags: "output", file: "output/%.txt", mime: "text/plain"},
		{client: "m.safetensors", tags: "models,model_type:loras", file: "models/loras/%.safetensors", mime: "application/safetensors"},
		{client: "odd.e\x00t", tags: "input", file: "input/%", mime: "application/octet-stream"},
		{client: `odd.e\t`, tags: "input", file: "input/%", mime: "application/octet-stream"},
		{client: "long.abcdefghijklmnopq", tags: "input", file: "input/%", mime: "application/octet-stream"},
		{client: ".bashrc", tags: "input", file: "input/%", mime: "application/octet-stream"},
		{client: "a.txt", kind: assets.Invalid},
		{client: "a.txt", tags: "mine", kind: assets.Invalid},
		{client: "a.txt", tags: "input,output", kind: assets.Invalid},
		{client: "a.txt", tags: "models", kind: assets.Invalid},
		{client: "a.txt", tags: "models,model_type:", kind: assets.Invalid},
		{client: "a.txt", tags: "models,model_type:../../x", kind: assets.Invalid},
		{client: "a.txt", tags: "models,model_type:custom_nodes", kind: assets.Invalid},
	} {
		staged, hash := r.stage(c.client + c.tags)
		it, created, err := r.Add(t.Context(), assets.Upload{
			Staged: staged, Hash: hash, ClientFile: c.client,
			Entry: assets.Entry{Name: c.name, Tags: assets.CleanTags(strings.Split(c.tags, ",")), Owner: "default"},
		})
		if c.file == "" {
			if err == nil || kindOf(err) != c.kind {
				t.Errorf("adding %+v: %v", c, err)
			}
			continue
		}
		path := r.path(strings.ReplaceAll(c.file, "%", strings.TrimPrefix(hash, "blake3:")))
		if err != nil || !created || it.Path != path || it.Asset.Hash != hash || it.Asset.MIME != c.mime {
			t.Errorf("adding %+v: %+v, %v, %v", c, it, created, err)
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		staged, _ = r.stage(c.client + c.tags)
		again, created, err := r.Add(t.Context(), assets.Upload{Staged: staged, Hash: hash, ClientFile: "again.txt"})
		if err != nil || created || again.ID == it.ID || again.Asset.ID != it.Asset.ID || again.Name != "again.txt" {
			t.Errorf("adding it again: %+v, %v, %v", again, created, err)
		}
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{}, map[string]string{"input/all.txt": "x"})
	r.scan()
	staged, hash := r.stage("mine")
	it, _, err := r.Add(t.Context(), assets.Upload{Staged: staged, Hash: hash, Entry: assets.Entry{Name: "mine", Owner: "ann", Tags: []string{"input"}}})
	if err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[string]string{"ann": "all.txt mine", "bob": "all.txt", "": "all.txt"} {
		if got := names(r.list(assets.Filter{Owner: owner})); got != want {
			t.Errorf("%q sees %s", owner, got)
		}
	}
	name := "n"
	_, get := r.Get(t.Context(), it.ID, "bob")
	_, update := r.Update(t.Context(), it.ID, "bob", assets.Change{Name: &name})
	_, tags := r.AddTags(t.Context(), it.ID, "bob", []string{"x"})
	_, download := r.Download(t.Context(), it.ID, "bob")
	_, hashed := r.ByHash(t.Context(), hash, "bob")
	for what, c := range map[string]struct {
		err  error
		kind assets.Kind
	}{
		"get": {get, assets.NotFound}, "update": {update, assets.Forbidden}, "tags": {tags, assets.Forbidden},
		"download": {download, assets.NotFound}, "by hash": {hashed, assets.NoFile}, "delete": {r.Delete(t.Context(), it.ID, "bob"), assets.NotFound},
	} {
		if c.err == nil || kindOf(c.err) != c.kind {
			t.Errorf("%s of another's: %v", what, c.err)
		}
	}
	if err := r.Delete(t.Context(), it.ID, "ann"); err != nil {
		t.Error(err)
	}
	if _, err := r.Get(t.Context(), it.ID, "ann"); kindOf(err) != assets.NotFound {
		t.Errorf("getting what is deleted: %v", err)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{}, map[string]string{"input/a_1.txt": "a", "input/Ab.txt": "b", "output/c%.txt": "c"})
	r.scan()
	meta := map[string]string{
		"a_1.txt": `{"n": 1, "s": "x", "l": [1, "y", true], "o": {"k": 1}, "big": 123456789012345678901234567890}`,
		"Ab.txt":  `{"n": 2.5, "b": false, "o": [{"k": 1}, 2]}`,
	}
	for name, text := range meta {
		o, err := pyjson.UnmarshalObject([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Update(t.Context(), r.one(name).ID, "", assets.Change{User: o}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ text, all, any, none, meta, want string }{
		{want: "Ab.txt a_1.txt c%.txt"},
		{text: "a", want: "Ab.txt a_1.txt"},
		{text: "_", want: "a_1.txt"},
		{text: "%", want: "c%.txt"},
		{text: "!", want: ""},
		{all: "input", want: "Ab.txt a_1.txt"},
		{all: "input,output", want: ""},
		{any: "input,output", none: "input", want: "c%.txt"},
		{meta: `{"n": 1}`, want: "a_1.txt"},
		{meta: `{"n": 1.0, "s": "x"}`, want: "a_1.txt"},
		{meta: `{"n": [1, 2.5]}`, want: "Ab.txt a_1.txt"},
		{meta: `{"n": "1"}`, want: ""},
		{meta: `{"n": null}`, want: "c%.txt"},
		{meta: `{"b": false}`, want: "Ab.txt"},
		{meta: `{"l": "y"}`, want: "a_1.txt"},
		{meta: `{"l": true}`, want: "a_1.txt"},
		{meta: `{"o": {"k": 1}}`, want: "Ab.txt a_1.txt"},
		{meta: `{"big": 123456789012345678901234567890}`, want: "a_1.txt"},
		{meta: `{"filename": "c%.txt"}`, want: "c%.txt"},
		{meta: `{"n": []}`, want: "Ab.txt a_1.txt c%.txt"},
		{meta: `{"x' OR 1=1 --": "\" OR 1"}`, want: ""},
	} {
		f := assets.Filter{
			NameContains: c.text, All: assets.CleanTags(strings.Split(c.all, ",")),
			Any: assets.CleanTags(strings.Split(c.any, ",")), None: assets.CleanTags(strings.Split(c.none, ",")),
		}
		if c.meta != "" {
			var err error
			if f.Metadata, err = pyjson.UnmarshalObject([]byte(c.meta)); err != nil {
				t.Fatal(err)
			}
		}
		if got := names(r.list(f)); got != c.want {
			t.Errorf("%+v lets through %q, want %q", c, got, c.want)
		}
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{}, map[string]string{"input/a": "1", "input/b": "22", "input/c": "22", "input/d": "4444", "input/e": "55555"})
	r.scan()
	for _, sort := range []string{"name", "size", "created_at", "updated_at"} {
		for _, asc := range []bool{true, false} {
			all, err := r.List(t.Context(), assets.Page{Sort: sort, Asc: asc, Limit: 500})
			if err != nil || all.Next != "" {
				t.Fatal(err, all.Next)
			}
			var got []assets.Item
			p := assets.Page{Sort: sort, Asc: asc, Limit: 2}
			for n := 0; ; n++ {
				page, err := r.List(t.Context(), p)
				if err != nil || n > 3 {
					t.Fatalf("page %d by %s: %v", n, sort, err)
				}
				got = append(got, page.Items...)
				if page.Next == "" {
					break
				}
				p.After = &page.Next
			}
			if names(got) != names(all.Items) {
				t.Errorf("by %s: pages %s, list %s", sort, names(got), names(all.Items))
			}
		}
	}
	first, err := r.List(t.Context(), assets.Page{Sort: "name", Asc: true, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []assets.Page{
		{Sort: "name", After: &first.Next}, {Sort: "size", Asc: true, After: &first.Next}, {Sort: "last_access_time", After: &first.Next},
	} {
		if _, err := r.List(t.Context(), p); kindOf(err) != assets.InvalidCursor {
			t.Errorf("a cursor for another order: %v", err)
		}
	}
}

func FuzzCursor(f *testing.F) {
	dirs, err := folders.New(folders.Config{Base: f.TempDir()})
	if err != nil {
		f.Fatal(err)
	}
	lib, err := assets.Open(assets.Config{Folders: dirs, URL: "sqlite://"})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = lib.Close() })
	for _, s := range []string{"", "garbage", "e30", "eyJzIjoibmFtZSIsInYiOiJhIiwiaWQiOiJ4IiwibyI6ImFzYyJ9", "bnVsbA==", "\xff"} {
		f.Add(s, "name")
		f.Add(s, "created_at")
	}
	f.Fuzz(func(t *testing.T, cursor, sort string) {
		if sort != "name" && sort != "size" && sort != "created_at" {
			sort = "updated_at"
		}
		_, err := lib.List(t.Context(), assets.Page{Sort: sort, Asc: true, Limit: 3, After: &cursor})
		if err != nil && kindOf(err) != assets.InvalidCursor {
			t.Errorf("the cursor %q by %s: %v", cursor, sort, err)
		}
	})
}

// TestOutputs enters what a run has saved, with the job, and takes no file outside the folders.
func TestOutputs(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{Hash: true}, map[string]string{"output/sub/a.txt": "a", "output/late.txt": "l", "secret.txt": "s"})
	entry := func(name, sub, kind string) *pyjson.Object {
		return pyjson.NewObject("filename", name, "subfolder", sub, "type", kind)
	}
	ui := pyjson.NewObject("text", []any{"words"}, "animated", true, "images", []any{
		entry("a.txt", "sub", "output"), entry("secret.txt", "..", "output"),
		entry("../secret.txt", "", "output"), entry(r.path("secret.txt"), "", "output"), entry("none.txt", "", "output"), entry("sub", "", "output"), entry("a.txt", "sub", "user"), "x",
	})
	got := r.Enrich(t.Context(), ui)
	images, _ := got.Get("images")
	for i, v := range images.([]any) {
		o, ok := v.(*pyjson.Object)
		if has := ok && o.Has("id"); has != (i == 0) {
			t.Errorf("entry %d has an id: %v", i, has)
		}
	}
	if before, _ := ui.Get("images"); before.([]any)[0].(*pyjson.Object).Has("id") {
		t.Error("the given object was changed")
	}
	it := r.one("a.txt")
	if it.Asset.Hash == "" || strings.Join(it.Tags, " ") != "output uploaded" {
		t.Errorf("registered: %+v", it)
	}
	outputs := pyjson.NewObject("1", got, "2", pyjson.NewObject("images", []any{entry("late.txt", "", "output")}))
	r.Finished(t.Context(), "job", outputs)
	for _, name := range []string{"a.txt", "late.txt"} {
		if it := r.one(name); it.JobID != "job" {
			t.Errorf("%s is of the job %q", name, it.JobID)
		}
	}
	if r.one("a.txt").Asset.Hash != it.Asset.Hash {
		t.Error("a file that did not change lost its hash")
	}
	r.write("output/sub/a.txt", "changed")
	r.Finished(t.Context(), "job2", outputs)
	if it := r.one("a.txt"); it.JobID != "job2" || it.Asset.Hash != "" || it.Asset.Size != 7 {
		t.Errorf("after a change: %+v", it)
	}
	r.LookInto(assets.Output)
	r.wait()
	if it := r.one("a.txt"); it.Asset.Hash == "" {
		t.Error("the scanner did not hash what had changed")
	}
}

// TestAddAtOnce adds the same bytes twice at the same time: the content is new once, and both get a name of their own.
func TestAddAtOnce(t *testing.T) {
	t.Parallel()
	r := open(t, assets.Config{}, nil)
	const rounds, clients = 8, 4
	for i := range rounds {
		text := strings.Repeat("x", i+1)
		_, hash := r.stage(text)
		ids, fresh := make([]string, clients), make([]bool, clients)
		var work sync.WaitGroup
		for n := range clients {
			staged := r.path(fmt.Sprintf("temp/staged-%d-%d", i, n))
			r.write(fmt.Sprintf("temp/staged-%d-%d", i, n), text)
			work.Go(func() {
				it, created, err := r.Add(t.Context(), assets.Upload{
					Staged: staged, Hash: hash, ClientFile: fmt.Sprintf("%d.txt", n), Entry: assets.Entry{Tags: []string{"input"}, Owner: "default"},
				})
				if err != nil {
					t.Errorf("adding: %v", err)
				}
				ids[n], fresh[n] = it.ID, created
			})
		}
		work.Wait()
		slices.Sort(ids)
		if len(slices.Compact(slices.Clone(ids))) != clients {
			t.Errorf("the references are %q", ids)
		}
		if made := len(slices.DeleteFunc(fresh, func(b bool) bool { return !b })); made != 1 {
			t.Errorf("the content was new %d times", made)
		}
	}
}
