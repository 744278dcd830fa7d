package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/nats-io/nats.go/jetstream"

	"comfygo/folders"
	"comfygo/internal/filestore"
	"comfygo/queue/natslog"
)

// opener opens the store of a test as a role; stop ends the server that keeps it.
type opener struct {
	open func(t *testing.T, role natslog.Role) folders.Remote
	stop func()
}

func stores() map[string]func(t *testing.T) opener {
	return map[string]func(t *testing.T) opener{"nats": natsStore, "s3": s3Store}
}

func natsStore(t *testing.T) opener {
	t.Helper()
	ns, err := natslog.Serve(natslog.ServerConfig{Host: "127.0.0.1", Port: -1, Store: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(ns.Close)
	open := func(t *testing.T, role natslog.Role) folders.Remote {
		t.Helper()
		s, err := openNATS(t, ns, role)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	open(t, natslog.RoleServer) // the buckets
	return opener{open, ns.Close}
}

func openNATS(t *testing.T, ns *natslog.Server, role natslog.Role) (*filestore.NATS, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	conn, err := natslog.Connect(ctx, natslog.Config{URLs: []string{ns.URL()}, Credentials: ns.Files[role], Role: role, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		return nil, err
	}
	s, err := filestore.OpenNATS(ctx, filestore.NATSConfig{Conn: conn, Make: role == natslog.RoleServer, Where: "NATS"})
	if err != nil {
		conn.Close()
	}
	return s, err
}

func s3Store(t *testing.T) opener {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket("files"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	open := func(t *testing.T, _ natslog.Role) folders.Remote {
		t.Helper()
		s, err := filestore.OpenS3(t.Context(), filestore.S3Config{URL: "s3://files/fleet", Endpoint: server.URL, Region: "us-east-1", AccessKey: "a", SecretKey: "b"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	return opener{open, server.Close}
}

// machine is one machine of the fleet.
func machine(t *testing.T, o opener, role natslog.Role) *folders.Folders {
	t.Helper()
	f, err := folders.New(folders.Config{Base: t.TempDir()})
	if err == nil {
		err = f.Prepare()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.LeaveTemp() })
	f.SetRemote(o.open(t, role))
	return f
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s: %q, %v; want %q", path, got, err, want)
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestFleet has two machines with different roles read, replace and delete each other's files.
func TestFleet(t *testing.T) {
	t.Parallel()
	for name, start := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, o := t.Context(), start(t)
			server, worker := machine(t, o, natslog.RoleServer), machine(t, o, natslog.RoleWorker)
			large := strings.Repeat("0123456789", 40_000) // several pieces in NATS
			for _, file := range []string{"input/a.png", "input/ü b/ü %20+.png", "output/@anna/x/large.bin", "temp/t.png"} {
				text := file + large
				if strings.HasPrefix(file, "temp/") {
					text = "" // files may be empty
				}
				write(t, filepath.Join(server.Base(), file), text)
				ok(t, server.Keep(ctx, filepath.Join(server.Base(), file)))
				there := filepath.Join(worker.Base(), file)
				ok(t, worker.Fetch(ctx, there))
				mustRead(t, there, text)
				a, err := os.Stat(filepath.Join(server.Base(), file))
				ok(t, err)
				if b, err := os.Stat(there); err != nil || !b.ModTime().Equal(a.ModTime()) {
					t.Errorf("%s: another time, %v", file, err)
				}
			}
			a := filepath.Join(worker.Input(), "a.png")
			if p, err := worker.Resolve("a.png"); err != nil || p != a || !worker.Exists("ü b/ü %20+.png") || worker.Exists("b.png") {
				t.Errorf("%q, %v", p, err)
			}
			if got := worker.InputFiles(); !slices.Equal(got, []string{"a.png"}) {
				t.Errorf("the input folder has %q", got)
			}
			if got := worker.InputSubfolders(); !slices.Equal(got, []string{"ü b"}) {
				t.Errorf("the input folder has the folders %q", got)
			}
			if list, _, err := server.For("anna").Listed(ctx, "output"); err != nil || len(list) != 0 {
				t.Errorf("%v, %v", list, err)
			}
			write(t, a, "another")
			ok(t, worker.Keep(ctx, a))
			ok(t, server.Fetch(ctx, filepath.Join(server.Input(), "a.png")))
			mustRead(t, filepath.Join(server.Input(), "a.png"), "another")
			if err := server.KeepNew(ctx, filepath.Join(server.Input(), "a.png")); !errors.Is(err, fs.ErrExist) {
				t.Errorf("the name is taken and was given again: %v", err)
			}
			ok(t, server.Delete(ctx, filepath.Join(server.Input(), "a.png")))
			if err := worker.Fetch(ctx, a); !errors.Is(err, fs.ErrNotExist) || exists(a) {
				t.Errorf("a deleted file is still there: %v", err)
			}
			ok(t, server.CleanTemp(ctx, 0))
			if err := worker.Fetch(ctx, filepath.Join(worker.Temp(), "t.png")); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("an old temp file is there: %v", err)
			}
		})
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestNumbers saves from several workers at once: each file has a number of its own.
func TestNumbers(t *testing.T) {
	t.Parallel()
	for name, start := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := start(t)
			const workers, each = 4, 6
			var all sync.WaitGroup
			for w := range workers {
				f := machine(t, o, natslog.RoleWorker).For("anna")
				all.Go(func() {
					for i := range each {
						to, err := f.SavePath("sub/out", f.Output(), 8, 8)
						if err == nil {
							_, err = to.Write(0, ".png", func(to io.Writer) error {
								_, err := fmt.Fprint(to, w, " ", i)
								return err
							})
						}
						if err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			all.Wait()
			server := machine(t, o, natslog.RoleServer)
			ok(t, server.FetchDir(t.Context(), server.Output()))
			seen := map[string]bool{}
			for n := 1; n <= workers*each; n++ {
				text, err := os.ReadFile(filepath.Join(server.Output(), "@anna/sub", fmt.Sprintf("out_%05d_.png", n)))
				if err != nil || seen[string(text)] {
					t.Errorf("file %d: %q, %v", n, text, err)
				}
				seen[string(text)] = true
			}
		})
	}
}

// TestResultsOfPacks stores files that node packs have written and numbered by themselves, on two workers.
func TestResultsOfPacks(t *testing.T) {
	t.Parallel()
	for name, start := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, o := t.Context(), start(t)
			a, b := machine(t, o, natslog.RoleWorker), machine(t, o, natslog.RoleWorker)
			keep := func(f *folders.Folders, name, text, want string) {
				t.Helper()
				write(t, filepath.Join(f.Output(), name), text)
				if got, err := f.KeepResult(ctx, filepath.Join(f.Output(), name)); err != nil || got != want {
					t.Errorf("%s became %q, %v; want %q", name, got, err, want)
				}
				mustRead(t, filepath.Join(f.Output(), want), text)
			}
			keep(a, "p_00001_.png", "a", "p_00001_.png")
			keep(b, "p_00001_.png", "b", "p_00002_.png")
			keep(a, "p_00001_.png", "a2", "p_00001_.png") // it is its own
			keep(b, "fixed.png", "b", "fixed.png")
			keep(a, "fixed.png", "a", "fixed.png")
			ok(t, b.Fetch(ctx, filepath.Join(b.Output(), "p_00001_.png")))
			mustRead(t, filepath.Join(b.Output(), "p_00001_.png"), "a2")
		})
	}
}

// TestTrouble makes the store unreachable: nothing half-written stays, and the error names the fault and the store.
func TestTrouble(t *testing.T) {
	t.Parallel()
	for name, start := range stores() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := start(t)
			f := machine(t, o, natslog.RoleWorker)
			write(t, filepath.Join(f.Output(), "a.png"), "a")
			to, err := f.SavePath("out", f.Output(), 8, 8)
			ok(t, err)
			o.stop()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			if err := f.Keep(ctx, filepath.Join(f.Output(), "a.png")); !errors.Is(err, folders.ErrRemote) || !strings.Contains(err.Error(), "output/a.png") {
				t.Errorf("a store that is gone: %v", err)
			}
			if name == "nats" {
				return // Write waits as long as a transfer may take
			}
			if _, err := to.Write(0, ".png", func(w io.Writer) error { _, err := io.WriteString(w, "x"); return err }); !errors.Is(err, folders.ErrRemote) {
				t.Errorf("saving: %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(f.Output(), "out*")); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
}

// broken is a store that returns truncated contents.
type broken struct{ folders.Remote }

func (b broken) Get(ctx context.Context, name string) (io.ReadCloser, folders.Object, error) {
	from, o, err := b.Remote.Get(ctx, name)
	if err != nil {
		return nil, o, err
	}
	text, err := io.ReadAll(from)
	return io.NopCloser(strings.NewReader(strings.ToUpper(string(text)))), o, errors.Join(err, from.Close())
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	o := s3Store(t)
	a, b := machine(t, o, natslog.RoleServer), machine(t, o, natslog.RoleServer)
	b.SetRemote(broken{o.open(t, natslog.RoleServer)})
	write(t, filepath.Join(a.Input(), "a.png"), "abc")
	ok(t, a.Keep(t.Context(), filepath.Join(a.Input(), "a.png")))
	if err := b.Fetch(t.Context(), filepath.Join(b.Input(), "a.png")); err == nil || !strings.Contains(err.Error(), "another digest") {
		t.Errorf("damaged contents: %v", err)
	}
	if left, _ := os.ReadDir(b.Input()); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestS3Refused reads the errors of buckets that cannot be used.
func TestS3Refused(t *testing.T) {
	t.Parallel()
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	refuse := func(status int, code string) string {
		return serve(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>no</Message></Error>", code)
		})
	}
	ignore := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"e"`)
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
		}
	}
	for name, tt := range map[string]struct{ url, endpoint, want string }{
		"no bucket":      {"s3://none", refuse(http.StatusNotFound, "NoSuchBucket"), "make the bucket"},
		"wrong key":      {"s3://files", refuse(http.StatusForbidden, "SignatureDoesNotMatch"), "AWS_SECRET_ACCESS_KEY"},
		"full":           {"s3://files", refuse(http.StatusInsufficientStorage, "XMinioStorageFull"), "the store is full"},
		"no conditions":  {"s3://files", serve(ignore), "If-None-Match"},
		"no server":      {"s3://files", "http://127.0.0.1:1", "is the server running"},
		"no URL":         {"s3:///x", "", "expected s3://BUCKET"},
		"wrong endpoint": {"s3://files", "ftp://x", "endpoint"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err := filestore.OpenS3(ctx, filestore.S3Config{URL: tt.url, Endpoint: tt.endpoint, Region: "us-east-1", AccessKey: "a", SecretKey: "b"})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want %q", err, tt.want)
			}
		})
	}
}

// TestNATSClean removes contents that no file has and leaves the others; workers wait for buckets that are not made yet.
func TestNATSClean(t *testing.T) {
	t.Parallel()
	ns, err := natslog.Serve(natslog.ServerConfig{Host: "127.0.0.1", Port: -1, Store: t.TempDir()})
	ok(t, err)
	t.Cleanup(ns.Close)
	worker := make(chan error, 1)
	go func() {
		s, err := openNATS(t, ns, natslog.RoleWorker)
		if err == nil {
			err = s.Close()
		}
		worker <- err
	}()
	s, err := openNATS(t, ns, natslog.RoleServer)
	ok(t, err)
	defer s.Close() //nolint:errcheck // nothing is kept
	ok(t, <-worker)
	ctx := t.Context()
	_, err = s.Put(ctx, folders.Object{Name: "output/a", Size: 1}, strings.NewReader("a"), true)
	ok(t, err)
	if _, err := s.Put(ctx, folders.Object{Name: "output/b", Size: 2}, strings.NewReader("b"), true); err == nil || !strings.Contains(err.Error(), "shorter") {
		t.Errorf("a file that is shorter than it was: %v", err)
	}
	for _, create := range []bool{true, false} { // made, replaced, deleted
		_, err = s.Put(ctx, folders.Object{Name: "temp/c", Size: 1}, strings.NewReader("c"), create)
		ok(t, err)
	}
	ok(t, s.Delete(ctx, "temp/c"))
	ok(t, s.Clean(ctx, 0))
	conn, err := natslog.Connect(ctx, natslog.Config{URLs: []string{ns.URL()}, Credentials: ns.Files[natslog.RoleServer], Role: natslog.RoleServer})
	ok(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	ok(t, err)
	for name, want := range map[string]uint64{"KV_": 1, "OBJ_": 2} { // of the one file that is there
		stream, err := js.Stream(ctx, name+filestore.Bucket)
		ok(t, err)
		if n := stream.CachedInfo().State.Msgs; n != want {
			t.Errorf("%d messages remain in %s%s, want %d", n, name, filestore.Bucket, want)
		}
	}
	from, _, err := s.Get(ctx, "output/a")
	ok(t, err)
	if text, err := io.ReadAll(from); err != nil || string(text) != "a" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := s.Stat(ctx, "output/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file: %v", err)
	}
}
