package filestore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"comfygo/folders"
)

// Bucket is the name of the key-value bucket with the files' metadata, and of the object store with their contents.
const Bucket = "comfygo-files" // natslog.FileBucket, which roles may use

// NATSConfig configures a store in NATS; Conn is required and closed with the store.
type NATSConfig struct {
	Conn *nats.Conn
	// Make makes the buckets if they are missing; without it Open waits for another process that does.
	Make     bool
	Replicas int
	// Where is the address for messages.
	Where  string
	Logger *slog.Logger
}

// NATS is a store in NATS. The contents of a file lie in the object store under a name of their own, and the file's entry in the key-value bucket
// says under which: a file is there, or replaced, when its entry is, and entries are made atomically.
type NATS struct {
	cfg   NATSConfig
	index jetstream.KeyValue
	blobs jetstream.ObjectStore
	// stream is what blobs lie in.
	stream jetstream.Stream
}

var _ folders.Remote = (*NATS)(nil)

// record is the entry of a file.
type record struct {
	Blob     string    `json:"blob"`
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256"`
	Modified time.Time `json:"modified"`
}

const tryEvery = 300 * time.Millisecond

// OpenNATS opens the store; it tries until ctx ends.
func OpenNATS(ctx context.Context, cfg NATSConfig) (*NATS, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &NATS{cfg: cfg}
	js, err := jetstream.New(cfg.Conn)
	if err != nil {
		return nil, s.failed("opening", "", err)
	}
	for {
		if err = s.open(ctx, js); err == nil {
			return s, nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(err, jetstream.ErrBucketNotFound) {
				err = errors.New("the bucket " + Bucket + " is missing; a server with --files nats makes it: start one")
			}
			return nil, s.failed("opening", "", err)
		case <-time.After(tryEvery):
		}
	}
}

func (s *NATS) open(ctx context.Context, js jetstream.JetStream) (err error) {
	replicas := max(1, s.cfg.Replicas)
	if s.index, err = js.KeyValue(ctx, Bucket); errors.Is(err, jetstream.ErrBucketNotFound) && s.cfg.Make {
		s.index, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: Bucket, Replicas: replicas, Description: "comfygo: names of files"})
	}
	if err != nil {
		return err
	}
	if s.blobs, err = js.ObjectStore(ctx, Bucket); errors.Is(err, jetstream.ErrBucketNotFound) && s.cfg.Make {
		s.blobs, err = js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: Bucket, Replicas: replicas, Description: "comfygo: contents of files"})
	}
	if err == nil {
		s.stream, err = js.Stream(ctx, "OBJ_"+Bucket)
	}
	return err
}

// Where implements folders.Remote.
func (s *NATS) Where() string { return s.cfg.Where }

// Close implements folders.Remote.
func (s *NATS) Close() error {
	s.cfg.Conn.Close()
	return nil
}

func (s *NATS) failed(doing, name string, err error) error {
	hint := "is NATS running, and may this role use it?"
	if text := fmt.Sprint(err); strings.Contains(text, "maximum bytes") || strings.Contains(text, "insufficient") || strings.Contains(text, "no space") {
		hint = "NATS is full: delete files there or give it more room (--store-max)"
	}
	return failed(doing, name, s.cfg.Where, hint, err)
}

// key is the key of a name: its parts encoded, with points between them.
func key(name string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = base64.RawURLEncoding.EncodeToString([]byte(p))
	}
	return strings.Join(parts, ".")
}

// nameOf is the name of a key.
func nameOf(key string) (string, error) {
	parts := strings.Split(key, ".")
	for i, p := range parts {
		b, err := base64.RawURLEncoding.DecodeString(p)
		if err != nil {
			return "", fmt.Errorf("the bucket %s has the key %q, which is not this program's", Bucket, key)
		}
		parts[i] = string(b)
	}
	return strings.Join(parts, "/"), nil
}

