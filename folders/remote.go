package folders

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// Object is a file in a Remote.
type Object struct {
	// Name is the file's kind (input, output or temp) and its path below that folder, with slashes; files of owners lie below @OWNER.
	Name string
	Size int64
	// SHA256 of the contents in hexadecimal digits, "" in listings and where another program has put the file there.
	SHA256 string
	// Version is another one as soon as the contents are.
	Version string
	// Modified is the time when the contents were written, Stored when they were put there.
	Modified, Stored time.Time
}

// Remote keeps input, output and temp files where other processes reach them. Errors wrap fs.ErrNotExist for a missing file, fs.ErrExist for an
// existing one, and ErrRemote if the store does not work.
type Remote interface {
	// Put puts o.Size bytes of f, which is read from its start, under o.Name. Others see the whole file or none. With create it fails with
	// fs.ErrExist when there is a file of that name; of several processes at the same time one succeeds.
	Put(ctx context.Context, o Object, f io.ReadSeeker, create bool) (Object, error)
	Stat(ctx context.Context, name string) (Object, error)
	// Get returns the current contents of the file and its metadata. The caller closes the reader.
	Get(ctx context.Context, name string) (io.ReadCloser, Object, error)
	Delete(ctx context.Context, name string) error
	// List calls each for every file whose name begins with prefix; unless deep is set, only for those without a slash behind the prefix.
	List(ctx context.Context, prefix string, deep bool, each func(Object) error) error
	// Where is the name that people know the store by.
	Where() string
	Close() error
}

// ErrRemote means that the store of files does not work; the error gives the reason.
var ErrRemote = errors.New("the file store does not work")

const (
	// askLimit and transferLimit bound a question to the store and the transfer of a file where the caller sets no limit.
	askLimit, transferLimit = 20 * time.Second, 10 * time.Minute
	// listedFor is the time for which a listing of the input folder is cached.
	listedFor = 2 * time.Second
	// maxCopies bounds the files whose copies are remembered; the contents of others are compared.
	maxCopies = 100_000
)

// remoteFiles keep this machine's folders and a Remote alike.
type remoteFiles struct {
	Remote
	flights singleflight.Group

	mu     sync.Mutex
	copies map[string]localCopy // by path
	next   map[string]int       // numbers of saved files by folder and name
	inputs []Object             // sorted by name
	listed time.Time
	change uint64 // counts other listings
}

// localCopy is a file of this machine that is the same as the store's of that version.
type localCopy struct {
	modified time.Time
	size     int64
	version  string
}

// SetRemote makes the input, output and temp folders this machine's copies of the files in a store. Call it before the folders are used.
func (f *Folders) SetRemote(r Remote) {
	f.remote = &remoteFiles{Remote: r, copies: map[string]localCopy{}, next: map[string]int{}}
}

// HasRemote reports whether files are kept in a store besides this machine's folders.
func (f *Folders) HasRemote() bool { return f.remote != nil }

// remoteName is a path as the store names it; false for one that is kept on this machine alone.
func (f *Folders) remoteName(p string) (string, bool) {
	if f.remote == nil {
		return "", false
	}
	common := f.For("")
	for _, place := range []struct{ kind, dir string }{{"input", common.input}, {"output", common.output}, {"temp", common.temp}} {
		rel, err := filepath.Rel(place.dir, p)
		if err == nil && rel != "." && filepath.IsLocal(rel) {
			return place.kind + "/" + filepath.ToSlash(rel), true
		}
	}
	return "", false
}

// baseOf is the common folder that a stored path lies in.
func (f *Folders) baseOf(name string) string {
	kind, _, _ := strings.Cut(name, "/")
	dir, _ := f.For("").Dir(kind)
	return dir
}

