package folders

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// mostWatches bounds the folders that are watched; the system's own bound is shared by all programs of a user.
	mostWatches = 4096
	// gather is the time for which changes of folders are collected before the watches are updated, unless a request comes.
	gather = 100 * time.Millisecond
	// patience is the time that the system may take to report our own change.
	patience = time.Second
)

// watcher counts the changes below search folders. One goroutine, that of run, owns everything but what mu guards.
//
// The system reports changes a moment after they are made, and a request must see those made before it. So a request changes
// something that is watched too, a folder of our own: events arrive in order, and once the one of our own
// change is there, those before it are counted.
type watcher struct {
	fs     *fsnotify.Watcher
	log    *slog.Logger
	cookie string
	limit  int
	stale  chan string // roots to be looked at anew

	dirs   map[string]*watchedDir
	ids    map[fileID]string
	orders map[string]bool // roots whose watches have to be put in order

	mu      sync.Mutex
	roots   map[string]*watchedRoot
	current chan struct{} // closed when the event of the cookie is there
	next    chan struct{} // for those who came while current was under way
	broken  bool
}

// watchedDir is a folder with a watch, and the roots above it.
type watchedDir struct {
	id     fileID
	owners map[string]bool
}

// watchedRoot is a search folder. Its number changes when something changes below it; 0 means that it cannot be watched.
type watchedRoot struct {
	number uint64
	id     fileID // zero when it is not there
	polled bool
}

type fileID struct{ dev, ino uint64 }

// Watch follows the system's change events of the search folders until ctx ends, so that requests need not check every folder. What cannot be
// watched (network shares, too many folders, no inotify) is checked as before. Watch returns when it has cleaned up.
func (f *Folders) Watch(ctx context.Context) { f.watchUpTo(ctx, mostWatches) }

func (f *Folders) watchUpTo(ctx context.Context, limit int) {
	w, err := newWatcher(f.log, limit)
	if err != nil {
		f.log.Warn("watching the folders is not possible, their times are looked at instead", "error", err)
		return
	}
	defer w.close()
	for _, root := range f.searched() {
		w.order(root)
	}
	f.log.Debug("watching folders", "folders", len(w.dirs))
	f.watch.Store(w)
	defer f.watch.Store(nil)
	w.run(ctx)
}

func newWatcher(log *slog.Logger, limit int) (*watcher, error) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("asking the system for its watches: %w", err)
	}
	w := &watcher{
		fs: fs, log: log, limit: limit, stale: make(chan string, 64),
		dirs: map[string]*watchedDir{}, ids: map[fileID]string{}, orders: map[string]bool{}, roots: map[string]*watchedRoot{},
	}
	for _, parent := range []string{"/dev/shm", os.TempDir()} { // the first is in memory
		clearCookies(parent)
		if w.cookie, err = os.MkdirTemp(parent, cookieName+strconv.Itoa(os.Getpid())+"-"); err == nil {
			break
		}
	}
	if err == nil {
		err = fs.Add(w.cookie)
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("watching a folder of our own: %w", err)
	}
	return w, nil
}

// cookieName is how the folders of our own begin; the process's number follows.
const cookieName = "comfygo-watch-"

// clearCookies removes the folders of processes that were killed.
func clearCookies(parent string) {
	left, err := filepath.Glob(filepath.Join(parent, cookieName+"*"))
	if err != nil {
		return
	}
	for _, dir := range left {
		text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), cookieName), "-")
		if pid, err := strconv.Atoi(text); err == nil && pid > 0 && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			_ = os.Remove(dir) // another process may be faster
		}
	}
}

func (w *watcher) close() {
	err := w.fs.Close()
	if w.cookie != "" {
		err = errors.Join(err, os.Remove(w.cookie))
	}
	if err != nil {
		w.log.Debug("ending to watch folders", "error", err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = true
	w.release()
}

// run counts changes until ctx ends.
func (w *watcher) run(ctx context.Context) {
	timer := time.NewTimer(gather)
	timer.Stop()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-w.fs.Events:
			w.see(e)
		case err := <-w.fs.Errors:
			w.log.Debug("watching folders", "error", err)
			w.missed()
		case root := <-w.stale:
			w.orders[root] = true
		case <-timer.C:
			w.putInOrder()
		}
		if len(w.orders) > 0 {
			timer.Reset(gather)
		}
	}
}

// see takes one event.
func (w *watcher) see(e fsnotify.Event) {
	if e.Name == w.cookie {
		w.putInOrder()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.broken = false
		w.release()
		return
	}
	const content = fsnotify.Write | fsnotify.Chmod
	if e.Op&^content == 0 {
		return
	}
	self, parent := w.dirs[e.Name], w.dirs[filepath.Dir(e.Name)]
	folder := self != nil || e.Has(fsnotify.Create) && isDir(e.Name)
	if self != nil { // it is gone, or has another name
		w.drop(e.Name)
	}
	for _, d := range []*watchedDir{self, parent} {
		if d == nil {
			continue
		}
		for root := range d.owners {
			w.count(root)
			if folder {
				w.orders[root] = true
			}
		}
	}
}

// missed marks everything to be read again: the system had more events than it keeps.
func (w *watcher) missed() {
	for root := range w.roots {
		w.orders[root] = true
	}
	w.putInOrder()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.broken = false
	w.release() // the event of the cookie may be among the lost ones
}

// release wakes those that wait for the cookie's event, and starts anew for those that came after its change; mu is held.
func (w *watcher) release() {
	if w.current != nil {
		close(w.current)
	}
	w.current, w.next = w.next, nil
	switch {
	case w.current == nil:
	case w.broken || w.touch() != nil:
		w.broken = true
		close(w.current)
		w.current = nil
	}
}

// touch changes the cookie.
func (w *watcher) touch() error { return os.Chmod(w.cookie, 0o700) }

// settled waits until every change made so far is counted; it returns false if the system does not report it.
func (w *watcher) settled() bool {
	w.mu.Lock()
	if w.broken {
		w.mu.Unlock()
		return false
	}
	var done chan struct{}
	if w.current == nil {
		done = make(chan struct{})
		w.current = done
		if w.touch() != nil {
			w.broken = true
			w.release()
		}
	} else {
		if w.next == nil {
			w.next = make(chan struct{})
		}
		done = w.next
	}
	w.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		w.mu.Lock()
		defer w.mu.Unlock()
		w.broken = true // until the event comes after all
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.broken
}

// marks returns a number for every root, which changes when something below it changes; 0 if the modification times of the folders have to be
// compared.
func (w *watcher) marks(roots []string) []uint64 {
	out := make([]uint64, len(roots))
	if !w.settled() {
		return out
	}
	for i, root := range roots {
		w.mu.Lock()
		r := w.roots[root]
		number, id, polled := uint64(0), fileID{}, true
		if r != nil {
			number, id, polled = r.number, r.id, r.polled
		}
		w.mu.Unlock()
		if polled {
			continue
		}
		// A folder that was mounted, or whose parent was renamed, causes no event.
		if identify(root) != id {
			select {
			case w.stale <- root:
			default: // many are waiting; the times serve until then
			}
			continue
		}
		out[i] = number
	}
	return out
}

// count records a change below a root.
func (w *watcher) count(root string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r := w.roots[root]; r != nil {
		r.number++
	}
}

// identify returns the identity of a folder, or zero if it is missing.
func identify(path string) fileID {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return fileID{}
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fileID{}
	}
	return fileID{st.Dev, st.Ino}
}