// checkName refuses names that no path has.
func checkName(name string) error {
	const longest = 1000
	if name == "" || len(name) > longest || strings.Contains("/"+name+"/", "//") {
		return fmt.Errorf("the name %q is empty, too long or has an empty part: %w", name, fs.ErrInvalid)
	}
	return nil
}

// Put implements folders.Remote: the contents first, then the entry.
func (s *NATS) Put(ctx context.Context, o folders.Object, f io.ReadSeeker, create bool) (folders.Object, error) {
	if err := checkName(o.Name); err != nil {
		return o, s.failed("storing", o.Name, err)
	}
	before, err := s.index.Get(ctx, key(o.Name))
	switch {
	case err == nil && create:
		return o, fs.ErrExist
	case err != nil && !errors.Is(err, jetstream.ErrKeyNotFound):
		return o, s.failed("storing", o.Name, err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return o, err
	}
	r := record{Blob: rand.Text(), Size: o.Size, SHA256: o.SHA256, Modified: o.Modified.UTC()}
	info, err := s.blobs.Put(ctx, jetstream.ObjectMeta{Name: r.Blob}, io.LimitReader(f, o.Size))
	if err == nil && int64(info.Size) != o.Size { //nolint:gosec // a file's size
		err = fmt.Errorf("the file has become shorter while it was stored: %w", io.ErrUnexpectedEOF)
	}
	if err != nil {
		s.dropBlob(ctx, r.Blob)
		return o, s.failed("storing", o.Name, err)
	}
	data, err := json.Marshal(r)
	if err != nil {
		return o, err
	}
	var revision uint64
	if create {
		if revision, err = s.index.Create(ctx, key(o.Name), data); errors.Is(err, jetstream.ErrKeyExists) {
			s.dropBlob(ctx, r.Blob)
			return o, fs.ErrExist
		}
	} else {
		revision, err = s.index.Put(ctx, key(o.Name), data)
	}
	if err != nil {
		// The entry may be there though its answer is lost; then its contents must be, too.
		if e, asking := s.index.Get(context.WithoutCancel(ctx), key(o.Name)); asking == nil && bytes.Equal(e.Value(), data) {
			revision, err = e.Revision(), nil
		} else if asking == nil || errors.Is(asking, jetstream.ErrKeyNotFound) {
			s.dropBlob(ctx, r.Blob)
		}
	}
	if err != nil {
		return o, s.failed("storing", o.Name, err)
	}
	if before != nil {
		var old record
		if json.Unmarshal(before.Value(), &old) == nil {
			s.dropBlob(ctx, old.Blob)
		}
	}
	o.Version = fmt.Sprint(revision)
	return o, nil
}

// dropBlob removes contents that no entry names any more; what remains is found by Clean.
func (s *NATS) dropBlob(ctx context.Context, blob string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), blobPatience)
	defer cancel()
	err := s.blobs.Delete(ctx, blob)
	if err == nil { // NATS would keep a mark of each name for good
		err = s.stream.Purge(ctx, jetstream.WithPurgeSubject("$O."+Bucket+".M."+base64.URLEncoding.EncodeToString([]byte(blob))))
	}
	if err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
		s.cfg.Logger.Debug("dropping contents in NATS", "error", err)
	}
}

const blobPatience = 5 * time.Second

func (s *NATS) find(ctx context.Context, name string) (record, folders.Object, error) {
	var r record
	if checkName(name) != nil {
		return r, folders.Object{}, fs.ErrNotExist
	}
	e, err := s.index.Get(ctx, key(name))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return r, folders.Object{}, fs.ErrNotExist
	}
	if err == nil {
		err = json.Unmarshal(e.Value(), &r)
	}
	if err != nil {
		return r, folders.Object{}, s.failed("looking for", name, err)
	}
	return r, r.object(name, e), nil
}

func (r record) object(name string, e jetstream.KeyValueEntry) folders.Object {
	return folders.Object{Name: name, Size: r.Size, SHA256: r.SHA256, Version: fmt.Sprint(e.Revision()), Modified: r.Modified, Stored: e.Created()}
}