// Fetch copies a file of the input, output or temp folder from the store to this machine unless the local copy is current. It appears when it is
// whole and its size and digest are right. The error is fs.ErrNotExist if the store has no such file; an older local copy is removed then. Without a
// store, and for other paths, it does nothing.
func (f *Folders) Fetch(ctx context.Context, p string) error {
	name, ok := f.remoteName(p)
	if !ok {
		return nil
	}
	done := f.remote.flights.DoChan(p, func() (any, error) {
		// Others may wait for the same file: their wish does not end with that of the first.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), transferLimit)
		defer cancel()
		return nil, f.fetch(ctx, p, name)
	})
	select {
	case r := <-done:
		return r.Err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (f *Folders) fetch(ctx context.Context, p, name string) error {
	r := f.remote
	const tries = 3 // the file may be replaced while it is read
	var err error
	for range tries {
		var o Object
		if o, err = r.stat(ctx, name); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				r.dropCopy(p)
				return notThere(name, r.Where())
			}
			return err
		}
		same, bad := r.isCopy(p, o)
		if same || bad != nil {
			return bad
		}
		if err = f.bring(ctx, p, name); err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errDamaged) {
			return err
		}
	}
	return err
}

func notThere(name, where string) error {
	return fmt.Errorf("%s is not in the file store %s: %w", name, where, fs.ErrNotExist)
}

func (r *remoteFiles) stat(ctx context.Context, name string) (Object, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return r.Stat(ctx, name)
}

// isCopy reports whether the file p is the one that the store has.
func (r *remoteFiles) isCopy(p string, o Object) (bool, error) {
	info, err := os.Stat(p)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !info.Mode().IsRegular() {
		return false, fmt.Errorf("fetching %s: there is something else of that name: %w", o.Name, fs.ErrInvalid)
	}
	r.mu.Lock()
	c, known := r.copies[p]
	r.mu.Unlock()
	if known && c.size == info.Size() && c.modified.Equal(info.ModTime()) {
		return c.version == o.Version, nil
	}
	if info.Size() != o.Size || o.SHA256 == "" {
		return false, nil
	}
	sum, info, err := digestOf(p)
	same := err == nil && sum == o.SHA256
	if same {
		r.note(p, info, o.Version)
	}
	return same, err
}

// digestOf reads a file. The info is that of the file that was read, should another one have its name by now; a file that was changed meanwhile has
// no digest.
func digestOf(p string) (sum string, info fs.FileInfo, err error) {
	f, err := os.Open(p)
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err = f.Stat(); err != nil {
		return "", nil, err
	}
	digest := sha256.New()
	if _, err = io.Copy(digest, f); err != nil {
		return "", nil, err
	}
	after, err := f.Stat()
	if err != nil || changed(info, after) {
		return "", info, err
	}
	return hex.EncodeToString(digest.Sum(nil)), info, nil
}

// changed reports whether an open file was written between two looks at it.
func changed(a, b fs.FileInfo) bool { return a.Size() != b.Size() || !a.ModTime().Equal(b.ModTime()) }

// note remembers that a file of this machine is the same as the store's.
func (r *remoteFiles) note(p string, info fs.FileInfo, version string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.copies) >= maxCopies {
		clear(r.copies)
	}
	r.copies[p] = localCopy{info.ModTime(), info.Size(), version}
}

// dropCopy removes a file of this machine if it is nothing but the copy of one that the store had.
func (r *remoteFiles) dropCopy(p string) {
	r.mu.Lock()
	c, known := r.copies[p]
	delete(r.copies, p)
	r.mu.Unlock()
	if info, err := os.Stat(p); known && err == nil && c.size == info.Size() && c.modified.Equal(info.ModTime()) {
		_ = os.Remove(p) // it is found again
	}
}

var errDamaged = errors.New("its contents are not those that were stored")

