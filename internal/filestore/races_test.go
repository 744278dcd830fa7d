package filestore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"comfygo/folders"
	"comfygo/internal/filestore"
	"comfygo/queue/natslog"
)

// rewriting changes the file at path when it is being put.
type rewriting struct {
	folders.Remote
	path string
	left int
}

func (r *rewriting) Put(ctx context.Context, o folders.Object, f io.ReadSeeker, create bool) (folders.Object, error) {
	if r.left > 0 {
		r.left--
		if err := os.WriteFile(r.path, fmt.Append(nil, "written anew ", r.left), 0o600); err != nil {
			return o, err
		}
	}
	return r.Remote.Put(ctx, o, f, create)
}

// TestWrittenWhileStored holds that what the store has is whole, with its own digest, when a file is written while it is put.
func TestWrittenWhileStored(t *testing.T) {
	t.Parallel()
	o := s3Store(t)
	a, b := machine(t, o, natslog.RoleServer), machine(t, o, natslog.RoleServer)
	path := filepath.Join(a.Output(), "a.txt")
	write(t, path, "abc")
	store := &rewriting{Remote: o.open(t, natslog.RoleServer), path: path, left: 1}
	a.SetRemote(store)
	ok(t, a.KeepNew(t.Context(), path))
	ok(t, b.Fetch(t.Context(), filepath.Join(b.Output(), "a.txt")))
	mustRead(t, filepath.Join(b.Output(), "a.txt"), "written anew 0")
	store.left = 10
	if err := a.Keep(t.Context(), filepath.Join(a.Output(), "a.txt")); err != nil {
		t.Errorf("a file that has not changed: %v", err)
	}
	write(t, path, "other")
	if err := a.Keep(t.Context(), path); err == nil || !strings.Contains(err.Error(), "it is being written") {
		t.Errorf("a file that is written again and again: %v", err)
	}
}

// stuck is a store whose transfers do not end by themselves.
type stuck struct{ folders.Remote }

func (stuck) Get(ctx context.Context, _ string) (io.ReadCloser, folders.Object, error) {
	<-ctx.Done()
	return nil, folders.Object{}, ctx.Err()
}

func (stuck) Put(ctx context.Context, o folders.Object, _ io.ReadSeeker, _ bool) (folders.Object, error) {
	<-ctx.Done()
	return o, ctx.Err()
}

// TestTransfersEndWithTheCall holds that a job which ends does not wait for the transfer of its files.
func TestTransfersEndWithTheCall(t *testing.T) {
	t.Parallel()
	o := s3Store(t)
	a, b := machine(t, o, natslog.RoleServer), machine(t, o, natslog.RoleServer)
	path := filepath.Join(a.Input(), "a.txt")
	write(t, path, "abc")
	ok(t, a.Keep(t.Context(), path))
	b.SetRemote(stuck{o.open(t, natslog.RoleServer)})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	during := b.During(ctx)
	save, err := during.SavePath("x", b.Output(), 0, 0)
	ok(t, err)
	done := make(chan error, 2)
	go func() { _, err := during.Resolve("a.txt"); done <- err }()
	go func() {
		_, err := save.Write(0, ".txt", func(w io.Writer) error { _, err := w.Write([]byte("abc")); return err })
		done <- err
	}()
	for range 2 {
		select {
		case err := <-done:
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("it ends with %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("it waits for the store")
		}
	}
	if left, _ := filepath.Glob(filepath.Join(b.Output(), "x*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestS3Conflict holds that a conflict with another request is no answer to the question whether a name is taken.
func TestS3Conflict(t *testing.T) {
	t.Parallel()
	backend := s3mem.New()
	if err := backend.CreateBucket("files"); err != nil {
		t.Fatal(err)
	}
	next := gofakes3.New(backend).Server()
	var conflicts atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && conflicts.Add(-1) >= 0 {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, "<Error><Code>ConditionalRequestConflict</Code><Message>no</Message></Error>")
			return
		}
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s, err := filestore.OpenS3(t.Context(), filestore.S3Config{URL: "s3://files", Endpoint: server.URL, Region: "us-east-1", AccessKey: "a", SecretKey: "b"})
	ok(t, err)
	put := func() error {
		_, err := s.Put(t.Context(), folders.Object{Name: "output/a", Size: 1, Modified: time.Now()}, strings.NewReader("x"), true)
		return err
	}
	conflicts.Store(1)
	if err := put(); err != nil {
		t.Errorf("after a conflict: %v", err)
	}
	conflicts.Store(1)
	if err := put(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a name that is taken, after a conflict: %v", err)
	}
	conflicts.Store(1 << 40)
	if err := put(); err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("nothing but conflicts: %v", err)
	}
}