// Stat implements folders.Remote.
func (s *NATS) Stat(ctx context.Context, name string) (folders.Object, error) {
	_, o, err := s.find(ctx, name)
	return o, err
}

// Get implements folders.Remote.
func (s *NATS) Get(ctx context.Context, name string) (io.ReadCloser, folders.Object, error) {
	r, o, err := s.find(ctx, name)
	if err != nil {
		return nil, o, err
	}
	from, err := s.blobs.Get(ctx, r.Blob)
	if errors.Is(err, jetstream.ErrObjectNotFound) { // it was replaced or deleted meanwhile
		return nil, o, fs.ErrNotExist
	}
	if err != nil {
		return nil, o, s.failed("fetching", name, err)
	}
	return blobReader{from, s, name}, o, nil
}

// blobReader puts errors of reading into words.
type blobReader struct {
	io.ReadCloser
	store *NATS
	name  string
}

func (b blobReader) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.store.failed("fetching", b.name, err)
	}
	return n, err
}

// Delete implements folders.Remote.
func (s *NATS) Delete(ctx context.Context, name string) error {
	r, _, err := s.find(ctx, name)
	if err != nil {
		return err
	}
	if err := s.index.Purge(ctx, key(name)); err != nil {
		return s.failed("deleting", name, err)
	}
	s.dropBlob(ctx, r.Blob)
	return nil
}

// List implements folders.Remote.
func (s *NATS) List(ctx context.Context, prefix string, deep bool, each func(folders.Object) error) error {
	dir := prefix[:strings.LastIndexByte(prefix, '/')+1]
	filter := "*"
	if deep {
		filter = ">"
	}
	if dir != "" {
		filter = key(strings.TrimSuffix(dir, "/")) + "." + filter
	}
	w, err := s.index.WatchFiltered(ctx, []string{filter}, jetstream.IgnoreDeletes())
	if err != nil {
		return s.failed("listing", prefix, err)
	}
	defer w.Stop() //nolint:errcheck // it has ended
	for {
		select {
		case <-ctx.Done():
			return s.failed("listing", prefix, context.Cause(ctx))
		case e, open := <-w.Updates():
			if !open {
				return s.failed("listing", prefix, errors.New("the connection was lost"))
			}
			if e == nil {
				return nil
			}
			name, err := nameOf(e.Key())
			var r record
			if err == nil {
				err = json.Unmarshal(e.Value(), &r)
			}
			if err != nil {
				return s.failed("listing", prefix, err)
			}
			if !strings.HasPrefix(name, prefix) {
				continue
			}
			if err := each(r.object(name, e)); err != nil {
				return err
			}
		}
	}
}

// Clean removes contents older than age that no file has, as a process leaves them that is killed while it stores a file, and the marks that
// NATS keeps of files which were deleted longer ago.
func (s *NATS) Clean(ctx context.Context, age time.Duration) error {
	if err := s.index.PurgeDeletes(ctx, jetstream.DeleteMarkersOlderThan(max(age, 1))); err != nil {
		return s.failed("cleaning", "the names of deleted files", err)
	}
	infos, err := s.blobs.List(ctx)
	if errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil
	}
	if err != nil {
		return s.failed("listing", "contents", err)
	}
	old := map[string]bool{}
	for _, info := range infos {
		if time.Since(info.ModTime) > age {
			old[info.Name] = true
		}
	}
	if len(old) == 0 {
		return nil
	}
	w, err := s.index.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return s.failed("listing", "files", err)
	}
	defer w.Stop() //nolint:errcheck // it has ended
	for e := range w.Updates() {
		if e == nil {
			for blob := range old {
				s.dropBlob(ctx, blob)
			}
			return nil
		}
		var r record
		if err := json.Unmarshal(e.Value(), &r); err != nil {
			return s.failed("listing", "files", err)
		}
		delete(old, r.Blob)
	}
	return s.failed("listing", "files", errors.New("the connection was lost"))
}