// bring copies a file from the store.
func (f *Folders) bring(ctx context.Context, p, name string) (err error) {
	from, o, err := f.remote.Get(ctx, name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	base := f.baseOf(name)
	dir, err := MakeDir(base, filepath.Dir(p))
	if err != nil {
		return fmt.Errorf("fetching %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	to := filepath.Base(p)
	if err = dir.file(to); err != nil {
		return err
	}
	var info fs.FileInfo
	err = dir.staged(to, func(w io.Writer) error {
		digest := sha256.New()
		n, err := io.Copy(io.MultiWriter(w, digest), from)
		switch {
		case err != nil:
			return err
		case n != o.Size:
			return fmt.Errorf("%w: it has %d bytes of %d", errDamaged, n, o.Size)
		case o.SHA256 != "" && hex.EncodeToString(digest.Sum(nil)) != o.SHA256:
			return fmt.Errorf("%w: another digest", errDamaged)
		}
		return nil
	}, func(temp string) error { // what is noted is this file, should another one get its name at once
		err := dir.root.Chtimes(temp, o.Modified, o.Modified)
		if err == nil {
			info, err = dir.root.Stat(temp)
		}
		if err != nil {
			return err
		}
		return dir.root.Rename(temp, to)
	})
	if err != nil {
		return fmt.Errorf("fetching %s from the file store %s: %w", name, f.remote.Where(), err)
	}
	f.remote.note(p, info, o.Version)
	return nil
}

// FetchDir fetches the files below a folder of the input, output or temp folder.
func (f *Folders) FetchDir(ctx context.Context, dir string) error {
	below, ok := f.remoteName(filepath.Join(dir, "x"))
	if !ok {
		return nil
	}
	name := path.Dir(below)
	var names []string
	if err := f.remote.List(ctx, name+"/", true, func(o Object) error {
		names = append(names, strings.TrimPrefix(o.Name, name+"/"))
		return nil
	}); err != nil {
		return err
	}
	for _, n := range names {
		if !filepath.IsLocal(filepath.FromSlash(n)) {
			continue
		}
		if err := f.Fetch(ctx, filepath.Join(dir, filepath.FromSlash(n))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Keep puts a file of the input, output or temp folder into the store, in place of one of that name there. A file that is there as it is here stays.
// Without a store, and for other paths, it does nothing.
func (f *Folders) Keep(ctx context.Context, p string) error { return f.keep(ctx, p, false) }

// KeepNew is Keep for a name that must be free in the store; the error is fs.ErrExist when it is not. Of several processes that take a name at
// the same time one gets it.
func (f *Folders) KeepNew(ctx context.Context, p string) error { return f.keep(ctx, p, true) }

func (f *Folders) keep(ctx context.Context, p string, create bool) (err error) {
	name, ok := f.remoteName(p)
	if !ok {
		return nil
	}
	r := f.remote
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	from, err := os.Open(p)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("storing %s: %w", name, fs.ErrInvalid)
	}
	r.mu.Lock()
	c, known := r.copies[p]
	r.mu.Unlock()
	if !create && known && c.size == info.Size() && c.modified.Equal(info.ModTime()) {
		if o, err := r.stat(ctx, name); err == nil && o.Version == c.version {
			return nil
		}
	}
	var o Object
	const tries = 3 // the file may be written while it is read
	for try := 1; ; try++ {
		digest := sha256.New()
		n, err := copyFrom(ctx, digest, from)
		if err != nil {
			return fmt.Errorf("storing %s: %w", name, err)
		}
		o, err = r.Put(ctx, Object{Name: name, Size: n, SHA256: hex.EncodeToString(digest.Sum(nil)), Modified: info.ModTime()}, from, create)
		if err != nil {
			return err
		}
		after, err := from.Stat()
		if err != nil {
			return fmt.Errorf("storing %s: %w", name, err)
		}
		if !changed(info, after) {
			break
		}
		if try == tries {
			return fmt.Errorf("storing %s: it is being written by something else", name)
		}
		info, create = after, false // what lies there now is ours
		if _, err := from.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("storing %s: %w", name, err)
		}
	}
	r.note(p, info, o.Version)
	if strings.HasPrefix(name, "input/") {
		r.mu.Lock()
		r.listed = time.Time{}
		r.mu.Unlock()
	}
	return nil
}

func copyFrom(ctx context.Context, to hash.Hash, from io.Reader) (n int64, err error) {
	const piece = 8 << 20
	for {
		if err := ctx.Err(); err != nil {
			return n, context.Cause(ctx)
		}
		m, err := io.CopyN(to, from, piece)
		n += m
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// known reports whether a file is one that came from the store or was put there.
func (f *Folders) known(p string) bool {
	f.remote.mu.Lock()
	defer f.remote.mu.Unlock()
	_, known := f.remote.copies[p]
	return known
}

// KeepResult is Keep for a file that a node has written by itself, without Write. When its name is numbered and another worker has taken it
// meanwhile, the file gets the next free number; the name that it has then is returned.
func (f *Folders) KeepResult(ctx context.Context, p string) (name string, err error) {
	name = filepath.Base(p)
	if _, ok := f.remoteName(p); !ok {
		return name, nil
	}
	prefix, number, rest, numbered := splitNumber(name)
	if !numbered || f.known(p) {
		return name, f.Keep(ctx, p)
	}
	if err = f.KeepNew(ctx, p); !errors.Is(err, fs.ErrExist) {
		return name, err
	}
	if same, err := f.sameAsStored(ctx, p); same || err != nil {
		return name, err
	}
	dir, err := OpenDir(filepath.Dir(p), filepath.Dir(p))
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	old := name
	for range maxTries {
		next, err := f.remote.nextNumber(ctx, f, filepath.Dir(p), prefix, true)
		if err != nil {
			return "", err
		}
		number = max(number+1, next)
		name = fmt.Sprintf("%s_%05d%s", prefix, number, rest)
		if dir.isThere(name) {
			continue
		}
		if err := dir.root.Rename(old, name); err != nil {
			return "", err
		}
		old = name
		if err = f.KeepNew(ctx, filepath.Join(filepath.Dir(p), name)); !errors.Is(err, fs.ErrExist) {
			return name, err
		}
	}
	return "", fmt.Errorf("storing %s: all numbers are taken: %w", filepath.Base(p), fs.ErrExist)
}

// sameAsStored reports whether the store has the file as it is here.
func (f *Folders) sameAsStored(ctx context.Context, p string) (bool, error) {
	name, _ := f.remoteName(p)
	o, err := f.remote.stat(ctx, name)
	if err != nil {
		return false, err
	}
	return f.remote.isCopy(p, o)
}

// splitNumber splits a name such as a_00012_.png.
func splitNumber(name string) (prefix string, number int, rest string, ok bool) {
	stem, ext, _ := strings.Cut(name, ".")
	tail := ""
	if s, cut := strings.CutSuffix(stem, "_"); cut {
		stem, tail = s, "_"
	}
	at := strings.LastIndexByte(stem, '_')
	if at < 1 || len(stem)-at-1 < 5 || strings.Trim(stem[at+1:], "0123456789") != "" {
		return "", 0, "", false
	}
	number, _ = counterOf(name, stem[:at])
	if ext != "" {
		ext = "." + ext
	}
	return stem[:at], number, tail + ext, true
}

// Delete removes a file from the store and from this machine. A missing file is not an error.
func (f *Folders) Delete(ctx context.Context, p string) error {
	if name, ok := f.remoteName(p); ok {
		if err := f.remote.Delete(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Listed returns what lies directly in one of the folders "input", "output" and "temp" of the store, by name; ok is false without a store.
func (f *Folders) Listed(ctx context.Context, kind string) (list []Object, ok bool, err error) {
	dir, known := f.Dir(kind)
	if f.remote == nil || !known {
		return nil, false, nil
	}
	prefix := kind + "/"
	if f.owner != "" {
		prefix += filepath.Base(dir) + "/"
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	err = f.remote.List(ctx, prefix, false, func(o Object) error {
		o.Name = strings.TrimPrefix(o.Name, prefix)
		list = append(list, o)
		return nil
	})
	slices.SortFunc(list, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return list, true, err
}

// inputNames are the names of all files in and below the input folder of this view, with slashes.
func (f *Folders) inputNames() []string {
	prefix := "input/"
	if f.owner != "" {
		prefix += filepath.Base(f.input) + "/"
	}
	objects, _ := f.remote.listInputs(f.log)
	at, _ := slices.BinarySearchFunc(objects, prefix, func(o Object, p string) int { return strings.Compare(o.Name, p) })
	var names []string
	for _, o := range objects[at:] {
		rel, below := strings.CutPrefix(o.Name, prefix)
		if !below {
			break
		}
		if filepath.IsLocal(filepath.FromSlash(rel)) && (f.owner != "" || !strings.HasPrefix(rel, ownerMark)) {
			names = append(names, rel)
		}
	}
	return names
}

// listInputs returns the files in the store's input folder, as they were at most listedFor ago, and the number of the listing. While the store
// does not answer the last listing counts.
func (r *remoteFiles) listInputs(log interface{ Warn(string, ...any) }) ([]Object, uint64) {
	r.mu.Lock()
	list, change, fresh := r.inputs, r.change, time.Since(r.listed) < listedFor
	r.mu.Unlock()
	if fresh {
		return list, change
	}
	_, _, _ = r.flights.Do("\x00inputs", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), askLimit)
		defer cancel()
		start := time.Now()
		var list []Object
		err := r.List(ctx, "input/", true, func(o Object) error {
			list = append(list, o)
			return nil
		})
		if err != nil {
			log.Warn("listing the input folder", "error", err)
			return nil, err
		}
		slices.SortFunc(list, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
		r.mu.Lock()
		defer r.mu.Unlock()
		if !slices.EqualFunc(list, r.inputs, func(a, b Object) bool { return a.Name == b.Name }) {
			r.change++
		}
		r.inputs, r.listed = list, start
		return nil, nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.inputs, r.change
}

// nextNumber returns one more than the highest number that the store has for a name in a folder, as far as this process knows; with anew it asks the
// store.
func (r *remoteFiles) nextNumber(ctx context.Context, f *Folders, dir, name string, anew bool) (int, error) {
	at, ok := f.remoteName(filepath.Join(dir, name))
	if !ok {
		return 1, nil
	}
	r.mu.Lock()
	next, known := r.next[at]
	r.mu.Unlock()
	if known && !anew {
		return next, nil
	}
	next = max(next, 1)
	ctx, cancel := context.WithTimeout(ctx, transferLimit)
	defer cancel()
	err := r.List(ctx, at+"_", false, func(o Object) error {
		if n, ok := counterOf(path.Base(o.Name), path.Base(at)); ok && n < maxCounter {
			next = max(next, n+1)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	r.used(at, next)
	return next, nil
}

// used records the next number of a name.
func (r *remoteFiles) used(at string, next int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.next) >= maxCounted*maxCounted {
		clear(r.next)
	}
	r.next[at] = max(r.next[at], next)
}

// CleanTemp removes the temp files from the store that were put there longer than age ago.
func (f *Folders) CleanTemp(ctx context.Context, age time.Duration) error {
	if f.remote == nil {
		return nil
	}
	before := time.Now().Add(-age)
	var old []string
	if err := f.remote.List(ctx, "temp/", true, func(o Object) error {
		if o.Stored.Before(before) {
			old = append(old, o.Name)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, name := range old {
		if err := f.remote.Delete(ctx, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// store puts the n-th file of a batch, just written, into the store. When another worker has taken the name the file is gone again, s.Counter is moved
// so that the next name is free, and the error is fs.ErrExist; after any other error the file is gone, too.
func (s *SavePath) store(dir *Dir, name string, n int) error {
	f := s.remote
	if f == nil {
		return nil
	}
	p := filepath.Join(s.Dir, name)
	err := f.KeepNew(f.during(), p)
	at, ok := f.remoteName(filepath.Join(s.Dir, s.Filename))
	if err == nil {
		if ok {
			f.remote.used(at, s.Counter+n+1)
		}
		return nil
	}
	if removing := dir.root.Remove(name); removing != nil && !errors.Is(removing, fs.ErrNotExist) {
		err = errors.Join(err, removing)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	next, asking := f.remote.nextNumber(f.during(), f, s.Dir, s.Filename, true)
	if asking != nil {
		return asking
	}
	s.Counter = max(s.Counter, next-n-1) // Write goes on with the one after it
	return err
}
